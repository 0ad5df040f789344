"""WebDataset tars: `{split}-*.tar`, each sample an image and a class number under one key (`0001.jpg`, `0001.cls`).

A tar has no index, so opening reads every header, which on object storage means reading every byte once: Parquet
shards open faster. After that only the bytes of the blocks that are used are read.
"""

import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tepui_trainer.failures import DataError
from tepui_trainer.reader.source import Blocks, IntArray, listing_hash
from tepui_trainer.reader.storage import Folder, faults_of, split_shards

IMAGE_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp"})
CLASS_EXTENSION = "cls"
BLOCK_BYTES = 2**24
OPEN_THREADS = 16


@dataclass(frozen=True)
class TarIndex:
    """Where the images of one tar lie, in bytes, and their labels; M samples."""

    start_M: IntArray
    stop_M: IntArray
    labels_M: IntArray


class TarSource:
    """One split of WebDataset tars; a block is a run of samples of about 16 MiB in one tar."""

    card = None

    def __init__(self, folder: Folder, split: str) -> None:
        self._folder = folder
        self.uri = folder.uri
        self._shards = split_shards(folder, split, ".tar")
        with ThreadPoolExecutor(OPEN_THREADS) as pool:
            indices = list(pool.map(self._index, self._shards))
        self._start_N = np.concatenate([index.start_M for index in indices])
        self._stop_N = np.concatenate([index.stop_M for index in indices])
        self._shard_N = np.repeat(np.arange(len(indices)), [len(index.labels_M) for index in indices])
        self.labels_N: IntArray = np.concatenate([index.labels_M for index in indices])
        if len(self.labels_N) == 0:
            raise DataError(f"{self.uri}: split {split!r} holds no samples")
        self.class_names = tuple(str(label) for label in range(int(self.labels_N.max()) + 1))

    def _index(self, shard: str) -> TarIndex:
        uri = self._folder.uri_of(shard)
        images: dict[str, tarfile.TarInfo] = {}
        labels: dict[str, int] = {}
        with faults_of(uri), self._folder.open(shard) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                key, extension = _key(member.name)
                if extension in IMAGE_EXTENSIONS:
                    images[key] = member
                elif extension == CLASS_EXTENSION:
                    content = tar.extractfile(member)
                    assert content is not None
                    labels[key] = _label(content.read(), f"{uri} {member.name}")
        without = sorted(images.keys() ^ labels.keys())
        if without:
            raise DataError(f"{uri}: sample {without[0]!r} lacks its {'class' if without[0] in images else 'image'}")
        members = images.values()
        return TarIndex(
            np.array([member.offset_data for member in members], dtype=np.int64),
            np.array([member.offset_data + member.size for member in members], dtype=np.int64),
            np.array([labels[key] for key in images], dtype=np.int64),
        )

    @cached_property
    def _first_samples(self) -> IntArray:
        """The first sample of each block, and the number of samples at the end."""
        firsts = [0]
        for sample in range(1, len(self.labels_N)):
            first = firsts[-1]
            too_far = self._stop_N[sample] - self._start_N[first] > BLOCK_BYTES
            if self._shard_N[sample] != self._shard_N[first] or too_far:
                firsts.append(sample)
        return np.array([*firsts, len(self.labels_N)], dtype=np.int64)

    @cached_property
    def blocks(self) -> Blocks:
        """See `Source`."""
        firsts, ends = self._first_samples[:-1], self._first_samples[1:]
        return Blocks(ends - firsts, self._stop_N[ends - 1] - self._start_N[firsts])

    @cached_property
    def content_hash(self) -> str:
        """See `Source`."""
        return listing_hash(self._folder, self._shards, self.labels_N)

    def read_block(self, block: int) -> Sequence[bytes]:
        """See `Source`."""
        first, end = (int(sample) for sample in self._first_samples[block : block + 2])
        start_M, stop_M = self._start_N[first:end], self._stop_N[first:end]
        offset = int(start_M[0])
        content = self._folder.read(self._shards[self._shard_N[first]], offset, int(stop_M[-1]))
        return [content[start - offset : stop - offset] for start, stop in zip(start_M, stop_M, strict=True)]

    def place(self, sample: int) -> str:
        """See `Source`."""
        return f"{self._folder.uri_of(self._shards[self._shard_N[sample]])} at byte {self._start_N[sample]}"


def _key(name: str) -> tuple[str, str]:
    """WebDataset's convention: the key is everything before the first dot of the file's own name."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()


def _label(content: bytes, place: str) -> int:
    text = content.decode("ascii", errors="replace").strip()
    if not text.isdigit():
        raise DataError(f"{place}: the class must be a whole number, not {text[:40]!r}")
    return int(text)
