"""All laws at a glance: one small picture a task and number of shots, on common axes."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from tepui_evaluator.figure_law import law_only_datasets, point_rows
from tepui_evaluator.figures import Rows, family_color, family_shape, wrapped
from tepui_evaluator.report_view import View

ALL_SHOTS_UP_TO = 8
"""Tasks: with more, only the largest number of shots is shown."""
POINTS_PER_PANEL = 150
_SHOTS_HEADER = "datum.value ? datum.value + '-shot error' : 'error'"


def overview_chart(
    families: Sequence[str], tasks: Sequence[str], shots: Sequence[int], width: int = 150
) -> alt.FacetChart:
    """Small multiples over the datasets of `overview_datasets`, in one source with a field `kind`."""
    x = alt.X("x:Q", title="upstream error", axis=alt.Axis(format="~%", tickCount=3))
    y = alt.Y("y:Q", title=None, axis=alt.Axis(format="~%", tickCount=3))
    everything = alt.Chart()
    layers = alt.layer(
        everything.transform_filter("datum.kind == 'band'")
        .mark_area(style="band", clip=True)
        .encode(x=x, y=y, y2="hi:Q"),
        everything.transform_filter("datum.kind == 'floor'").mark_rule(style="floor", clip=True).encode(y=y),
        everything.transform_filter("datum.kind == 'point'")
        .mark_point(filled=True, size=22, opacity=0.7)
        .encode(x=x, y=y, color=family_color(families), shape=family_shape(families), tooltip=["trial:N", "model:N"]),
        everything.transform_filter("datum.kind == 'law'").mark_line(style="laws", strokeWidth=1.6).encode(x=x, y=y),
        data=alt.NamedData("overview"),
    ).properties(width=width, height=round(width * 0.72))
    if len(tasks) <= ALL_SHOTS_UP_TO and len(shots) > 1:
        return layers.facet(
            row=alt.Row("task:N", title=None, sort=list(tasks), header=alt.Header(labelAngle=-90, labelPadding=8)),
            column=alt.Column("shots:O", title=None, sort=list(shots), header=alt.Header(labelExpr=_SHOTS_HEADER)),
            spacing=14,
        )
    return wrapped(layers, "task", tasks)


def overview_datasets(all_views: Sequence[View]) -> dict[str, Rows]:
    """One dataset for all panels; points are thinned to POINTS_PER_PANEL, the best downstream always kept."""
    rows: Rows = []
    tasks = {view.task for view in all_views}
    for view in all_views:
        largest = max(v.shots for v in all_views if v.task == view.task)
        if len(tasks) <= ALL_SHOTS_UP_TO or view.shots == largest:
            rows.extend({"task": view.task, "shots": view.shots, **row} for row in _panel(view))
    return {"overview": rows}


def _panel(view: View) -> Rows:
    law = law_only_datasets(view)
    by_error = sorted(view.points, key=lambda p: p.downstream_error)
    step = max(1, -(-len(by_error) // POINTS_PER_PANEL))
    kept = ("trial", "model", "family", "x", "y")
    return [
        *({"kind": "point", **{name: row[name] for name in kept}} for row in point_rows(by_error[::step])),
        *({"kind": "band", "x": row["x"], "y": row["lo"], "hi": row["hi"]} for row in law["band"]),
        *({"kind": "law", "x": row["x"], "y": row["y"]} for row in _headline_line(view, law["lines"])),
        *({"kind": "floor", **row} for row in law["asymptote"]),
    ]


def _headline_line(view: View, lines: Rows) -> Rows:
    from tepui_evaluator.figure_law import LINES

    name = LINES.get(view.headline.law) if view.headline is not None else None
    return [row for row in lines if row["line"] == name and row["part"] == "seen"][::4]
