"""The chart through the real helm: what it renders, what it refuses, and that helm has nothing against it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart_rendered import CHART, IMAGE, MLFLOW, helm, objects, template
from tepui_spec.crd import custom_resource_definition

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "chart"
DIGEST = "sha256:" + "0123456789abcdef" * 4

VALUE_SETS: dict[str, dict[str, Any]] = {
    "defaults": IMAGE,
    "one_replica": {**IMAGE, "replicas": 1},
    "namespaced": {
        "image": {**IMAGE["image"], "digest": DIGEST},
        "imagePullSecrets": [{"name": "registry"}],
        "watch": {"namespaces": ["audio", "vision"]},
        "rbac": {"aggregate": False},
        "kueue": {"enabled": False},
    },
    "mlflow": {**IMAGE, "mlflow": MLFLOW | {"tokenSecret": "mlflow-token", "allowedHosts": ["mlflow.example.com"]}},
    "mlflow_elsewhere": {
        **IMAGE,
        "mlflow": MLFLOW
        | {
            "database": {"uriSecret": "mlflow-database"},
            "artifacts": {"destination": "s3://results/mlflow", "secret": "object-store"},
            "serviceAccount": {"annotations": {"eks.example.com/role": "mlflow"}},
        },
    },
    "guarded_and_watched": {
        **IMAGE,
        "watch": {"namespaces": ["vision"]},
        "mlflow": MLFLOW,
        "networkPolicies": {
            "enabled": True,
            "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "mlflowTo": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 5432}]}],
        },
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Training"}},
        },
    },
    "placed": {
        **IMAGE,
        "fullnameOverride": "flat",
        "serviceAccount": {"create": False, "name": "someone"},
        "podDisruptionBudget": {"enabled": False},
        "operator": {
            "defaultMlflowUri": "https://mlflow.example.com",
            "priorityClassName": "platform",
            "nodeSelector": {"pool": "system"},
            "tolerations": [{"key": "system", "operator": "Exists"}],
            "podAnnotations": {"example.com/a": "b"},
            "podLabels": {"team": "vision"},
        },
    },
}


@pytest.fixture(params=VALUE_SETS, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    """Each set of values in turn."""
    return str(request.param)


def test_rendered_as_recorded(name: str) -> None:
    """A change is seen in review (TEPUI_UPDATE_GOLDEN=1 records anew). Without the definition and the dashboard."""
    text = template({**VALUE_SETS[name], "crd": {"install": False}})
    text = re.sub(r"(?ms)^(  tepui\.json: \|\n).*?(?=^\S|\Z)", r"\1    ...\n", text)
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("TEPUI_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_lint(name: str) -> None:
    """Helm has nothing against it, strictly."""
    done = helm("lint", "--strict", str(CHART), values=VALUE_SETS[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_the_definition_is_whole() -> None:
    """What `tepui crd` prints, with helm's word to keep it."""
    [crd] = [found for found in objects(IMAGE) if found["kind"] == "CustomResourceDefinition"]
    metadata = crd["metadata"]
    assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert crd | {"metadata": {"name": metadata["name"]}} == custom_resource_definition()
    assert not [found for found in objects({**IMAGE, "crd": {"install": False}}) if found["kind"] == crd["kind"]]


def rules(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every rule of every role."""
    for found in objects(values):
        if found["kind"] in ("Role", "ClusterRole"):
            yield from found["rules"]


def test_roles_hold_no_secrets_and_no_wildcards(name: str) -> None:
    """Nor what would give them: roles, their bindings, tokens, other identities, or a shell in a pod."""
    dangerous = {"secrets", "serviceaccounts/token", "pods/exec", "roles", "rolebindings", "clusterroles", "users"}
    for rule in rules(VALUE_SETS[name]):
        entries = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
        assert "*" not in "".join(entries)
        assert not entries & {*dangerous, "clusterrolebindings", "impersonate", "escalate", "bind"}


def test_a_namespaced_release_reaches_no_further() -> None:
    """Nothing of it is cluster-wide but the definition; each watched namespace has a role of its own."""
    found = objects(VALUE_SETS["namespaced"])
    assert {one["kind"] for one in found if "namespace" not in one["metadata"]} == {"CustomResourceDefinition"}
    roles = {one["metadata"]["namespace"] for one in found if one["kind"] == "Role"}
    assert roles == {"audio", "vision", "tepui-system"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no_image": ({}, "image.repository is required: the images are built from images/Containerfile"),
    "no_mlflow_image": ({**IMAGE, "mlflow": {"enabled": True}}, "mlflow.image.repository is required"),
    "no_account": ({**IMAGE, "serviceAccount": {"create": False}}, "serviceAccount.name is required"),
    "misspelt": ({**IMAGE, "replica": 1}, "additional properties 'replica' not allowed"),
    "misspelt_deeper": (
        {**IMAGE, "watch": {"namespace": ["a"]}},
        "at '/watch': additional properties 'namespace' not allowed",
    ),
    "not_a_list": ({**IMAGE, "watch": {"namespaces": "vision"}}, "at '/watch/namespaces': got string, want array"),
    "no_namespace": (
        {**IMAGE, "watch": {"namespaces": ["Vision"]}},
        "at '/watch/namespaces/0': 'Vision' does not match",
    ),
    "twice": ({**IMAGE, "watch": {"namespaces": ["a", "a"]}}, "at '/watch/namespaces': items at 0 and 1 are equal"),
    "no_replica": ({**IMAGE, "replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "quoted": ({**IMAGE, "replicas": "2"}, "at '/replicas': got string, want integer"),
    "short_digest": (
        {"image": {"repository": "a", "digest": "sha256:0"}},
        "at '/image/digest': 'sha256:0' does not match",
    ),
    "pull_policy": (
        {"image": {"repository": "a", "pullPolicy": "ifnotpresent"}},
        "at '/image/pullPolicy': value must be one of 'IfNotPresent', 'Always', 'Never'",
    ),
    "uri": (
        {**IMAGE, "operator": {"defaultMlflowUri": "mlflow:5000"}},
        "at '/operator/defaultMlflowUri': 'mlflow:5000'",
    ),
    "size": (
        {**IMAGE, "mlflow": {"persistence": {"size": "20G"}}},
        "at '/mlflow/persistence/size': '20G' does not match",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_values_are_refused(case: str) -> None:
    """With the value's place and what is wrong with it."""
    values, message = REFUSED[case]
    done = helm("template", "tepui", str(CHART), values=values)
    assert done.returncode != 0
    assert message in done.stderr
