"""Rank correlations as heat maps: of upstream and downstream error by task and shots, and between all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from tepui_evaluator.figures import Layers, Rows, significant
from tepui_evaluator.rank_matrix import UPSTREAM, RankCell
from tepui_evaluator.report_view import View

_GAP = alt.Scale(type="band", paddingInner=0.05)
_BARE: dict[str, Any] = {"grid": False, "domain": False, "ticks": False}
_NUMBERS_UP_TO = 14  # tasks: with more, a number does not fit its cell at the page's width


def spearman_chart(tasks: Sequence[str], *, width: float | Literal["container"] = "container") -> Layers:
    """Upstream against downstream over the dataset `spearman`; a number in each cell, so that colour is not needed."""
    x = alt.X("shots:O", title="shots", axis=alt.Axis(labelAngle=0, orient="top", **_BARE), scale=_GAP)
    y = alt.Y("task:N", title=None, sort=list(tasks), axis=alt.Axis(labelLimit=160, **_BARE), scale=_GAP)
    tooltip = [alt.Tooltip("task:N"), alt.Tooltip("shots:O"), alt.Tooltip("text:N", title="rank correlation")]
    return _heat_map("spearman", x, y, tooltip).properties(width=width, height=34 * len(tasks))


def ranks_chart(tasks: Sequence[str], *, width: float | Literal["container"] = "container") -> Layers:
    """All pairs of upstream error and tasks over the dataset `ranks`."""
    names = [UPSTREAM, *tasks]
    few = len(tasks) <= _NUMBERS_UP_TO
    axis: dict[str, Any] = {**_BARE, "labelLimit": 120}
    x = alt.X(
        "b:N", title=None, sort=names, axis=alt.Axis(orient="top", labelAngle=0 if few else -60, **axis), scale=_GAP
    )
    y = alt.Y("a:N", title=None, sort=names, axis=alt.Axis(**axis), scale=_GAP)
    tooltip = [
        alt.Tooltip("a:N", title="error on"),
        alt.Tooltip("b:N", title="against"),
        alt.Tooltip("text:N", title="rank correlation"),
        alt.Tooltip("n:Q", title="models"),
    ]
    chart = _heat_map("ranks", x, y, tooltip, numbers=few)
    return chart.properties(width=width, height=(34 if few else 22) * len(names))


def _heat_map(data: str, x: alt.X, y: alt.Y, tooltip: list[alt.Tooltip], *, numbers: bool = True) -> Layers:
    source = alt.Chart(alt.NamedData(data))
    scale = alt.Scale(domain=[-1, 0, 1], range="diverging", interpolate="rgb")
    cells = source.mark_rect(cornerRadius=3).encode(
        x=x, y=y, color=alt.Color("rho:Q", scale=scale, legend=None), tooltip=tooltip
    )
    texts = []
    if numbers:
        strong = source.transform_filter("abs(datum.rho) > 0.6").mark_text(style="heat-strong")
        weak = source.transform_filter("abs(datum.rho) <= 0.6").mark_text(style="heat-weak")
        texts = [text.encode(x=x, y=y, text=alt.Text("rho:Q", format=".2f")) for text in (strong, weak)]
    return alt.layer(cells, *texts)


def spearman_rows(all_views: Sequence[View]) -> Rows:
    """One row a view whose laws carry a rank correlation."""
    rows: Rows = []
    for view in all_views:
        found = next((law.spearman for law in view.laws.values() if law.spearman is not None), None)
        if found is not None:
            text = with_ends(found.rho, found.interval)
            rows.append({"task": view.task, "shots": view.shots, "rho": found.rho, "text": text})
    return rows


def ranks_rows(cells: Sequence[RankCell]) -> Rows:
    """One row a pair of axes."""
    return [
        {"a": c.a, "b": c.b, "rho": significant(c.rho), "text": with_ends(c.rho, c.interval), "n": c.n} for c in cells
    ]


def with_ends(rho: float, interval: tuple[float, float] | None) -> str:
    """A correlation with its interval: 0.94 [0.88, 0.97]."""
    return f"{rho:.2f}" + ("" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]")
