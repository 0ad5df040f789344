"""Planned batches into pixels: reads ahead, decodes ahead, replaces or drops what is corrupt."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tepui_trainer.failures import DataError
from tepui_trainer.reader.augment import NO_AUGMENT, Augment, FloatArray, draws, gathered, resized_crop
from tepui_trainer.reader.pixels import Pending, Pixels, StreamedPixels
from tepui_trainer.reader.plan import Planned
from tepui_trainer.reader.source import IntArray

DECODE_AHEAD_BATCHES = 3


@dataclass(frozen=True)
class Loaded:
    """A batch's images, uint8 or float32 in [0, 255] (B, C, S, S), where they come from, and how many were corrupt."""

    images_BCHW: torch.Tensor
    positions_B: IntArray
    corrupt: int


def training_pixels(
    pixels: Pixels, view_n: IntArray, plan: Iterator[Planned], *, seed: int, augment: Augment, read_ahead_batches: int
) -> Iterator[Loaded]:
    """Augmented batches of full size: a corrupt image gives its place to the next intact one of the view."""
    for planned, uniforms_BD, pending in _ahead(
        pixels, view_n, plan, seed=seed, augment=augment, read_ahead_batches=read_ahead_batches
    ):
        samples_B = view_n[planned.positions_B]
        stored, slots_B = pixels.collect(samples_B, pending)
        images_BCHW = gathered(stored, slots_B, augment, uniforms_BD)
        positions_B, corrupt = planned.positions_B, 0
        if not (intact_B := pixels.corruption.intact_B(samples_B)).all():
            positions_B = _replacements(pixels, view_n, planned.positions_B, augment, uniforms_BD)
            bad = np.flatnonzero(~intact_B)
            corrupt = len(bad)
            stored, slots_B = _fetch(pixels, view_n[positions_B[bad]], augment, uniforms_BD[bad])
            images_BCHW[torch.from_numpy(bad)] = gathered(stored, slots_B, augment, uniforms_BD[bad])
        if augment.crop == "resized" and not isinstance(pixels, StreamedPixels):
            images_BCHW = resized_crop(images_BCHW, augment, uniforms_BD)
        yield Loaded(images_BCHW, positions_B, corrupt)


def sequential_pixels(
    pixels: Pixels, view_n: IntArray, plan: Iterator[Planned], *, read_ahead_batches: int
) -> Iterator[Loaded]:
    """Plain batches; corrupt images are left out, so a batch may be smaller, or empty."""
    for planned, uniforms_BD, pending in _ahead(
        pixels, view_n, plan, seed=0, augment=NO_AUGMENT, read_ahead_batches=read_ahead_batches
    ):
        samples_B = view_n[planned.positions_B]
        stored, slots_B = pixels.collect(samples_B, pending)
        intact_B = pixels.corruption.intact_B(samples_B)
        pixels.corruption.check()
        images_BCHW = gathered(stored, slots_B[intact_B], NO_AUGMENT, uniforms_BD[intact_B])
        yield Loaded(images_BCHW, planned.positions_B[intact_B], int((~intact_B).sum()))


def _ahead(
    pixels: Pixels,
    view_n: IntArray,
    plan: Iterator[Planned],
    *,
    seed: int,
    augment: Augment,
    read_ahead_batches: int,
) -> Iterator[tuple[Planned, FloatArray, Pending]]:
    """Each planned batch with its draws and what was started for it: reading first, decoding nearer the time."""
    reading: deque[Planned] = deque()
    decoding: deque[tuple[Planned, FloatArray, Pending]] = deque()
    exhausted = False
    while not exhausted or decoding or reading:
        while not exhausted and len(reading) < read_ahead_batches:
            planned = next(plan, None)
            if planned is None:
                exhausted = True
                break
            pixels.prefetch(view_n[planned.positions_B])
            reading.append(planned)
        while reading and len(decoding) < DECODE_AHEAD_BATCHES:
            planned = reading.popleft()
            uniforms_BD = draws(seed, planned.run_samples_B)
            pending = pixels.submit(view_n[planned.positions_B], augment, uniforms_BD)
            decoding.append((planned, uniforms_BD, pending))
        if decoding:
            yield decoding.popleft()


def _replacements(
    pixels: Pixels, view_n: IntArray, positions_B: IntArray, augment: Augment, uniforms_BD: FloatArray
) -> IntArray:
    """Each position, or where its image is corrupt the next position of the view whose image is intact."""
    positions_B = positions_B.copy()
    for _ in range(len(view_n)):
        pixels.corruption.check()
        bad = np.flatnonzero(~pixels.corruption.intact_B(view_n[positions_B]))
        if len(bad) == 0:
            return positions_B
        positions_B[bad] = (positions_B[bad] + 1) % len(view_n)
        _fetch(pixels, view_n[positions_B[bad]], augment, uniforms_BD[bad])
    raise DataError("none of the images is intact: " + "; ".join(pixels.corruption.examples))


def _fetch(
    pixels: Pixels, samples_B: IntArray, augment: Augment, uniforms_BD: FloatArray
) -> tuple[torch.Tensor, IntArray]:
    return pixels.collect(samples_B, pixels.submit(samples_B, augment, uniforms_BD))
