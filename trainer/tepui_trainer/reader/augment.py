"""Random crop and flip of whole batches, each sample's draw a function of (seed, place in the run) alone.

B samples, H = W = S pixels, C channels, N stored images
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from tepui_trainer.reader.random_bits import sample_uniforms
from tepui_trainer.reader.source import IntArray

FloatArray = npt.NDArray[np.float64]
DRAWS = 6  # area, aspect ratio, left, top, flip, and one in reserve: a draw added later moves no other


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What a recipe does to training images.

    `crop="pad"` moves the image by up to `pad_px` pixels each way and repeats the edge (as on CIFAR: He et al. 2016,
    arXiv 1512.03385, section 4.2, there with zeros). `crop="resized"` takes a random part of `min_area` to all of
    the image's area, aspect ratio 3/4 to 4/3, and resizes it (Szegedy et al. 2015, arXiv 1409.4842, section 6).
    """

    crop: Literal["none", "pad", "resized"] = "none"
    pad_px: int = 4
    min_area: float = 0.05
    flip: bool = False

    def __post_init__(self) -> None:
        if self.pad_px < 0:
            raise ValueError(f"pad_px is {self.pad_px}; it must be at least 0")
        if not 0.0 < self.min_area <= 1.0:
            raise ValueError(f"min_area is {self.min_area}; it must be greater than 0 and at most 1")


NO_AUGMENT = Augment()


def draws(seed: int, run_samples_B: IntArray) -> FloatArray:
    """(B, DRAWS) uniforms in [0, 1) for the samples at these places of the run."""
    return sample_uniforms(run_samples_B, DRAWS, "augment", seed)


def crop_boxes(uniforms_BD: FloatArray, *, min_area: float, width_B: FloatArray, height_B: FloatArray) -> FloatArray:
    """(B, 4) boxes left, top, right, bottom in pixels: area and log aspect ratio uniform, cut to the image."""
    area_B = width_B * height_B * (min_area + (1.0 - min_area) * uniforms_BD[:, 0])
    log_ratio = np.log(4.0 / 3.0)
    ratio_B = np.exp(log_ratio * (2.0 * uniforms_BD[:, 1] - 1.0))
    box_width_B = np.minimum(np.sqrt(area_B * ratio_B), width_B)
    box_height_B = np.minimum(np.sqrt(area_B / ratio_B), height_B)
    left_B = uniforms_BD[:, 2] * (width_B - box_width_B)
    top_B = uniforms_BD[:, 3] * (height_B - box_height_B)
    return np.stack([left_B, top_B, left_B + box_width_B, top_B + box_height_B], axis=1)


def crop_box(uniforms_D: FloatArray, min_area: float, width: int, height: int) -> tuple[float, float, float, float]:
    """`crop_boxes` for one image of a size of its own."""
    box_14 = crop_boxes(
        uniforms_D[None], min_area=min_area, width_B=np.array([float(width)]), height_B=np.array([float(height)])
    )
    left, top, right, bottom = box_14[0].tolist()
    return left, top, right, bottom


def gathered(stored_NHWC: torch.Tensor, slots_B: IntArray, augment: Augment, uniforms_BD: FloatArray) -> torch.Tensor:
    """uint8 images (B, C, S, S) of a batch, moved and flipped; a resized crop is a step of its own.

    Crop by padding, flip and the gathering of the batch are one indexing of the stored images.
    """
    size = stored_NHWC.shape[1]
    row_BS = np.tile(np.arange(size), (len(slots_B), 1))
    column_BS = row_BS
    if augment.crop == "pad":
        reach = 2 * augment.pad_px + 1
        shift_B2 = np.floor(uniforms_BD[:, 2:4] * reach).astype(np.int64) - augment.pad_px
        row_BS = np.clip(row_BS + shift_B2[:, 1:2], 0, size - 1)
        column_BS = np.clip(column_BS + shift_B2[:, 0:1], 0, size - 1)
    if augment.flip:
        flip_B1 = uniforms_BD[:, 4:5] < 0.5
        column_BS = np.where(flip_B1, column_BS[:, ::-1], column_BS)
    if augment.crop == "none" and not augment.flip:
        return stored_NHWC[torch.from_numpy(slots_B)].permute(0, 3, 1, 2)
    slot_B11 = torch.from_numpy(slots_B)[:, None, None]
    row_BS1 = torch.from_numpy(np.ascontiguousarray(row_BS))[:, :, None]
    column_B1S = torch.from_numpy(np.ascontiguousarray(column_BS))[:, None, :]
    return stored_NHWC[slot_B11, row_BS1, column_B1S].permute(0, 3, 1, 2)


def resized_crop(images_BCHW: torch.Tensor, augment: Augment, uniforms_BD: FloatArray) -> torch.Tensor:
    """Random parts of the images of a batch, resized to the whole: float32 (B, C, S, S) in [0, 255]."""
    size = images_BCHW.shape[-1]
    side_B = np.full(len(uniforms_BD), float(size))
    box_B4 = crop_boxes(uniforms_BD, min_area=augment.min_area, width_B=side_B, height_B=side_B)
    centre_B2 = (box_B4[:, 0:2] + box_B4[:, 2:4]) / size - 1.0
    scale_B2 = (box_B4[:, 2:4] - box_B4[:, 0:2]) / size
    theta_B23 = np.zeros((len(box_B4), 2, 3), dtype=np.float32)
    theta_B23[:, 0, 0], theta_B23[:, 1, 1] = scale_B2[:, 0], scale_B2[:, 1]
    theta_B23[:, :, 2] = centre_B2
    grid = F.affine_grid(torch.from_numpy(theta_B23), list(images_BCHW.shape), align_corners=False)
    return F.grid_sample(images_BCHW.float(), grid, padding_mode="border", align_corners=False)


def normalised(images_BCHW: torch.Tensor, channels: int) -> torch.Tensor:
    """float32 (B, channels, S, S) with mean and standard deviation .5 taken out: [0, 255] becomes [-1, 1].

    A grey image is repeated over the channels that the model wants.
    """
    scaled = images_BCHW.to(torch.float32).mul_(1.0 / 127.5).sub_(1.0)
    if scaled.shape[1] != channels:
        scaled = scaled.expand(-1, channels, -1, -1)
    return scaled.contiguous()
