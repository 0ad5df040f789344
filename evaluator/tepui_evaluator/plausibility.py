"""Why a group of points cannot carry a law at all, and what looks wrong about it."""

from __future__ import annotations

import numpy as np

from tepui_evaluator.correlation import spearman
from tepui_evaluator.points import Points
from tepui_evaluator.saturation import fit_power

MIN_POINTS = 4  # one more than the law has parameters
MIN_DISTINCT = 3
_CLEAR_N = 10  # models needed before a curve's shape is held against the columns
_CLEAR_RATIO = 0.25  # of residual sums, read as accuracies over read as errors


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 model, 2 models, 3 vertices."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def cannot_fit(points: Points) -> str | None:
    """The reason in a sentence if no law can be fitted to these points, else None."""
    return _too_little(points) or _wrong_shape(points)


def _too_little(points: Points) -> str | None:
    if points.n < MIN_POINTS:
        return f"only {counted(points.n, 'model')}: a law has 3 parameters, so at least {MIN_POINTS} models are needed"
    if np.ptp(points.x) == 0.0:
        return f"all models have the same upstream error {points.x[0]:g}"
    if np.ptp(points.y) == 0.0:
        return f"all models have the same downstream error {points.y[0]:g}"
    if np.unique(points.x).size < MIN_DISTINCT:
        return f"only two different upstream errors: a curve needs at least {MIN_DISTINCT}"
    return None


def _wrong_shape(points: Points) -> str | None:
    if fit_power(points.x, points.y).k[0] <= 0.0:
        return f"downstream error does not rise with upstream error{_rank(points)}{_ONE_AXIS}"
    if _accuracies(points):
        return (
            "the points bend like accuracies, not like errors: both columns read as accuracies fit the law "
            "with less than a quarter of the residual; pass --accuracy if they are accuracies"
        )
    return None


_ONE_AXIS = "; if one of the columns holds accuracies, pass errors (1 - accuracy) or make both accuracies"


def _rank(points: Points) -> str:
    rank = spearman(points.x, points.y, points.group)
    return "" if rank is None else f" (Spearman {rank.rho:.2f})"


def _accuracies(points: Points) -> bool:
    """Whether the law fits 1 - x, 1 - y far better than x, y."""
    if points.n < _CLEAR_N:
        return False
    as_errors = fit_power(points.x, points.y)
    as_accuracies = fit_power(1.0 - points.x, 1.0 - points.y)
    bends_down = as_errors.alpha[0] < 1.0
    return bool(bends_down and as_accuracies.rss[0] < _CLEAR_RATIO * as_errors.rss[0])
