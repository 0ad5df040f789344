"""The report of a study: one self-contained HTML file, and static pictures of its figures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tepui_evaluator.figure_law import error_title, law_datasets, law_figure
from tepui_evaluator.figures import Spec, point_look, to_svg
from tepui_evaluator.report_data import EvaluationPoint, Provenance, ReportData, law_grid
from tepui_evaluator.report_page import page
from tepui_evaluator.report_payload import ERROR_TITLE, charts, datasets
from tepui_evaluator.report_view import View, families, views
from tepui_spec.layout import study_dir
from tepui_trainer.storage import Storage

__all__ = ["EvaluationPoint", "Provenance", "ReportData", "law_grid", "render", "static_figures", "write_report"]


def render(data: ReportData) -> str:
    """The report as one HTML document that needs no network."""
    return page(data)


def write_report(storage: str, study: str, data: ReportData) -> str:
    """Write `studies/{study}/report.html` and `figures/*.svg` below the URI `storage`; return the report's URI.

    An interim report has no static pictures. Raises ValueError (permission, impossible path) or TransientError.
    """
    folder, store = study_dir(study), Storage(storage)
    if not data.interim:
        for name, spec in static_figures(data):
            store.write(f"{folder}/figures/{name}.svg", to_svg(spec).encode())
    path = f"{folder}/report.html"
    store.write(path, render(data).encode())
    return store.uri(path)


def static_figures(data: ReportData) -> Iterator[tuple[str, Spec]]:
    """Name and complete specification of every static picture: the law of each task at its largest number of shots,
    and the figures of the whole study."""
    all_views, names = views(data), families(data)
    for view in _largest_shots(all_views):
        yield f"law-{view.task}-{view.shots}", law_figure(view, names)
    shared = datasets(data, all_views)
    for name, spec in charts(data, all_views).items():
        if name == "scaling":
            example = _largest_shots(all_views)[0]
            titled = json.loads(json.dumps(spec).replace(ERROR_TITLE, error_title(example)))
            sets = law_datasets(example)
            look = {"config": {"point": point_look(len(sets["points"]))}}
            yield f"scaling-{example.task}-{example.shots}", titled | look | {"datasets": sets}
        elif name not in ("law", "law_log"):
            width = {"width": _WIDTHS[name]} if name in _WIDTHS else {}
            yield name, spec | width | {"datasets": {name: shared[name]}}


_WIDTHS = {"curves": 640, "spearman": 340}
"""Pixels of the charts that fill their place in the page."""


def _largest_shots(all_views: tuple[View, ...]) -> list[View]:
    with_points = [view for view in all_views if view.points]
    largest = {view.task: view for view in sorted(with_points, key=lambda v: v.shots)}
    return [largest[task] for task in dict.fromkeys(view.task for view in with_points)]
