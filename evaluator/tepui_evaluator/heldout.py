"""Held-out prediction: fit on the models that are worse upstream, predict the better ones.

The protocol of Abnar et al. 2022 (arXiv 2110.02095, section 2.2), with the baselines that a law has to beat:
a power law without a floor (fitted as a line in logs, and by least squares), a straight line between logits, the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tepui_evaluator.points import FloatArray
from tepui_evaluator.saturation import ALPHA_MAX, ALPHA_MIN
from tepui_spec.law import HeldOut

FIT_SHARE = 0.75
MIN_FIT = 4  # one more than the law has parameters
_EXPONENTS = 64
_LOGIT_EDGE = 5e-4  # errors of 0 and 1 have no logit
_CLEAR_T, _CLEAR_RATIO = 2.0, 1.25  # a loss is clear if both are exceeded

Curve = Callable[[FloatArray], FloatArray]
Baseline = Literal["log_log", "power", "logit_linear"]
_BASELINES: tuple[Baseline, ...] = ("log_log", "power", "logit_linear")


@dataclass(frozen=True, eq=False)
class Split:
    """Fitted part and held-out part, upstream and downstream errors of each, and where they part."""

    x_fit: FloatArray
    y_fit: FloatArray
    x_test: FloatArray
    y_test: FloatArray
    at: float


def split_at(x_N: FloatArray) -> float:
    """Upstream error below which models are held out: at least FIT_SHARE of the models are at or above it."""
    return float(np.quantile(x_N, 1.0 - FIT_SHARE, method="lower"))


def score(law: Curve | None, split: Split) -> HeldOut | None:
    """Root mean squared error of the law (fitted by the caller to the fit part) and of the baselines.

    Predictions are clipped to [0, 1]. None where nothing is left to predict or too little to fit.
    """
    if split.x_test.size == 0 or split.x_fit.size < MIN_FIT:
        return None
    curves = {
        "law": law,
        "log_log": _log_log(split),
        "power": _power(split),
        "logit_linear": _logit_linear(split),
        "mean": _mean(split),
    }
    losses = {
        name: (np.clip(curve(split.x_test), 0.0, 1.0) - split.y_test) ** 2 for name, curve in curves.items() if curve
    }
    scores = {name: float(np.sqrt(loss.mean())) for name, loss in losses.items()}
    return HeldOut.model_validate(
        {
            **scores,
            "fit_n": split.x_fit.size,
            "test_n": split.x_test.size,
            "x_split": split.at,
            "best": min(scores, key=scores.__getitem__),
            "lost_to": _clear_winner(losses),
        }
    )


def _clear_winner(losses: dict[str, FloatArray]) -> Baseline | None:
    """The baseline that predicts clearly better than the law: a paired t test of squared errors, and a margin."""
    law = losses.get("law")
    if law is None or law.size < 3:
        return None
    winners: dict[Baseline, float] = {}
    for name in _BASELINES:
        if name not in losses:
            continue
        gain = law - losses[name]
        standard_error = float(np.std(gain, ddof=1)) / np.sqrt(gain.size)
        clear = float(gain.mean()) > _CLEAR_T * standard_error
        if clear and law.mean() > _CLEAR_RATIO**2 * losses[name].mean():
            winners[name] = float(losses[name].mean())
    return min(winners, key=lambda name: winners[name], default=None)


def _line(u: FloatArray, v: FloatArray) -> tuple[float, float] | None:
    """Intercept and slope of v on u by least squares; None where u is constant or has fewer than 2 points."""
    if u.size < 2 or np.ptp(u) == 0.0:
        return None
    centred = u - u.mean()
    slope = float(centred @ v) / float(centred @ centred)
    return float(v.mean()) - slope * float(u.mean()), slope


def _log_log(split: Split) -> Curve | None:
    positive = (split.x_fit > 0.0) & (split.y_fit > 0.0)
    line = _line(np.log(split.x_fit[positive]), np.log(split.y_fit[positive]))
    if line is None:
        return None
    intercept, slope = line
    return lambda x: np.exp(np.minimum(intercept + slope * np.log(np.maximum(x, 1e-300)), 0.0))  # an error is at most 1


def _power(split: Split) -> Curve:
    """a x**b by least squares: a grid of exponents, refined twice; for a given b the best a is linear."""
    lo, hi = ALPHA_MIN, ALPHA_MAX
    for _ in range(3):
        b_A = np.geomspace(lo, hi, _EXPONENTS)
        t_AN = split.x_fit ** b_A[:, None]
        a_A = np.maximum(t_AN @ split.y_fit, 0.0) / np.maximum(np.einsum("an,an->a", t_AN, t_AN), 1e-300)
        best = int(np.argmin(((split.y_fit - a_A[:, None] * t_AN) ** 2).sum(axis=1)))
        lo, hi = b_A[max(best - 1, 0)], b_A[min(best + 1, _EXPONENTS - 1)]
    a, b = float(a_A[best]), float(b_A[best])
    return lambda x: np.asarray(a * x**b)


def _logit_linear(split: Split) -> Curve | None:
    line = _line(_logit(split.x_fit), _logit(split.y_fit))
    if line is None:
        return None
    intercept, slope = line
    return lambda x: 1.0 / (1.0 + np.exp(-(intercept + slope * _logit(x))))


def _logit(error: FloatArray) -> FloatArray:
    clipped = np.clip(error, _LOGIT_EDGE, 1.0 - _LOGIT_EDGE)
    return np.asarray(np.log(clipped / (1.0 - clipped)))


def _mean(split: Split) -> Curve:
    mean = float(split.y_fit.mean())
    return lambda x: np.full_like(x, mean)
