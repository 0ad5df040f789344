"""Least squares fit of the saturation law y = k * x**alpha + c by variable projection.

For a fixed alpha the law is linear in k and c, so only the profile over alpha has to be searched: a grid
over log alpha finds the basin, then bracketed Newton steps on the profile find its bottom. Every step is
done for B weightings of the same N points at once (bootstrap resamples, hulls, subsets), which is what
makes a thousand resamples take milliseconds (benchmarks/fitter.py).

Shapes: N points, B weightings, A grid values of alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tepui_evaluator.points import FloatArray, IntArray

ALPHA_MIN, ALPHA_MAX = 0.02, 60.0
_GRID_A = np.exp(np.linspace(np.log(ALPHA_MIN), np.log(ALPHA_MAX), 40))
_FLAT, _TINY = 1e-14, 1e-300  # relative spread of x**alpha below which it is constant; keeps 0/0 away
_STEPS = 80  # bisection alone needs 30
_BLOCK = 128  # weightings whose grids are held at once: they stay in the cache
_NEWTON_STEP, _BISECTION_STEP = 1e-5, 1e-9  # last steps in log alpha; a Newton step's error is of its square


@dataclass(frozen=True, eq=False)
class PowerFit:
    """Least squares laws of B weightings, all arrays (B,); `rss` is the weighted residual sum of squares."""

    k: FloatArray
    alpha: FloatArray
    c: FloatArray
    rss: FloatArray

    @property
    def at_alpha_bound(self) -> NDArray[np.bool_]:
        """(B,): the data prefer an exponent outside the range searched (or say nothing about it)."""
        return (self.alpha <= ALPHA_MIN * 1.001) | (self.alpha >= ALPHA_MAX * 0.999)


def fit_power(
    x_N: FloatArray, y_N: FloatArray, weights_BN: FloatArray | None = None, *, c_min: float = 0.0
) -> PowerFit:
    """Weighted least squares of y = k x**alpha + c with k >= 0, c >= c_min, ALPHA_MIN <= alpha <= ALPHA_MAX.

    `weights_BN` (B, N) >= 0 weights the points (counts of a resample, 0/1 for a subset); None is one
    weighting of all points. `c_min` = -inf leaves c free. The minimum is global over the grid's resolution.
    """
    weights_BN = np.ones((1, x_N.size)) if weights_BN is None else weights_BN
    log_x_N = np.log(np.maximum(x_N, 1e-300))
    floor = bool(np.isfinite(c_min))
    above_N = y_N - c_min if floor else y_N  # so that the floor, if any, is at 0
    rows, cells, start = _candidates(log_x_N, above_N, weights_BN, floor)
    weights_RN = weights_BN if rows.size == weights_BN.shape[0] else weights_BN[rows]
    log_alpha = _descend(_Profile(log_x_N, above_N, floor), weights_RN, cells, start)
    t_RN = np.exp(np.exp(log_alpha)[:, None] * log_x_N)
    k, c = _linear(_sums(weights_RN, t_RN, above_N), floor)
    residual_RN = above_N - k[:, None] * t_RN - c[:, None]
    rss = np.einsum("rn,rn,rn->r", weights_RN, residual_RN, residual_RN)
    best = _best_of_each(rows, rss, weights_BN.shape[0])
    offset = c_min if floor else 0.0
    return PowerFit(k=k[best], alpha=np.exp(log_alpha[best]), c=c[best] + offset, rss=rss[best])


@dataclass(frozen=True, eq=False)
class _Sums:
    """Weighted sums over the points with t = x**alpha: of 1, t, y, t**2 and t*y; any common shape."""

    w: FloatArray
    t: FloatArray
    y: FloatArray
    tt: FloatArray
    ty: FloatArray


def _sums(weights_RN: FloatArray, t_RN: FloatArray, y_N: FloatArray) -> _Sums:
    weighted_RN = weights_RN * t_RN
    w, y = weights_RN.sum(axis=1), weights_RN @ y_N
    tt = np.einsum("rn,rn->r", weighted_RN, t_RN)
    return _Sums(w=w, t=weighted_RN.sum(axis=1), y=y, tt=tt, ty=weighted_RN @ y_N)


def _linear(s: _Sums, floor: bool) -> tuple[FloatArray, FloatArray]:
    """k and c of the least squares line of y on t under k >= 0 and, with `floor`, c >= 0."""
    spread = s.tt * s.w - s.t * s.t
    varies = spread > _FLAT * s.tt * s.w
    k = np.where(varies, np.maximum(s.ty * s.w - s.t * s.y, 0.0) / np.where(varies, spread, 1.0), 0.0)
    c = (s.y - k * s.t) / s.w
    if not floor:
        return k, c
    return np.where(c < 0.0, np.maximum(s.ty, 0.0) / np.maximum(s.tt, _TINY), k), np.maximum(c, 0.0)


def _candidates(
    log_x_N: FloatArray, y_N: FloatArray, weights_BN: FloatArray, floor: bool
) -> tuple[IntArray, IntArray, FloatArray]:
    """Weighting, grid cell and first guess of log alpha of every basin worth descending into."""
    found = []
    for first in range(0, weights_BN.shape[0], _BLOCK):
        rss_BA = _grid_rss(log_x_N, y_N, weights_BN[first : first + _BLOCK], floor)
        rows, cells = _basins(rss_BA)
        found.append((rows + first, cells, _vertex(rss_BA, rows, cells)))
    rows_R, cells_R, start_R = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows_R, cells_R, start_R


def _grid_rss(log_x_N: FloatArray, y_N: FloatArray, weights_BN: FloatArray, floor: bool) -> FloatArray:
    """Profile residual sums (B, A) on the grid of exponents, by matrix products.

    The line's is yy - y**2/w - k cov/w with cov = w ty - t y; through the origin it is yy - ty**2/tt.
    """
    t_AN = np.exp(_GRID_A[:, None] * log_x_N)
    w = weights_BN.sum(axis=1)[:, None]
    y, yy = (weights_BN @ y_N)[:, None], (weights_BN @ y_N**2)[:, None]
    t, tt, ty = weights_BN @ t_AN.T, weights_BN @ (t_AN**2).T, weights_BN @ (t_AN * y_N).T
    covariance = np.maximum(ty * w - t * y, 0.0)
    spread = tt * w
    flat = _FLAT * spread
    spread -= t * t
    k = covariance / np.where(spread > flat, spread, np.inf)
    covariance *= k
    line = yy - y * y / w - covariance / w
    if not floor:
        return np.asarray(line)
    k *= t
    return np.asarray(np.where(k > y, yy - np.maximum(ty, 0.0) * ty / np.maximum(tt, _TINY), line))


def _basins(rss_BA: FloatArray) -> tuple[IntArray, IntArray]:
    """Weighting and grid cell of each local minimum worth descending into; every weighting has one at least."""
    is_minimum = np.ones(rss_BA.shape, dtype=bool)
    is_minimum[:, 1:] = rss_BA[:, 1:] <= rss_BA[:, :-1]
    is_minimum[:, :-1] &= rss_BA[:, :-1] <= rss_BA[:, 1:]
    lowest_B1 = rss_BA.min(axis=1, keepdims=True)  # can be below 0 by rounding
    threshold_B1 = lowest_B1 + 0.1 * np.abs(lowest_B1) + 1e-4 * rss_BA.max(axis=1, keepdims=True)
    rows, cells = np.nonzero(is_minimum & (rss_BA <= threshold_B1))
    return rows, cells


def _vertex(rss_BA: FloatArray, rows_R: IntArray, cells_R: IntArray) -> FloatArray:
    """Log alpha (R,) of the parabola through a grid minimum and its neighbours."""
    spacing = np.log(_GRID_A[1] / _GRID_A[0])
    left, here, right = (rss_BA[rows_R, np.clip(cells_R + d, 0, _GRID_A.size - 1)] for d in (-1, 0, 1))
    curvature = left - 2.0 * here + right
    shift = np.where(curvature > 0.0, 0.5 * (left - right) / np.where(curvature > 0.0, curvature, 1.0), 0.0)
    return np.asarray(np.log(_GRID_A[cells_R]) + spacing * np.clip(shift, -0.5, 0.5))


class _Profile:
    """First and second derivative by log alpha of the residual sum minimised over k and c."""

    def __init__(self, log_x_N: FloatArray, y_N: FloatArray, floor: bool) -> None:
        self.log_x_N, self.floor = log_x_N, floor
        powers = (np.ones_like(log_x_N), log_x_N, log_x_N**2)
        self.columns_NP = np.stack([p * q for q in (np.ones_like(y_N), y_N) for p in powers], axis=1)

    def derivatives(self, log_alpha_R: FloatArray, weights_RN: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Slope and curvature (R,), both over 2; the curvature is of the active constraints' profile.

        With r = y - k t - c, L = log x and beta = (k, c) at their optimum, the slope by alpha is
        -k sum w r t L (envelope theorem), and the curvature H_aa - H_ab H_bb^-1 H_ba.
        """
        alpha = np.exp(log_alpha_R)
        t_RN = np.exp(alpha[:, None] * self.log_x_N)
        weighted_RN = weights_RN * t_RN
        t, tL, tLL, ty, tLy, tLLy = (weighted_RN @ self.columns_NP).T
        tt, ttL, ttLL = ((weighted_RN * t_RN) @ self.columns_NP[:, :3]).T
        w, _, _, y, _, _ = (weights_RN @ self.columns_NP).T
        k, c = _linear(_Sums(w=w, t=t, y=y, tt=tt, ty=ty), self.floor)
        rtL, rtLL = tLy - k * ttL - c * tL, tLLy - k * ttLL - c * tLL
        h_aa, h_ak, h_ac = k * k * ttLL - k * rtLL, k * ttL - rtL, k * tL
        free = np.where(c > 0.0, 1.0 / w, 0.0) if self.floor else 1.0 / w  # 0: c is held at its bound
        determinant = np.maximum(tt - free * t * t, _TINY)
        b_k = h_ak - free * t * h_ac
        curvature = h_aa - free * h_ac**2 - b_k**2 / determinant
        slope = -k * rtL
        return alpha * slope, alpha * alpha * curvature + alpha * slope


def _descend(profile: _Profile, weights_RN: FloatArray, cells_R: IntArray, start_R: FloatArray) -> FloatArray:
    """Bottoms (R,) in log alpha of the basins around grid cells: Newton steps, bisection where they leave."""
    grid_A = np.log(_GRID_A)
    lo, hi = grid_A[np.maximum(cells_R - 1, 0)], grid_A[np.minimum(cells_R + 1, grid_A.size - 1)]
    answer = start_R.copy()
    rows, at = np.arange(start_R.size), start_R
    for step in range(_STEPS):
        slope, curvature = profile.derivatives(at, weights_RN)
        lo, hi = np.where(slope < 0.0, at, lo), np.where(slope > 0.0, at, hi)
        newton = at - slope / np.where(curvature > 0.0, curvature, np.inf)
        inside = (newton > lo) & (newton < hi) & (curvature > 0.0) & (step < _STEPS // 3)
        following = np.where(inside | (slope == 0.0), newton, 0.5 * (lo + hi))
        answer[rows] = following
        going = np.abs(following - at) > np.where(inside, _NEWTON_STEP, _BISECTION_STEP)
        if not going.any():
            break
        rows, at, lo, hi = rows[going], following[going], lo[going], hi[going]
        weights_RN = weights_RN if going.all() else weights_RN[going]
    return answer


def _best_of_each(rows_R: IntArray, rss_R: FloatArray, weightings: int) -> IntArray:
    """For each weighting the number of its candidate with the smallest residual sum."""
    order = np.lexsort((rss_R, rows_R))
    return np.asarray(order[np.searchsorted(rows_R[order], np.arange(weightings))])
