"""Downstream against upstream error for features from each quarter of the models' depth: a law each, on one picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import altair as alt
import numpy as np

from tepui_evaluator.figures import Rows, dashes, significant, wrapped
from tepui_evaluator.layer_depth import QUARTERS, by_quarter
from tepui_evaluator.report_data import EvaluationPoint, ReportData
from tepui_evaluator.report_view import HEADLINE_LAYER, View, largest_shots
from tepui_spec.law import Law

DEPTHS: dict[str, str] = {**{q: f"{share:.0%} of the blocks" for q, share in QUARTERS.items()}, HEADLINE_LAYER: "head"}
"""What the layers are called in words, in their order."""
_POINTS_PER_DEPTH = 40
_CURVE_POINTS = 31


def layer_laws_chart(tasks: Sequence[str], width: int = 190) -> alt.FacetChart:
    """Small multiples by task over the dataset `layer_laws`: points and the average law, by depth."""
    x = alt.X("x:Q", title="upstream error", axis=alt.Axis(format="~%", tickCount=4))
    y = alt.Y("y:Q", title="downstream error", axis=alt.Axis(format="~%", tickCount=4))
    names = list(DEPTHS.values())
    legend = alt.Legend(symbolType="stroke", symbolSize=256, symbolOpacity=1)
    color = alt.Color("depth:N", title=None, sort=names, scale=alt.Scale(domain=names, range="ordinal"), legend=legend)
    dash = alt.StrokeDash("depth:N", title=None, sort=names, scale=dashes(names))
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("trial", "model", "depth")]
    errors = [
        alt.Tooltip("x:Q", title="upstream error", format=".2%"),
        alt.Tooltip("y:Q", title="downstream error", format=".2%"),
    ]
    point, line = (alt.Chart().transform_filter(f"datum.kind === '{kind}'") for kind in ("point", "law"))
    layers = alt.layer(
        point.mark_point(filled=True, size=14, opacity=0.45).encode(x=x, y=y, color=color, tooltip=[*tooltip, *errors]),
        line.mark_line(strokeWidth=1.8, clip=True).encode(x=x, y=y, color=color, strokeDash=dash),
        data=alt.NamedData("layer_laws"),
    ).properties(width=width, height=round(width * 0.8))
    return wrapped(layers, "task", tasks, own_y=True)


def layer_laws_rows(data: ReportData, all_views: Sequence[View]) -> Rows:
    """The average laws by depth with the points of each, at every task's largest number of shots; [] for one layer."""
    if not data.layer_laws:
        return []
    shots = {view.task: view.shots for view in largest_shots(all_views)}
    head = [view.laws["average"] for view in largest_shots(all_views) if "average" in view.laws]
    laws = [law for law in (*data.layer_laws, *head) if law.law == "average"]
    rows = [row for law in laws for row in _curve(law)]
    for task, of_depth in _points(data.points, shots).items():
        for depth, points in of_depth.items():
            rows += [_point(task, depth, p) for p in points[:: -(-len(points) // _POINTS_PER_DEPTH)]]
    return rows


def _curve(law: Law) -> Rows:
    if law.x_min is None or law.x_max is None:
        return []
    base = {"kind": "law", "task": law.by["task"], "depth": DEPTHS[str(law.by.get("layer", HEADLINE_LAYER))]}
    at = [(float(x), law.at(float(x))) for x in np.linspace(law.x_min, law.x_max, _CURVE_POINTS)]
    return [{**base, "x": significant(x), "y": significant(y)} for x, y in at if y is not None]


def _points(points: Sequence[EvaluationPoint], shots: dict[str, int]) -> dict[str, dict[str, list[EvaluationPoint]]]:
    of_task: dict[str, dict[str, dict[str, EvaluationPoint]]] = defaultdict(lambda: defaultdict(dict))
    for p in sorted(points, key=lambda p: p.upstream_error):
        if shots.get(p.task) == p.shots:
            of_task[p.task][f"{p.trial}@{p.step}"][p.layer] = p
    return {
        task: by_quarter(of_trial)
        | {HEADLINE_LAYER: [of[HEADLINE_LAYER] for of in of_trial.values() if HEADLINE_LAYER in of]}
        for task, of_trial in of_task.items()
    }


def _point(task: str, depth: str, p: EvaluationPoint) -> dict[str, object]:
    errors = {"x": significant(p.upstream_error), "y": significant(p.downstream_error)}
    return {"kind": "point", "task": task, "depth": DEPTHS[depth], "trial": p.trial, "model": p.model, **errors}
