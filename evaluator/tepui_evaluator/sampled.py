"""How good the published fits are by the number of models sampled: fit error and held-out prediction error.

The question of Abnar et al. 2022 (arXiv 2110.02095, section 2.2): how many models does the law need? The better
quarter upstream is held out as in `heldout`. From the rest, random samples of a given size are drawn without
replacement, and the law is fitted as published: to the vertices of the sample's convex hull, and to all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tepui_evaluator.heldout import split_at
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.plausibility import MIN_POINTS, cannot_fit
from tepui_evaluator.points import FloatArray, Points
from tepui_evaluator.saturation import PowerFit, fit_power
from tepui_spec.law import ByValue, PublishedKind, Sampled, Spread

MIN_SAMPLE = 6
_SIZES = 8
_QUANTILES = (0.1, 0.5, 0.9)


def sampled_errors(
    points: Points,
    *,
    by: Mapping[str, ByValue] | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int = 100,
    seed: int = 0,
) -> tuple[Sampled, ...]:
    """Errors of the published laws over samples of each size, hull first; deterministic in `seed`.

    `sizes` default to 8 in geometric steps from MIN_SAMPLE to all models that are not held out. Empty where the points
    carry no law or no sample of MIN_SAMPLE. Raises ValueError for a size outside [4, models fitted] and for
    `repeats` below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; allowed are 1 and more")
    at = split_at(points.x) if points.n else 0.0
    pool, test = points.take(points.x >= at), points.take(points.x < at)
    if cannot_fit(pool) is not None or pool.n < MIN_SAMPLE:
        return ()
    sizes = _default_sizes(pool.n) if sizes is None else sizes
    for size in sizes:
        if not MIN_POINTS <= size <= pool.n:
            raise ValueError(f"sizes holds {size}; allowed are {MIN_POINTS} to {pool.n}, the models not held out")
    rng = np.random.default_rng(seed)
    weights = {size: _samples(pool.n, size, repeats if size < pool.n else 1, rng) for size in sizes}
    outer = lower_hull(points.x, points.y)
    label = dict(by or {})
    hull_test = points.take(outer[points.x[outer] < at])
    of_hulls = [_errors("hull", label, size, _fits(pool, _hulls(pool, w)), hull_test) for size, w in weights.items()]
    of_all = [_errors("all_points", label, size, _fits(pool, w), test) for size, w in weights.items()]
    return (*of_hulls, *of_all)


def _default_sizes(most: int) -> list[int]:
    return sorted({round(size) for size in np.geomspace(MIN_SAMPLE, most, _SIZES)})


def _samples(n: int, size: int, repeats: int, rng: np.random.Generator) -> FloatArray:
    """0/1 weights (repeats, n) of random samples of this size."""
    weights = np.zeros((repeats, n))
    for row in weights:
        row[rng.choice(n, size, replace=False)] = 1.0
    return weights


def _hulls(pool: Points, weights_BN: FloatArray) -> FloatArray:
    """The weights with only the vertices of each sample's lower convex hull left."""
    hulls = np.zeros_like(weights_BN)
    for row, weights in zip(hulls, weights_BN, strict=True):
        sample = np.flatnonzero(weights)
        row[sample[lower_hull(pool.x[sample], pool.y[sample])]] = 1.0
    return hulls


@dataclass(frozen=True, eq=False)
class _Fits:
    """The laws of B samples, and the root mean squared residual (B,) of the points each was fitted to."""

    law: PowerFit
    residual: FloatArray


def _fits(pool: Points, weights_BN: FloatArray) -> _Fits | None:
    """Laws of the samples; those with too few points (vertices) for a law are left out, None if all are."""
    usable = weights_BN[weights_BN.sum(axis=1) >= MIN_POINTS]
    if not len(usable):
        return None
    fit = fit_power(pool.x, pool.y, usable)
    return _Fits(fit, np.sqrt(np.maximum(fit.rss, 0.0) / usable.sum(axis=1)))


def _errors(law: PublishedKind, by: dict[str, ByValue], size: int, fits: _Fits | None, test: Points) -> Sampled:
    return Sampled(
        law=law,
        by=by,
        models=size,
        samples=0 if fits is None else fits.residual.size,
        fit_error=None if fits is None else _spread(fits.residual),
        prediction_error=None if fits is None or test.n == 0 else _spread(_prediction_errors(fits.law, test)),
    )


def _prediction_errors(fit: PowerFit, test: Points) -> FloatArray:
    """(B,) of the B laws on the same models."""
    predicted_BN = fit.c[:, None] + fit.k[:, None] * test.x ** fit.alpha[:, None]
    return np.asarray(np.sqrt(np.mean((np.clip(predicted_BN, 0.0, 1.0) - test.y) ** 2, axis=1)))


def _spread(errors_B: FloatArray) -> Spread:
    low, median, high = np.quantile(errors_B, _QUANTILES).tolist()
    return Spread(median=median, low=low, high=high)
