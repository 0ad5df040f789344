"""Small real datasets for tests: scikit-learn's 8x8 digits as Parquet shards."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits

from tepui_spec.dataset import Attribution, DatasetCard
from tepui_trainer.datasets.recipe import LabelledImages, Recipe
from tepui_trainer.datasets.shards import write_dataset


def digits(start: int, stop: int, classes: int = 10) -> LabelledImages:
    """Digits [start, stop) of the package's 1,797, without those of the last classes: uint8 (N, 8, 8)."""
    bunch = load_digits()
    images_NSS = (bunch.images[start:stop] * (255.0 / 16.0)).astype(np.uint8)
    labels_N = bunch.target[start:stop].astype(np.int64)
    kept_N = labels_N < classes
    return LabelledImages(images_NSS[kept_N], labels_N[kept_N])


def write_digits(folder: Path, splits: Mapping[str, LabelledImages], classes: int = 10) -> DatasetCard:
    """The splits as a dataset with a card, as `tepui data` makes them."""
    recipe = Recipe(
        name=folder.name,
        version="test",
        description="8x8 digits",
        attributions=(Attribution(source="scikit-learn", licence="BSD-3-Clause"),),
        class_names=tuple(f"digit {c}" for c in range(classes)),
        draw=lambda: splits,
    )
    return write_dataset(str(folder), recipe)


def write_plain(folder: Path, split: str, images: LabelledImages, broken: npt.NDArray[np.int64] | None = None) -> None:
    """One split as a Parquet file without a card; images at the places `broken` are cut in half."""
    encoded = [_png(image_SS) for image_SS in images.images_NSS]
    for place in () if broken is None else broken.tolist():
        encoded[place] = encoded[place][: len(encoded[place]) // 2]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": encoded, "label": images.labels_N}), folder / f"{split}-0.parquet")


def _png(image_SS: npt.NDArray[np.uint8]) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(image_SS).save(sink, "PNG")
    return sink.getvalue()
