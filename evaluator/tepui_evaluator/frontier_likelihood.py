"""Penalised likelihood of the frontier law y = k x**alpha + c + u + v, with exact derivatives.

Coordinates (P = 6): c = e_IR, kappa = log k, lambda = log alpha, and of the nuisances a and b of the
inefficiency scale s(x) = exp(a + b (x - mean x)/0.3), and tau = log of an extra noise level.
Noise: sigma_i**2 = se_y**2 + (k alpha x**(alpha-1) se_x)**2 + exp(2 tau).

Shapes: R problems, N points, P coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tepui_evaluator.inefficiency import Density, log_densities, with_outliers
from tepui_evaluator.points import FloatArray, IntArray, Points

C, KAPPA, LAMBDA, A, B, TAU = range(6)
SIZE = 6

A_MEAN, A_SD = -3.9, 2.0  # prior of log inefficiency: 0.02, within a factor 7
B_SD = 1.0
TAU_MEAN, TAU_SD = float(np.log(0.01)), 1.0  # prior of the extra noise, where measurement errors are unknown
NO_EXTRA_NOISE = float(np.log(1e-6))
_DEPENDS = {"e": np.array([C, KAPPA, LAMBDA]), "p": np.array([KAPPA, LAMBDA, TAU]), "q": np.array([A, B])}
"""Coordinates that e, p = log sigma and q = log s depend on."""
_MIN_SE = 1e-4  # a measured error is never exact; 0 would let a single model carry infinite likelihood


@dataclass(frozen=True, eq=False)
class _Terms:
    """Per problem and point (R, N): the density's derivatives and those of e and p = log sigma."""

    density: Density
    power: FloatArray  # k x**alpha; e by kappa is minus it
    L: FloatArray  # alpha log x; e by lambda is -power * L
    slope: FloatArray  # the same with x kept off 0, as in the slope that carries upstream noise
    share_x: FloatArray  # part of sigma**2 from the upstream error's own noise; p by kappa
    share_t: FloatArray  # part of sigma**2 from the extra noise; p by tau


class FrontierLikelihood:
    """Negative log likelihood plus penalties of some points, under every inefficiency family."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.extra_noise = points.y_se is None
        self.x_N, self.y_N = points.x, points.y
        self.log_x_N = np.log(np.maximum(points.x, 1e-300))
        self.centred_N = (points.x - points.x.mean()) / 0.3
        y_se = np.zeros(points.n) if points.y_se is None else points.y_se
        self.var_y_N = np.maximum(y_se, _MIN_SE) ** 2
        self.se_x_N = np.zeros(points.n) if points.x_se is None else points.x_se
        # the slope of x**alpha is infinite at 0 for alpha < 1: take it within the point's own noise
        self.log_x_slope_N = np.log(np.maximum(np.maximum(points.x, self.se_x_N), 1e-4))

    def evaluate(self, family_R: IntArray, theta_RP: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Value (R,), gradient (R, P) and Hessian (R, P, P) at these coordinates."""
        terms = self._terms(family_R, theta_RP)
        value = -terms.density.value.sum(axis=1)
        gradient = -self._scores(terms).sum(axis=2)
        hessian = -self._curvature(terms)
        self._add_penalties(theta_RP, value, gradient, hessian)
        return value, gradient, hessian

    def scores(self, family: int, theta_P: FloatArray) -> FloatArray:
        """Derivatives (N, P) of each point's log density, without penalties."""
        return np.asarray(self._scores(self._terms(np.array([family]), theta_P[None, :]))[0].T)

    def _terms(self, family_R: IntArray, theta_RP: FloatArray) -> _Terms:
        c, kappa, lam, a, b, tau = (theta_RP[:, p, None] for p in range(SIZE))
        L = np.exp(lam) * self.log_x_N
        power = np.exp(kappa + L)
        log_slope = kappa + lam + (np.exp(lam) - 1.0) * self.log_x_slope_N
        var_x = np.exp(np.minimum(2.0 * log_slope, 40.0)) * self.se_x_N**2
        var_t = np.exp(2.0 * tau)
        variance = self.var_y_N + var_x + var_t
        e = self.y_N - power - c
        scale = np.exp(a + b * self.centred_N)
        density = with_outliers(log_densities(family_R, e, np.sqrt(variance), scale), e)
        slope_L = np.exp(lam) * self.log_x_slope_N
        return _Terms(density, power, L, slope_L, var_x / variance, var_t / variance)

    def _scores(self, t: _Terms) -> FloatArray:
        """(R, P, N)."""
        d = t.density
        e_power, p_share = d.e * t.power, d.p * t.share_x
        return np.stack(
            [
                -d.e,
                p_share - e_power,
                p_share * (1.0 + t.slope) - e_power * t.L,
                d.q,
                d.q * self.centred_N,
                d.p * t.share_t,
            ],
            axis=1,
        )

    def _curvature(self, t: _Terms) -> FloatArray:
        """Hessian (R, P, P) of the log likelihood by the chain rule through (e, p, q)."""
        d, one = t.density, np.ones_like(t.power)
        by = {
            "e": np.stack([-one, -t.power, -t.power * t.L], axis=1),
            "p": np.stack([t.share_x, t.share_x * (1.0 + t.slope), t.share_t], axis=1),
            "q": np.stack([one, one * self.centred_N], axis=1),
        }
        second = {"ee": d.ee, "ep": d.ep, "eq": d.eq, "pp": d.pp, "pq": d.pq, "qq": d.qq}
        hessian = np.zeros((t.power.shape[0], SIZE, SIZE))
        for pair, density in second.items():
            i, j = (_DEPENDS[name] for name in pair)
            block = (by[pair[0]] * density[:, None]) @ by[pair[1]].swapaxes(1, 2)
            hessian[:, i[:, None], j] += block
            if pair[0] != pair[1]:
                hessian[:, j[:, None], i] += block.swapaxes(1, 2)
        self._add_second_order(t, hessian)
        return hessian

    def _add_second_order(self, t: _Terms, hessian: FloatArray) -> None:
        """What the second derivatives of e and p by the coordinates contribute."""
        d = t.density
        e_power = d.e * t.power
        own = 2.0 * d.p * t.share_x * (1.0 - t.share_x)
        cross = -2.0 * d.p * t.share_x * t.share_t
        stretch = 1.0 + t.slope
        entries = {
            (KAPPA, KAPPA): own - e_power,
            (KAPPA, LAMBDA): own * stretch - e_power * t.L,
            (LAMBDA, LAMBDA): own * stretch**2 + d.p * t.share_x * t.slope - e_power * (t.L**2 + t.L),
            (KAPPA, TAU): cross,
            (LAMBDA, TAU): cross * stretch,
            (TAU, TAU): 2.0 * d.p * t.share_t * (1.0 - t.share_t),
        }
        for (i, j), entry in entries.items():
            total = entry.sum(axis=1)
            hessian[:, i, j] += total
            if i != j:
                hessian[:, j, i] += total

    def _add_penalties(
        self, theta_RP: FloatArray, value: FloatArray, gradient: FloatArray, hessian: FloatArray
    ) -> None:
        priors = [(A, A_MEAN, A_SD), (B, 0.0, B_SD)] + [(TAU, TAU_MEAN, TAU_SD)] * self.extra_noise
        for coordinate, mean, sd in priors:
            z = (theta_RP[:, coordinate] - mean) / sd
            value += 0.5 * z * z
            gradient[:, coordinate] += z / sd
            hessian[:, coordinate, coordinate] += 1.0 / sd**2
