"""What a law says about models not trained yet, and whether two laws differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from tepui_evaluator.laws import band
from tepui_evaluator.points import FloatArray, Points
from tepui_spec.law import Difference, Law, LawKind, Needed, Prediction

_GRID = 41  # upstream errors at which the band is inverted, twice: over [0, 1], then around each crossing


def predict(points: Points, law: Law, x: float) -> Prediction:
    """Downstream error of `law`, fitted to `points`, at upstream error `x` in [0, 1], with its interval.

    Raises ValueError for `x` outside [0, 1] and for a law without numbers.
    """
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"x is {x:g}; allowed are upstream errors in [0, 1]")
    at = band(points, law, [x])
    if at.y[0] is None:
        raise ValueError(f"the {law.law} law has no numbers: {law.reason}")
    ends = (at.lo[0], at.hi[0])
    return Prediction(x=x, y=at.y[0], interval=None if ends[0] is None or ends[1] is None else (ends[0], ends[1]))


def needed(points: Points, law: Law, target: float) -> Needed:
    """Upstream error at which `law`, fitted to `points`, reaches downstream error `target` in (0, 1).

    Its interval holds every upstream error whose prediction interval contains the target (inverse regression).
    Raises ValueError for `target` outside (0, 1) and for a law without numbers or intervals.
    """
    check_target(target)
    if law.e_ir is None or law.k is None or law.alpha is None or law.interval.e_ir is None:
        raise ValueError(f"the {law.law} law has no interval of e_IR to hold a target against: {law.reason}")
    lo, hi = law.interval.e_ir
    percent = f"{100.0 * law.confidence:g}%"
    if target < lo:
        reason = f"out of reach: e_IR is above {target:g}, it is {lo:.3f} to {hi:.3f} ({percent})"
        return Needed(target=target, x=None, reach="no", reason=reason)
    x = ((target - law.e_ir) / law.k) ** (1.0 / law.alpha) if target >= law.e_ir and law.k > 0.0 else None
    x = None if x is None else min(x, 1.0)
    ends = _inverted(points, law, target)
    if x is not None:
        ends = (min(ends[0], x), max(ends[1], x))
    if target <= hi:
        reason = f"perhaps out of reach: e_IR is {lo:.3f} to {hi:.3f} ({percent}), the target lies within"
        return Needed(target=target, x=x, interval=(0.0, ends[1]), reach="perhaps", reason=reason)
    reason = f"in reach: e_IR is at most {hi:.3f} ({percent})"
    return Needed(target=target, x=x, interval=ends, reach="yes", reason=reason)


def check_target(target: float) -> None:
    """Raise ValueError for a target outside (0, 1)."""
    if not 0.0 < target < 1.0:
        raise ValueError(f"target is {target:g}; allowed are downstream errors in (0, 1)")


def _inverted(points: Points, law: Law, target: float) -> tuple[float, float]:
    """Upstream errors where the band's upper and lower end cross the target; 0 and 1 where they do not."""
    low, high = _crossings(points, law, target, np.linspace(0.0, 1.0, _GRID))
    step = 1.0 / (_GRID - 1)
    low = _crossings(points, law, target, np.linspace(max(low - step, 0.0), min(low + step, 1.0), _GRID))[0]
    high = _crossings(points, law, target, np.linspace(max(high - step, 0.0), min(high + step, 1.0), _GRID))[1]
    return low, high


def _crossings(points: Points, law: Law, target: float, grid: FloatArray) -> tuple[float, float]:
    found = band(points, law, grid.tolist())
    upper = np.array([np.inf if v is None else v for v in found.hi])
    lower = np.array([-np.inf if v is None else v for v in found.lo])
    return _first_above(grid, upper, target, grid[0]), _first_above(grid, lower, target, grid[-1])


def _first_above(grid: FloatArray, curve: FloatArray, target: float, otherwise: float) -> float:
    """Where the curve first rises above the target, interpolated; `otherwise` if it starts above or never does."""
    above = np.flatnonzero(curve > target)
    if above.size == 0:
        return float(grid[-1])
    i = int(above[0])
    if i == 0 or not np.isfinite(curve[i]):
        return float(otherwise if i == 0 and otherwise == grid[0] else grid[i])
    share = (target - curve[i - 1]) / (curve[i] - curve[i - 1])
    return float(grid[i - 1] + share * (grid[i] - grid[i - 1]))


def difference(a: Law, b: Law) -> Difference:
    """e_IR of law `a` minus that of `b`, with an interval from theirs.

    The interval is that of Zou and Donner (2008, "MOVER", equation 3): with estimates e and intervals [l, u] the
    difference d = e_a - e_b has [d - sqrt((e_a - l_a)**2 + (u_b - e_b)**2), d + sqrt((u_a - e_a)**2 + (e_b - l_b)**2)].
    It supposes independent estimates; the same models on two tasks err together, which makes it conservative.
    Raises ValueError for laws of different kinds or confidence.
    """
    if (a.law, a.confidence) != (b.law, b.confidence):
        raise ValueError(f"a {a.law} law at {a.confidence:g} cannot be compared with a {b.law} law at {b.confidence:g}")
    if a.e_ir is None or b.e_ir is None:
        return Difference(law=a.law, a=a.by, b=b.by, e_ir=None, confidence=a.confidence, differ="unknown")
    d = a.e_ir - b.e_ir
    interval = None
    if a.interval.e_ir is not None and b.interval.e_ir is not None:
        (la, ua), (lb, ub) = a.interval.e_ir, b.interval.e_ir
        below, above = np.hypot(a.e_ir - la, ub - b.e_ir), np.hypot(ua - a.e_ir, b.e_ir - lb)
        interval = (float(d - below), float(d + above))
    excludes_0 = interval is not None and (interval[0] > 0.0 or interval[1] < 0.0)
    return Difference(
        law=a.law,
        a=a.by,
        b=b.by,
        e_ir=d,
        interval=interval,
        confidence=a.confidence,
        differ="yes" if excludes_0 else "unknown",
    )


def differences(laws: Sequence[Law]) -> tuple[Difference, ...]:
    """Of e_IR between all pairs of groups, for the laws that have intervals: frontier and average."""
    kinds: tuple[LawKind, ...] = ("frontier", "average")
    pairs = [pair for kind in kinds for pair in combinations([law for law in laws if law.law == kind], 2)]
    return tuple(difference(a, b) for a, b in pairs)
