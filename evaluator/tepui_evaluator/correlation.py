"""Spearman's rank correlation with an interval."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from tepui_evaluator.points import FloatArray, IntArray
from tepui_spec.law import Spearman


def ranks(values_N: FloatArray) -> FloatArray:
    """Ranks (N,) from 1; ties share the mean of their ranks."""
    _, numbers, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[numbers], dtype=np.float64)


def spearman(x_N: FloatArray, y_N: FloatArray, group_N: IntArray, *, confidence: float = 0.95) -> Spearman | None:
    """Rank correlation of N models; None where an axis is constant or there are fewer than 3 models.

    Interval: Fisher's z with the standard error sqrt((1 + rho**2 / 2) / (n - 3)) of Bonett and Wright (2000,
    equation 5) where models are independent; with groups of related models, the larger of that and the
    group jackknife's. No interval below 5 models (or 4 groups), nor for a perfect correlation.
    """
    n = x_N.size
    if n < 3 or np.ptp(x_N) == 0.0 or np.ptp(y_N) == 0.0:
        return None
    rho = _pearson(ranks(x_N), ranks(y_N))
    groups = np.unique(group_N)
    if n < 5 or groups.size < 4 or abs(rho) > 1.0 - 1e-12:
        return Spearman(rho=rho)
    z, se = np.arctanh(rho), np.sqrt((1.0 + rho * rho / 2.0) / (n - 3.0))
    quantile = float(ndtri(0.5 + confidence / 2.0))
    if groups.size < n:
        se = max(se, _group_jackknife_se(x_N, y_N, group_N, groups))
        quantile = float(stdtrit(groups.size - 1, 0.5 + confidence / 2.0))
    lo, hi = np.tanh([z - quantile * se, z + quantile * se])
    return Spearman(rho=rho, interval=(float(lo), float(hi)))


def _pearson(a_N: FloatArray, b_N: FloatArray) -> float:
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    norm = np.sqrt((a_N @ a_N) * (b_N @ b_N))
    return float(np.clip((a_N @ b_N) / norm, -1.0, 1.0)) if norm > 0.0 else 0.0


def _group_jackknife_se(x_N: FloatArray, y_N: FloatArray, group_N: IntArray, groups: IntArray) -> float:
    """Standard error of Fisher's z from leaving out one group at a time."""
    left_out = []
    for group in groups:
        kept = group_N != group
        rho = _pearson(ranks(x_N[kept]), ranks(y_N[kept]))
        left_out.append(np.arctanh(np.clip(rho, -1.0 + 1e-12, 1.0 - 1e-12)))
    count = len(left_out)
    return float(np.sqrt((count - 1.0) / count * np.sum((left_out - np.mean(left_out)) ** 2)))
