"""Upstream curves: validation error by images seen, one line a trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import altair as alt

from tepui_evaluator.figure_law import setting
from tepui_evaluator.figures import Rows, dashes, family_color, significant
from tepui_evaluator.report_data import ReportData

METRIC = "validation_error"
MAX_LINES, MAX_POINTS = 120, 40
"""More lines cannot be told apart: trials are then taken evenly from the best to the worst."""


def curves_chart(
    families: Sequence[str], *, width: float | Literal["container"] = "container", height: int = 340
) -> alt.Chart:
    """Lines over the dataset `curves`; colour and dash by family."""
    chart: alt.Chart = (
        alt.Chart(alt.NamedData("curves"))
        .mark_line(strokeWidth=1.3, opacity=0.75, point=alt.OverlayMarkDef(size=16, opacity=0.75))
        .encode(
            x=alt.X(
                "seen:Q",
                title="images seen",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~s", tickCount=6, grid=False, labelSeparation=8),
            ),
            y=alt.Y("error:Q", title="upstream validation error", axis=alt.Axis(format="~%", tickCount=6)),
            color=family_color(families).legend(symbolType="stroke", symbolSize=256),
            strokeDash=alt.StrokeDash("family:N", title=None, scale=dashes(families)),
            detail="trial:N",
            tooltip=[
                alt.Tooltip("trial:N"),
                alt.Tooltip("model:N"),
                alt.Tooltip("setting:N"),
                alt.Tooltip("seen:Q", title="images seen", format=",d"),
                alt.Tooltip("error:Q", title="validation error", format=".2%"),
            ],
        )
        .properties(width=width, height=height)
    )
    return chart


def curve_rows(data: ReportData) -> Rows:
    """One row a recorded point of the trials shown."""
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in data.curves:
        if row.metric == METRIC and row.examples_seen > 0:
            curves[row.trial].append((row.examples_seen, row.value))
    factors = {p.trial: p.factors for p in data.points}
    trials = sorted((t for t in data.trials if t.trial in curves), key=lambda t: t.upstream_error)
    step = max(1, -(-len(trials) // MAX_LINES))
    return [
        {
            "trial": t.trial,
            "model": t.model,
            "family": t.family,
            "setting": setting(factors.get(t.trial, {})),
            "seen": seen,
            "error": significant(error),
        }
        for t in trials[::step]
        for seen, error in _thinned(sorted(curves[t.trial]))
    ]


def shown_of(data: ReportData) -> tuple[int, int]:
    """How many trials have a line in the figure, and how many have a curve."""
    total = len({row.trial for row in data.curves if row.metric == METRIC} & {t.trial for t in data.trials})
    return -(-total // max(1, -(-total // MAX_LINES))), total


def _thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    step = max(1, -(-len(curve) // MAX_POINTS))
    return curve[:0:-step][::-1] if step > 1 else curve
