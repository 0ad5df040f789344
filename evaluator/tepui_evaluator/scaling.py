"""Controlled scaling: do models scaled by data, by size and by epochs fall on one curve?

Abnar et al. 2022 (arXiv 2110.02095, section 2.1, figure 3) show by eye that they do. Here the common law
y = k x**alpha + c is tested against one with its own c for every series (points of one swept factor).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from tepui_evaluator.points import FloatArray
from tepui_evaluator.saturation import ALPHA_MAX, ALPHA_MIN, fit_power

_GRID_A = np.exp(np.linspace(np.log(ALPHA_MIN), np.log(ALPHA_MAX), 200))
_REFINEMENTS = 4  # each narrows the grid around its minimum 100 times


@dataclass(frozen=True)
class Offset:
    """How far one series lies above the mean of the series, at equal upstream error."""

    series: str
    n: int
    offset: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class OneCurve:
    """F test of no offsets between series. A small p speaks against one curve; a large one does not prove it."""

    f: float
    numerator_df: int
    denominator_df: int
    p: float
    offsets: tuple[Offset, ...]


def one_curve(x_N: FloatArray, y_N: FloatArray, series: Sequence[str], *, confidence: float = 0.95) -> OneCurve | None:
    """Test whether N points, labelled by the series they come from, follow one law.

    F test of nested least squares fits, exact for normal residuals of one variance but for the curvature in
    alpha. A base model that belongs to every series should be given once. None with fewer than two series or
    fewer than 3 residual degrees of freedom.
    """
    names, number_N = np.unique(np.asarray(series), return_inverse=True)
    count, n = names.size, x_N.size
    residual_df = n - count - 2
    if count < 2 or residual_df < 3:
        return None
    common = float(fit_power(x_N, y_N, c_min=-np.inf).rss[0])
    design_NS = np.eye(count)[number_N]
    alpha, rss = _best_alpha(x_N, y_N, design_NS)
    f = max(common - rss, 0.0) / (count - 1) / max(rss / residual_df, 1e-300)
    offsets = _offsets(x_N, y_N, design_NS, alpha, rss / residual_df)
    quantile = float(stdtrit(residual_df, 0.5 + confidence / 2.0))
    return OneCurve(
        f=f,
        numerator_df=count - 1,
        denominator_df=residual_df,
        p=float(fdtrc(count - 1, residual_df, f)),
        offsets=tuple(
            Offset(str(name), int(np.sum(number_N == i)), float(d), (float(d - quantile * s), float(d + quantile * s)))
            for i, (name, d, s) in enumerate(zip(names, *offsets, strict=True))
        ),
    )


def _best_alpha(x_N: FloatArray, y_N: FloatArray, design_NS: FloatArray) -> tuple[float, float]:
    """Exponent and residual sum of the law with an own floor per series: a grid, narrowed around its minimum."""
    within_NN = np.eye(x_N.size) - design_NS @ np.linalg.pinv(design_NS)  # removes every series' mean
    y_within = within_NN @ y_N
    log_x_N = np.log(np.maximum(x_N, 1e-300))
    grid = _GRID_A
    for _ in range(_REFINEMENTS):
        t_AN = np.exp(grid[:, None] * log_x_N) @ within_NN
        tt, ty = np.einsum("an,an->a", t_AN, t_AN), t_AN @ y_within
        rss_A = y_within @ y_within - np.maximum(ty, 0.0) ** 2 / np.maximum(tt, 1e-300)
        i = int(np.argmin(rss_A))
        lo, hi = grid[max(i - 1, 0)], grid[min(i + 1, grid.size - 1)]
        best = float(grid[i])
        grid = np.linspace(lo, hi, grid.size)
    return best, float(rss_A[i])


def _offsets(
    x_N: FloatArray, y_N: FloatArray, design_NS: FloatArray, alpha: float, variance: float
) -> tuple[FloatArray, FloatArray]:
    """Floors of the series less their mean, and standard errors (S,), from the linearised model."""
    log_x_N = np.log(np.maximum(x_N, 1e-300))
    t_N = np.exp(alpha * log_x_N)
    linear = np.column_stack([design_NS, t_N])
    k = float(np.linalg.lstsq(linear, y_N, rcond=None)[0][-1])
    jacobian = np.column_stack([linear, k * t_N * log_x_N])
    floors = np.linalg.lstsq(linear, y_N, rcond=None)[0][:-1]
    contrast = np.eye(floors.size) - 1.0 / floors.size
    covariance = contrast @ (variance * np.linalg.pinv(jacobian.T @ jacobian))[:-2, :-2] @ contrast
    return contrast @ floors, np.sqrt(np.maximum(np.diag(covariance), 0.0))
