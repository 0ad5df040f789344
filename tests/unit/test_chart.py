"""The chart's files, as far as they can be judged without helm: tests/cluster/test_chart_*.py does the rest."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tepui_operator.cluster.metrics import Gauges, Metrics, StudyFacts
from tepui_spec.crd import GROUP, PLURAL
from tepui_spec.status import TrialCounts

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tepui"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of the values' schema that has a name, by dotted path."""
    for name, node in schema.get("properties", {}).items():
        yield f"{path}{name}", node
        yield from leaves(node, f"{path}{name}.")


def values(tree: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every value that has a default, by dotted path; where the schema leaves names free, no deeper."""
    known = dict(leaves(SCHEMA))
    for name, value in tree.items():
        yield f"{path}{name}"
        if isinstance(value, dict) and "properties" in known.get(f"{path}{name}", {}):
            yield from values(value, f"{path}{name}.")


def test_the_template_takes_the_definition_apart_as_it_is_written() -> None:
    """It puts helm's labels into the metadata and takes what follows `spec:` (test_crd checks the file itself)."""
    text = (CHART / "files" / "experimentspecs.yaml").read_text()
    head, _, _ = text.partition("\nspec:\n")
    assert yaml.safe_load(head)["metadata"] == {"name": f"{PLURAL}.{GROUP}"}
    assert len(re.findall(r"(?m)^spec:$", text)) == 1
    assert f"name: {PLURAL}.{GROUP}" in (CHART / "templates" / "crd.yaml").read_text()


def test_the_chart_has_the_projects_version() -> None:
    """One version for what is released together."""
    project = re.search(r'(?m)^version = "(.+)"$', (ROOT / "pyproject.toml").read_text())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert project is not None
    assert chart["version"] == chart["appVersion"] == project[1]


def test_every_value_is_described_and_has_a_default() -> None:
    """What the schema knows and what values.yaml shows are the same."""
    described = {path for path, node in leaves(SCHEMA) if node.get("description")}
    assert described == {path for path, _ in leaves(SCHEMA)}
    optional = {"global", *(f"{part}.resources.claims" for part in ("operator", "mlflow"))}
    assert set(values(VALUES)) == described - optional


def test_every_object_of_values_is_closed() -> None:
    """A misspelt value is refused, wherever it stands, but where names are the user's own."""
    for path, node in leaves(SCHEMA):
        if node["type"] == "object" and path != "global":
            assert node["additionalProperties"] is not True, path
            assert ("properties" in node) == (node["additionalProperties"] is False), path
    assert SCHEMA["additionalProperties"] is False


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """What the operator's page of metrics offers: the names of series, each with its labels."""
    metrics = Metrics()
    study = StudyFacts("vision", "Running", TrialCounts())
    metrics.show(Gauges(lambda: True, lambda: 0, lambda: {"jobs": 1.0}, lambda: [study]))
    metrics.reconciled("done", 0.1)
    metrics.requested("list", "jobs", 200, 0.1)
    metrics.followed("evaluate", 0.1)
    metrics.watch_restarted("jobs", "closed")
    page, _ = metrics.page("")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries() -> list[str]:
    """Every PromQL text of the dashboard."""
    variables = DASHBOARD["templating"]["list"]
    asked = [found[1] for v in variables if (found := re.search(r"label_values\((\w+),", v.get("definition", "")))]
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + asked


def test_every_metric_of_the_dashboard_exists(series: dict[str, set[str]]) -> None:
    """No panel stays empty because a metric has another name."""
    named = {name for query in queries() for name in re.findall(r"\b(?:tepui|process)_\w+", query)}
    assert len(named) > 10
    assert named <= set(series)


def test_every_metric_of_the_operator_is_on_the_dashboard(series: dict[str, set[str]]) -> None:
    """What is measured is shown; `_sum` and `_created` go with a histogram's buckets."""
    shown = " ".join(queries())
    for name in series:
        if name.startswith("tepui_") and not name.endswith(("_sum", "_created")):
            family = name.removesuffix("_bucket").removesuffix("_count").removesuffix("_total")
            assert family in shown, name


def test_every_label_of_the_dashboard_exists(series: dict[str, set[str]]) -> None:
    """Neither in a selector nor in a sum; `instance` comes from Prometheus."""
    for query in queries():
        labels = {label for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in names.split(", ")}
        labels |= set(re.findall(r"[{,] ?(\w+)(?:=~|!~|!=|=)", query))
        offered = {label for name in re.findall(r"\b(?:tepui|process)_\w+", query) for label in series[name]}
        assert labels <= offered | {"instance"}, query


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each has a place of its own, an id and a title, on Grafana's grid of 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["title"] for panel in DASHBOARD["panels"])
