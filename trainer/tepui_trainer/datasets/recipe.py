"""What a dataset is before it is made: its description, and a function that draws its images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tepui_spec.dataset import Attribution
from tepui_trainer.reader.random_bits import named_bits


@dataclass(frozen=True)
class LabelledImages:
    """One split in memory: uint8 (N, S, S) grey images and their labels (N,)."""

    images_NSS: npt.NDArray[np.uint8]
    labels_N: npt.NDArray[np.int64]

    def shuffled(self, *name: str) -> "LabelledImages":
        """The same images in an order that the name gives, so that classes do not lie in runs in the shards."""
        order = np.argsort(named_bits(len(self.labels_N), "shuffle", *name), kind="stable")
        return LabelledImages(self.images_NSS[order], self.labels_N[order])


@dataclass(frozen=True)
class Recipe:
    """A dataset that can be made from installed packages; cheap until `draw` is called.

    `version` names code and settings: a folder whose card has the same version and attributions is up to date.
    """

    name: str
    version: str
    description: str
    attributions: tuple[Attribution, ...]
    class_names: tuple[str, ...]
    draw: Callable[[], Mapping[str, LabelledImages]]
