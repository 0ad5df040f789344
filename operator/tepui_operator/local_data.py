"""What a folder of this machine holds of a dataset, as far as that is known without opening a shard.

The reader (`tepui_trainer.data`) refuses the same things, in a pod; here they are found before there is one.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from tepui_spec.dataset import CARD_NAME, DatasetCard
from tepui_spec.experiment import Data, DataFormat

_SUFFIXES: dict[DataFormat, str] = {"parquet": ".parquet", "webdataset": ".tar"}
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})
"""What counts as an image in a folder of images."""
_TOLD = 10
"""Names that a message lists."""


def local_folder(uri: str) -> Path | None:
    """The folder of an absolute URI; None where it is not on this machine."""
    path = uri.removeprefix("file://")
    return None if "://" in path else Path(path)


def read_card(folder: Path) -> DatasetCard | None:
    """The dataset's card; None where there is none. Raises ValueError where the file is no card."""
    path = folder / CARD_NAME
    if not path.exists():
        return None
    try:
        return DatasetCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: not a dataset's card: {f'{field}: ' if field else ''}{first['msg']}") from error


def dataset_names(root: Path) -> list[str]:
    """Folders below a root that tasks may name."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def fault_of_split(folder: Path, data: Data, card: DatasetCard | None, split: str) -> str | None:
    """What is wrong with a split: it, or one of its shards, is not there or not whole. None: nothing that is known."""
    if card is not None:
        return _fault_of_shards(folder, card, split) if split in card.splits else _no_split(split, card.splits)
    if data.format == "imagefolder":
        return None if (folder / split).is_dir() else _no_split(split, dataset_names(folder))
    suffix = _SUFFIXES[data.format]
    stems = [name.removeprefix("data/") for name in _files(folder) if name.endswith(suffix)]
    if any(stem.startswith((f"{split}-", f"{split}/", f"{split}{suffix}")) for stem in stems):
        return None
    return _no_split(split, {stem.removesuffix(suffix).partition("-")[0].partition("/")[0] for stem in stems})


def class_sizes(folder: Path, data: Data, card: DatasetCard | None, split: str, enough: int) -> dict[str, int] | None:
    """Images of each class of a split that is there, counted no further than `enough`; None: only its shards know."""
    if card is not None:
        return dict(zip(card.class_names, card.splits[split].images_per_class, strict=True))
    if data.format != "imagefolder":
        return None
    classes = {path.name for path in folder.glob("*/*") if path.is_dir() and any(True for _ in _images(path))}
    return {name: sum(1 for _ in islice(_images(folder / split / name), enough)) for name in sorted(classes)}


def card_of(folder: Path, data: Data) -> DatasetCard | None:
    """The card, for data of the format that has one. Raises as `read_card`."""
    return read_card(folder) if data.format == "parquet" else None


def _fault_of_shards(folder: Path, card: DatasetCard, split: str) -> str | None:
    for shard in card.splits[split].shards:
        path = folder / shard.name
        if not path.exists():
            return f"{path} is in the card but not in the folder: copy it again, or make the dataset anew"
        if (found := path.stat().st_size) != shard.size_bytes:
            return f"{path} has {found:,} bytes and not the card's {shard.size_bytes:,}: copy it again"
    return None


def _no_split(split: str, known: object) -> str:
    names = sorted(known)  # type: ignore[call-overload]
    return f"there is no split {split}; " + (f"there are {listed(names)}" if names else "there are none at all")


def listed(names: list[str]) -> str:
    """Names for a message."""
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def _images(folder: Path) -> Iterator[str]:
    return (name for name in _files(folder) if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES)


def _files(folder: Path) -> Iterator[str]:
    """Paths relative to the folder; links are followed, as the reader does."""
    for root, _, files in os.walk(folder, followlinks=True):
        yield from (Path(root, name).relative_to(folder).as_posix() for name in files)
