"""What can happen to a dataset of Parquet shards with a card, each as a function of its folder."""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tepui_spec.dataset import CARD_NAME

Damage = Callable[[Path], None]


def nothing(folder: Path) -> None:
    """The dataset as it is."""


def removed(folder: Path) -> None:
    """The folder is gone."""
    shutil.rmtree(folder)


def emptied(folder: Path) -> None:
    """A folder with something in it, but no shards and no card."""
    for file in folder.iterdir():
        file.unlink()
    (folder / "README.txt").write_text("images will be here soon")


def shard_removed(folder: Path) -> None:
    """One shard is gone, the card is there."""
    _shard(folder, "train").unlink()


def not_parquet(folder: Path) -> None:
    """A shard of the right size that holds something else."""
    shard = _shard(folder, "train")
    shard.write_bytes((b"no Parquet here. " * shard.stat().st_size)[: shard.stat().st_size])


def truncated(folder: Path) -> None:
    """A shard whose end is missing."""
    shard = _shard(folder, "train")
    shard.write_bytes(shard.read_bytes()[:-1000])


def truncated_without_card(folder: Path) -> None:
    """The same where no card knows the size."""
    (folder / CARD_NAME).unlink()
    truncated(folder)


def flipped(folder: Path) -> None:
    """One bit in the images of a shard: size and footer are right, the page's checksum is not."""
    shard = _shard(folder, "train")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def card_cut(folder: Path) -> None:
    """A card that ends in the middle."""
    card = folder / CARD_NAME
    card.write_bytes(card.read_bytes()[:300])


def columns_renamed(folder: Path) -> None:
    """Columns by other names."""
    _rewrite(folder, "train", lambda table: table.rename_columns(["img", "y", "split"]))


def labels_as_text(folder: Path) -> None:
    """Labels that are class names."""
    _rewrite(folder, "train", lambda table: _replaced(table, "label", table["label"].cast(pa.string())))


def images_as_paths(folder: Path) -> None:
    """Paths of files where the images should be."""
    names = [f"images/{number}.png" for number in range(10_000)]
    _rewrite(folder, "train", lambda table: _replaced(table, "image", pa.array(names[: table.num_rows])))


def labels_above_card(folder: Path) -> None:
    """Labels that count from 1: the last class is none of the card's."""
    _rewrite(folder, "train", lambda table: _replaced(table, "label", pc.add(table["label"], 1)))


def labels_negative(folder: Path) -> None:
    """-1 for what has no label."""
    _rewrite(folder, "train", lambda table: _replaced(table, "label", pc.subtract(table["label"], 1)))


def no_rows(folder: Path, split: str) -> None:
    """A split of no images."""
    (folder / CARD_NAME).unlink()
    _rewrite(folder, split, lambda table: table.slice(0, 0))


def one_class(folder: Path) -> None:
    """All images have label 0, and there is no card that knows more classes."""
    (folder / CARD_NAME).unlink()
    zeros = partial(_with_labels, labels_N=0)
    _rewrite(folder, "train", zeros)
    _rewrite(folder, "test", zeros)


def class_of_test_only(folder: Path) -> None:
    """Without a card: the test split has a class of which there are no training images."""
    (folder / CARD_NAME).unlink()
    _rewrite(folder, "train", lambda table: table.filter(pc.less(table["label"], 4)))


def corrupted(folder: Path, split: str, images: int) -> None:
    """The first images of a split end in the middle."""

    def cut(table: pa.Table) -> pa.Table:
        encoded = table["image"].to_pylist()
        return _replaced(table, "image", pa.array([e[:60] if i < images else e for i, e in enumerate(encoded)]))

    _rewrite(folder, split, cut)


def images_a_class(folder: Path, at_most: int) -> None:
    """No class has more training images than this."""

    def first(table: pa.Table) -> pa.Table:
        labels_N = table["label"].to_numpy()
        kept = [np.flatnonzero(labels_N == label)[:at_most] for label in np.unique(labels_N)]
        return table.take(np.sort(np.concatenate(kept)))

    _rewrite(folder, "train", first)


def _with_labels(table: pa.Table, labels_N: int) -> pa.Table:
    return _replaced(table, "label", pa.array([labels_N] * table.num_rows, pa.int32()))


def _shard(folder: Path, split: str) -> Path:
    (shard,) = folder.glob(f"{split}-*.parquet")
    return shard


def _replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _rewrite(folder: Path, split: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a split's table; a card that is there gets the new file's size and SHA-256."""
    shard = _shard(folder, split)
    pq.write_table(change(pq.read_table(shard)), shard)
    if not (folder / CARD_NAME).exists():
        return
    card = json.loads((folder / CARD_NAME).read_text())
    (entry,) = card["splits"][split]["shards"]
    entry["size_bytes"], entry["sha256"] = shard.stat().st_size, hashlib.sha256(shard.read_bytes()).hexdigest()
    (folder / CARD_NAME).write_text(json.dumps(card))
