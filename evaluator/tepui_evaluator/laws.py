"""The four laws of one group of points: frontier, average, and hull and all points as published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tepui_evaluator.average import AverageFit, fit_average
from tepui_evaluator.correlation import spearman
from tepui_evaluator.frontier import MAX_POINTS, MIN_MODELS, Interval, fit_frontier
from tepui_evaluator.frontier_profile import Parameter
from tepui_evaluator.heldout import Curve, Split, score, split_at
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.identification import Verdict, doubt, judge, shapeless
from tepui_evaluator.plausibility import MIN_POINTS, cannot_fit, counted
from tepui_evaluator.points import Points
from tepui_evaluator.saturation import PowerFit, fit_power
from tepui_spec.law import Band, ByValue, HeldOut, Intervals, Law, LawKind, Prediction

VERSION = "2"
KINDS: tuple[LawKind, ...] = ("frontier", "average", "hull", "all_points")
METHODS: dict[LawKind, str] = {
    "frontier": "stochastic-frontier likelihood, union of profile intervals over five inefficiency families",
    "average": "least squares over all models, group-robust t intervals",
    "hull": "least squares on the vertices of the convex hull, as published",
    "all_points": "least squares on all points with e_IR >= 0, as published",
}
_PUBLISHED = (
    "a point estimate as published, without an interval: a bootstrap of the hull covers the truth far less often "
    "than it says; see the {0} law"
)


def fit_laws(
    points: Points,
    *,
    confidence: float = 0.95,
    by: Mapping[str, ByValue] | None = None,
    at: float | None = None,
) -> tuple[Law, ...]:
    """Laws frontier, average, hull, all_points of these points, in this order. Deterministic.

    `by` labels the group of points; `at` in [0, 1] adds a prediction at that upstream error. Points that
    cannot carry a law give laws without numbers whose `reason` says why. Raises ValueError for `confidence`
    outside [0.5, 0.999] or `at` outside [0, 1].
    """
    if not 0.5 <= confidence <= 0.999:
        raise ValueError(f"confidence is {confidence:g}; allowed are values in [0.5, 0.999]")
    if at is not None and not 0.0 <= at <= 1.0:
        raise ValueError(f"at is {at:g}; allowed are upstream errors in [0, 1]")
    common = _common(points, confidence, by or {})
    reason = cannot_fit(points)
    if reason is not None:
        return tuple(_without_numbers(kind, common, reason) for kind in KINDS)
    average_heldout = _heldout_average(points)
    return (
        _frontier_law(points, common, confidence, at, average_heldout),
        _average_law(points, common, confidence, at, average_heldout),
        _published_law("hull", points, common, at),
        _published_law("all_points", points, common, at),
    )


def band(points: Points, law: Law, xs: Sequence[float]) -> Band:
    """Predictions of `law`, fitted to `points`, with pointwise intervals at upstream errors `xs` in [0, 1].

    Hull and all_points have no interval; a law without numbers has no curve.
    """
    grid = sorted(float(x) for x in xs)
    curve = [law.at(x) for x in grid]
    ends: list[tuple[float, float] | None] = [None] * len(grid)
    if law.e_ir is not None and law.law == "average":
        fit = fit_average(points)
        ends = [fit.predict(x, law.confidence)[1] for x in grid]
    elif law.e_ir is not None and law.law == "frontier":
        parameters = [_value_at(x) for x in grid]
        ends = _rising([_closed(i) for i in fit_frontier(points).intervals(parameters, law.confidence)])
    ends = [e if e is None or y is None else _with_point(e, y) for e, y in zip(ends, curve, strict=True)]
    return Band(
        x=tuple(grid),
        y=tuple(curve),
        lo=tuple(None if e is None else e[0] for e in ends),
        hi=tuple(None if e is None else e[1] for e in ends),
    )


def _rising(ends: list[tuple[float, float] | None]) -> list[tuple[float, float] | None]:
    """Pointwise intervals of curves that all rise, made consistent with each other over an ascending grid.

    A curve that passes below y at x passes below y everywhere left of x, so a low end found there holds here too, and
    a high end likewise to the right. The search at one x can miss a basin that the search at its neighbour meets.
    """
    lows = [1.0 if e is None else e[0] for e in ends]
    highs = [0.0 if e is None else e[1] for e in ends]
    lows = list(accumulate(reversed(lows), min))[::-1]
    highs = list(accumulate(highs, max))
    return [e and (low, high) for e, low, high in zip(ends, lows, highs, strict=True)]


def _common(points: Points, confidence: float, by: Mapping[str, ByValue]) -> dict[str, Any]:
    common: dict[str, Any] = {
        "by": dict(by), "n": points.n, "groups": points.groups, "confidence": confidence, "version": VERSION,
        "spearman": spearman(points.x, points.y, points.group, confidence=confidence),
    }  # fmt: skip
    if points.n:
        common |= {"x_min": float(points.x.min()), "x_max": float(points.x.max())}
        common |= {"y_min": float(points.y.min()), "y_max": float(points.y.max())}
    return common


def _without_numbers(kind: LawKind, common: dict[str, Any], reason: str) -> Law:
    nothing = {"fitted": 0, "e_ir": None, "k": None, "alpha": None}
    return Law(law=kind, identified="no", reason=reason, method=METHODS[kind], **nothing, **common)


def _frontier_law(
    points: Points, common: dict[str, Any], confidence: float, at: float | None, average_heldout: HeldOut | None
) -> Law:
    fit = fit_frontier(points)
    e_ir, k, alpha = fit.curve
    parameters = [Parameter("e_ir"), Parameter("k"), Parameter("alpha")] + ([] if at is None else [_value_at(at)])
    found = fit.intervals(parameters, confidence)
    e_ir_interval = _around(_closed(found[0]), e_ir)
    verdict = shapeless(_judge_frontier(e_ir_interval, points, confidence, average_heldout), found[2])
    prediction = None
    if at is not None:
        y = e_ir + k * at**alpha
        prediction = Prediction(x=at, y=y, interval=_around(_closed(found[3]), y))
    return Law(
        law="frontier",
        fitted=min(points.n, MAX_POINTS),
        e_ir=e_ir,
        k=k,
        alpha=alpha,
        interval=Intervals(e_ir=e_ir_interval, k=_widened(found[1], k), alpha=_widened(found[2], alpha)),
        identified=verdict.identified,
        reason=verdict.reason,
        heldout=_heldout_hull(points, _frontier_curve),
        predict=prediction,
        notes=_frontier_notes(points),
        method=METHODS["frontier"],
        **common,
    )


def _judge_frontier(
    interval: tuple[float, float] | None, points: Points, confidence: float, average_heldout: HeldOut | None
) -> Verdict:
    if points.n < MIN_MODELS:
        return Verdict("no", f"only {counted(points.n, 'model')}; the frontier's interval needs at least {MIN_MODELS}")
    return doubt(judge(interval, points, confidence=confidence), average_heldout)


def _frontier_notes(points: Points) -> tuple[str, ...]:
    notes = []
    if points.y_se is None:
        notes.append("no standard errors given: one noise level for all models is estimated with a prior at 0.01")
    if points.n > MAX_POINTS:
        notes.append(f"fitted to a fixed random subset of {MAX_POINTS} of the {points.n} models")
    return tuple(notes)


def _average_law(
    points: Points, common: dict[str, Any], confidence: float, at: float | None, heldout: HeldOut | None
) -> Law:
    fit = fit_average(points)
    interval = fit.interval("e_ir", confidence)
    verdict = doubt(judge(interval, points, confidence=confidence), heldout)
    return Law(
        law="average",
        fitted=points.n,
        e_ir=fit.e_ir,
        k=fit.k,
        alpha=fit.alpha,
        interval=Intervals(e_ir=interval, k=fit.interval("k", confidence), alpha=fit.interval("alpha", confidence)),
        identified=verdict.identified,
        reason=verdict.reason,
        heldout=heldout,
        predict=None if at is None else _average_prediction(fit, at, confidence),
        method=METHODS["average"],
        **common,
    )


def _average_prediction(fit: AverageFit, at: float, confidence: float) -> Prediction:
    y, interval = fit.predict(at, confidence)
    return Prediction(x=at, y=y, interval=interval)


def _published_law(kind: LawKind, points: Points, common: dict[str, Any], at: float | None) -> Law:
    target = points.take(lower_hull(points.x, points.y)) if kind == "hull" else points
    if target.n < MIN_POINTS:
        return _without_numbers(
            kind, common, f"the hull has only {counted(target.n, 'vertex', 'vertices')}; a law has 3 parameters"
        )
    fit = fit_power(target.x, target.y)
    curve = _power_curve(fit)
    heldout = _heldout_hull(points, _hull_curve) if kind == "hull" else _heldout_average(points)
    return Law(
        law=kind,
        fitted=target.n,
        e_ir=min(float(fit.c[0]), 1.0),
        k=float(fit.k[0]),
        alpha=float(fit.alpha[0]),
        identified="no",
        reason=_PUBLISHED.format("frontier" if kind == "hull" else "average"),
        heldout=heldout,
        predict=None if at is None else Prediction(x=at, y=float(curve(np.array([at]))[0])),
        method=METHODS[kind],
        **common,
    )


def _heldout_average(points: Points) -> HeldOut | None:
    """Fit on the worse models, predict all the better ones."""
    at = split_at(points.x)
    fit, test = points.take(points.x >= at), points.take(points.x < at)
    return score(_least_squares_curve(fit), Split(fit.x, fit.y, test.x, test.y, at))


def _heldout_hull(points: Points, fit_curve: Callable[[Points], Curve | None]) -> HeldOut | None:
    """Fit on the worse models, baselines on their hull; predict the hull's vertices among the better models."""
    at = split_at(points.x)
    fitted = points.take(points.x >= at)
    inner = lower_hull(fitted.x, fitted.y)
    outer = lower_hull(points.x, points.y)
    test = outer[points.x[outer] < at]
    split = Split(fitted.x[inner], fitted.y[inner], points.x[test], points.y[test], at)
    return score(fit_curve(fitted) if cannot_fit(fitted) is None else None, split)


def _frontier_curve(fitted: Points) -> Curve:
    e_ir, k, alpha = fit_frontier(fitted).curve
    return lambda x: np.asarray(e_ir + k * x**alpha)


def _hull_curve(fitted: Points) -> Curve | None:
    return _least_squares_curve(fitted.take(lower_hull(fitted.x, fitted.y)))


def _least_squares_curve(fitted: Points) -> Curve | None:
    if fitted.n < MIN_POINTS or np.ptp(fitted.x) == 0.0:
        return None
    return _power_curve(fit_power(fitted.x, fitted.y))


def _power_curve(fit: PowerFit) -> Curve:
    return lambda x: np.asarray(fit.c[0] + fit.k[0] * x ** fit.alpha[0])


def _value_at(x: float) -> Parameter:
    return Parameter("e_ir") if x == 0.0 else Parameter("value", x)


def _closed(interval: Interval | None) -> tuple[float, float] | None:
    """An interval of an error: an open upper end is 1."""
    if interval is None:
        return None
    return min(interval[0], 1.0), min(1.0, 1.0 if interval[1] is None else interval[1])


def _around(interval: tuple[float, float] | None, point: float) -> tuple[float, float] | None:
    return None if interval is None else _with_point(interval, point)


def _with_point(interval: tuple[float, float], point: float) -> tuple[float, float]:
    """The interval widened to contain the estimate, an average over families that can leave their union."""
    return min(interval[0], point), max(interval[1], point)


def _widened(interval: Interval | None, point: float) -> Interval | None:
    if interval is None:
        return None
    lo, hi = interval
    return min(lo, point), None if hi is None else max(hi, point)
