"""The law against the number of shots: e_IR, k and alpha of each task with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from tepui_evaluator.figures import Layers, Rows
from tepui_evaluator.report_text import floor_text, number
from tepui_evaluator.report_view import View
from tepui_evaluator.shots_trend import Quantity

MAX_TASKS = 8
"""With a colour and a place of their own; more are thin lines that tell their task under the mouse."""
_LOG_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
TITLES: dict[Quantity, str] = {"e_ir": "floor e_IR", "k": "coefficient k", "alpha": "exponent alpha"}


def shots_chart(quantity: Quantity, tasks: Sequence[str], rows: Rows, *, width: int = 280, height: int = 260) -> Layers:
    """One quantity over the dataset `shots` (`rows`): intervals as bars, open points where e_IR is not identified.

    With more than MAX_TASKS tasks a line each, without intervals.
    """
    here = [row for row in rows if row["quantity"] == quantity]
    source = alt.Chart(alt.NamedData("shots")).transform_filter(f"datum.quantity === '{quantity}'")
    is_error, title = quantity == "e_ir", TITLES[quantity]
    axis = alt.Axis(format="~%", tickCount=5) if is_error else alt.Axis(values=_LOG_TICKS)
    y = {"title": title, "axis": axis, "scale": alt.Scale(zero=True) if is_error else alt.Scale(type="log", nice=True)}
    x = alt.X(
        "shots:O",
        title="shots (labelled images per class)",
        axis=alt.Axis(labelAngle=0, grid=False),
        scale=alt.Scale(type="band", domain=sorted({row["shots"] for row in rows}), paddingInner=0.25),
    )
    tooltip = [alt.Tooltip("task:N"), alt.Tooltip("shots:O"), alt.Tooltip("text:N", title=title)]
    layers = _few(source, here, tasks, y) if len(tasks) <= MAX_TASKS else _many(source, y)
    return alt.layer(*(layer.encode(x=x, tooltip=tooltip) for layer in layers)).properties(width=width, height=height)


def _few(source: alt.Chart, here: Rows, tasks: Sequence[str], y: dict[str, Any]) -> list[alt.Chart]:
    """A place, colour and shape a task, with its intervals."""
    names = list(tasks)
    place = {
        "xOffset": alt.XOffset("task:N", sort=names, scale=alt.Scale(domain=names)),
        "color": alt.Color("task:N", title=None, scale=alt.Scale(domain=names, range="category")),
    }
    layers = []
    if any(row["lo"] is not None for row in here):
        bars = source.transform_filter("isValid(datum.lo)").mark_rule(strokeWidth=1.6, opacity=0.7, clip=True)
        layers.append(bars.encode(y=alt.Y("lo:Q", **y), y2="hi:Q", **place))
    for solid in {row["solid"] for row in here if row["value"] is not None}:
        known = source.transform_filter(f"isValid(datum.value) && datum.solid === {str(solid).lower()}")
        points = known.mark_point(filled=solid, size=58, opacity=1, strokeWidth=1.6)
        shape = alt.Shape("task:N", title=None, scale=alt.Scale(domain=names, range="symbol"))
        layers.append(points.encode(y=alt.Y("value:Q", **y), shape=shape, **place))
    return layers


def _many(source: alt.Chart, y: dict[str, Any]) -> list[alt.Chart]:
    """A line a task, without intervals."""
    known = source.transform_filter("isValid(datum.value)")
    lines = known.mark_line(style="laws", strokeWidth=0.8, opacity=0.35)
    points = known.mark_point(style="laws", filled=True, size=26, opacity=0.7)
    return [lines.encode(y=alt.Y("value:Q", **y), detail="task:N"), points.encode(y=alt.Y("value:Q", **y))]


def shots_figure(tasks: Sequence[str], rows: Rows) -> alt.ConcatChart:
    """The quantities that any law has, side by side."""
    some = {row["quantity"] for row in rows if row["value"] is not None or row["lo"] is not None}
    return alt.concat(*(shots_chart(quantity, tasks, rows) for quantity in TITLES if quantity in some), columns=3)


def shots_rows(all_views: Sequence[View]) -> Rows:
    """One row a task, number of shots and quantity; no value of e_IR where it is not identified."""
    rows: Rows = []
    for view in all_views:
        law = view.headline
        if law is None:
            continue
        base = {"task": view.task, "shots": view.shots, "solid": law.identified == "yes"}
        lo_hi = law.interval.e_ir if law.identified != "no" else None
        rows.append(
            {**base, "quantity": "e_ir", "value": law.e_ir if law.identified == "yes" else None,
             "lo": lo_hi[0] if lo_hi else None, "hi": lo_hi[1] if lo_hi else None, "text": floor_text(law)}
        )  # fmt: skip
        for quantity, value, ends in (("k", law.k, law.interval.k), ("alpha", law.alpha, law.interval.alpha)):
            closed = ends if ends is not None and ends[1] is not None and ends[0] > 0.0 else None
            rows.append(
                {**base, "quantity": quantity, "value": value, "lo": closed[0] if closed else None,
                 "hi": closed[1] if closed else None,
                 "text": number(value) + (f" [{number(ends[0])}, {number(ends[1])}]" if ends else "")}
            )  # fmt: skip
    return rows
