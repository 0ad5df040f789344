"""From encoded bytes to uint8 pixels: kept in memory where they fit, decoded by threads where they do not.

N images of the source, B of a batch, S the side in pixels, C channels stored
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError

from tepui_trainer.reader.augment import Augment, FloatArray, crop_box
from tepui_trainer.reader.blocks import BlockCache
from tepui_trainer.reader.corruption import INTACT, UNSEEN, Corruption
from tepui_trainer.reader.source import IntArray, Source

# what Pillow's decoders raise on bytes that are no image, or only the beginning of one
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error,
                 Image.DecompressionBombError)  # fmt: skip

Stored = tuple[torch.Tensor, IntArray]
Pending = Sequence["Future[npt.NDArray[np.uint8] | None]"]
Box = tuple[float, float, float, float]


def decoded(
    encoded: bytes, *, size_px: int, channels: int, box_of: Callable[[int, int], Box] | None = None
) -> npt.NDArray[np.uint8]:
    """uint8 (S, S, C): the part that `box_of(width, height)` names in pixels, by default the centre square, resized.

    Raises one of `DECODE_ERRORS` for bytes that are not a whole image.
    """
    image: Image.Image = Image.open(io.BytesIO(encoded))
    width, height = image.size
    box = (box_of or _centre_square)(width, height)
    shrink = 2.0 * size_px / min(box[2] - box[0], box[3] - box[1])
    if shrink < 1.0:
        # a JPEG decodes at 1/2, 1/4 or 1/8 of its size for a fraction of the cost; other formats ignore this
        image.draft(None, (int(width * shrink), int(height * shrink)))
    scale_x, scale_y = image.width / width, image.height / height
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (size_px, size_px) or box_of is not None:
        box = (box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y)
        image = image.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.asarray(image).reshape(size_px, size_px, channels)


def _centre_square(width: int, height: int) -> Box:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


class Pixels(Protocol):
    """Decoded images of one source at one size."""

    corruption: Corruption

    def prefetch(self, samples_B: IntArray) -> None:
        """Starts reading the blocks of these samples."""

    def submit(self, samples_B: IntArray, augment: Augment, uniforms_BD: FloatArray) -> Pending:
        """Starts whatever can be started ahead."""

    def collect(self, samples_B: IntArray, pending: Pending) -> Stored:
        """Stored images (N or B, S, S, C) and each sample's slot in them; corrupt samples are noted as such."""


class CachedPixels:
    """Every image decoded once, at its first use, and kept: (N, S, S, C) uint8. For data that fit in memory."""

    def __init__(self, source: Source, size_px: int, channels: int, corruption: Corruption) -> None:
        self._source = source
        self._blocks = BlockCache(source)
        self.corruption = corruption
        # pages of an empty tensor cost nothing until they are written
        self._stored_NSSC = torch.empty((len(source.labels_N), size_px, size_px, channels), dtype=torch.uint8)

    def prefetch(self, samples_B: IntArray) -> None:
        """See `Pixels`."""
        self._blocks.prefetch(np.unique(self._source.blocks.of_samples(samples_B)).tolist())

    def submit(self, samples_B: IntArray, augment: Augment, uniforms_BD: FloatArray) -> Pending:  # noqa: ARG002
        """See `Pixels`. Small images decode faster than a thread is woken."""
        return ()

    def collect(self, samples_B: IntArray, pending: Pending) -> Stored:  # noqa: ARG002
        """See `Pixels`."""
        missing = samples_B[self.corruption.state_N[samples_B] == UNSEEN]
        if len(missing):
            self._decode(np.unique(missing))
        return self._stored_NSSC, samples_B

    def _decode(self, samples: IntArray) -> None:
        self.prefetch(samples)
        stored = self._stored_NSSC.numpy()
        size_px, channels = stored.shape[1], stored.shape[3]
        for sample, block in zip(samples.tolist(), self._source.blocks.of_samples(samples).tolist(), strict=True):
            encoded = self._blocks.encoded(block, sample)
            try:
                stored[sample] = decoded(encoded, size_px=size_px, channels=channels)
            except DECODE_ERRORS as error:
                self.corruption.found(sample, self._source.place(sample), _reason(error))
            else:
                self.corruption.state_N[sample] = INTACT


class StreamedPixels:
    """Images decoded when they are needed, each crop from the full picture, by a pool of threads."""

    def __init__(self, source: Source, size_px: int, channels: int, corruption: Corruption) -> None:
        self._source = source
        self._blocks = BlockCache(source)
        self.corruption = corruption
        self._size_px = size_px
        self._channels = channels
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="tepui-decode")

    def prefetch(self, samples_B: IntArray) -> None:
        """See `Pixels`."""
        self._blocks.prefetch(np.unique(self._source.blocks.of_samples(samples_B)).tolist())

    def submit(self, samples_B: IntArray, augment: Augment, uniforms_BD: FloatArray) -> Pending:
        """See `Pixels`."""
        block_B = self._source.blocks.of_samples(samples_B)
        return [
            self._pool.submit(self._decode, sample, block, augment, uniforms_D)
            for sample, block, uniforms_D in zip(samples_B.tolist(), block_B.tolist(), uniforms_BD, strict=True)
        ]

    def collect(self, samples_B: IntArray, pending: Pending) -> Stored:
        """See `Pixels`."""
        blank = np.zeros((self._size_px, self._size_px, self._channels), dtype=np.uint8)
        images = [image if image is not None else blank for image in (future.result() for future in pending)]
        return torch.from_numpy(np.stack(images)), np.arange(len(samples_B))

    def _decode(
        self, sample: int, block: int, augment: Augment, uniforms_D: FloatArray
    ) -> npt.NDArray[np.uint8] | None:
        encoded = self._blocks.encoded(block, sample)
        box_of = None
        if augment.crop == "resized":
            box_of = partial(crop_box, uniforms_D, augment.min_area)
        try:
            image = decoded(encoded, size_px=self._size_px, channels=self._channels, box_of=box_of)
        except DECODE_ERRORS as error:
            self.corruption.found(sample, self._source.place(sample), _reason(error))
            return None
        self.corruption.state_N[sample] = INTACT
        return image


def _reason(error: Exception) -> str:
    # Pillow's own text names an in-memory object's address
    return "not an image" if isinstance(error, UnidentifiedImageError) else (str(error) or type(error).__name__)
