"""Rank correlation between upstream and downstream error: one cell a task and number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from tepui_evaluator.figures import Layers, Rows
from tepui_evaluator.report_view import View

_GAP = alt.Scale(type="band", paddingInner=0.05)


def spearman_chart(tasks: Sequence[str], *, width: float | Literal["container"] = "container") -> Layers:
    """Heat map over the dataset `spearman`; the number stands in each cell, so that colour is not needed."""
    source = alt.Chart(alt.NamedData("spearman"))
    bare: dict[str, Any] = {"grid": False, "domain": False, "ticks": False}
    x = alt.X("shots:O", title="shots", axis=alt.Axis(labelAngle=0, orient="top", **bare), scale=_GAP)
    y = alt.Y("task:N", title=None, sort=list(tasks), axis=alt.Axis(labelLimit=160, **bare), scale=_GAP)
    tooltip = [alt.Tooltip("task:N"), alt.Tooltip("shots:O"), alt.Tooltip("text:N", title="rank correlation")]
    scale = alt.Scale(domain=[-1, 0, 1], range="diverging", interpolate="rgb")
    cells = source.mark_rect(cornerRadius=3).encode(
        x=x, y=y, color=alt.Color("rho:Q", scale=scale, legend=None), tooltip=tooltip
    )
    strong = source.transform_filter("abs(datum.rho) > 0.6").mark_text(style="heat-strong")
    weak = source.transform_filter("abs(datum.rho) <= 0.6").mark_text(style="heat-weak")
    layers = alt.layer(cells, *(text.encode(x=x, y=y, text=alt.Text("rho:Q", format=".2f")) for text in (strong, weak)))
    return layers.properties(width=width, height=34 * len(tasks))


def spearman_rows(all_views: Sequence[View]) -> Rows:
    """One row a view whose laws carry a rank correlation."""
    rows: Rows = []
    for view in all_views:
        found = next((law.spearman for law in view.laws.values() if law.spearman is not None), None)
        if found is not None:
            ends = f" [{found.interval[0]:.2f}, {found.interval[1]:.2f}]" if found.interval else ""
            rows.append({"task": view.task, "shots": view.shots, "rho": found.rho, "text": f"{found.rho:.2f}{ends}"})
    return rows
