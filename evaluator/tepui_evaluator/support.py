"""Support sets: which training images of a task a few-shot fit may see. Pure functions of the labels and a seed.

N images of the task's training split, C classes, s shots (images of each class)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tepui_trainer.reader.random_bits import named_bits

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SupportOrder:
    """The training images of one seed, class by class, in the order in which shots take them.

    The s-shot support set is the first s of every class, so the support sets of one seed are nested: every set of
    fewer shots is part of every set of more.
    """

    samples_N: IntArray
    rank_N: IntArray
    """Place within its class, from 0, of each of `samples_N`."""

    def take(self, shots: int) -> IntArray:
        """(shots * C,) the images of a support set, ascending; every class must have that many."""
        return np.sort(self.samples_N[self.rank_N < shots])


def support_order(labels_N: IntArray, seed: int, usable_N: BoolArray | None = None) -> SupportOrder:
    """The order of one seed. An image that is not usable (corrupt) leaves its place to the next of its class.

    Every image has a random number of its own, a function of seed and position alone, so one image found corrupt
    changes the support set by that image and its replacement only.
    """
    by_class = np.lexsort((named_bits(len(labels_N), "support", seed), labels_N))
    if usable_N is not None:
        by_class = by_class[usable_N[by_class]]
    counts_C = np.bincount(labels_N[by_class])
    starts_C = np.cumsum(counts_C) - counts_C
    return SupportOrder(samples_N=by_class, rank_N=np.arange(len(by_class)) - starts_C[labels_N[by_class]])


def possible_shots(shots: Sequence[int], images_C: IntArray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shots, ascending, for which every class has enough of its `images_C`, and those for which one has not."""
    fewest = int(images_C.min())
    ordered = sorted(shots)
    return tuple(s for s in ordered if s <= fewest), tuple(s for s in ordered if s > fewest)
