"""What every format of stored images offers the reader."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tepui_spec.dataset import DatasetCard
from tepui_spec.naming import content_hash
from tepui_trainer.reader.storage import Folder

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """The K runs of consecutive samples that the source reads in one go (row groups, files, parts of a tar)."""

    num_samples_K: IntArray
    size_bytes_K: IntArray

    @property
    def first_sample_K(self) -> IntArray:
        """Index of each block's first sample."""
        ends_K = np.cumsum(self.num_samples_K)
        return ends_K - self.num_samples_K

    def of_samples(self, samples_B: IntArray) -> IntArray:
        """The block that holds each sample, (B,)."""
        return np.searchsorted(np.cumsum(self.num_samples_K), samples_B, side="right").astype(np.int64)


class Source(Protocol):
    """N encoded images of one split with their labels, in a fixed canonical order."""

    @property
    def uri(self) -> str:
        """The URI that the user wrote."""

    @property
    def labels_N(self) -> IntArray:
        """Labels in [0, number of classes)."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by label."""

    @property
    def content_hash(self) -> str:
        """The card's content hash, or `listing-sha256:` over names, sizes and labels where there is no card."""

    @property
    def card(self) -> DatasetCard | None:
        """The dataset's card, where there is one."""

    @property
    def blocks(self) -> Blocks:
        """How the samples lie in runs that are read together."""

    def read_block(self, block: int) -> Sequence[bytes]:
        """The encoded images of a block; raises `DataError` naming the file, or `TransientError`."""

    def place(self, sample: int) -> str:
        """Where a sample lies, for a person: file and row."""


def listing_hash(folder: Folder, files: Sequence[str], labels_N: IntArray) -> str:
    """What stands for the content where there is no card: names and sizes of the files, and the labels."""
    sizes = folder.files
    listing = json.dumps([(name, sizes[name]) for name in files])
    return "listing-sha256:" + hashlib.sha256(listing.encode() + labels_N.astype("<i8").tobytes()).hexdigest()


def hash_of_splits(first: str, second: str) -> str:
    """What two splits of a dataset hold: a card's hash covers both, a listing's only its own split."""
    return first if first == second else f"sha256:{content_hash([first, second])}"


def same_labels(trained: Sequence[str], measured: Sequence[str]) -> bool:
    """Whether a label means the same class in both splits; data without names may lack images of the last classes."""
    return tuple(measured) == tuple(trained[: len(measured)])
