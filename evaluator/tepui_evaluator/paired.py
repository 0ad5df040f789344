"""The mean of paired differences, with an interval that heeds which of the pairs are related."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from tepui_evaluator.points import FloatArray, IntArray

MIN_GROUPS = 3


def effective_groups(group_N: IntArray) -> float:
    """How many groups of equal size N models in groups are worth: n**2 over the sum of the groups' squared sizes.

    What is robust to groups rests on their number, and where one holds most of the models it counts for little.
    """
    sizes_G = np.bincount(np.unique(group_N, return_inverse=True)[1])
    return float(group_N.size**2 / np.sum(sizes_G.astype(np.float64) ** 2))


@dataclass(frozen=True)
class PairedMean:
    """Mean difference over n pairs in g groups; no interval below MIN_GROUPS groups, or effective groups."""

    mean: float
    interval: tuple[float, float] | None
    n: int
    groups: int


def paired_mean(difference_N: FloatArray, groups: Sequence[str], *, confidence: float = 0.95) -> PairedMean:
    """Mean of N >= 1 differences with the group-robust t interval: sums of residuals by group are independent."""
    _, number_N = np.unique(np.asarray(groups), return_inverse=True)
    mean, count = float(difference_N.mean()), int(number_N.max()) + 1
    if effective_groups(number_N) < MIN_GROUPS:
        return PairedMean(mean, None, difference_N.size, count)
    sums_G = np.bincount(number_N, weights=difference_N - mean)
    se = float(np.sqrt(count / (count - 1.0) * np.sum(sums_G**2))) / difference_N.size
    reach = float(stdtrit(count - 1, 0.5 + confidence / 2.0)) * se
    return PairedMean(mean, (mean - reach, mean + reach), difference_N.size, count)
