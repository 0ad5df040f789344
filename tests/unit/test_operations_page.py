"""docs/operations.md says what the code does: reasons, events, failure classes, metrics, values, times, lines owned."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tepui_operator.cluster import health, news, trouble
from tepui_operator.cluster.lease import LeaseTiming
from tepui_operator.cluster.metrics import TRIAL_STATES, Gauges, Metrics, Result
from tepui_operator.manifests import DEFAULT_TTL_S, SHORTEST_TTL_S
from tepui_operator.payloads import VOLUME_PATH
from tepui_operator.pod_template import GRACE_S, USER
from tepui_operator.retry import allowed
from tepui_spec.outcome import EXIT_CODES, FREE, Outcome
from tepui_spec.pods import Retries
from tepui_spec.status import ConditionType
from tepui_spec.sweep import MAX_TRIALS

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator" / "tepui_operator"
PAGE = (ROOT / "docs" / "operations.md").read_text()
CONDITIONS = get_args(ConditionType)


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """The first heading and the rows of every table."""
    for found in re.finditer(r"^\| (.+) \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[2].splitlines()]
        yield found[1].split(" | ")[0], rows


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


TABLES = dict(tables())


def words_of(file: Path) -> Iterator[str]:
    """Texts of a module that look like a reason, without those that Literal types and actions hold."""
    for node in ast.walk(ast.parse(file.read_text())):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch("[A-Z][A-Za-z]+", node.value)
        ):
            yield node.value


def troubles_of(file: Path) -> Iterator[str]:
    """Reasons of Stalled, and of a spec that is refused, that a module gives."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Trouble":
            yield from (str(n.value) for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant))


def test_every_reason_of_a_condition_is_explained() -> None:
    """Those that the planner and the operator give, and no others; what Kubernetes gives is told apart."""
    explained = {(*codes(row[0]), *codes(row[1])) for row in TABLES["condition"]}
    given = set(words_of(OPERATOR / "reckoning.py")) | {r for file in OPERATOR.rglob("*.py") for r in troubles_of(file)}
    not_reasons = {*CONDITIONS, "Running", "Pending", "True", "False", "Not"}
    assert {reason for _, reason in explained} - {"Suspended"} == given - not_reasons
    assert {kind for kind, _ in explained} == set(CONDITIONS)
    assert all(f"`Not{kind}`" in PAGE for kind in CONDITIONS)


def test_every_event_is_explained() -> None:
    """Reasons of conditions are events too and are explained there."""
    explained = {reason for row in TABLES["event"] for reason in codes(row[0])}
    actions = {"Create", "GiveUp", "Analyse", "Reconcile"}
    not_events = {*CONDITIONS, *actions, "Warning", "Normal", "True", "False", "Succeeded"}
    assert explained == set(words_of(Path(str(news.__file__)))) - not_events
    assert f"the first {_number(news.TOLD_ONE_BY_ONE)} one by one" in PAGE


def _number(value: int) -> str:
    return ["zero", "one", "two", "three", "four", "five"][value]


def test_every_class_of_failure_is_explained() -> None:
    """With its exit code, and whether it may be tried again."""
    explained = {codes(row[0])[0]: row[1:3] for row in TABLES["class"]}
    assert list(explained) == [str(outcome) for outcome in Outcome]
    generous = Retries.model_validate(dict.fromkeys(Retries.model_fields, 7))
    for outcome in Outcome:
        exit_code, retries = explained[outcome]
        assert exit_code == (str(EXIT_CODES[outcome]) if outcome in EXIT_CODES else exit_code)
        if outcome in FREE:
            assert retries == "free"
        elif allowed(generous, outcome) == 0:
            assert retries == ("" if outcome is Outcome.SUCCEEDED else "none")
        else:
            field = retries.strip("`").removeprefix("retries.")
            assert allowed(Retries.model_validate({**_no_retries(), field: 7}), outcome) == 7


def _no_retries() -> dict[str, int]:
    return {str(field.alias): 0 for field in Retries.model_fields.values()}


def registered() -> dict[str, set[str]]:
    """Every metric of the operator's own by its name on the page, with its labels."""
    metrics = Metrics()
    metrics.show(Gauges(lambda: True, lambda: 0, dict, list))
    metrics.reconciled("done", 0.1)
    metrics.requested("get", "jobs", 200, 0.1)
    metrics.followed("train", 0.1)
    metrics.watch_restarted("jobs", "closed")
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        if family.name.startswith("tepui_"):
            name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_every_metric_is_explained() -> None:
    """By the name that Prometheus stores, with its labels."""
    explained = {codes(row[0])[0]: set(codes(row[1])) for row in TABLES["metric"]}
    found = registered()
    assert set(explained) == set(found)
    for name, labels in found.items():
        assert labels <= explained[name], name
    assert all(f"`{state}`" in PAGE for state in (*TRIAL_STATES, *get_args(Result)))


@pytest.mark.parametrize("text", [PAGE, (ROOT / "charts" / "tepui" / "files" / "dashboard.json").read_text()])
def test_alerts_and_dashboard_ask_for_metrics_that_exist(text: str) -> None:
    """A query on a metric that was renamed would be silent for ever."""
    asked = set(re.findall(r"\b(tepui_[a-z_]+)\b", text)) - {"tepui_operator", "tepui_testbed"}
    known = registered()
    series = {f"{name}{suffix}" for name in known for suffix in ("", "_bucket", "_count", "_sum")}
    assert asked <= series


def test_the_alerts_are_rules_of_prometheus() -> None:
    """The block is YAML, and each rule says what it means."""
    (block,) = re.findall(r"```yaml\n(groups:.*?)```", PAGE, flags=re.DOTALL)
    (group,) = yaml.safe_load(block)["groups"]
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_values_of_the_chart_exist() -> None:
    """Those of the table and those that a command sets."""
    values = yaml.safe_load((ROOT / "charts" / "tepui" / "values.yaml").read_text())
    named = [value for row in TABLES["value"] for cell in row[:2] for value in codes(cell)]
    for path in [*named, *re.findall(r"--set ([\w.]+)=", PAGE)]:
        node: Any = values
        for part in path.split("."):
            assert part in node, path
            node = node[part]


def test_times_and_limits_are_the_codes() -> None:
    """Numbers that stand in sentences."""
    timing = LeaseTiming()
    for words in (
        f"stops writing {timing.renew_deadline_s:g} s after",
        f"the others wait for\n{timing.lease_s} s",
        f"lasts longer than the {timing.write_timeout_s:g} s between",
        f"nothing was heard of a watch for {health.SILENT_WATCH_S:.0f} s",
        f"a worker busy for {health.STUCK_WORKER_S:.0f} s",
        f"does not begin within {trouble.PATIENCE_S:.0f} s",
        f"within its {GRACE_S['train']} s of grace",
        f"user and group {USER}",
        f"Pods see it at `{VOLUME_PATH}`",
        f"at most {MAX_TRIALS:,} trials",
    ):
        assert re.sub(r"\s+", " ", words) in re.sub(r"\s+", " ", PAGE), words
    assert (DEFAULT_TTL_S, SHORTEST_TTL_S) == (86_400, 3600)


def test_the_lines_we_own_are_about_as_many_as_the_record_says() -> None:
    """ADR 5 weighs the loop against a framework by its size: by the same commands, within a seventh."""
    record = (ROOT / "docs" / "adr" / "0005-a-loop-of-our-own.md").read_text()
    claims = re.findall(r"`wc -l (operator/tepui_operator/cluster/\S+)`\D+([\d,]+)\s+lines", record)
    assert len(claims) == 2
    for pattern, claimed in claims:
        folder, names = pattern.rsplit("/", 1)
        found = re.fullmatch(r"\{(.+)\}\.py", names)
        files = (
            [ROOT / folder / f"{name}.py" for name in found[1].split(",")] if found else (ROOT / folder).glob("*.py")
        )
        lines = sum(len(file.read_text().splitlines()) for file in files)
        assert abs(lines / int(claimed.replace(",", "")) - 1) < 1 / 7, f"{pattern}: {lines}"
