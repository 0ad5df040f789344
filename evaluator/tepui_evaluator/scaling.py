"""Controlled scaling: do models scaled by data, by size and by epochs fall on one curve?

Abnar et al. 2022 (arXiv 2110.02095, section 2.1, figure 3) show by eye that they do. Here the common law
y = k x**alpha + c is tested against one with its own c for every series (points of one swept factor, or of one of its
values).

Shapes: N models, P columns of a design, R its rank, S series, A exponents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from tepui_evaluator.points import FloatArray, IntArray
from tepui_evaluator.saturation import ALPHA_MAX, ALPHA_MIN

_GRID_A = np.exp(np.linspace(np.log(ALPHA_MIN), np.log(ALPHA_MAX), 80))
_REFINEMENTS = 4  # each narrows the grid around its minimum 40 times
_TINY = 1e-300


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
    """In the order of the series' names; without those that the blocks leave incomparable."""


def one_curve(
    x_N: FloatArray,
    y_N: FloatArray,
    series: Sequence[str],
    *,
    blocks: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> OneCurve | None:
    """Test whether N points, labelled by the series they come from, follow one law.

    F test of nested least squares fits, exact for normal residuals of one variance but for the curvature in
    alpha. `blocks` labels models of one kind (one architecture), each of which may lie off the common law by an amount
    of its own: the series are then compared within blocks. A base model that belongs to every series belongs to none
    here. None with fewer than two comparable series or fewer than 3 residual degrees of freedom.
    """
    names, number_N = np.unique(np.asarray(series), return_inverse=True)
    common_NP = np.ones((x_N.size, 1)) if blocks is None else _dummies(np.unique(blocks, return_inverse=True)[1])
    design_NP = np.hstack([_dummies(number_N), common_NP])
    (basis_NR, common_NR) = (_basis(design) for design in (design_NP, common_NP))
    numerator_df, residual_df = basis_NR.shape[1] - common_NR.shape[1], x_N.size - basis_NR.shape[1] - 2
    if numerator_df < 1 or residual_df < 3:
        return None
    alpha, rss = _best_alpha(x_N, y_N, basis_NR)
    variance = max(rss / residual_df, _TINY)
    f = max(_best_alpha(x_N, y_N, common_NR)[1] - rss, 0.0) / numerator_df / variance
    reach = float(stdtrit(residual_df, 0.5 + confidence / 2.0)) * np.sqrt(variance)
    value_S, se_S, known_S = _offsets(x_N, y_N, design_NP, names.size, alpha)
    return OneCurve(
        f=f,
        numerator_df=numerator_df,
        denominator_df=residual_df,
        p=float(fdtrc(numerator_df, residual_df, f)),
        offsets=tuple(
            Offset(str(names[i]), int(np.sum(number_N == i)), float(value_S[i]), _ends(value_S[i], reach * se_S[i]))
            for i in np.flatnonzero(known_S)
        ),
    )


def _ends(value: float, reach: float) -> tuple[float, float]:
    return float(value - reach), float(value + reach)


def _dummies(number_N: IntArray) -> FloatArray:
    return np.asarray(np.eye(int(number_N.max()) + 1)[number_N])


def _basis(design_NP: FloatArray) -> FloatArray:
    """Orthonormal columns (N, R) that span the design, of dummies and so well conditioned up to its rank."""
    eigenvalues_P, vectors_PP = np.linalg.eigh(design_NP.T @ design_NP)
    kept_P = eigenvalues_P > 1e-10 * eigenvalues_P[-1]
    return np.asarray(design_NP @ vectors_PP[:, kept_P] / np.sqrt(eigenvalues_P[kept_P]))


def _best_alpha(x_N: FloatArray, y_N: FloatArray, basis_NR: FloatArray) -> tuple[float, float]:
    """Exponent and residual sum of the law with offsets in the basis: a grid, narrowed around its minimum."""
    y_within_N = y_N - basis_NR @ (basis_NR.T @ y_N)
    log_x_N = np.log(np.maximum(x_N, _TINY))
    grid = _GRID_A
    for _ in range(_REFINEMENTS):
        t_AN = np.exp(grid[:, None] * log_x_N)
        t_AN -= (t_AN @ basis_NR) @ basis_NR.T
        tt, ty = np.einsum("an,an->a", t_AN, t_AN), t_AN @ y_within_N
        rss_A = y_within_N @ y_within_N - np.maximum(ty, 0.0) ** 2 / np.maximum(tt, _TINY)
        i = int(np.argmin(rss_A))
        best = float(grid[i])
        grid = np.linspace(grid[max(i - 1, 0)], grid[min(i + 1, grid.size - 1)], grid.size)
    return best, float(max(rss_A[i], 0.0))


def _offsets(
    x_N: FloatArray, y_N: FloatArray, design_NP: FloatArray, series: int, alpha: float
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Offsets (S,) of the series (the design's first columns) from their mean, their standard errors over that
    of one residual, and whether the data tell them, from the linearised model."""
    log_x_N = np.log(np.maximum(x_N, _TINY))
    t_N = np.exp(alpha * log_x_N)
    linear = np.column_stack([design_NP, t_N])
    coefficients = np.linalg.lstsq(linear, y_N, rcond=None)[0]
    jacobian = np.column_stack([linear, coefficients[-1] * t_N * log_x_N])
    contrast = np.zeros((series, jacobian.shape[1]))
    contrast[:, :series] = np.eye(series) - 1.0 / series
    information = jacobian.T @ jacobian
    covariance = np.linalg.pinv(information, hermitian=True)
    known_S = np.abs(contrast @ covariance @ information - contrast).max(axis=1) < 1e-6
    se_S = np.sqrt(np.maximum(np.diag(contrast @ covariance @ contrast.T), 0.0))
    return contrast[:, :-1] @ coefficients, se_S, known_S
