"""Augmentation: what it does to pixels, and that only seed and place decide."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_builders import ids, parquet_dataset
from tepui_trainer.data import Augment, Batch, Dataset, batches, open_dataset
from tepui_trainer.reader.augment import DRAWS, crop_boxes, draws, gathered, normalised, resized_crop

ANY = Augment(crop="pad", pad_px=2, flip=True)


def run(dataset: Dataset, start: int, stop: int, augment: Augment, *, seed: int = 0) -> list[Batch]:
    """Batches of 10."""
    arguments = {"seed": seed, "global_batch_size": 10, "start_sample": start, "stop_sample": stop}
    return list(batches(dataset, **arguments, augment=augment))


def ramp() -> torch.Tensor:
    """One 8-pixel image (1, 8, 8, 1) whose value tells row and column."""
    return (10 * torch.arange(8)[:, None] + torch.arange(8)).to(torch.uint8)[None, :, :, None]


@pytest.mark.parametrize("augment", [ANY, Augment(crop="resized", flip=True)], ids=["pad", "resized"])
def test_a_resumed_run_sees_the_same_pixels(tmp_path: Path, augment: Augment) -> None:
    """From sample 30 on, a fresh reader gives bit for bit what the undisturbed one gives."""
    parquet_dataset(tmp_path, 25)
    whole = run(open_dataset(str(tmp_path), split="train", image_size_px=8), 0, 60, augment)
    resumed = run(open_dataset(str(tmp_path), split="train", image_size_px=8), 30, 60, augment)
    for batch, again in zip(whole[3:], resumed, strict=True):
        assert torch.equal(batch.images_BCHW, again.images_BCHW)


def test_streamed_pixels_are_cached_pixels(tmp_path: Path) -> None:
    """Whether decoded images are kept in memory changes nothing in a batch."""
    parquet_dataset(tmp_path, 25)
    cached = run(open_dataset(str(tmp_path), split="train", image_size_px=8), 0, 50, ANY)
    streamed = run(open_dataset(str(tmp_path), split="train", image_size_px=8, cache_bytes=0), 0, 50, ANY)
    for batch, again in zip(cached, streamed, strict=True):
        assert torch.equal(batch.images_BCHW, again.images_BCHW)


def test_seeds_and_epochs_differ(tmp_path: Path) -> None:
    """Another seed, and the next epoch, are another order and other crops."""
    parquet_dataset(tmp_path, 50)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8)
    epochs = [
        [image for batch in run(dataset, start, start + 50, Augment()) for image in ids(batch)] for start in (0, 50)
    ]
    other = [image for batch in run(dataset, 0, 50, Augment(), seed=1) for image in ids(batch)]
    assert epochs[0] != epochs[1]
    assert epochs[0] != other


def test_pad_moves_the_image_and_repeats_the_edge() -> None:
    """Moved by the largest shift right and none down, the last column stands in for those beyond it."""
    uniforms = np.full((1, DRAWS), 0.5)
    uniforms[:, 2] = 0.999
    moved = gathered(ramp(), np.array([0]), Augment(crop="pad", pad_px=2), uniforms)[0, 0]
    assert moved[3].tolist() == [32, 33, 34, 35, 36, 37, 37, 37]
    assert moved[:, 0].tolist() == [2, 12, 22, 32, 42, 52, 62, 72]


def test_flip_mirrors_half_of_the_images() -> None:
    """The flip is a mirror image, drawn for about one image in two."""
    slots = np.zeros(2000, dtype=np.int64)
    flipped = gathered(ramp(), slots, Augment(flip=True), draws(0, np.arange(2000)))[:, 0, 0, 0] == 7
    assert 900 < int(flipped.sum()) < 1100
    uniforms = np.zeros((1, DRAWS))
    assert gathered(ramp(), slots[:1], Augment(flip=True), uniforms)[0, 0, 3].tolist() == list(range(37, 29, -1))


def test_pad_shifts_are_uniform() -> None:
    """Every shift from -pad to +pad comes about equally often."""
    slots = np.zeros(9000, dtype=np.int64)
    moved = gathered(ramp(), slots, Augment(crop="pad", pad_px=1), draws(0, np.arange(9000)))[:, 0, 4, 4]
    values, counts = np.unique(moved.numpy(), return_counts=True)
    assert values.tolist() == [33, 34, 35, 43, 44, 45, 53, 54, 55]
    assert counts.min() > 880
    assert counts.max() < 1120


def test_crop_boxes_lie_in_the_image_with_the_areas_asked_for() -> None:
    """Boxes stay inside 40 x 20 pixels; areas lie between the least share and what the aspect ratio allows."""
    uniforms = draws(0, np.arange(5000))
    box_B4 = crop_boxes(uniforms, min_area=0.25, width_B=np.full(5000, 40.0), height_B=np.full(5000, 20.0))
    width_B, height_B = box_B4[:, 2] - box_B4[:, 0], box_B4[:, 3] - box_B4[:, 1]
    assert box_B4.min() >= 0
    assert box_B4[:, 2].max() <= 40.0 + 1e-9
    assert box_B4[:, 3].max() <= 20.0 + 1e-9
    share_B = width_B * height_B / 800.0
    assert 0.2 < share_B.min() < 0.3
    assert 0.8 < share_B.max() < (2 / 3) ** 0.5  # 20 pixels high and 4/3 of sqrt(800 * 3/4) wide


def test_resized_crop_of_everything_is_the_image() -> None:
    """With the whole area and aspect ratio 1 the crop changes nothing."""
    uniforms = np.full((1, DRAWS), 0.5)
    image = ramp().permute(0, 3, 1, 2)
    whole = resized_crop(image, Augment(crop="resized", min_area=1.0), uniforms)
    assert torch.allclose(whole, image.float(), atol=1e-3)


def test_resized_crop_enlarges_the_middle() -> None:
    """A quarter of the area from the middle shows the middle's values, rising half as fast."""
    uniforms = np.zeros((1, DRAWS))
    uniforms[:, 1:4] = 0.5
    enlarged = resized_crop(ramp().permute(0, 3, 1, 2), Augment(crop="resized", min_area=0.25), uniforms)[0, 0]
    assert float(enlarged[4, 4] - enlarged[4, 3]) == pytest.approx(0.5, abs=1e-3)
    assert float(enlarged[4, 4] - enlarged[3, 4]) == pytest.approx(5.0, abs=1e-2)


def test_normalised_takes_out_half() -> None:
    """0 becomes -1 and 255 becomes 1; grey fills three channels."""
    image = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert normalised(image, 3)[0, 2, 0].tolist() == pytest.approx([-1.0, 1.0])


@pytest.mark.parametrize(
    ("changes", "message"), [({"pad_px": -1}, "pad_px is -1"), ({"min_area": 0.0}, "min_area is 0")]
)
def test_augment_refuses_what_makes_no_sense(changes: dict[str, Any], message: str) -> None:
    """The message names the field, the value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        Augment(crop="pad", **changes)
