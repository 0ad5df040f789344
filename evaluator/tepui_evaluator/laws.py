"""The four laws of one group of points: frontier, average, and hull and all points as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tepui_spec.law import Band, ByValue, Law

from tepui_evaluator.points import Points


def fit_laws(
    points: Points,
    *,
    confidence: float = 0.95,
    by: Mapping[str, ByValue] | None = None,
    at: float | None = None,
) -> tuple[Law, ...]:
    """Laws frontier, average, hull, all_points of these points, in this order. Deterministic."""
    raise NotImplementedError


def band(points: Points, law: Law, xs: Sequence[float]) -> Band:
    """Predictions of `law`, fitted to `points`, with pointwise intervals at upstream errors `xs`."""
    raise NotImplementedError
