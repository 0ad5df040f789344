"""Head weight decay and learning rate: error by their value, upstream and on every task, with the best value ringed."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from tepui_evaluator.figures import Rows, significant, wrapped
from tepui_evaluator.head_tradeoff import HeadTradeoff
from tepui_evaluator.points import FloatArray
from tepui_evaluator.rank_matrix import UPSTREAM

TITLES = {"headWeightDecay": "head weight decay", "headLrScale": "head learning rate over the body's"}


def heads_figure(rows: Rows, tasks: Sequence[str]) -> alt.VConcatChart:
    """A row of small pictures for each factor, upstream first, over the dataset `heads` (`rows`)."""
    factors = dict.fromkeys(row["factor"] for row in rows)
    charts = [_factor_chart(factor, [UPSTREAM, *tasks]) for factor in factors]
    chart: alt.VConcatChart = alt.vconcat(*charts, spacing=36)
    return chart


def _factor_chart(factor: str, panels: Sequence[str], width: int = 170) -> alt.FacetChart:
    x = alt.X("level:O", title=TITLES[factor], axis=alt.Axis(labelAngle=0, grid=False, labelOverlap=True))
    y = alt.Y("error:Q", title="error", scale=alt.Scale(zero=False), axis=alt.Axis(format="~%", tickCount=4))
    tooltip = [
        alt.Tooltip("panel:N", title="task"),
        alt.Tooltip("level:O", title=TITLES[factor]),
        alt.Tooltip("error:Q", title="mean error", format=".2%"),
        alt.Tooltip("spread:N", title="over blocks"),
    ]
    mean = alt.Chart().transform_filter("datum.block === null")
    single = alt.Chart().transform_filter("datum.block !== null")
    layers = alt.layer(
        single.mark_line(style="laws", strokeWidth=0.7, opacity=0.22).encode(x=x, y=y, detail="block:N"),
        mean.mark_line(style="laws", strokeWidth=2, point=False).encode(x=x, y=y),
        mean.mark_point(style="laws", filled=True, size=36, opacity=1).encode(x=x, y=y, tooltip=tooltip),
        mean.transform_filter("datum.best").mark_point(style="best", filled=False, size=190).encode(x=x, y=y),
        data=alt.NamedData("heads"),
    ).properties(width=width, height=140)
    return wrapped(layers.transform_filter(f"datum.factor === '{factor}'"), "panel", panels, own_y=True)


def heads_rows(tradeoffs: Sequence[HeadTradeoff]) -> Rows:
    """The mean over blocks and, while they can be told apart, each block; upstream once, from the first task."""
    rows: Rows = []
    seen: set[str] = set()
    for found in tradeoffs:
        if found.factor not in seen:
            seen.add(found.factor)
            rows += _panel(found, UPSTREAM, found.upstream_BL)
        rows += _panel(found, found.task, found.downstream_BL)
    return rows


_BLOCKS_UP_TO = 30


def _panel(found: HeadTradeoff, panel: str, errors_BL: FloatArray) -> Rows:
    means = errors_BL.mean(axis=0)
    best, blocks = int(np.argmin(means)), errors_BL.shape[0]
    base = {"factor": found.factor, "panel": panel}
    rows: Rows = [
        {**base, "level": level, "error": significant(float(means[i])), "block": None, "best": i == best,
         "spread": f"{blocks} sets of alike models, {errors_BL[:, i].min():.1%} to {errors_BL[:, i].max():.1%}"}
        for i, level in enumerate(found.levels)
    ]  # fmt: skip
    if 1 < blocks <= _BLOCKS_UP_TO:
        rows += [
            {**base, "level": level, "error": significant(float(errors_BL[b, i])), "block": b, "best": False}
            for b in range(blocks)
            for i, level in enumerate(found.levels)
        ]
    return rows
