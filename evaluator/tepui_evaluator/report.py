"""The report of a study: one self-contained HTML file, and static pictures of its figures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tepui_evaluator.figure_law import error_title, law_datasets, law_figure
from tepui_evaluator.figures import Spec, point_look, to_png, to_svg
from tepui_evaluator.findings import Findings, findings
from tepui_evaluator.report_data import EvaluationPoint, Provenance, ReportData, law_grid
from tepui_evaluator.report_page import page
from tepui_evaluator.report_payload import ERROR_TITLE, charts, datasets
from tepui_evaluator.report_view import View, families, largest_shots, views
from tepui_spec.layout import study_dir
from tepui_trainer.storage import Storage

__all__ = ["EvaluationPoint", "Provenance", "ReportData", "law_grid", "render", "static_figures", "write_report"]


def render(data: ReportData) -> str:
    """The report as one HTML document that needs no network."""
    return page(data)


def write_report(storage: str, study: str, data: ReportData) -> str:
    """Write `studies/{study}/report.html` and `figures/*.svg|png` below the URI `storage`; return the report's URI.

    An interim report has no static pictures. Raises ValueError (permission, impossible path) or TransientError.
    """
    return write_files(Storage(storage), f"{study_dir(study)}/", data)


def write_files(store: Storage, prefix: str, data: ReportData) -> str:
    """The same at any place in a storage: `{prefix}report.html` and `{prefix}figures/`."""
    if not data.interim:
        _write_figures(store, f"{prefix}figures", data)
    path = f"{prefix}report.html"
    store.write(path, render(data).encode())
    return store.uri(path)


def _write_figures(store: Storage, folder: str, data: ReportData) -> None:
    """All static pictures; those of an earlier report that this one has not are removed."""
    written = set()
    for name, spec in static_figures(data):
        for path, content in ((f"{folder}/{name}.svg", to_svg(spec).encode()), (f"{folder}/{name}.png", to_png(spec))):
            store.write(path, content)
            written.add(path)
    for path in set(store.list(folder)) - written:
        store.remove(path)


def static_figures(data: ReportData) -> Iterator[tuple[str, Spec]]:
    """Name and complete specification of every static picture: the law of each task at its largest number of shots,
    and the figures of the whole study."""
    all_views, names = views(data), families(data)
    largest, found = largest_shots(all_views), findings(data, all_views)
    for view in largest:
        yield f"law-{view.task}-{view.shots}", law_figure(view, names)
    shared = datasets(data, all_views, found)
    for name, spec in charts(data, all_views, found).items():
        if name == "scaling":
            yield f"scaling-{largest[0].task}-{largest[0].shots}", _scaling_figure(spec, largest[0], found)
        elif name not in ("law", "law_log"):
            width = {"width": _WIDTHS[name]} if name in _WIDTHS else {}
            yield name, spec | width | {"datasets": {name: shared[name]}}


def _scaling_figure(spec: Spec, view: View, found: Findings) -> Spec:
    titled: Spec = json.loads(json.dumps(spec).replace(ERROR_TITLE, error_title(view)))
    sets = law_datasets(view, found.series)
    return titled | {"config": {"point": point_look(len(sets["points"]))}, "datasets": sets}


_WIDTHS = {"curves": 640, "spearman": 340, "ranks": 640}
"""Pixels of the charts that fill their place in the page."""
