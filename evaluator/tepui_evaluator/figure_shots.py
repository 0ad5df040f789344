"""The law against the number of shots: e_IR, k and alpha of each task with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import altair as alt

from tepui_evaluator.figures import Layers, Rows
from tepui_evaluator.report_text import floor_text, number
from tepui_evaluator.report_view import View

Quantity = Literal["e_ir", "k", "alpha"]
_LOG_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
TITLES: dict[Quantity, str] = {"e_ir": "floor e_IR", "k": "coefficient k", "alpha": "exponent alpha"}


def shots_chart(quantity: Quantity, tasks: Sequence[str], rows: Rows, *, width: int = 280, height: int = 260) -> Layers:
    """One quantity over the dataset `shots` (`rows`): intervals as bars, open points where e_IR is not identified."""
    here = [row for row in rows if row["quantity"] == quantity]
    source = alt.Chart(alt.NamedData("shots")).transform_filter(f"datum.quantity === '{quantity}'")
    is_error, title, names = quantity == "e_ir", TITLES[quantity], list(tasks)
    axis = alt.Axis(format="~%", tickCount=5) if is_error else alt.Axis(values=_LOG_TICKS)
    scale = alt.Scale(zero=True) if is_error else alt.Scale(type="log", nice=True)
    place = {
        "x": alt.X(
            "shots:O",
            title="shots (labelled images per class)",
            axis=alt.Axis(labelAngle=0, grid=False),
            scale=alt.Scale(type="band", domain=sorted({row["shots"] for row in rows}), paddingInner=0.25),
        ),
        "xOffset": alt.XOffset("task:N", sort=names, scale=alt.Scale(domain=names)),
        "color": alt.Color("task:N", title=None, scale=alt.Scale(domain=names, range="category")),
        "tooltip": [alt.Tooltip("task:N"), alt.Tooltip("shots:O"), alt.Tooltip("text:N", title=title)],
    }
    layers = []
    if any(row["lo"] is not None for row in here):
        bars = source.transform_filter("isValid(datum.lo)").mark_rule(strokeWidth=1.6, opacity=0.7, clip=True)
        layers.append(bars.encode(y=alt.Y("lo:Q", title=title, axis=axis, scale=scale), y2="hi:Q", **place))
    for solid in {row["solid"] for row in here if row["value"] is not None}:
        known = source.transform_filter(f"isValid(datum.value) && datum.solid === {str(solid).lower()}")
        points = known.mark_point(filled=solid, size=58, opacity=1, strokeWidth=1.6)
        shape = alt.Shape("task:N", title=None, scale=alt.Scale(domain=names, range="symbol"))
        layers.append(points.encode(y=alt.Y("value:Q", title=title, axis=axis, scale=scale), shape=shape, **place))
    return alt.layer(*layers).properties(width=width, height=height)


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
