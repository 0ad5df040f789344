"""Pictures larger than what is trained on: decoded crop by crop, read window by window."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tepui_trainer.data import Augment, Dataset, batches, open_dataset, sequential
from tepui_trainer.reader import order
from tepui_trainer.reader.pixels import decoded


def gradient(width: int, height: int) -> Image.Image:
    """Red rises from left to right, green from top to bottom."""
    red = np.broadcast_to(np.linspace(0, 255, width)[None, :], (height, width))
    green = np.broadcast_to(np.linspace(0, 255, height)[:, None], (height, width))
    return Image.fromarray(np.stack([red, green, np.zeros_like(red)], axis=2).astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    """One photograph, encoded."""
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=95)
    return sink.getvalue()


def photographs(tmp_path: Path, num_images: int = 24) -> Dataset:
    """Gradients of different sizes in two classes."""
    for index in range(num_images):
        file = tmp_path / "train" / f"class{index % 2}" / f"{index:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(gradient(200 + 3 * index, 160)))
    return open_dataset(str(tmp_path), split="train", image_size_px=32, format="imagefolder")


@pytest.mark.parametrize("size", [(320, 160), (1600, 800)], ids=["as it is", "by a draft"])
def test_centre_square_is_taken(size: tuple[int, int]) -> None:
    """Of a wide picture the middle half remains, whether or not a JPEG was decoded at a smaller size."""
    image = decoded(jpeg(gradient(*size)), size_px=32, channels=3).astype(float)
    assert image[:, 0, 0].mean() == pytest.approx(255 * 0.25, abs=5)
    assert image[:, -1, 0].mean() == pytest.approx(255 * 0.75, abs=5)
    assert image[0, :, 1].mean() == pytest.approx(0, abs=6)
    assert image[-1, :, 1].mean() == pytest.approx(255, abs=6)


def test_resized_crops_come_from_the_full_picture(tmp_path: Path) -> None:
    """Crops of a tenth of the area show a small range of colours, differ between epochs, and repeat with the seed."""
    dataset = photographs(tmp_path)
    augment = Augment(crop="resized", min_area=0.1, flip=True)
    arguments: Any = {"seed": 0, "global_batch_size": 24, "start_sample": 0, "stop_sample": 48}
    first, second = batches(dataset, **arguments, augment=augment)
    again, _ = batches(dataset, **arguments, augment=augment)
    assert torch.equal(first.images_BCHW, again.images_BCHW)
    assert not torch.equal(first.images_BCHW, second.images_BCHW)
    ranges = first.images_BCHW[:, 0].amax((1, 2)) - first.images_BCHW[:, 0].amin((1, 2))
    assert float(ranges.min()) < 1.0
    (plain,) = sequential(dataset, batch_size=24)
    assert float((plain.images_BCHW[:, 0].amax((1, 2)) - plain.images_BCHW[:, 0].amin((1, 2))).min()) > 1.1


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_windows_hold_every_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    """Data of several windows: an epoch is complete, and its batches are the same sets for any number of ranks."""
    dataset = photographs(tmp_path)
    monkeypatch.setattr(order.epoch_order, "__kwdefaults__", {"window_bytes": 6000})
    arguments: Any = {"seed": 0, "global_batch_size": 6, "start_sample": 0, "stop_sample": 24}
    alone = [set(batch.positions_B.tolist()) for batch in batches(dataset, **arguments)]
    ranks = [list(batches(dataset, **arguments, rank=rank, world_size=world_size)) for rank in range(world_size)]
    together = [
        set().union(*(set(batch.positions_B.tolist()) for batch in parts)) for parts in zip(*ranks, strict=True)
    ]
    assert together == alone
    assert sorted(position for batch in alone for position in batch) == list(range(24))
