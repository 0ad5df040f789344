"""Writes a dataset: Parquet shards of PNG images with page checksums, then the card that makes it whole."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

from tepui_spec.dataset import CARD_NAME, DatasetCard, ShardCard, SplitCard
from tepui_trainer.datasets.recipe import LabelledImages, Recipe

SHARD_ROWS = 8192
ROW_GROUP_ROWS = 1024
SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)


def write_dataset(uri: str, recipe: Recipe) -> DatasetCard:
    """Draws the recipe's images and writes them to the folder `uri`; a dataset that is there is replaced.

    The old card goes first and the new one comes last, so at no moment does a card describe other shards than its own.
    """
    splits = {name: images.shuffled(recipe.name, name) for name, images in recipe.draw().items()}
    filesystem, folder = fsspec.core.url_to_fs(uri)
    filesystem.makedirs(folder, exist_ok=True)
    if filesystem.exists(f"{folder}/{CARD_NAME}"):
        filesystem.rm_file(f"{folder}/{CARD_NAME}")
    cards = {}
    for split, images in splits.items():
        shards = []
        for name, content, rows in _shards(split, images):
            _put(filesystem, f"{folder}/{name}", content)
            digest = hashlib.sha256(content).hexdigest()
            shards.append(ShardCard(name=name, rows=rows, size_bytes=len(content), sha256=digest))
        counts_C = np.bincount(images.labels_N, minlength=len(recipe.class_names))
        cards[split] = SplitCard(
            images=len(images.labels_N), images_per_class=tuple(counts_C.tolist()), shards=tuple(shards)
        )
    card = DatasetCard(
        name=recipe.name,
        description=recipe.description,
        recipe=recipe.version,
        attributions=recipe.attributions,
        class_names=recipe.class_names,
        image_size_px=next(iter(splits.values())).images_NSS.shape[1],
        channels=1,
        splits=cards,
        content_hash=content_hash(recipe.class_names, splits),
    )
    _put(filesystem, f"{folder}/{CARD_NAME}", (card.model_dump_json(indent=1) + "\n").encode())
    return card


def content_hash(class_names: tuple[str, ...], splits: Mapping[str, LabelledImages]) -> str:
    """`sha256:` over class names and, by split in order of name, shape, labels and pixels."""
    digest = hashlib.sha256(json.dumps(class_names).encode())
    for name in sorted(splits):
        images_NSS, labels_N = splits[name].images_NSS, splits[name].labels_N
        digest.update(json.dumps([name, images_NSS.shape]).encode())
        digest.update(labels_N.astype("<i4").tobytes())
        digest.update(np.ascontiguousarray(images_NSS).tobytes())
    return "sha256:" + digest.hexdigest()


def _shards(split: str, images: LabelledImages) -> list[tuple[str, bytes, int]]:
    num_images = len(images.labels_N)
    num_shards = -(-num_images // SHARD_ROWS)
    shards = []
    for shard in range(num_shards):
        rows = slice(shard * num_images // num_shards, (shard + 1) * num_images // num_shards)
        encoded = [_png(image_SS) for image_SS in images.images_NSS[rows]]
        labels = images.labels_N[rows].astype(np.int32)
        table = pa.table({"image": encoded, "label": labels, "split": [split] * len(labels)}, schema=SCHEMA)
        sink = io.BytesIO()
        # the images are compressed already
        pq.write_table(
            table,
            sink,
            row_group_size=ROW_GROUP_ROWS,
            compression={"image": "none", "label": "zstd", "split": "zstd"},
            use_dictionary=["split"],
            write_statistics=["label"],  # the smallest and largest PNG would stand in every page header
            write_page_checksum=True,
        )
        shards.append((f"{split}-{shard:05d}-of-{num_shards:05d}.parquet", sink.getvalue(), len(labels)))
    return shards


def _png(image_SS: npt.NDArray[np.uint8]) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(image_SS).save(sink, "PNG", compress_level=1)
    return sink.getvalue()


def _put(filesystem: fsspec.AbstractFileSystem, path: str, content: bytes) -> None:
    """A file whole or not at all: by rename on a local disk; object stores show an object once it is complete."""
    if not isinstance(filesystem, LocalFileSystem):
        filesystem.pipe_file(path, content)
        return
    partial = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
