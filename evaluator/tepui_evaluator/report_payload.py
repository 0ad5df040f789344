"""What the browser needs to draw the figures: charts once, data by column, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tepui_evaluator.figure_curves import curve_rows, curves_chart
from tepui_evaluator.figure_heads import heads_figure, heads_rows
from tepui_evaluator.figure_law import error_title, law_chart, law_only_datasets, point_rows
from tepui_evaluator.figure_layer_laws import layer_laws_chart, layer_laws_rows
from tepui_evaluator.figure_layers import layer_rows, layers_chart, models_shown
from tepui_evaluator.figure_overview import overview_chart, overview_datasets
from tepui_evaluator.figure_sampled import sampled_chart, sampled_rows
from tepui_evaluator.figure_scaling import scaled_factors, scaling_figure
from tepui_evaluator.figure_shots import shots_figure, shots_rows
from tepui_evaluator.figure_spearman import ranks_chart, ranks_rows, spearman_chart, spearman_rows
from tepui_evaluator.figures import Rows, Spec, point_look, significant, theme, to_spec
from tepui_evaluator.findings import Findings
from tepui_evaluator.report_data import EvaluationPoint, ReportData
from tepui_evaluator.report_view import View, factor_levels, families, task_order, thinned

POINT_BUDGET = 120_000
"""Points in one file, over all tasks and shots: with more, each view is thinned and says so."""
ERROR_TITLE = "@ERROR@"
"""Stands in the charts for the title of the downstream axis, which the page fills in."""
_OF_VIEW = ("y", "y_se", "bar")
_ONE_PAIR = 2  # cells: one task against upstream, both ways round

Packed = dict[str, Any]


def payload(data: ReportData, all_views: Sequence[View], found: Findings) -> dict[str, Any]:
    """Plain data for JSON: themes, charts by name, datasets by name, and per view its own small datasets."""
    limit = max(200, POINT_BUDGET // max(1, len(all_views)))
    models = _Models()
    return {
        "themes": {"light": theme(dark=False), "dark": theme(dark=True)},
        "charts": charts(data, all_views, found),
        "datasets": {name: pack(rows) for name, rows in datasets(data, all_views, found).items()},
        "views": {view.key: _view(view, thinned(view.points, limit), models, found.series) for view in all_views},
        "models": pack(models.rows),
    }


def charts(data: ReportData, all_views: Sequence[View], found: Findings) -> dict[str, Spec]:
    """Every chart that has something to show, over named datasets."""
    names, tasks = families(data), task_order(data)
    tasks = tuple(task for task in tasks if any(view.task == task for view in all_views))
    made: dict[str, Spec] = {}
    if any(view.points for view in all_views):
        shots = sorted({view.shots for view in all_views})
        made["law"] = to_spec(law_chart(names, y_title=ERROR_TITLE))
        made["law_log"] = to_spec(law_chart(names, y_title=ERROR_TITLE, log=True))
        made["overview"] = to_spec(overview_chart(names, tasks, shots))
    factors = scaled_factors(factor_levels(data), found.series)
    if "law" in made and factors:
        made["scaling"] = to_spec(scaling_figure(factors, ERROR_TITLE))
    if found.trends:
        made["shots"] = to_spec(shots_figure(tasks, shots_rows(all_views)))
    if spearman_rows(all_views):
        made["spearman"] = to_spec(spearman_chart(tasks))
    if len(found.ranks) > _ONE_PAIR:
        made["ranks"] = to_spec(ranks_chart(tasks))
    if layer_rows(data):
        made["layers"] = to_spec(layers_chart(models_shown(data), tasks))
    if data.layer_laws:
        made["layer_laws"] = to_spec(layer_laws_chart(tasks))
    if found.heads:
        made["heads"] = to_spec(heads_figure(heads_rows(found.heads), tasks))
    if sampled_rows(data.sampled):
        made["sampled"] = to_spec(sampled_chart(tasks))
    if curve_rows(data):
        made["curves"] = to_spec(curves_chart(names))
    return made


def datasets(data: ReportData, all_views: Sequence[View], found: Findings) -> dict[str, Rows]:
    """The datasets of the charts that do not depend on a chosen view."""
    return {
        "shots": shots_rows(all_views),
        "spearman": spearman_rows(all_views),
        "ranks": ranks_rows(found.ranks),
        "layers": layer_rows(data),
        "layer_laws": layer_laws_rows(data, all_views),
        "heads": heads_rows(found.heads),
        "sampled": sampled_rows(data.sampled),
        "curves": curve_rows(data),
        **overview_datasets(all_views),
    }


class _Models:
    """What a point says of its model, once a checkpoint and not once a task."""

    def __init__(self) -> None:
        self.rows: Rows = []
        self._numbers: dict[tuple[str, int, float], int] = {}

    def number(self, point: EvaluationPoint, row: Mapping[str, Any]) -> int:
        key = (point.trial, point.step, point.upstream_error)
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            self.rows.append({name: value for name, value in row.items() if name not in _OF_VIEW})
        return self._numbers[key]


def _view(view: View, points: Sequence[EvaluationPoint], models: _Models, series: Mapping[str, str]) -> dict[str, Any]:
    rows = point_rows(points, series)
    own = [
        {"m": models.number(point, row), **{name: row[name] for name in _OF_VIEW}}
        for point, row in zip(points, rows, strict=True)
    ]
    return {
        "task": view.task,
        "shots": view.shots,
        "error": error_title(view),
        "n": len(view.points),
        "look": point_look(len(points)),
        "points": pack(own),
        **{name: pack(rows) for name, rows in law_only_datasets(view).items()},
    }


def pack(rows: Rows) -> Packed:
    """Rows by column: one value where all are equal, a dictionary for repeated text, floats to five decimals."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {"n": len(rows), "columns": {name: _column([row.get(name) for row in rows]) for name in names}}


def _column(values: list[Any]) -> Any:
    values = [significant(v) if isinstance(v, float) else v for v in values]
    if all(v == values[0] and type(v) is type(values[0]) for v in values):
        return {"all": values[0]}
    if all(isinstance(v, str) for v in values):
        distinct = {text: i for i, text in enumerate(dict.fromkeys(values))}
        if len(distinct) * 2 <= len(values):
            return {"of": list(distinct), "at": [distinct[v] for v in values]}
    return {"each": values}
