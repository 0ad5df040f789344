"""Spearman's rank correlation with an interval, of two axes or of all pairs of many.

Shapes: A axes (upstream error, error of each task), N models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from tepui_evaluator.paired import effective_groups
from tepui_evaluator.points import FloatArray, IntArray
from tepui_spec.law import Spearman

_PERFECT = 1.0 - 1e-12
_MIN_GROUPS = 4


def ranks(values_N: FloatArray) -> FloatArray:
    """Ranks (N,) from 1; ties share the mean of their ranks."""
    _, numbers, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[numbers], dtype=np.float64)


def spearman(x_N: FloatArray, y_N: FloatArray, group_N: IntArray, *, confidence: float = 0.95) -> Spearman | None:
    """Rank correlation of N models; None where an axis is constant or there are fewer than 3 models.

    The interval is that of `rank_correlations`.
    """
    if x_N.size < 3 or np.ptp(x_N) == 0.0 or np.ptp(y_N) == 0.0:
        return None
    found = rank_correlations(np.stack([x_N, y_N]), group_N, confidence=confidence)
    lo, hi = float(found.lo_AA[0, 1]), float(found.hi_AA[0, 1])
    return Spearman(rho=float(found.rho_AA[0, 1]), interval=None if np.isnan(lo) else (lo, hi))


@dataclass(frozen=True, eq=False)
class RankCorrelations:
    """All pairs of axes, arrays (A, A); NaN where there is no correlation (a constant axis) or no interval."""

    rho_AA: FloatArray
    lo_AA: FloatArray
    hi_AA: FloatArray


def rank_correlations(values_AN: FloatArray, group_N: IntArray, *, confidence: float = 0.95) -> RankCorrelations:
    """Spearman's correlation of all pairs of axes over the same N models, with intervals.

    Interval: Fisher's z with the standard error sqrt((1 + rho**2 / 2) / (n - 3)) of Bonett and Wright (2000,
    equation 5) where models are independent; with groups of related models, the larger of that and the
    group jackknife's, with a t quantile. No interval below 5 models or 4 effective groups, nor for a perfect
    correlation.
    """
    n, groups = values_AN.shape[1], np.unique(group_N)
    rho_AA = _pearson(_ranked(values_AN))
    if n < 5 or effective_groups(group_N) < _MIN_GROUPS:
        nothing = np.full_like(rho_AA, np.nan)
        return RankCorrelations(rho_AA, nothing, nothing)
    imperfect_AA = np.where(np.abs(rho_AA) > _PERFECT, np.nan, rho_AA)
    z_AA, se_AA = np.arctanh(imperfect_AA), np.sqrt((1.0 + imperfect_AA**2 / 2.0) / (n - 3.0))
    quantile = float(ndtri(0.5 + confidence / 2.0))
    if groups.size < n:
        se_AA = np.maximum(se_AA, _group_jackknife_se(values_AN, group_N, groups))
        quantile = float(stdtrit(groups.size - 1, 0.5 + confidence / 2.0))
    return RankCorrelations(rho_AA, np.tanh(z_AA - quantile * se_AA), np.tanh(z_AA + quantile * se_AA))


def _ranked(values_AN: FloatArray) -> FloatArray:
    return np.stack([ranks(values_N) for values_N in values_AN])


def _pearson(values_AN: FloatArray) -> FloatArray:
    """Pearson's correlation (A, A) of all pairs of rows; NaN for a constant one."""
    centred_AN = values_AN - values_AN.mean(axis=1, keepdims=True)
    norm_A = np.sqrt(np.einsum("an,an->a", centred_AN, centred_AN))
    unit_AN = centred_AN / np.where(norm_A > 0.0, norm_A, np.nan)[:, None]
    return np.asarray(np.clip(unit_AN @ unit_AN.T, -1.0, 1.0))


def _group_jackknife_se(values_AN: FloatArray, group_N: IntArray, groups_G: IntArray) -> FloatArray:
    """Standard errors (A, A) of Fisher's z from leaving out one group at a time."""
    left_out_GAA = np.stack([_pearson(_ranked(values_AN[:, group_N != group])) for group in groups_G])
    z_GAA = np.arctanh(np.clip(np.nan_to_num(left_out_GAA), -_PERFECT, _PERFECT))
    count = groups_G.size
    return np.asarray(np.sqrt((count - 1.0) / count * np.sum((z_GAA - z_GAA.mean(axis=0)) ** 2, axis=0)))
