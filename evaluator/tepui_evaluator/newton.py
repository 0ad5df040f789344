"""Damped Newton minimisation of many small box-bounded problems at once.

Shapes: R problems of P coordinates each. One evaluation serves all problems that are still going, which is
what makes likelihood profiles affordable in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tepui_evaluator.points import FloatArray, IntArray

_MAX_STEPS = 200
_TOLERANCE = 1e-8  # of the predicted decrease; likelihood ratios are compared with numbers near 4
_LARGEST = 1e100
_MAX_RADIUS, _MIN_RADIUS = 8.0, 1e-9  # of a step, in units of the box's scale


class Objective(Protocol):
    """Value (R,), gradient (R, P) and Hessian (R, P, P) of problems `rows_R` at `v_RP`."""

    def __call__(self, rows_R: IntArray, v_RP: FloatArray, /) -> tuple[FloatArray, FloatArray, FloatArray]: ...


@dataclass(frozen=True, eq=False)
class Minimum:
    """Minimisers (R, P), values (R,), gradients (R, P) and Hessians (R, P, P) there."""

    v: FloatArray
    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds, and the natural size of a step in each coordinate; each (P,) or (R, P)."""

    lo: FloatArray
    hi: FloatArray
    scale: FloatArray


def minimise(objective: Objective, start_RP: FloatArray, fixed_RP: NDArray[np.bool_], box: Box) -> Minimum:
    """Local minima from these starts, coordinates marked in `fixed_RP` held.

    Each step is the Newton step with absolute eigenvalues (so it descends where the Hessian is indefinite),
    at most as long as a trust radius, and cut where it meets the first bound. Coordinates at a bound that
    the gradient pushes outwards are held for that step. A problem whose objective overflows at its start stays
    there, with value inf.
    """
    count = start_RP.shape[0]
    lo_RP, hi_RP, scale_RP = (np.broadcast_to(b, start_RP.shape) for b in (box.lo, box.hi, box.scale))
    v = np.clip(start_RP, lo_RP, hi_RP)
    value, gradient, hessian = evaluated(objective, np.arange(count), v)
    radius = np.ones(count)
    rows = np.arange(count)
    for _ in range(_MAX_STEPS):
        held = fixed_RP[rows] | _pushed_out(v[rows], gradient[rows], lo_RP[rows], hi_RP[rows])
        step, decrease = newton_step(gradient[rows], hessian[rows], held, scale_RP[rows], radius[rows])
        going = (decrease > _TOLERANCE) & (radius[rows] > _MIN_RADIUS)
        rows, step = rows[going], step[going]
        if rows.size == 0:
            break
        trial = _cut(v[rows], step, lo_RP[rows], hi_RP[rows])
        value_t, gradient_t, hessian_t = evaluated(objective, rows, trial)
        better = value_t < value[rows]
        length = np.sqrt((((trial - v[rows]) / scale_RP[rows]) ** 2).sum(axis=1))
        longer = np.minimum(np.maximum(radius[rows], 2.0 * length), _MAX_RADIUS)
        radius[rows] = np.where(better, longer, 0.25 * length)
        won = rows[better]
        v[won], value[won] = trial[better], value_t[better]
        gradient[won], hessian[won] = gradient_t[better], hessian_t[better]
    return Minimum(v=v, value=value, gradient=gradient, hessian=hessian)


def evaluated(objective: Objective, rows_R: IntArray, v_RP: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The objective; where it or a derivative overflows, or is too large to square, value inf and derivatives 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        value, gradient, hessian = objective(rows_R, v_RP)
        usable = np.abs(value) + np.abs(gradient).max(axis=1) + np.abs(hessian).max(axis=(1, 2)) < _LARGEST
    value[~usable], gradient[~usable], hessian[~usable] = np.inf, 0.0, 0.0
    return value, gradient, hessian


def _pushed_out(v: FloatArray, gradient: FloatArray, lo: FloatArray, hi: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(((v <= lo) & (gradient > 0.0)) | ((v >= hi) & (gradient < 0.0)))


def newton_step(
    gradient: FloatArray, hessian: FloatArray, held: NDArray[np.bool_], scale: FloatArray, radius: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Steps (R, P), zero where `held`, and the decreases (R,) the quadratic model predicts for unlimited ones."""
    free = np.where(held, 0.0, 1.0)
    free_scale = scale * free
    g = gradient * free_scale
    h = hessian * free_scale[:, :, None] * free_scale[:, None, :]
    diagonal = np.einsum("rpp->rp", h)
    diagonal[held] = 1.0
    eigenvalues, vectors = np.linalg.eigh(h)
    size = np.abs(eigenvalues)
    curvature = np.maximum(size, 1e-9 * size.max(axis=1, keepdims=True) + 1e-12)
    along = np.einsum("rpq,rp->rq", vectors, g)
    step = -np.einsum("rpq,rq->rp", vectors, along / curvature)
    length = np.sqrt((step * step).sum(axis=1))
    limited = step * np.minimum(1.0, radius / np.maximum(length, 1e-300))[:, None]
    return limited * scale, 0.5 * (along * along / curvature).sum(axis=1)


def _cut(v: FloatArray, step: FloatArray, lo: FloatArray, hi: FloatArray) -> FloatArray:
    """v + step, shortened to where it first meets a bound."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        room = np.where(step > 0.0, (hi - v) / step, np.where(step < 0.0, (lo - v) / step, np.inf))
    fraction = np.clip(np.nanmin(room, axis=1), 0.0, 1.0)[:, None]
    return np.asarray(np.clip(v + fraction * step, lo, hi))
