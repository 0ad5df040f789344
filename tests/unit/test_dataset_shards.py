"""The writer of datasets: what its hash depends on, and that half a dataset is never taken for one."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_builders import ids, images, parquet_dataset, recipe
from tepui_spec.dataset import CARD_NAME, DatasetCard
from tepui_trainer.data import DataError, open_dataset, sequential
from tepui_trainer.datasets import shards
from tepui_trainer.datasets.recipe import LabelledImages
from tepui_trainer.datasets.shards import content_hash, write_dataset


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every image comes back with its label, in the shuffled order of the shards."""
    parquet_dataset(tmp_path, 300)
    (batch,) = sequential(open_dataset(str(tmp_path), split="train", image_size_px=8), batch_size=300)
    assert sorted(ids(batch)) == list(range(300))
    assert ids(batch) != list(range(300))
    assert batch.labels_B.tolist() == [image % 3 for image in ids(batch)]
    first = images(300).images_NSS[ids(batch)[0]]
    assert np.array_equal(((batch.images_BCHW[0, 0].numpy() + 1) * 127.5).round(), first)


def test_hash_does_not_depend_on_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images in one shard or in many have one content hash, and other files."""
    one = parquet_dataset(tmp_path / "one", 100)
    monkeypatch.setattr(shards, "SHARD_ROWS", 30)
    many = parquet_dataset(tmp_path / "many", 100)
    assert (len(one.splits["train"].shards), len(many.splits["train"].shards)) == (1, 4)
    assert one.content_hash == many.content_hash


def test_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    """Made twice, cards are equal down to the SHA-256 of the shards."""
    assert parquet_dataset(tmp_path / "a", 50) == parquet_dataset(tmp_path / "b", 50)


@pytest.mark.parametrize("what", ["label", "pixel", "split", "class"])
def test_hash_depends_on_everything_that_training_sees(what: str) -> None:
    """One label, one pixel, the name of a split or of a class changes the hash."""
    plain = images(20)
    changed = LabelledImages(plain.images_NSS.copy(), plain.labels_N.copy())
    if what == "label":
        changed.labels_N[7] = 0
    elif what == "pixel":
        changed.images_NSS[7, 3, 3] ^= 1
    names = ("a", "b", "d" if what == "class" else "c")
    split = "test" if what == "split" else "train"
    assert content_hash(names, {split: changed}) != content_hash(("a", "b", "c"), {"train": plain})


def test_full_disk_leaves_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing ends early, the old card is gone, the new one is not there, and reading names a missing shard."""
    parquet_dataset(tmp_path, 100)
    put = shards._put

    def full_after_first(filesystem: Any, path: str, content: bytes) -> None:
        if "00001-of" in path:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(filesystem, path, content)

    monkeypatch.setattr(shards, "SHARD_ROWS", 30)
    monkeypatch.setattr(shards, "_put", full_after_first)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(str(tmp_path), recipe(100))
    assert not (tmp_path / CARD_NAME).exists()
    (tmp_path / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"train-00001-of-00004\.parquet: the shard is missing \(3 of 4 are\)"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be finished leaves neither itself nor its partial copy."""

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space left"):
        parquet_dataset(tmp_path, 10)
    assert list(tmp_path.iterdir()) == []


def test_shards_carry_page_checksums_and_stored_images(tmp_path: Path) -> None:
    """The image column is stored as it is (PNG is compressed already); the label column is small."""
    card = parquet_dataset(tmp_path, 100)
    metadata = pq.read_metadata(tmp_path / card.splits["train"].shards[0].name)
    assert metadata.schema.to_arrow_schema().names == ["image", "label", "split"]
    assert metadata.row_group(0).column(0).compression == "UNCOMPRESSED"


def test_card_on_disk_is_the_card(tmp_path: Path) -> None:
    """`card.json` parses to what `write_dataset` returned."""
    card = parquet_dataset(tmp_path, 10)
    assert DatasetCard.model_validate_json((tmp_path / CARD_NAME).read_bytes()) == card


def test_writes_to_any_filesystem() -> None:
    """The same shards come out of fsspec's memory filesystem."""
    uri = "memory://written/noise"
    card = write_dataset(uri, recipe(40))
    dataset = open_dataset(uri, split="train", image_size_px=8)
    assert (len(dataset), dataset.content_hash) == (40, card.content_hash)
