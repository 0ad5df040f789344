"""What the browser is given: packed without loss, nothing twice, and small."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from report_builders import TRUTHS, payload_of, simulated_study, view_of
from tepui_evaluator.figure_law import law_datasets
from tepui_evaluator.findings import findings
from tepui_evaluator.report import ReportData, render
from tepui_evaluator.report_payload import pack, payload
from tepui_evaluator.report_view import thinned, views

MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def study() -> ReportData:
    return simulated_study()


def _unpack(packed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the page does with a packed table (report.js)."""

    def cell(column: Mapping[str, Any], i: int) -> Any:
        if "all" in column:
            return column["all"]
        return column["of"][column["at"][i]] if "of" in column else column["each"][i]

    return [{name: cell(c, i) for name, c in packed["columns"].items()} for i in range(packed["n"])]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"a": 1.0}],
        [{"a": "x", "b": 1}, {"a": "x", "b": None}, {"a": "y", "b": 1.5}, {"a": "x", "b": True}],
        [{"a": 1}, {"a": True}, {"a": 1.0}],
    ],
)
def test_packing_loses_nothing(rows: list[dict[str, Any]]) -> None:
    """Columns become rows again, with the types of their values."""
    back = _unpack(json.loads(json.dumps(pack(rows))))
    assert back == rows
    assert [[type(v) for v in row.values()] for row in back] == [[type(v) for v in row.values()] for row in rows]


def test_models_are_stored_once(study: ReportData) -> None:
    """A model's hash stands once in the data, however many tasks it was evaluated on."""
    content = payload(study, views(study), findings(study, views(study)))
    assert content["models"]["n"] == len(study.trials)
    assert [row["m"] for row in _unpack(content["views"]["greek-1"]["points"])] == list(range(36))


def test_thinning_keeps_hull_and_best(study: ReportData) -> None:
    """The points that the frontier is read from survive."""
    view = view_of("mnist-25", study)
    kept = thinned(view.points, 9)
    assert len(kept) < 20
    assert view.best in kept
    hull = {(r["x"], r["y"]) for r in law_datasets(view)["lines"] if r["line"] == "hull of the points"}
    assert hull <= {(p.upstream_error, p.downstream_error) for p in kept}


def test_size_at_5000_models() -> None:
    """A study of 5,000 models stays under 5 MB, all points drawn."""
    data = simulated_study(5000, curve_points=20)
    html = render(data)
    assert len(html.encode()) < MAX_BYTES
    assert all(view["points"]["n"] == 5000 for view in payload_of(html)["views"].values())


def test_size_with_many_tasks() -> None:
    """A quarter of a million points over 25 tasks are thinned to stay under 5 MB."""
    truths = tuple(replace(TRUTHS[i % 4], task=f"task-{i:02d}") for i in range(25))
    data = simulated_study(5000, curve_points=2, truths=truths, shots=(5, 25))
    html = render(data)
    assert len(html.encode()) < MAX_BYTES
    view = payload_of(html)["views"]["task-07-25"]
    assert 1000 < view["points"]["n"] < view["n"] == 5000
