"""Downstream error by layer: for tasks unlike the upstream one the last layer need not be the best.

After Abnar et al. 2022 (arXiv 2110.02095, section 4).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import altair as alt

from tepui_evaluator.figures import Rows, dashes, significant, wrapped
from tepui_evaluator.report_data import EvaluationPoint, ReportData

MAX_MODELS = 8


def layers_chart(models: Sequence[str], tasks: Sequence[str], width: int = 190) -> alt.FacetChart:
    """Small multiples by task over the dataset `layers`: one line a model, from the first block to the head."""
    lines = (
        alt.Chart(alt.NamedData("layers"))
        .mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(size=32))
        .encode(
            x=alt.X("depth:Q", title="depth", axis=alt.Axis(tickCount=4)),
            y=alt.Y(
                "error:Q",
                title="downstream error",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format="~%", tickCount=4),
            ),
            color=alt.Color(
                "model:N",
                title=None,
                scale=alt.Scale(domain=list(models), range="category"),
                legend=alt.Legend(symbolType="stroke", symbolSize=256),
            ),
            strokeDash=alt.StrokeDash("model:N", title=None, scale=dashes(models)),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("layer:N"),
                alt.Tooltip("error:Q", title="mean error", format=".2%"),
            ],
        )
        .properties(width=width, height=170)
    )
    return wrapped(lines, "task", tasks, own_y=True)


def layer_rows(data: ReportData) -> Rows:
    """Mean error over the trials of a model, by task and layer, at the largest number of shots; [] for one layer."""
    if len({p.layer for p in data.points}) < 2:
        return []
    largest: dict[str, int] = defaultdict(int)
    for p in data.points:
        largest[p.task] = max(largest[p.task], p.shots)
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for p in data.points:
        if p.shots == largest[p.task]:
            errors[p.task, p.model, p.layer].append(p.downstream_error)
    depths = _depths(data.points)
    shown = set(models_shown(data))
    return [
        {
            "task": task,
            "model": model,
            "layer": layer,
            "depth": depths[model, layer],
            "error": significant(fmean(values)),
        }
        for (task, model, layer), values in sorted(errors.items())
        if model in shown
    ]


def models_shown(data: ReportData) -> tuple[str, ...]:
    """The models with a line: at most MAX_MODELS, evenly from all."""
    names = sorted({p.model for p in data.points})
    return tuple(names[:: max(1, -(-len(names) // MAX_MODELS))])


def _depths(points: Sequence[EvaluationPoint]) -> dict[tuple[str, str], float]:
    """Relative depth in (0, 1] by model and layer: blocks in their order, the pooled output last."""
    layers: dict[str, set[str]] = defaultdict(set)
    for p in points:
        layers[p.model].add(p.layer)
    depths: dict[tuple[str, str], float] = {}
    for model, names in layers.items():
        ordered = sorted(names, key=lambda name: (name == "pooled", name))
        depths |= {(model, name): (i + 1) / len(ordered) for i, name in enumerate(ordered)}
    return depths
