"""What a trial trains on and is measured on, as its data say it."""

from pathlib import Path

import numpy as np
import pytest

from data_builders import image_folder, images, png, tar_shard
from tepui_spec.experiment import Data
from tepui_trainer.datasets.recipe import LabelledImages
from tepui_trainer.failures import DataError
from tepui_trainer.upstream import open_upstream
from training_pods import train_task


def test_other_validation_images_are_other_data(tmp_path: Path) -> None:
    """Without a card the hash covers both splits: an error measured on other images is never taken for the same."""
    image_folder(tmp_path / "data", "train", images(12))
    image_folder(tmp_path / "data", "test", images(6))
    task = train_task(tmp_path / "data", tmp_path / "store", format_="imagefolder")
    before = open_upstream(task).content_hash
    assert open_upstream(task).content_hash == before
    (tmp_path / "data/test/class0/more.png").write_bytes(png(np.zeros((8, 8), dtype=np.uint8)))
    assert open_upstream(task).content_hash != before


def split_of(folder: Path, split: str, labels: list[int]) -> None:
    """One tar with these labels."""
    folder.mkdir(exist_ok=True)
    labelled = images(len(labels))
    tar_shard(folder / f"{split}.tar", LabelledImages(labelled.images_NSS, np.array(labels, dtype=np.int64)))


def test_validation_may_lack_the_last_classes(tmp_path: Path) -> None:
    """Tars name no classes: a validation split without images of the last one still has the same labels."""
    split_of(tmp_path / "data", "train", [0, 1, 2, 3])
    split_of(tmp_path / "data", "test", [0, 1, 2])
    upstream = open_upstream(train_task(tmp_path / "data", tmp_path / "store", format_="webdataset"))
    assert upstream.num_classes == 4


def test_validation_has_no_classes_of_its_own(tmp_path: Path) -> None:
    """A class that was never trained on is the user's mistake."""
    split_of(tmp_path / "data", "train", [0, 1, 2])
    split_of(tmp_path / "data", "test", [0, 1, 2, 3])
    with pytest.raises(DataError, match="different classes"):
        open_upstream(train_task(tmp_path / "data", tmp_path / "store", format_="webdataset"))


def test_data_without_a_card_can_be_pinned(tmp_path: Path) -> None:
    """The hash that a trial's row tells is the one that contentHash takes."""
    image_folder(tmp_path / "data", "train", images(12))
    image_folder(tmp_path / "data", "test", images(6))
    task = train_task(tmp_path / "data", tmp_path / "store", format_="imagefolder")
    found = open_upstream(task).content_hash
    pinned = Data.model_validate(task.config.data.model_dump(by_alias=True) | {"contentHash": found})
    config = task.config.model_copy(update={"data": pinned})
    assert open_upstream(task.model_copy(update={"config": config})).content_hash == found
