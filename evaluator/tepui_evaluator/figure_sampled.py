"""How many models the law needs: fit and prediction error of the published laws by the number of models sampled.

After Abnar et al. 2022 (arXiv 2110.02095, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from tepui_evaluator.figures import Rows, dashes, significant, wrapped
from tepui_spec.law import Sampled, Spread

LAWS = {"hull": "hull", "all_points": "all points"}
_MEASURES = {"prediction_error": "predicting held-out models", "fit_error": "fitting the sample"}


def sampled_chart(tasks: Sequence[str], width: int = 190) -> alt.FacetChart:
    """Small multiples by task over the dataset `sampled`: median and middle 80% of samples, by law and measure."""
    x = alt.X(
        "models:Q",
        title="models sampled",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(tickCount=4, format="d"),
    )
    y = alt.Y("median:Q", title="root mean squared error", axis=alt.Axis(format="~%", tickCount=4))
    laws, measures = list(LAWS.values()), list(_MEASURES.values())
    stroke = alt.Legend(symbolType="stroke", symbolSize=256, symbolOpacity=1)
    color = alt.Color("law:N", title="law of", scale=alt.Scale(domain=laws, range="category"), legend=stroke)
    tooltip = [
        alt.Tooltip("law:N", title="law of"),
        alt.Tooltip("measure:N"),
        alt.Tooltip("models:Q", title="models sampled"),
        alt.Tooltip("median:Q", format=".2%"),
        alt.Tooltip("low:Q", title="10th percentile", format=".2%"),
        alt.Tooltip("high:Q", title="90th percentile", format=".2%"),
    ]
    predicted = alt.Chart().transform_filter(f"datum.measure === '{_MEASURES['prediction_error']}'")
    lines = alt.layer(
        predicted.mark_area(opacity=0.14, clip=True).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=color),
        alt.Chart()
        .mark_line(style="laws", strokeWidth=1.7, clip=True, point=alt.OverlayMarkDef(size=24))
        .encode(
            x=x,
            y=y,
            color=color,
            strokeDash=alt.StrokeDash("measure:N", title=None, scale=dashes(measures), legend=stroke),
            tooltip=tooltip,
        ),
        data=alt.NamedData("sampled"),
    ).properties(width=width, height=150)
    return wrapped(lines, "task", tasks, own_y=True)


def sampled_rows(sampled: Sequence[Sampled]) -> Rows:
    """One row a task, law, measure and number of models, at the largest number of shots of the task."""
    largest: dict[str, int] = {}
    for found in sampled:
        largest[str(found.by["task"])] = max(int(found.by["shots"]), largest.get(str(found.by["task"]), 0))
    rows: Rows = []
    for found in sampled:
        if int(found.by["shots"]) == largest[str(found.by["task"])]:
            for measure, words in _MEASURES.items():
                spread: Spread | None = getattr(found, measure)
                if spread is not None:
                    ends = {name: significant(getattr(spread, name)) for name in ("median", "low", "high")}
                    base = {"task": found.by["task"], "law": LAWS[found.law], "measure": words, "models": found.models}
                    rows.append({**base, **ends})
    return rows
