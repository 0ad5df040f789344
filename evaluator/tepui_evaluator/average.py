"""The average law: least squares over all models, with group-robust t intervals.

Models that share architecture and recipe are not independent, so the variance is the sandwich with scores
summed by group (Liang and Zeger 1986) and each residual inflated by its leverage (HC3, MacKinnon and White
1985); docs/statistics.md has its measured coverage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from tepui_evaluator.points import FloatArray, IntArray, Points
from tepui_evaluator.saturation import fit_power

PARAMETERS = 3  # e_IR, log alpha, log k


@dataclass(frozen=True, eq=False)
class AverageFit:
    """Point estimates under e_IR >= 0, and the unconstrained optimum with its covariance for the intervals.

    `free` (3,): e_IR, log alpha, log k, e_IR unconstrained. `covariance` (3, 3) of `free`; None where groups
    are too few or the exponent is not determined.
    """

    e_ir: float
    k: float
    alpha: float
    free: FloatArray
    covariance: FloatArray | None
    degrees: int

    def interval(self, name: str, confidence: float) -> tuple[float, float] | None:
        """Interval of "e_ir", "k" or "alpha"; e_IR's is clipped to [0, 1]. None where there is none."""
        position = {"e_ir": 0, "alpha": 1, "k": 2}[name]
        gradient = np.eye(PARAMETERS)[position]
        half = self._half_width(gradient, confidence)
        if half is None:
            return None
        centre = float(self.free[position])
        if name == "e_ir":
            return _around(self.e_ir, np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0))
        lo, hi = np.exp(np.clip((centre - half, centre + half), -30.0, 30.0))
        return _around({"k": self.k, "alpha": self.alpha}[name], lo, hi)

    def predict(self, x: float, confidence: float) -> tuple[float, tuple[float, float] | None]:
        """The law at upstream error `x` in [0, 1] and its interval by the delta method, clipped to [0, 1]."""
        y = self.e_ir + self.k * x**self.alpha
        c, log_alpha, log_k = self.free
        log_x = np.log(max(x, 1e-300))
        power = float(np.exp(log_k + np.exp(log_alpha) * log_x))
        half = self._half_width(np.array([1.0, power * np.exp(log_alpha) * log_x, power]), confidence)
        if half is None:
            return y, None
        return y, _around(y, np.clip(c + power - half, 0.0, 1.0), np.clip(c + power + half, 0.0, 1.0))

    def _half_width(self, gradient: FloatArray, confidence: float) -> float | None:
        if self.covariance is None:
            return None
        variance = float(gradient @ self.covariance @ gradient)
        return float(stdtrit(self.degrees, 0.5 + confidence / 2.0)) * float(np.sqrt(max(variance, 0.0)))


def fit_average(points: Points) -> AverageFit:
    """Least squares law of all points; needs at least 4 points with two different upstream errors."""
    constrained = fit_power(points.x, points.y)
    free = fit_power(points.x, points.y, c_min=-np.inf)
    degrees = points.groups - PARAMETERS
    determined = degrees >= 1 and not free.at_alpha_bound[0] and free.k[0] > 0.0
    log_k = np.log(max(free.k[0], 1e-300))
    theta = np.array([free.c[0], np.log(free.alpha[0]), log_k])
    return AverageFit(
        e_ir=min(float(constrained.c[0]), 1.0),
        k=float(constrained.k[0]),
        alpha=float(constrained.alpha[0]),
        free=theta,
        covariance=_sandwich(points, theta) if determined else None,
        degrees=degrees,
    )


def _sandwich(points: Points, theta: FloatArray) -> FloatArray | None:
    c, log_alpha, log_k = theta
    alpha = np.exp(log_alpha)
    log_x_N = np.log(np.maximum(points.x, 1e-300))
    power_N = np.exp(log_k + alpha * log_x_N)
    jacobian_N3 = np.stack([np.ones_like(power_N), power_N * alpha * log_x_N, power_N], axis=1)
    normal_33 = jacobian_N3.T @ jacobian_N3
    scale_3 = np.sqrt(np.diag(normal_33))
    if np.any(scale_3 == 0.0) or np.linalg.cond(normal_33 / np.outer(scale_3, scale_3)) > 1e12:
        return None
    bread_33 = np.linalg.inv(normal_33)
    leverage_N = np.einsum("np,pq,nq->n", jacobian_N3, bread_33, jacobian_N3)
    residual_N = points.y - c - power_N
    scores_N3 = jacobian_N3 * (residual_N / np.maximum(1.0 - leverage_N, 1e-3))[:, None]
    scores_G3 = group_sums(scores_N3, points.group)
    return np.asarray(bread_33 @ (scores_G3.T @ scores_G3) @ bread_33)


def group_sums(values_NP: FloatArray, group_N: IntArray) -> FloatArray:
    """Sums (G, P) of rows by group number."""
    _, numbers = np.unique(group_N, return_inverse=True)
    sums_GP = np.zeros((int(numbers.max()) + 1, values_NP.shape[1]))
    np.add.at(sums_GP, numbers, values_NP)
    return sums_GP


def _around(point: float, lo: float, hi: float) -> tuple[float, float]:
    """The interval, widened to contain the point estimate that a constraint moved."""
    return float(min(lo, point)), float(max(hi, point))
