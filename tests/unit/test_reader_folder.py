"""Image folders: split, class, file."""

from pathlib import Path

import pytest

from data_builders import ids, image_folder, images
from tepui_trainer.data import DataError, open_dataset, sequential
from tepui_trainer.datasets.recipe import LabelledImages


def test_folders_are_classes(tmp_path: Path) -> None:
    """Class names are folder names, samples come in order of class and file."""
    image_folder(tmp_path, "train", images(7))
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder")
    (batch,) = sequential(dataset, batch_size=16)
    assert dataset.class_names == ("class0", "class1", "class2")
    assert ids(batch) == [0, 3, 6, 1, 4, 2, 5]
    assert batch.labels_B.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_a_class_that_a_split_lacks_shifts_no_label(tmp_path: Path) -> None:
    """The test split without class0 keeps the labels 1 and 2."""
    image_folder(tmp_path, "train", images(6))
    labelled = images(6)
    without = labelled.labels_N != 0
    image_folder(tmp_path, "test", LabelledImages(labelled.images_NSS[without], labelled.labels_N[without]))
    test = open_dataset(str(tmp_path), split="test", image_size_px=8, format="imagefolder")
    assert test.images_per_class_C.tolist() == [0, 2, 2]


def test_missing_split_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """An unknown split, and a folder without images, each in words."""
    (tmp_path / "README.md").write_text("no images")
    with pytest.raises(DataError, match="there are no images SPLIT/CLASS/FILE at all"):
        open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder")
    image_folder(tmp_path, "train", images(3))
    with pytest.raises(DataError, match=r"no images test/CLASS/FILE; there are splits \['train'\]"):
        open_dataset(str(tmp_path), split="test", image_size_px=8, format="imagefolder")


def test_content_hash_is_of_the_listing(tmp_path: Path) -> None:
    """Another file changes the hash that stands for the content."""
    image_folder(tmp_path, "train", images(6))
    before = open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder").content_hash
    again = open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder").content_hash
    (tmp_path / "train" / "class0" / "00000.png").rename(tmp_path / "train" / "class1" / "00000.png")
    after = open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder").content_hash
    assert before == again
    assert before != after
    assert before.startswith("listing-sha256:")


def test_columns_belong_to_parquet(tmp_path: Path) -> None:
    """Columns for a format without columns are refused, not passed over."""
    with pytest.raises(ValueError, match="only the format 'parquet' has columns"):
        open_dataset(str(tmp_path), split="train", image_size_px=8, format="imagefolder", columns={"image": "picture"})
