"""The law: points by family, what the best and the average models reach, the band, and the floor e_IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np

from tepui_evaluator.figures import Layers, Rows, Spec, dashes, family_color, family_shape, point_look, to_spec
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_text import error_name, floor_text, words
from tepui_evaluator.report_view import View, thinned
from tepui_spec.law import Band, Law

LINES = {"frontier": "frontier law", "average": "average law", "hull": "hull of the points"}
_X_TITLE = "upstream error  (better pre-training ←)"
_POSITIVE = "datum.far !== true && " + " && ".join(
    f"(!isDefined(datum.{f}) || datum.{f} > 0)" for f in ("x", "y", "lo")
)
_LOG_TICKS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
_LOG_REACH = 0.7  # of the smallest upstream error: how far a logarithmic axis goes beyond the data
MAX_POINTS = 1500
"""In a static picture; more are not told apart and make a large file."""
_CURVE_POINTS = 61
_ERRORBARS_UP_TO = 80  # models; more bars hide the points


@dataclass(frozen=True)
class _Axes:
    """The two position channels, the same in every layer."""

    y_title: str
    log: bool

    def x(self, field: str = "x:Q") -> alt.X:
        return alt.X(
            field, title=_X_TITLE, scale=self._scale(), axis=alt.Axis(format="~%", tickCount=8, **self._ticks())
        )

    def y(self, field: str = "y:Q") -> alt.Y:
        return alt.Y(
            field, title=self.y_title, scale=self._scale(), axis=alt.Axis(format="~%", tickCount=7, **self._ticks())
        )

    def _ticks(self) -> dict[str, Any]:
        return {"values": _LOG_TICKS} if self.log else {}

    def _scale(self) -> alt.Scale:
        if self.log:
            return alt.Scale(type="log", nice=False, padding=14)
        return alt.Scale(type="linear", domainMin=0, nice=True, zero=True)


def law_chart(
    families: Sequence[str],
    *,
    y_title: str,
    log: bool = False,
    width: float | Literal["container"] = "container",
    height: int = 420,
) -> Layers:
    """The figure of one law over the datasets of `law_datasets`. Logarithmic axes leave out what is not positive."""
    axes = _Axes(y_title=y_title, log=log)
    layers = [
        *_heldout(axes),
        _band(axes),
        *_floor(axes),
        _errorbars(axes),
        _points(axes, families),
        _lines(axes, frontier=False),
        _lines(axes, frontier=True),
        _floor_label(axes),
    ]
    if log:
        layers = [layer.transform_filter(_POSITIVE) for layer in layers]
    return alt.layer(*layers).properties(width=width, height=height)


def _data(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name))


def _heldout(axes: _Axes) -> tuple[alt.Chart, alt.Chart]:
    rect = (
        _data("heldout").mark_rect(style="heldout").encode(axes.x(), x2="x2:Q", y=alt.value(0), y2=alt.value("height"))
    )
    label = _data("heldout").mark_text(style="heldout-label", align="left", baseline="top", dx=5, dy=5)
    return rect, label.encode(axes.x(), y=alt.value(0), text="label:N")


def _band(axes: _Axes) -> alt.Chart:
    band: alt.Chart = _data("band").mark_area(style="band", clip=True).encode(axes.x(), axes.y("lo:Q"), y2="hi:Q")
    return band


def _floor(axes: _Axes) -> tuple[alt.Chart, alt.Chart]:
    bar = _data("floor").mark_rule(style="floor-interval").encode(axes.y("lo:Q"), x=alt.value(0), y2="hi:Q")
    return bar, _data("asymptote").mark_rule(style="floor").encode(axes.y())


def _floor_label(axes: _Axes) -> alt.Chart:
    text = _data("label").mark_text(style="floor-label", align="right", baseline="bottom", dy=-5, dx=-4)
    label: alt.Chart = text.encode(axes.y(), x=alt.value("width"), text="label:N")
    return label


def _errorbars(axes: _Axes) -> alt.Chart:
    ends = _data("points").transform_filter("datum.bar")
    ends = ends.transform_calculate(lo="max(datum.y - datum.y_se, 1e-9)", hi="datum.y + datum.y_se")
    bars: alt.Chart = ends.mark_rule(style="errorbar").encode(axes.x(), axes.y("lo:Q"), y2="hi:Q")
    return bars


def _lines(axes: _Axes, *, frontier: bool) -> alt.Chart:
    names = list(LINES.values())
    chosen = _data("lines").transform_filter(f"datum.line {'===' if frontier else '!=='} '{LINES['frontier']}'")
    lines: alt.Chart = chosen.mark_line(style="laws", strokeWidth=2.4 if frontier else 1.4, clip=True).encode(
        axes.x(),
        axes.y(),
        detail="part:N",
        strokeDash=alt.StrokeDash("line:N", title=None, scale=dashes(names), legend=alt.Legend(symbolSize=256)),
        strokeOpacity=alt.StrokeOpacity("faded:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[1.0, 0.4])),
    )
    return lines


def _points(axes: _Axes, families: Sequence[str]) -> alt.Chart:
    points: alt.Chart = (
        _data("points")
        .transform_calculate(upstream=with_se("x"), downstream=with_se("y"))
        .mark_point(filled=True)
        .encode(axes.x(), axes.y(), color=family_color(families), shape=family_shape(families), tooltip=trial_tooltip())
    )
    return points


def with_se(axis: str) -> str:
    """Vega expression for the error on an axis with its standard error, as in 12.34% ± 0.56%."""
    error, se = f"datum.{axis}", f"datum.{axis}_se"
    return f"format({error}, '.2%') + (isValid({se}) ? ' ± ' + format({se}, '.2%') : '')"


def trial_tooltip() -> list[alt.Tooltip]:
    """What a point says of its trial; needs the calculated fields `upstream` and `downstream`."""
    titles = {
        "trial": "trial",
        "model": "model",
        "family": "family",
        "setting": "setting",
        "upstream": "upstream error",
        "downstream": "downstream error",
    }
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def law_datasets(view: View, series: Mapping[str, str] | None = None) -> dict[str, Rows]:
    """All datasets of `law_chart` for one view; `series` as in `point_rows`."""
    return {"points": point_rows(thinned(view.points, MAX_POINTS), series), **law_only_datasets(view)}


def law_only_datasets(view: View) -> dict[str, Rows]:
    """The datasets that are not points: small, whatever the number of models."""
    law = view.headline
    band = None if law is None else view.bands.get(law.law)
    return {
        "lines": _line_rows(view),
        "band": [] if law is None or band is None else _band_rows(band, _LOG_REACH * (law.x_min or 0.0)),
        "heldout": [] if law is None else _heldout_rows(law),
        **_floor_rows(law),
    }


def point_rows(points: Sequence[EvaluationPoint], series: Mapping[str, str] | None = None) -> Rows:
    """One row a model; `series` has the factor that alone was scaled, by trial."""
    bars = len(points) <= _ERRORBARS_UP_TO
    return [
        {
            "trial": p.trial,
            "model": p.model,
            "family": p.family,
            "setting": setting(p.factors),
            "x": p.upstream_error,
            "x_se": p.upstream_se,
            "y": p.downstream_error,
            "y_se": p.downstream_se,
            "bar": bars and p.downstream_se is not None,
            **{f"f_{name}": value for name, value in p.factors.items()},
            **({"f_controlled": words(series[p.trial])} if series and p.trial in series else {}),
        }
        for p in points
    ]


def setting(factors: Mapping[str, Any]) -> str:
    """The factors of a trial in a line."""
    return ", ".join(
        f"{words(name)} {value:g}" if isinstance(value, float) else f"{words(name)} {value}"
        for name, value in factors.items()
        if name != "model"
    )


def _line_rows(view: View) -> Rows:
    rows: Rows = []
    for kind in ("frontier", "average"):
        law = view.laws.get(kind)
        if law is not None:
            rows.extend({"line": LINES[kind], **row} for row in _curve(law))
    hull = hull_vertices(view.points)
    rows.extend({"line": LINES["hull"], "part": "seen", "faded": 0, "x": x, "y": y} for x, y in hull if len(hull) > 1)
    return rows


def _curve(law: Law) -> Rows:
    """The law over the data, and from there to zero where the data identify e_IR."""
    if law.x_min is None or law.x_max is None or law.at(law.x_max) is None:
        return []
    seen = np.linspace(law.x_min, law.x_max, _CURVE_POINTS)
    parts = [("seen", seen)]
    if law.identified == "yes" and law.x_min > 0.0:
        parts.append(("extrapolated", np.linspace(0.0, law.x_min, 21)))
    far = _LOG_REACH * law.x_min
    at = [(part, float(x), law.at(float(x))) for part, xs in parts for x in xs]
    return [
        {"part": part, "faded": int(part != "seen"), "x": x, "y": y, "far": x < far}
        for part, x, y in at
        if y is not None and y <= 1.0
    ]


def hull_vertices(points: Sequence[EvaluationPoint]) -> list[tuple[float, float]]:
    """Upstream and downstream error of the hull's vertices, from the best upstream to the worst."""
    x_N = np.array([p.upstream_error for p in points])
    y_N = np.array([p.downstream_error for p in points])
    return [(float(x_N[i]), float(y_N[i])) for i in lower_hull(x_N, y_N)] if points else []


def _band_rows(band: Band, far: float) -> Rows:
    ends = zip(band.x, band.lo, band.hi, strict=True)
    return [{"x": x, "lo": lo, "hi": hi, "far": x < far} for x, lo, hi in ends if lo is not None and hi is not None]


def _heldout_rows(law: Law) -> Rows:
    score = law.heldout
    if score is None or law.x_min is None or score.test_n == 0:
        return []
    return [{"x": law.x_min, "x2": score.x_split, "label": "held out in the check"}]


def _floor_rows(law: Law | None) -> dict[str, Rows]:
    """Interval, asymptote and words of e_IR; a line stands only where the flag allows it."""
    if law is None:
        return {"floor": [], "asymptote": [], "label": []}
    ends, said = law.interval.e_ir, f"e_IR {floor_text(law)}"
    if law.identified == "no" or ends is None:
        return {"floor": [], "asymptote": [], "label": [{"y": 0.0, "label": said}]}
    at = {"yes": law.e_ir, "at_most": ends[1], "weak": ends[1]}[law.identified]
    line = [{"y": at}] if law.identified != "weak" else [{"y": end} for end in ends]
    return {"floor": [{"lo": ends[0], "hi": ends[1]}], "asymptote": line, "label": [{"y": at, "label": said}]}


def error_title(view: View) -> str:
    """Title of the downstream axis."""
    return error_name(view.task, view.shots)


def law_figure(view: View, families: Sequence[str], *, log: bool = False, width: int = 640, height: int = 420) -> Spec:
    """One law as a complete specification, for a static picture."""
    chart = law_chart(families, y_title=error_title(view), log=log, width=width, height=height)
    datasets = law_datasets(view)
    return to_spec(chart, datasets) | {"config": {"point": point_look(len(datasets["points"]))}}
