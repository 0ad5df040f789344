"""The CustomResourceDefinition: structural, complete, and the same words as the Python side."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from builders import experiment
from tepui_spec.base import MEANING
from tepui_spec.crd import custom_resource_definition
from tepui_spec.schema import experiment_schema, node_at
from tepui_spec.yaml_text import to_yaml

GOLDEN = Path(__file__).parents[2] / "charts" / "tepui" / "files" / "experimentspecs.yaml"
"""What the chart installs."""
CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]
ALLOWED = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "nullable", "enum", "default"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "format"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
    *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    "x-kubernetes-preserve-unknown-fields",
}
"""Keywords of a structural schema; allOf, anyOf, oneOf and not are left out: we need none."""


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema, by dotted path."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}".lstrip("."))
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict) and node["additionalProperties"]:
        yield from nodes(node["additionalProperties"], f"{path}.*")


def test_the_definition_is_the_one_on_record() -> None:
    """A change to the API is seen in review (TEPUI_UPDATE_GOLDEN=1 records anew)."""
    if os.environ.get("TEPUI_UPDATE_GOLDEN"):
        GOLDEN.write_text(to_yaml(CRD))
    assert to_yaml(CRD) == GOLDEN.read_text()
    assert yaml.safe_load(GOLDEN.read_text()) == CRD


def test_the_schema_is_structural() -> None:
    """Every node has one type, and no keyword that Kubernetes forbids in a structural schema."""
    for path, node in nodes(ROOT):
        assert node["type"] in ("object", "array", "string", "integer", "number", "boolean"), path
        assert set(node) <= ALLOWED, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert (node["type"] == "array") == ("items" in node), path
        assert isinstance(node.get("exclusiveMinimum", False), bool), path
        assert set(node.get("required", [])) <= set(node.get("properties", {})), path
    assert ROOT["properties"]["metadata"] == {"type": "object", "properties": {"name": {"type": "string"}}}


def test_every_spec_field_is_described_and_bounded() -> None:
    """kubectl explain reads well, and the cost of the rules is bounded."""
    for path, node in nodes(SPEC):
        assert node.get("description"), path
        if node["type"] == "array":
            assert "maxItems" in node, path
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path
        if node["type"] == "object" and "properties" not in node:
            assert "maxProperties" in node, path
        if node["type"] in ("integer", "number"):
            assert {"minimum", "maximum"} <= set(node) or "enum" in node, path


def test_every_status_field_is_described() -> None:
    """What is read back is explained as well as what is written."""
    for path, node in nodes(ROOT["properties"]["status"]):
        assert node.get("description") or path.endswith(("[]", ".*")), path


def test_only_model_arguments_may_hold_what_is_not_in_the_schema() -> None:
    """Everything else is strict: a misspelt field is refused."""
    free = [path for path, node in nodes(ROOT) if node.get("x-kubernetes-preserve-unknown-fields")]
    assert free == ["spec.models[].args"]


def test_patterns_are_re2() -> None:
    """The API server's engine has no look-around and no back-references; every pattern is anchored."""
    for path, node in nodes(ROOT):
        rules = " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", []))
        for pattern in (node.get("pattern", "^$"), *re.findall(r"self\.matches\(r'([^']+)'\)", rules)):
            assert (pattern[0], pattern[-1]) == ("^", "$"), path
            assert not re.search(r"\(\?|\\[1-9]", pattern), path


def test_no_pattern_of_the_contract_is_lost() -> None:
    """Each is a pattern there too, or a rule that says in words what is wanted."""
    ours = dict(nodes(experiment_schema()["properties"]["spec"]))
    seen = 0
    for path, node in nodes(SPEC):
        pattern = ours[path].get("pattern")
        if pattern is None or node.get("pattern") == pattern:
            continue
        (rule, *_) = node["x-kubernetes-validations"]
        assert rule == {"rule": f"self.matches(r'{pattern}')", "message": f"must be {MEANING[pattern]}"}, path
        assert "[]" not in path, path
        seen += 1
    assert seen > 10


def test_defaults_fill_a_minimal_spec_to_what_pydantic_makes_of_it() -> None:
    """An object from the API server, with its defaults written out, is the same experiment."""
    study = experiment()
    written = study.model_dump(mode="json", by_alias=True, exclude_unset=True)["spec"]
    _fill(written, SPEC)
    assert written == json.loads(study.spec.model_dump_json(by_alias=True, exclude_none=True))


def _fill(value: Any, node: dict[str, Any]) -> None:
    """Defaulting as the API server does it: top down, what is absent only."""
    if node["type"] == "object" and "properties" in node:
        for name, field in node["properties"].items():
            if name not in value and "default" in field:
                value[name] = json.loads(json.dumps(field["default"]))
            if name in value:
                _fill(value[name], field)
    elif node["type"] == "array":
        for entry in value:
            _fill(entry, node["items"])


def test_rules_speak_of_fields_that_exist() -> None:
    """Every self.FIELD of every rule is a field of the node that the rule stands at."""
    methods, seen = {"all", "contains", "exists", "startsWith", "matches"}, 0
    for path, node in nodes(ROOT):
        for rule in node.get("x-kubernetes-validations", []):
            for dots in re.findall(r"\b(?:self|oldSelf)\.([A-Za-z.]+)", rule["rule"]):
                names = [name for name in dots.split(".") if name not in methods]
                assert node_at(node, names) is not None, f"{path}: {dots}"
                seen += 1
            field = rule.get("fieldPath", "").strip(".").split(".")
            assert field == [""] or node_at(node, field) is not None, f"{path}: {field}"
    assert seen > 50


def test_exclusive_ways_have_a_rule() -> None:
    """Exactly one of the sweep's ways and of the storages."""
    for section, fields in (("sweep", ("grid", "random", "oneFactorAtATime", "list")), ("storage", ("uri",))):
        rules = SPEC["properties"][section]["x-kubernetes-validations"]
        assert all(f"has(self.{field})" in rules[0]["rule"] for field in fields)
        assert "exactly one of" in rules[0]["message"]


def test_names_and_columns() -> None:
    """What `kubectl get exps` shows, and that `status` is a subresource."""
    names = CRD["spec"]["names"]
    assert (names["shortNames"], names["categories"], CRD["metadata"]["name"]) == (
        ["exps"],
        ["all"],
        "experimentspecs.tepui.dev",
    )
    columns = [column["name"] for column in VERSION["additionalPrinterColumns"]]
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Phase", "Done", "Total", "Running", "Failed", "GPU-hours", "e_IR", "Age"]
    assert set(columns) - set(shown) == {"Evaluating", "Of"}
    assert VERSION["subresources"] == {"status": {}}
    for column in VERSION["additionalPrinterColumns"][:-1]:
        node = ROOT
        for name in re.findall(r"[A-Za-z]+", column["jsonPath"]):
            node = node.get("items", node)["properties"][name]
        assert node.get("items", node)["type"] == column["type"], column["name"]


def test_the_schema_covers_the_whole_contract() -> None:
    """No field of the spec is lost on the way to the cluster."""
    ours = {path for path, _ in nodes(experiment_schema()["properties"]["spec"]) if not path.endswith(".*")}
    theirs = {path for path, _ in nodes(SPEC) if not path.endswith(".*")}
    assert ours == theirs
