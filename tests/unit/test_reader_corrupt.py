"""Corrupt images: counted, reported, replaced, up to the share that was stated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_builders import ids, image_folder, images
from tepui_trainer.data import Augment, DataError, Dataset, batches, open_dataset, sequential

DAMAGE = (b"", b"not an image", b"half")


def damaged_dataset(
    tmp_path: Path, *damaged: int, num_images: int = 30, share: float = 0.2, cache_bytes: int = 2**31
) -> Dataset:
    """One class, images in order of number, some of them empty, not images, or cut in the middle."""
    image_folder(tmp_path, "train", images(num_images, num_classes=1))
    for number, image in enumerate(damaged):
        file = tmp_path / "train" / "class0" / f"{image:05d}.png"
        content = DAMAGE[number % len(DAMAGE)]
        file.write_bytes(file.read_bytes()[:60] if content == b"half" else content)
    return open_dataset(
        str(tmp_path),
        split="train",
        image_size_px=8,
        format="imagefolder",
        max_corrupt_share=share,
        cache_bytes=cache_bytes,
    )


@pytest.mark.parametrize("cache_bytes", [2**31, 0], ids=["cached", "streamed"])
def test_training_replaces_with_the_next_intact_image(tmp_path: Path, cache_bytes: int) -> None:
    """5, 6 and 29 are corrupt: 7 stands in for both neighbours, 0 for the last, each labelled as what it is."""
    dataset = damaged_dataset(tmp_path, 5, 6, 29, cache_bytes=cache_bytes)
    (batch,) = batches(dataset, seed=0, global_batch_size=30, start_sample=0, stop_sample=30)
    expected = sorted([*set(range(30)) - {5, 6, 29}, 7, 7, 0])
    assert sorted(ids(batch)) == expected
    assert batch.positions_B.tolist() == ids(batch)
    assert batch.corrupt == 3
    assert dataset.corrupt_samples.tolist() == [5, 6, 29]


@pytest.mark.parametrize("cache_bytes", [2**31, 0], ids=["cached", "streamed"])
def test_evaluation_leaves_them_out(tmp_path: Path, cache_bytes: int) -> None:
    """A corrupt test image is no test image: batches are smaller, positions tell which are there."""
    dataset = damaged_dataset(tmp_path, 0, 1, cache_bytes=cache_bytes)
    first, second = sequential(dataset, batch_size=15)
    assert (first.corrupt, second.corrupt) == (2, 0)
    assert first.positions_B.tolist() == list(range(2, 15))
    assert ids(first) == list(range(2, 15))


def test_examples_name_file_and_reason(tmp_path: Path) -> None:
    """The first corrupt images are reported with their file and what is wrong."""
    dataset = damaged_dataset(tmp_path, 3, 4)
    list(sequential(dataset, batch_size=30))
    assert dataset.corrupt_examples == (
        f"{tmp_path}/train/class0/00003.png: not an image",
        f"{tmp_path}/train/class0/00004.png: not an image",
    )


@pytest.mark.parametrize("cache_bytes", [2**31, 0], ids=["cached", "streamed"])
def test_too_many_end_the_run(tmp_path: Path, cache_bytes: int) -> None:
    """Above the stated share both ways of iterating end, naming share, limit and the first files."""
    message = r"2 of 30 images read are corrupt, a share of 0\.06667; max_corrupt_share is 0\.05\. First: .*00003\.png"
    dataset = damaged_dataset(tmp_path, 3, 4, share=0.05, cache_bytes=cache_bytes)
    with pytest.raises(DataError, match=message):
        list(batches(dataset, seed=0, global_batch_size=30, start_sample=0, stop_sample=30))
    with pytest.raises(DataError, match=message):
        list(sequential(dataset, batch_size=30))


def test_share_of_the_whole_not_of_the_first_few(tmp_path: Path) -> None:
    """One corrupt image in the very first batch of two ends nothing where one in 30 is allowed."""
    dataset = damaged_dataset(tmp_path, 0, share=1 / 30)
    first = next(sequential(dataset, batch_size=2))
    assert (first.corrupt, len(first.labels_B)) == (1, 1)


def test_nothing_intact(tmp_path: Path) -> None:
    """Where every share is allowed and no image is intact, training ends in words instead of going round for ever."""
    dataset = damaged_dataset(tmp_path, *range(4), num_images=4, share=1.0)
    with pytest.raises(DataError, match="none of the images is intact"):
        list(batches(dataset, seed=0, global_batch_size=4, start_sample=0, stop_sample=4))


def test_replacement_does_not_depend_on_the_ranks(tmp_path: Path) -> None:
    """Two ranks see what one sees, pixels included, corrupt images and augmentation and all."""
    dataset = damaged_dataset(tmp_path, 5, 6, 12)
    arguments: Any = {"seed": 1, "global_batch_size": 10, "start_sample": 0, "stop_sample": 60}
    augment = Augment(crop="pad", pad_px=2, flip=True)
    whole = list(batches(dataset, **arguments, augment=augment))
    halves = [list(batches(dataset, **arguments, augment=augment, rank=rank, world_size=2)) for rank in range(2)]
    for batch, left, right in zip(whole, *halves, strict=True):
        both = np.concatenate([left.images_BCHW.numpy(), right.images_BCHW.numpy()])
        assert np.array_equal(batch.images_BCHW.numpy(), both)
        assert batch.corrupt == left.corrupt + right.corrupt
