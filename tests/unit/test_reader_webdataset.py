"""WebDataset tars: keys, blocks, damage."""

import io
import tarfile
from pathlib import Path

import pytest

from data_builders import ids, images, tar_shard
from tepui_trainer.data import DataError, batches, open_dataset, sequential
from tepui_trainer.datasets.recipe import LabelledImages
from tepui_trainer.reader import tar_source


def two_shards(tmp_path: Path) -> None:
    """20 images, the first 12 in one tar."""
    labelled = images(20)
    tar_shard(tmp_path / "train-000000.tar", LabelledImages(labelled.images_NSS[:12], labelled.labels_N[:12]))
    tar_shard(tmp_path / "train-000001.tar", LabelledImages(labelled.images_NSS[12:], labelled.labels_N[12:]), first=12)


@pytest.mark.parametrize("block_bytes", [1, 3000, 2**24])
def test_samples_in_order_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    """Every image and label comes back, read one by one, in runs, or a tar at a time."""
    monkeypatch.setattr(tar_source, "BLOCK_BYTES", block_bytes)
    two_shards(tmp_path)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8, format="webdataset")
    (batch,) = sequential(dataset, batch_size=32)
    assert ids(batch) == list(range(20))
    assert batch.labels_B.tolist() == [image % 3 for image in range(20)]


def test_same_order_as_a_folder_of_the_same_size(tmp_path: Path) -> None:
    """An epoch over tars holds every image once."""
    two_shards(tmp_path)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8, format="webdataset")
    (batch,) = batches(dataset, seed=3, global_batch_size=20, start_sample=0, stop_sample=20)
    assert sorted(ids(batch)) == list(range(20))


def test_truncated_tar(tmp_path: Path) -> None:
    """A tar that lost its end is named."""
    two_shards(tmp_path)
    path = tmp_path / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"train-000001\.tar: not a whole tar file"):
        open_dataset(str(tmp_path), split="train", image_size_px=8, format="webdataset")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1.png": b"x"}, "sample '1' lacks its class"),
        ({"1.cls": b"0"}, "sample '1' lacks its image"),
        ({"1.png": b"x", "1.cls": b"cat"}, r"train-0\.tar 1\.cls: the class must be a whole number, not 'cat'"),
        ({"README": b"x"}, "split 'train' holds no samples"),
    ],
)
def test_samples_that_are_none(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    """A sample without image or class, or with a class in words, is named with its tar."""
    with tarfile.open(tmp_path / "train-0.tar", "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=message):
        open_dataset(str(tmp_path), split="train", image_size_px=8, format="webdataset")
