"""The page: words, tables and data brought together into one HTML document."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from tepui_evaluator.figure_curves import shown_of
from tepui_evaluator.findings import Findings, findings
from tepui_evaluator.findings_table import tables
from tepui_evaluator.findings_text import (
    heads_words,
    hull_words,
    layers_words,
    ranks_words,
    scaling_words,
    shots_words,
)
from tepui_evaluator.report_data import ReportData
from tepui_evaluator.report_payload import payload
from tepui_evaluator.report_replay import point_yaml, study_yaml, trial_factors
from tepui_evaluator.report_table import law_rows, verdict_rows
from tepui_evaluator.report_text import answers, caveats, headline, scope, told, untold
from tepui_evaluator.report_view import latest, views

_MARKS = {"room": "↓", "maybe": "↓?", "near": "=", "unknown": "?"}
_ROWS_UP_TO = 8
"""Rows of the opening table: with more, it has only each task's largest number of shots, and the rest folds away."""
_GLOBALS = "window.vegaEmbed = vegaEmbed;"
_PLACEHOLDER = "@FACTORS@"


def page(data: ReportData) -> str:
    """The whole document. Needs nothing but the data: no network, no storage, no clock."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    all_views = views(data)
    found = findings(data, all_views)
    content = payload(data, all_views, found)
    content["replay"] = _replay(data)
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    said = answers(all_views)
    shown = all_views if len(all_views) <= _ROWS_UP_TO else latest(all_views)
    best = min(data.points, key=lambda p: p.downstream_error, default=None)
    return template.from_string(_resource("report_template.html")).render(
        study=data.study,
        headline=headline(said),
        scope=scope(data),
        answers=told(said),
        untold=untold(said),
        marks=_MARKS,
        caveats=caveats(data, all_views),
        rows=verdict_rows(shown),
        more_rows=verdict_rows([view for view in all_views if view not in shown]),
        law_rows=law_rows(all_views),
        charts=content["charts"],
        has_law_chart="law" in content["charts"],
        tasks=list(dict.fromkeys(view.task for view in all_views)),
        shots=sorted({view.shots for view in all_views}),
        curves_shown=shown_of(data),
        words=_words(found),
        tables=tables(found),
        failures=data.failures,
        interim=data.interim,
        experiment_yaml="" if data.experiment is None else study_yaml(data.experiment),
        replay_yaml="" if data.experiment is None or best is None else point_yaml(data.experiment, best.factors),
        replay_trial="" if best is None else best.trial,
        hashes=sorted(data.provenance.hashes.items()),
        packages=sorted(data.provenance.packages.items()),
        storage=data.provenance.storage,
        css=Markup(_resource("report.css")),
        payload=Markup(_json(content)),
        vega=Markup(_vega()),
        script=Markup(_resource("report.js")),
    )


def _words(found: Findings) -> dict[str, list[str]]:
    """By section, what its figure shows; sections of which nothing can be said are left out."""
    said = {
        "shots": [shots_words(found.trends)],
        "scaling": scaling_words(found.scaling),
        "ranks": [ranks_words(found.ranks)],
        "layers": [layers_words(found.layers)],
        "heads": heads_words(found.heads),
        "hull": [hull_words(found.hull)],
    }
    return {section: kept for section, lines in said.items() if (kept := [line for line in lines if line])}


def _replay(data: ReportData) -> dict[str, Any] | None:
    """The YAML of a one-trial study with a gap for the trial's factors, and the factors of every trial."""
    if data.experiment is None or not data.points:
        return None
    gap = point_yaml(data.experiment, {"model": _PLACEHOLDER})
    return {
        "template": gap.replace(f"{{model: '{_PLACEHOLDER}'}}", _PLACEHOLDER),
        "placeholder": _PLACEHOLDER,
        "factors": {p.trial: trial_factors(p.factors) for p in data.points},
    }


def _json(content: dict[str, Any]) -> str:
    """JSON that no text in it can end early inside a script element."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, from vl_convert: nothing is fetched."""
    import vl_convert

    from tepui_evaluator.figures import vega_lite_version

    return str(vl_convert.javascript_bundle(_GLOBALS, vl_version=vega_lite_version())).replace("</script", "<\\/script")


def _resource(name: str) -> str:
    return files("tepui_evaluator").joinpath(name).read_text(encoding="utf-8")
