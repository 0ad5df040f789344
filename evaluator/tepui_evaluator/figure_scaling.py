"""Controlled scaling: the same points once more, coloured by what was scaled, to see whether they fall on one curve.

After Abnar et al. 2022 (arXiv 2110.02095, section 2.3): whether data, model or length of training is scaled, the points
of one upstream task are said to move along one curve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

import altair as alt

from tepui_evaluator.figure_law import LINES, trial_tooltip, with_se
from tepui_evaluator.figures import Layers
from tepui_evaluator.report_text import words
from tepui_evaluator.scaling_series import CONTROLLED, FACTORS
from tepui_spec.law import ByValue

MAX_LEVELS = 16
"""Values of a factor that colours and shapes together can tell apart."""
_TITLES = {
    "dataFraction": "share of the upstream data",
    "epochs": "epochs",
    "model": "model",
    CONTROLLED: "what alone was scaled",
}


def scaled_factors(
    levels: Mapping[str, Sequence[ByValue]], series: Mapping[str, str]
) -> dict[str, tuple[ByValue, ...]]:
    """The factors worth a picture: they vary, and in few enough values; the controlled series first."""
    chosen = {name: tuple(levels[name]) for name in FACTORS if name in levels and len(levels[name]) <= MAX_LEVELS}
    return ({CONTROLLED: tuple(dict.fromkeys(map(words, series.values())))} if series else {}) | chosen


def scaling_chart(
    factor: str,
    levels: Sequence[ByValue],
    *,
    y_title: str,
    width: float | Literal["container"] = "container",
    height: int = 260,
) -> Layers:
    """One factor's picture over the datasets of `law_datasets`."""
    x = alt.X("x:Q", title="upstream error", axis=alt.Axis(format="~%", tickCount=5))
    y = alt.Y("y:Q", title=y_title, axis=alt.Axis(format="~%", tickCount=5))
    ordered = all(isinstance(level, int | float) for level in levels)
    scale = alt.Scale(domain=list(levels), range="ordinal" if ordered else "category")
    column = "model" if factor == "model" else f"f_{factor}"
    field = f"{column}:N"
    title = _TITLES.get(factor, words(factor))
    legend = alt.Legend(title=title, titleOrient="top", columns=3, labelLimit=90)
    line = (
        alt.Chart(alt.NamedData("lines"))
        .transform_filter(f"datum.line == '{LINES['average']}' && datum.part == 'seen'")
        .mark_line(style="laws", strokeWidth=1.4, strokeDash=[6, 3], clip=True)
        .encode(x=x, y=y)
    )
    points = (
        alt.Chart(alt.NamedData("points"))
        .transform_filter(f"indexof({json.dumps(list(levels))}, datum['{column}']) >= 0")
        .transform_calculate(upstream=with_se("x"), downstream=with_se("y"))
        .mark_point(filled=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color(field, scale=scale, legend=legend),
            shape=alt.Shape(field, scale=alt.Scale(domain=list(levels), range="symbol"), legend=legend),
            tooltip=trial_tooltip(),
        )
    )
    return alt.layer(line, points).properties(width=width, height=height)


def scaling_figure(factors: Mapping[str, Sequence[ByValue]], y_title: str) -> alt.ConcatChart:
    """All of `scaled_factors` side by side, over the datasets of `law_datasets`."""
    charts = [scaling_chart(name, values, y_title=y_title, width=280) for name, values in factors.items()]
    chart: alt.ConcatChart = alt.concat(*charts, columns=3).resolve_scale(color="independent", shape="independent")
    return chart
