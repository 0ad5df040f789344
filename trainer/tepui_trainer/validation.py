"""Top-1 error and loss of a model in training on images of the validation split, shared out over all ranks."""

import itertools
import math
from dataclasses import dataclass

import torch

from tepui_spec.recipes import Recipe
from tepui_trainer.data import Batch, Dataset, sequential
from tepui_trainer.engine import Engine
from tepui_trainer.failures import DataError
from tepui_trainer.losses import losses
from tepui_trainer.model import IN_CHANS

CURVE_SHARE = 0.05
"""What validation passes for the curve may add to the work of training; a training step is three forward passes."""
CURVE_IMAGES = (256, 2048)
"""But at least and at most so many images a point."""


@dataclass(frozen=True)
class Validation:
    """Means over `images` intact images; the loss in nats."""

    error: float
    loss: float
    images: int

    @property
    def error_se(self) -> float:
        """Binomial standard error of `error`."""
        return math.sqrt(self.error * (1.0 - self.error) / self.images)


def curve_images(examples: int, points: int) -> int:
    """Validation images for each of a curve's points, so that all of them cost about CURVE_SHARE of the training."""
    least, most = CURVE_IMAGES
    return min(most, max(least, int(3 * CURVE_SHARE * examples / points)))


def validate(engine: Engine, dataset: Dataset, recipe: Recipe) -> Validation:
    """One pass over the dataset; all ranks call this, and get the same numbers.

    Raises DataError (also for a dataset without an intact image), PeerLost, TransientError.
    """
    gang, batch_size = engine.gang, engine.config.micro_batch_size
    batches = sequential(dataset, batch_size=batch_size, rank=gang.rank, world_size=gang.world_size, channels=IN_CHANS)
    rounds = math.ceil(math.ceil(len(dataset) / gang.world_size) / batch_size)
    engine.share_buffers()
    engine.module.eval()
    sums = [0.0, 0.0, 0.0]
    for _, batch in itertools.zip_longest(range(rounds), batches):
        for index, value in enumerate(_sums(engine, batch, dataset.image_size_px, recipe)):
            sums[index] += value
    engine.module.train()
    wrong, loss, images = gang.total(sums)
    if images == 0:
        raise DataError(f"{dataset.uri}: the validation split has no intact image")
    return Validation(wrong / images, loss / images, int(images))


def _sums(engine: Engine, batch: Batch | None, image_size: int, recipe: Recipe) -> tuple[float, float, float]:
    """Wrong answers, summed loss and images of a batch."""
    if batch is None or len(batch.labels_B) == 0:
        # ZeRO-3 gathers weights in every forward pass: the other ranks wait for this one
        if engine.config.zero_stage == 3:
            engine.predict(torch.zeros(1, IN_CHANS, image_size, image_size))
        return 0.0, 0.0, 0.0
    logits_BC = engine.predict(batch.images_BCHW)
    labels_B = batch.labels_B.to(logits_BC.device)
    wrong = (logits_BC.argmax(dim=1) != labels_B).sum()
    loss = losses(logits_BC, labels_B, recipe).double().sum()
    return float(wrong), float(loss), float(len(labels_B))
