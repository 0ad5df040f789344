"""What all figures share: a light and a dark theme, scales that survive black and white, and static pictures.

A figure is a Vega-Lite chart over named datasets. The report embeds one chart and fills it with the datasets of the
task that is looked at; a static picture is the same chart with its datasets inside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Rows = list[dict[str, Any]]
Spec = dict[str, Any]
Layers = alt.LayerChart | alt.FacetChart
"""What `alt.layer` makes."""

FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
# Okabe and Ito's palette (jfly.uni-koeln.de/color), reordered for contrast; the dark one is the same hues, lighter.
_LIGHT = ["#0072B2", "#D55E00", "#009E73", "#AA4499", "#B8860B", "#3E8FC4", "#5B5B5B"]
_DARK = ["#4DA6E0", "#FF8C42", "#2FC79A", "#DD8ACF", "#E3B341", "#8CCBF2", "#B5B5B5"]
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4], [1, 3], [6, 2, 2, 2]]


_FAMILIES_A_ROW = 6
_PANELS_A_ROW = 4


def theme(*, dark: bool) -> Spec:
    """Vega-Lite configuration; the charts name styles (`frontier`, `band`, `floor`, ...) and never a colour."""
    ink, soft, line = ("#E8E6E1", "#A8A59D", "#2E2F32") if dark else ("#1B1C1E", "#62605A", "#ECE9E3")
    accent = "#FF8FA3" if dark else "#B3123F"
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": _axis(ink, soft, line),
        "legend": _legend(ink, soft),
        "title": {
            "color": ink,
            "fontSize": 14,
            "fontWeight": 600,
            "anchor": "start",
            "subtitleColor": soft,
            "offset": 12,
        },
        "header": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 12.5,
            "labelFontWeight": 500,
            "titleFontSize": 12,
        },
        "range": {
            "category": _DARK if dark else _LIGHT,
            "symbol": _SHAPES,
            "ordinal": {"scheme": "viridis", "extent": [0.3, 1.0] if dark else [0.0, 0.85]},
            "diverging": ["#FF8C42", "#2B2C2F", "#4DA6E0"] if dark else ["#C2550A", "#F3F1EC", "#0B5F96"],
        },
        "style": _styles(ink, soft, accent, dark=dark),
    }


def _axis(ink: str, soft: str, line: str) -> Spec:
    """Axes."""
    return {
        "labelColor": soft,
        "titleColor": ink,
        "gridColor": line,
        "domainColor": soft,
        "tickColor": soft,
        "labelFontSize": 12,
        "titleFontSize": 12.5,
        "titleFontWeight": 500,
        "titlePadding": 10,
        "labelPadding": 6,
        "grid": True,
        "tickSize": 4,
        "domainWidth": 1,
    }


def _legend(ink: str, soft: str) -> Spec:
    """Legends, above the chart."""
    return {
        "labelColor": ink,
        "titleColor": soft,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "symbolSize": 70,
        "symbolStrokeWidth": 1.6,
        "symbolBaseStrokeColor": ink,
        "orient": "top",
        "direction": "horizontal",
        "labelLimit": 220,
        "offset": 12,
        "titleOrient": "left",
        "columnPadding": 16,
        "layout": {"top": {"center": True, "margin": 24}},
    }


def _styles(ink: str, soft: str, accent: str, *, dark: bool) -> Spec:
    """The styles that charts name."""
    text = {"font": FONT}
    return {
        "errorbar": {"color": soft, "strokeWidth": 1, "opacity": 0.55},
        "laws": {"color": ink, "strokeWidth": 2},
        "band": {"color": ink, "opacity": 0.13 if dark else 0.10},
        "heldout": {"color": soft, "opacity": 0.09},
        "heldout-label": {**text, "color": soft, "fontSize": 11},
        "floor": {"color": accent, "strokeWidth": 1.6, "strokeDash": [7, 4]},
        "floor-interval": {"color": accent, "strokeWidth": 5, "opacity": 0.75},
        "floor-label": {**text, "color": accent, "fontSize": 12.5, "fontWeight": 600},
        "best": {"color": accent, "stroke": accent, "strokeWidth": 1.8},
        "heat-strong": {**text, "color": "#101113" if dark else "#FFFFFF", "fontSize": 12},
        "heat-weak": {**text, "color": ink, "fontSize": 12},
        "missing": {**text, "color": soft, "fontSize": 12},
    }


def wrapped(panel: Any, field: str, names: Sequence[str], *, own_y: bool = False) -> alt.FacetChart:
    """Small multiples of a chart by a field's values, in rows as even as can be; an x axis each, so that an unfinished
    last row has none too many."""
    rows = -(-len(names) // _PANELS_A_ROW)
    facet = alt.Facet(f"{field}:N", title=None, sort=list(names))
    chart: alt.FacetChart = panel.facet(facet=facet, columns=-(-len(names) // max(1, rows)), spacing=24)
    chart = chart.resolve_axis(x="independent")
    return chart.resolve_scale(y="independent") if own_y else chart


def family_color(names: Sequence[str]) -> alt.Color:
    """Colour of a point by architecture family, the same in every figure."""
    scale = alt.Scale(domain=list(names), range="category")
    return alt.Color("family:N", title=None, scale=scale, legend=_family_legend(names))


def family_shape(names: Sequence[str]) -> alt.Shape:
    """Shape of a point by architecture family: what remains of colour in black and white."""
    scale = alt.Scale(domain=list(names), range="symbol")
    return alt.Shape("family:N", title=None, scale=scale, legend=_family_legend(names))


def _family_legend(names: Sequence[str]) -> alt.Legend:
    """Several rows where one would not leave room for the legend of lines."""
    return alt.Legend(columns=_FAMILIES_A_ROW) if len(names) > _FAMILIES_A_ROW else alt.Legend()


def dashes(names: Sequence[str]) -> alt.Scale:
    """A different dash for each of the names."""
    return alt.Scale(domain=list(names), range=[_DASHES[i % len(_DASHES)] for i in range(len(names))])


def to_spec(chart: alt.TopLevelMixin, datasets: Mapping[str, Rows] | None = None) -> Spec:
    """The chart as Vega-Lite JSON without a theme, with its datasets inside where they are given."""
    spec: Spec = chart.to_dict()
    spec.pop("config", None)
    if datasets is not None:
        spec["datasets"] = {name: list(rows) for name, rows in datasets.items()}
    return spec


def to_svg(spec: Spec) -> str:
    """A static picture, without a browser, in the light theme on white."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(json.dumps(_printed(spec)), vl_version=vega_lite_version()))


def to_png(spec: Spec, *, scale: float = 2.0, dark: bool = False) -> bytes:
    """The same as pixels; `scale` 2 is 144 dots per inch."""
    import vl_convert

    return bytes(
        vl_convert.vegalite_to_png(json.dumps(_printed(spec, dark=dark)), vl_version=vega_lite_version(), scale=scale)
    )


def _printed(spec: Spec, *, dark: bool = False) -> Spec:
    config = theme(dark=dark) | spec.get("config", {})
    config["background"] = "#17181A" if dark else "#FFFFFF"
    return spec | {"config": config, "padding": 12}


def point_look(n: int) -> dict[str, float]:
    """Area in square pixels and opacity of one of `n` points: many points get out of each other's way."""
    if n <= 150:
        return {"size": 60, "opacity": 0.85}
    return {"size": 28, "opacity": 0.6} if n <= 1000 else {"size": 12, "opacity": 0.4}


def significant(value: float) -> float:
    """Five decimals: a thousandth of a percent, more than any picture shows, and far fewer bytes."""
    return round(value, 5)


def vega_lite_version() -> str:
    """The Vega-Lite version that altair writes, as vl_convert names it: v6.4.1 is 6.4."""
    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
