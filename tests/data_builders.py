"""Small real datasets for tests: PNG images whose first pixel tells them apart, in every format of the reader."""

import io
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tepui_spec.dataset import Attribution, DatasetCard
from tepui_trainer.data import Batch
from tepui_trainer.datasets.recipe import LabelledImages, Recipe
from tepui_trainer.datasets.shards import write_dataset

SIZE_PX = 8


def images(num_images: int, *, num_classes: int = 3, size_px: int = SIZE_PX) -> LabelledImages:
    """Image i is noise of its own, with i in its first two pixels; labels go round the classes."""
    random = np.random.default_rng(num_images)
    images_NSS = random.integers(0, 256, (num_images, size_px, size_px), dtype=np.uint8)
    images_NSS[:, 0, 0] = np.arange(num_images) // 256
    images_NSS[:, 0, 1] = np.arange(num_images) % 256
    return LabelledImages(images_NSS, np.arange(num_images, dtype=np.int64) % num_classes)


def recipe(num_train: int, num_test: int = 6, *, num_classes: int = 3, name: str = "noise") -> Recipe:
    """A dataset of noise with the splits train and test."""
    return Recipe(
        name=name,
        version="tests.noise 1",
        description="Noise.",
        attributions=(Attribution(source="tests", licence="CC0-1.0"),),
        class_names=tuple(f"class{label}" for label in range(num_classes)),
        draw=lambda: {
            "train": images(num_train, num_classes=num_classes),
            "test": images(num_test, num_classes=num_classes),
        },
    )


def parquet_dataset(folder: Path, num_train: int, num_test: int = 6, *, num_classes: int = 3) -> DatasetCard:
    """The noise as shards with a card."""
    return write_dataset(str(folder), recipe(num_train, num_test, num_classes=num_classes))


def png(image_SS: npt.NDArray[np.uint8]) -> bytes:
    """One image, encoded."""
    sink = io.BytesIO()
    Image.fromarray(image_SS).save(sink, "PNG")
    return sink.getvalue()


def image_folder(folder: Path, split: str, labelled: LabelledImages) -> None:
    """`split/class/file`, files numbered."""
    for index, (image_SS, label) in enumerate(zip(labelled.images_NSS, labelled.labels_N, strict=True)):
        file = folder / split / f"class{label}" / f"{index:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(image_SS))


def tar_shard(path: Path, labelled: LabelledImages, *, first: int = 0) -> None:
    """One WebDataset tar: `000017.png` and `000017.cls` for each sample."""
    with tarfile.open(path, "w") as tar:
        for index, (image_SS, label) in enumerate(zip(labelled.images_NSS, labelled.labels_N, strict=True), first):
            for extension, content in (("png", png(image_SS)), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{index:06d}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def ids(batch: Batch) -> list[int]:
    """Which images of `images` a batch holds, read from the pixels."""
    first_B2 = ((batch.images_BCHW[:, 0, 0, :2] + 1.0) * 127.5).round().long()
    return (first_B2[:, 0] * 256 + first_B2[:, 1]).tolist()
