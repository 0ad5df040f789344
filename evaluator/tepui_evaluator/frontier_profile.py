"""Likelihood profiles of e_IR, k, alpha or a prediction: where they cross a threshold, many at once.

A profile is followed from the optimum outwards by continuation, each point started from the last one inside. With
few models the likelihood can have a second basin, in which another model counts as the outlier; it is not
searched for, and the coverage in docs/statistics.md is that of this procedure.

Shapes: R problems (a parameter, a family and a side each), P coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tepui_evaluator.frontier_likelihood import KAPPA, LAMBDA, NO_EXTRA_NOISE, SIZE, TAU, C, FrontierLikelihood
from tepui_evaluator.newton import Box, evaluated, minimise, newton_step
from tepui_evaluator.points import FloatArray, IntArray

LO = np.array([0.0, np.log(1e-5), np.log(0.05), -14.0, -8.0, NO_EXTRA_NOISE])
HI = np.array([1.0, np.log(1e4), np.log(60.0), 2.0, 8.0, np.log(0.5)])
SCALE = np.array([0.03, 0.3, 0.3, 0.5, 0.5, 0.5])  # sizes of a natural step
LOG_VALUE_RANGE = (float(np.log(1e-6)), float(np.log(2.0)))  # of a prediction
_LOG_GAP_MIN = -60.0  # of a prediction above e_IR: at small upstream errors it is as good as 0
_ROUNDS = 24
_STALL = 1e-5  # of a natural step: the next guess is the last one
_CLOSE = 0.01  # of the threshold's root; what remains is interpolated


@dataclass(frozen=True)
class Parameter:
    """What to profile: `value` is the law's downstream error at upstream error `x` in (0, 1]."""

    kind: Literal["e_ir", "k", "alpha", "value"]
    x: float | None = None

    @property
    def slot(self) -> int:
        """Coordinate that holds it; a value takes the place of log k."""
        return {"e_ir": C, "k": KAPPA, "alpha": LAMBDA, "value": KAPPA}[self.kind]

    def value(self, theta_P: FloatArray) -> float:
        """The parameter at these coordinates."""
        if self.x is not None:
            return float(theta_P[C] + np.exp(theta_P[KAPPA] + np.exp(theta_P[LAMBDA]) * np.log(self.x)))
        return float(theta_P[C] if self.kind == "e_ir" else np.exp(theta_P[self.slot]))


@dataclass(frozen=True, eq=False)
class Problems:
    """R profile problems: from an optimum `theta` (R, P) with `value` (R,), to one side of a parameter."""

    parameters: tuple[Parameter, ...]
    family: IntArray
    side: IntArray  # -1 or +1
    theta: FloatArray
    value: FloatArray
    threshold: FloatArray  # of 2 (nll - nll at the optimum), > 0


@dataclass(frozen=True, eq=False)
class Ends:
    """Where each profile crosses its threshold, in the parameter's own unit; `open` where it does not.

    `better` is the largest fall of the likelihood below the optimum that was met on the way, with its coordinates.
    """

    at: FloatArray
    open: NDArray[np.bool_]
    better: FloatArray
    theta: FloatArray


class _Objective:
    """The likelihood in coordinates where the profiled parameter is one of them.

    For a value f at x0 the first two are g = log(f - c) and log f instead of c and log k, so that
    c = f - exp(g), log k = g - alpha log x0, and the bound c >= 0 is g <= log f.
    """

    def __init__(self, likelihood: FrontierLikelihood, problems: Problems) -> None:
        self.likelihood, self.family = likelihood, problems.family
        self.log_x0_R = np.array([np.log(p.x) if p.x is not None else np.nan for p in problems.parameters])

    def to_theta(self, rows: IntArray, v: FloatArray) -> FloatArray:
        theta = v.copy()
        i = np.flatnonzero(~np.isnan(self.log_x0_R[rows]))
        theta[i, C] = np.maximum(np.exp(v[i, KAPPA]) - np.exp(v[i, C]), 0.0)
        theta[i, KAPPA] = v[i, C] - np.exp(v[i, LAMBDA]) * self.log_x0_R[rows][i]
        return theta

    def from_theta(self, theta: FloatArray) -> FloatArray:
        v = theta.copy()
        i = np.flatnonzero(~np.isnan(self.log_x0_R))
        v[i, C] = theta[i, KAPPA] + np.exp(theta[i, LAMBDA]) * self.log_x0_R[i]
        v[i, KAPPA] = np.log(theta[i, C] + np.exp(v[i, C]))
        return v

    def __call__(self, rows_R: IntArray, v_RP: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        value, gradient, hessian = self.likelihood.evaluate(self.family[rows_R], self.to_theta(rows_R, v_RP))
        i = np.flatnonzero(~np.isnan(self.log_x0_R[rows_R]))
        if i.size:
            log_x0 = self.log_x0_R[rows_R][i]
            gradient[i], hessian[i] = self._chain(log_x0, v_RP[i], gradient[i], hessian[i])
        return value, gradient, hessian

    @staticmethod
    def _chain(log_x0: FloatArray, v: FloatArray, g: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian by v from those by theta."""
        gap, f, alpha_log_x0 = np.exp(v[:, C]), np.exp(v[:, KAPPA]), np.exp(v[:, LAMBDA]) * log_x0
        jacobian = np.broadcast_to(np.eye(SIZE), h.shape).copy()
        jacobian[:, C, C], jacobian[:, C, KAPPA] = -gap, f
        jacobian[:, KAPPA, C], jacobian[:, KAPPA, KAPPA], jacobian[:, KAPPA, LAMBDA] = 1.0, 0.0, -alpha_log_x0
        hessian = jacobian.swapaxes(1, 2) @ h @ jacobian
        hessian[:, C, C] -= g[:, C] * gap
        hessian[:, KAPPA, KAPPA] += g[:, C] * f
        hessian[:, LAMBDA, LAMBDA] -= g[:, KAPPA] * alpha_log_x0
        return np.einsum("rpq,rp->rq", jacobian, g), hessian


class _Search:
    """The state of R searches: the last point inside, the first point outside, and what is known there."""

    def __init__(self, likelihood: FrontierLikelihood, problems: Problems) -> None:
        self.problems, self.objective = problems, _Objective(likelihood, problems)
        count = problems.side.size
        self.slot = np.array([p.slot for p in problems.parameters])
        self.index = np.arange(count)
        self.goal = np.sqrt(problems.threshold)
        self.fixed = np.zeros((count, SIZE), dtype=bool)
        self.fixed[self.index, self.slot] = True
        self.fixed[:, TAU] |= not likelihood.extra_noise
        is_value = np.array([p.kind == "value" for p in problems.parameters])
        self.is_value = is_value
        self.t_lo = np.where(is_value, LOG_VALUE_RANGE[0], LO[self.slot])
        self.t_hi = np.where(is_value, LOG_VALUE_RANGE[1], HI[self.slot])
        self.scale = np.where(is_value[:, None] & (np.arange(SIZE) == C), SCALE[KAPPA], SCALE)
        self.v_in = self.objective.from_theta(problems.theta)
        _, _, self.h_in = self.objective(self.index, self.v_in)
        self.t_hat = self.v_in[self.index, self.slot].copy()
        self.t_in, self.r_in = self.t_hat.copy(), np.zeros(count)
        self.t_out, self.r_out = np.full(count, np.nan), np.full(count, np.nan)
        self.end, self.open = np.full(count, np.nan), np.zeros(count, dtype=bool)
        self.better, self.better_theta = np.zeros(count), problems.theta.copy()

    def first_guess(self) -> FloatArray:
        """The crossing of the quadratic approximation, within reason; the bound itself if it is near."""
        tangent = self._tangent(self.index)
        curvature = np.einsum("rp,rpq,rq->r", tangent, self.h_in, tangent)
        step = self.goal / np.sqrt(np.maximum(curvature, 1e-6))
        largest = np.where(self.slot == C, 0.1, 1.0)
        return self._within(self.index, self.t_hat + self.problems.side * np.minimum(step, largest))

    def _tangent(self, rows: IntArray) -> FloatArray:
        """Derivative (R, P) of the constrained optimum by the profiled coordinate."""
        position = np.arange(rows.size)
        column = self.h_in[rows][position, :, self.slot[rows]]
        lo, hi = self._bounds(rows, self.t_in[rows])
        at_bound = (self.v_in[rows] <= lo) | (self.v_in[rows] >= hi)
        unlimited = np.full(rows.size, np.inf)
        held = self.fixed[rows] | at_bound
        tangent, _ = newton_step(column, self.h_in[rows], held, self.scale[rows], unlimited)
        tangent[position, self.slot[rows]] = 1.0
        return tangent

    def _bounds(self, rows: IntArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds (R, P) of the coordinates with the profiled one at `t`."""
        lo, hi = (np.broadcast_to(b, (rows.size, SIZE)).copy() for b in (LO, HI))
        is_value = self.is_value[rows]
        lo[is_value, KAPPA], hi[is_value, KAPPA] = LOG_VALUE_RANGE
        lo[is_value, C], hi[is_value, C] = _LOG_GAP_MIN, t[is_value]
        return lo, hi

    def _within(self, rows: IntArray, t: FloatArray) -> FloatArray:
        return np.asarray(np.clip(t, self.t_lo[rows], self.t_hi[rows]))

    def visit(self, rows: IntArray, t: FloatArray) -> FloatArray:
        """Minimise with the parameter held at `t`; root of twice the rise of the likelihood over the optimum."""
        start = self.v_in[rows] + self._tangent(rows) * (t - self.t_in[rows])[:, None]
        start[np.arange(rows.size), self.slot[rows]] = t
        lo, hi = self._bounds(rows, t)
        box = Box(lo=lo, hi=hi, scale=self.scale[rows])
        start = self._where_finite(rows, np.clip(start, lo, hi), t)
        found = minimise(_Rows(self.objective, rows), start, self.fixed[rows], box)
        rise = found.value - self.problems.value[rows]
        r = np.sqrt(2.0 * np.maximum(rise, 0.0))
        fell = -rise > self.better[rows]
        self.better[rows[fell]] = -rise[fell]
        self.better_theta[rows[fell]] = self.objective.to_theta(rows[fell], found.v[fell])
        self._record(rows, t, r, found.v, found.hessian)
        return r

    def _where_finite(self, rows: IntArray, start: FloatArray, t: FloatArray) -> FloatArray:
        """The starts (R, P), those at which the likelihood overflows replaced by the last point inside."""
        value, _, _ = evaluated(self.objective, rows, start)
        near = self.v_in[rows].copy()
        near[np.arange(rows.size), self.slot[rows]] = t
        return np.where(np.isinf(value)[:, None], near, start)

    def _record(self, rows: IntArray, t: FloatArray, r: FloatArray, v: FloatArray, h: FloatArray) -> None:
        inside = r <= self.goal[rows]
        self._finish(rows, t, r, inside)
        ins, outs = rows[inside], rows[~inside]
        self.t_in[ins], self.r_in[ins] = t[inside], r[inside]
        self.v_in[ins], self.h_in[ins] = v[inside], h[inside]
        self.t_out[outs], self.r_out[outs] = t[~inside], r[~inside]

    def _finish(self, rows: IntArray, t: FloatArray, r: FloatArray, inside: NDArray[np.bool_]) -> None:
        """Mark searches that are close enough, or that are inside at the end of the parameter's range."""
        slope = (t - self.t_in[rows]) / np.where(r == self.r_in[rows], np.inf, r - self.r_in[rows])
        close = np.abs(r - self.goal[rows]) <= _CLOSE * self.goal[rows]
        self.end[rows[close]] = (t + (self.goal[rows] - r) * slope)[close]
        at_range_end = inside & ((t <= self.t_lo[rows]) & (self.problems.side[rows] < 0))
        at_range_end |= inside & ((t >= self.t_hi[rows]) & (self.problems.side[rows] > 0))
        self.end[rows[at_range_end]], self.open[rows[at_range_end]] = t[at_range_end], True

    def next_guess(self, rows: IntArray, last_t: FloatArray, last_r: FloatArray, step: int) -> FloatArray:
        """Secant in r within the bracket, halving at times; outwards at most three times as far at once."""
        t_in, r_in, t_out, r_out = (a[rows] for a in (self.t_in, self.r_in, self.t_out, self.r_out))
        bracketed = ~np.isnan(t_out)
        share = np.clip((self.goal[rows] - r_in) / np.where(bracketed, r_out - r_in, 1.0), 0.02, 0.98)
        share = np.where(step % 3 == 2, 0.5, share)
        inner = t_in + share * (t_out - t_in)
        gained = last_r - self.previous_r[rows]
        flat = gained <= 0.05 * self.goal[rows]  # a secant would stall there
        reach = np.abs(last_t - self.previous_t[rows]) * (self.goal[rows] - last_r) / np.where(flat, 1.0, gained) * 1.05
        limit = 2.0 * np.maximum(np.abs(last_t - self.t_hat[rows]), 0.01 * SCALE[self.slot[rows]])
        outer = last_t + self.problems.side[rows] * np.where(flat, limit, np.clip(reach, 1e-6, limit))
        return self._within(rows, np.where(bracketed, inner, outer))

    def run(self) -> None:
        rows, t = self.index, self.first_guess()
        self.previous_t, self.previous_r = self.t_hat.copy(), np.zeros(rows.size)
        for step in range(_ROUNDS):
            r = self.visit(rows, t)
            going = np.isnan(self.end[rows])
            rows, last_t, last_r = rows[going], t[going], r[going]
            if rows.size == 0:
                return
            t = self.next_guess(rows, last_t, last_r, step)
            self.previous_t[rows], self.previous_r[rows] = last_t, last_r
            moves = np.abs(t - last_t) > _STALL * SCALE[self.slot[rows]]
            self._stop(rows[~moves])
            rows, t = rows[moves], t[moves]
        self._stop(rows)

    def _stop(self, rows: IntArray) -> None:
        """End searches that cannot get closer: at a jump of the profile, or at an optimum outside the range."""
        self.end[rows] = np.where(np.isnan(self.t_out[rows]), self.t_in[rows], self.t_out[rows])
        self.open[rows] = np.isnan(self.t_out[rows])


@dataclass(frozen=True, eq=False)
class _Rows:
    """The objective of a subset of the problems, numbered from 0."""

    objective: _Objective
    rows: IntArray

    def __call__(self, rows_R: IntArray, v_RP: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.objective(self.rows[rows_R], v_RP)


def profile_ends(likelihood: FrontierLikelihood, problems: Problems) -> Ends:
    """Follow every profile outwards from its optimum to its threshold."""
    search = _Search(likelihood, problems)
    search.run()
    is_log = search.slot != C
    at = np.where(is_log, np.exp(np.clip(search.end, -50.0, 50.0)), search.end)
    return Ends(at=at, open=search.open, better=search.better, theta=search.better_theta)
