"""The rows of the report's tables, ready to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tepui_evaluator.report_text import floor_text, number, percent, verdict
from tepui_evaluator.report_view import View
from tepui_spec.law import Law, LawKind, OpenRange

_NAMES: dict[LawKind, str] = {
    "frontier": "frontier",
    "average": "average",
    "hull": "hull, as published",
    "all_points": "all points, as published",
}
_AS_PUBLISHED = ("hull", "all_points")
_LAST = 9.0
"""Sorts after every error: nothing is known."""


def verdict_rows(all_views: Sequence[View]) -> list[dict[str, Any]]:
    """The opening table: one row a view, with what it sorts by."""
    rows = []
    for view in all_views:
        said, law = verdict(view), view.headline
        hi = None if law is None or law.interval.e_ir is None else law.interval.e_ir[1]
        gain = -_LAST if hi is None or said.best is None else said.best - hi
        sorts = {"floor_sort": _floor_sort(law), "average_sort": _floor_sort(view.laws.get("average"))}
        rows.append({**asdict(said), **sorts, "gain_sort": round(gain, 5)})
    return rows


def _floor_sort(law: Law | None) -> float:
    if law is None or law.interval.e_ir is None or law.identified == "no":
        return _LAST
    return round(law.interval.e_ir[1], 5)


def law_rows(all_views: Sequence[View]) -> list[tuple[str, ...]]:
    """All laws in numbers: task, shots, law, n, groups, e_IR, k, alpha, and the held-out scores in points."""
    return [_law_row(view, law) for view in all_views for law in view.laws.values()]


def _law_row(view: View, law: Law) -> tuple[str, ...]:
    e_ir = _published(law.e_ir) if law.law in _AS_PUBLISHED else floor_text(law)
    held = law.heldout
    scores = (None,) * 4 if held is None else (held.law, held.log_log, held.logit_linear, held.mean)
    return (
        view.task,
        str(view.shots),
        _NAMES[law.law],
        str(law.n),
        str(law.groups),
        e_ir,
        _with_interval(law.k, law.interval.k),
        _with_interval(law.alpha, law.interval.alpha),
        *("–" if score is None else f"{100.0 * score:.2f}" for score in scores),
    )


def _published(e_ir: float | None) -> str:
    return "–" if e_ir is None else percent(e_ir)


def _with_interval(value: float | None, ends: OpenRange | None) -> str:
    if value is None or ends is None:
        return number(value)
    upper = "∞" if ends[1] is None else number(ends[1])
    return f"{number(value)} [{number(ends[0])}, {upper}]"
