"""The mean of paired differences, with an interval that heeds which of the pairs are related."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from tepui_evaluator.points import FloatArray

MIN_GROUPS = 3


@dataclass(frozen=True)
class PairedMean:
    """Mean difference over n pairs in g groups; no interval below MIN_GROUPS groups."""

    mean: float
    interval: tuple[float, float] | None
    n: int
    groups: int


def paired_mean(difference_N: FloatArray, groups: Sequence[str], *, confidence: float = 0.95) -> PairedMean:
    """Mean of N >= 1 differences with the group-robust t interval: sums of residuals by group are independent."""
    _, number_N = np.unique(np.asarray(groups), return_inverse=True)
    mean, count = float(difference_N.mean()), int(number_N.max()) + 1
    if count < MIN_GROUPS:
        return PairedMean(mean, None, difference_N.size, count)
    sums_G = np.bincount(number_N, weights=difference_N - mean)
    se = float(np.sqrt(count / (count - 1.0) * np.sum(sums_G**2))) / difference_N.size
    reach = float(stdtrit(count - 1, 0.5 + confidence / 2.0)) * se
    return PairedMean(mean, (mean - reach, mean + reach), difference_N.size, count)
