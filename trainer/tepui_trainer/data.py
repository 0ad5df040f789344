"""The reader: images of any supported format from any URI, in an order that depends on seed and place alone.

dataset = open_dataset("data/quickstart/fonts", split="train", image_size_px=32).subset(0.3)
for batch in batches(dataset, seed=0, global_batch_size=128, start_sample=0, stop_sample=128 * 100):
    batch.images_BCHW, batch.labels_B

B images of a batch, C channels, H = W pixels, n images of a dataset
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch

from tepui_spec.dataset import DatasetCard
from tepui_trainer.failures import DataError
from tepui_trainer.reader.augment import NO_AUGMENT, Augment, normalised
from tepui_trainer.reader.corruption import Corruption
from tepui_trainer.reader.folder_source import FolderSource
from tepui_trainer.reader.order import WINDOW_BYTES, fraction_of
from tepui_trainer.reader.parquet_source import ParquetSource
from tepui_trainer.reader.pipeline import Loaded, sequential_pixels, training_pixels
from tepui_trainer.reader.pixels import CachedPixels, Pixels, StreamedPixels
from tepui_trainer.reader.plan import sequential_plan, training_plan
from tepui_trainer.reader.source import IntArray, Source
from tepui_trainer.reader.storage import Folder
from tepui_trainer.reader.tar_source import TarSource

__all__ = ["NO_AUGMENT", "Augment", "Batch", "DataError", "Dataset", "batches", "open_dataset", "sequential"]

CACHE_BYTES = 2**31
Format = Literal["parquet", "imagefolder", "webdataset"]


@dataclass(frozen=True)
class Batch:
    """One rank's share of a batch, on the CPU.

    Attributes:
        images_BCHW: float32 in [-1, 1] (mean and standard deviation .5 taken out).
        labels_B: int64 in [0, num_classes).
        positions_B: int64, each image's place in the dataset that was iterated.
        corrupt: images of this batch that could not be decoded: replaced in training, left out in `sequential`.
    """

    images_BCHW: torch.Tensor
    labels_B: torch.Tensor
    positions_B: torch.Tensor
    corrupt: int


class _Store:
    """A source with its decoded pixels, shared by all views of it."""

    def __init__(self, source: Source, image_size_px: int, max_corrupt_share: float, cache_bytes: int) -> None:
        self.source = source
        self.image_size_px = image_size_px
        self.channels = source.card.channels if source.card else 3
        self._max_corrupt_share = max_corrupt_share
        self._fits = len(source.labels_N) * image_size_px**2 * self.channels <= cache_bytes
        self._uniform = source.card is not None and source.card.image_size_px == image_size_px
        self._made: dict[type[CachedPixels | StreamedPixels], CachedPixels | StreamedPixels] = {}

    def pixels(self, augment: Augment) -> Pixels:
        """Decoded once and kept if they fit; but a resized crop wants the full picture where that is larger.

        What a batch holds depends on data, image size and augmentation, never on the memory of the machine.
        """
        cached = self._fits and (augment.crop != "resized" or self._uniform)
        kind = CachedPixels if cached else StreamedPixels
        if kind not in self._made:
            corruption = Corruption(self.source.uri, len(self.source.labels_N), self._max_corrupt_share)
            self._made[kind] = kind(self.source, self.image_size_px, self.channels, corruption)
        return self._made[kind]

    @property
    def corruptions(self) -> list[Corruption]:
        return [pixels.corruption for pixels in self._made.values()]


class Dataset:
    """n labelled images of one split, or a part of them; made by `open_dataset`."""

    def __init__(self, store: _Store, view_n: IntArray) -> None:
        self._store = store
        self._view_n = view_n

    def __len__(self) -> int:
        return len(self._view_n)

    @property
    def uri(self) -> str:
        """The URI that was opened."""
        return self._store.source.uri

    @property
    def card(self) -> DatasetCard | None:
        """The dataset's card, None for data that Tepui did not prepare."""
        return self._store.source.card

    @property
    def image_size_px(self) -> int:
        """Side of the square images of a batch."""
        return self._store.image_size_px

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by label, of the whole split."""
        return self._store.source.class_names

    @property
    def num_classes(self) -> int:
        """Number of classes of the whole split; labels lie in [0, num_classes)."""
        return len(self.class_names)

    @property
    def content_hash(self) -> str:
        """What the whole dataset holds; see `DatasetCard.content_hash` (without a card: names, sizes, labels)."""
        return self._store.source.content_hash

    @property
    def labels_N(self) -> IntArray:
        """(n,) labels in canonical order."""
        labels_N: IntArray = self._store.source.labels_N[self._view_n]
        return labels_N

    @property
    def images_per_class_C(self) -> IntArray:
        """(num_classes,) images of each class."""
        return np.bincount(self.labels_N, minlength=self.num_classes)

    @property
    def corrupt_samples(self) -> IntArray:
        """Images that this process found corrupt so far, in any view: ascending indices into the whole split.

        A run that wants their number after a resume, or over ranks, keeps the union of these.
        """
        found = [corruption.samples for corruption in self._store.corruptions]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))

    @property
    def corrupt_images(self) -> int:
        """How many `corrupt_samples` there are."""
        return len(self.corrupt_samples)

    @property
    def corrupt_examples(self) -> tuple[str, ...]:
        """The first few corrupt images: file, row, reason."""
        longest = max((corruption.examples for corruption in self._store.corruptions), key=len, default=[])
        return tuple(longest)

    def select(self, positions: IntArray) -> Self:
        """The images at these places, in this order; pixels already decoded are shared."""
        return type(self)(self._store, self._view_n[positions])

    def subset(self, fraction: float) -> Self:
        """What `dataFraction` keeps: by class, nested (a smaller fraction is part of a larger one), without a seed.

        Raises:
            ValueError: if the fraction is not in (0, 1].
        """
        return self.select(fraction_of(self.labels_N, fraction))


def open_dataset(
    uri: str,
    *,
    split: str,
    image_size_px: int,
    format: Format = "parquet",  # noqa: A002  the field's name in the spec
    columns: Mapping[str, str] | None = None,
    max_corrupt_share: float = 0.01,
    cache_bytes: int = CACHE_BYTES,
) -> Dataset:
    """Opens one split; reads labels and metadata, no images.

    Args:
        format: `parquet` (shards `{split}-*.parquet`), `imagefolder` (`{split}/{class}/{file}`) or `webdataset`
            (`{split}-*.tar`, each sample an image and a `.cls`).
        columns: for Parquet, other names of the columns `image` and `label`.
        max_corrupt_share: share of corrupt images above which iterating raises `DataError`.
        cache_bytes: data whose decoded images take no more than this are decoded once and kept.

    Raises:
        DataError: if the data are missing, unreadable, truncated, or labelled wrongly; the message names the URI.
        TransientError: if the storage does not answer.
    """
    if image_size_px < 1:
        raise ValueError(f"image_size_px is {image_size_px}; it must be at least 1")
    folder = Folder(uri)
    if not folder.exists():
        hint = "`tepui data quickstart` makes the quickstart's data"
        if "quickstart" not in uri:
            hint = "check the URI, and that pods can reach it"
        raise DataError(f"{uri}: there is no such dataset; {hint}")
    source = _source(folder, format, split, columns or {})
    store = _Store(source, image_size_px, max_corrupt_share, cache_bytes)
    return Dataset(store, np.arange(len(source.labels_N), dtype=np.int64))


def _source(folder: Folder, format_: Format, split: str, columns: Mapping[str, str]) -> Source:
    if format_ == "parquet":
        unknown = set(columns) - {"image", "label"}
        if unknown:
            raise ValueError(f"columns names {sorted(unknown)[0]!r}; allowed are 'image' and 'label'")
        return ParquetSource(
            folder,
            split,
            image_column=columns.get("image", "image"),
            label_column=columns.get("label", "label"),
        )
    if columns:
        raise ValueError(f"columns is {dict(columns)}; only the format 'parquet' has columns")
    if format_ == "imagefolder":
        return FolderSource(folder, split)
    if format_ == "webdataset":
        return TarSource(folder, split)
    raise ValueError(f"format is {format_!r}; allowed are 'parquet', 'imagefolder', 'webdataset'")


def batches(
    dataset: Dataset,
    *,
    seed: int,
    global_batch_size: int,
    start_sample: int,
    stop_sample: int,
    rank: int = 0,
    world_size: int = 1,
    augment: Augment = NO_AUGMENT,
    channels: int = 3,
) -> Iterator[Batch]:
    """Training batches: samples [start_sample, stop_sample) of the run, which goes through the data again and again.

    Sample i of the run (which image, and how it is augmented) is a function of (seed, i) and the data alone, so a
    run resumes at any sample and any number of ranks sees the same global batches. Rank r of W gets places
    [r * B / W, (r + 1) * B / W) of each. The last batch is smaller if the samples do not divide evenly. A corrupt
    image gives its place to the next intact one of the dataset.

    Raises:
        ValueError: if sizes or ranks make no sense.
        DataError: if a shard cannot be read, or too many images are corrupt.
        TransientError: if the storage does not answer.
    """
    if global_batch_size < 1 or global_batch_size % world_size:
        raise ValueError(f"global_batch_size is {global_batch_size}; it must be a multiple of {world_size} ranks")
    if not 0 <= start_sample <= stop_sample:
        raise ValueError(f"samples [{start_sample}, {stop_sample}) are no range")
    source, view_n = dataset._store.source, dataset._view_n
    plan = training_plan(
        source.blocks.of_samples(view_n),
        source.blocks,
        seed=seed,
        global_batch_size=global_batch_size,
        start_sample=start_sample,
        stop_sample=stop_sample,
        rank=rank,
        world_size=world_size,
    )
    loaded = training_pixels(
        dataset._store.pixels(augment),
        view_n,
        plan,
        seed=seed,
        augment=augment,
        read_ahead_batches=_read_ahead_batches(source, global_batch_size),
    )
    return _finished(dataset, loaded, channels)


def sequential(
    dataset: Dataset, *, batch_size: int, rank: int = 0, world_size: int = 1, channels: int = 3
) -> Iterator[Batch]:
    """Evaluation batches: every image once, in canonical order, not augmented; each rank a contiguous part.

    Corrupt images are left out (`Batch.corrupt` counts them), so a batch may be smaller than `batch_size`.

    Raises:
        ValueError: if batch_size is not positive.
        DataError: if a shard cannot be read, or too many images are corrupt.
        TransientError: if the storage does not answer.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    loaded = sequential_pixels(
        dataset._store.pixels(NO_AUGMENT),
        dataset._view_n,
        sequential_plan(len(dataset), batch_size=batch_size, rank=rank, world_size=world_size),
        read_ahead_batches=_read_ahead_batches(dataset._store.source, batch_size * world_size),
    )
    return _finished(dataset, loaded, channels)


def _finished(dataset: Dataset, loaded: Iterator[Loaded], channels: int) -> Iterator[Batch]:
    labels_N = dataset.labels_N
    for part in loaded:
        yield Batch(
            normalised(part.images_BCHW, channels),
            torch.from_numpy(labels_N[part.positions_B]),
            torch.from_numpy(part.positions_B),
            part.corrupt,
        )


def _read_ahead_batches(source: Source, global_batch_size: int) -> int:
    """Enough batches to have half a window under way."""
    bytes_per_image = max(1, int(source.blocks.size_bytes_K.sum()) // len(source.labels_N))
    return min(1000, max(2, WINDOW_BYTES // 2 // bytes_per_image // global_batch_size))
