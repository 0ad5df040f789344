"""From the contract to a CustomResourceDefinition: structural schema, defaults, columns (rules: `cel.py`)."""

from copy import deepcopy
from typing import Any

from tepui_spec.cel import add_spec_rules, object_rules
from tepui_spec.experiment import API_VERSION, KIND
from tepui_spec.schema import Schema, at, experiment_schema, plain_schema
from tepui_spec.status import ExperimentStatus

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "experimentspecs"

Path = tuple[str, ...]
"""A field of the spec; "[]" is the entry of a list."""

_SETS: tuple[Path, ...] = (("evaluation", "tasks"), ("evaluation", "shots"))
_MAPS: tuple[Path, ...] = (("models",), ("recipes",), ("evaluation", "datasets"))
"""Lists whose entries are told apart by `name`."""
_AXES: tuple[Path, ...] = (
    ("sweep", "grid"),
    ("sweep", "random", "axes"),
    ("sweep", "oneFactorAtATime", "axes"),
)
_NEED_A_MODEL: tuple[Path, ...] = (
    ("sweep", "grid"),
    ("sweep", "random", "axes"),
    ("sweep", "oneFactorAtATime", "base"),
    ("sweep", "list", "[]"),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain data, as for `kubectl apply`."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["exps"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def _columns() -> list[dict[str, Any]]:
    def column(name: str, kind: str, path: str, description: str, **more: object) -> dict[str, Any]:
        return {"name": name, "type": kind, "jsonPath": path, "description": description, **more}

    return [
        column("Phase", "string", ".status.phase", "Where the study stands."),
        column("Done", "integer", ".status.trials.completed", "Trials trained and evaluated."),
        column("Total", "integer", ".status.trials.total", "Trials of the sweep."),
        column("Running", "integer", ".status.trials.training", "Trials in training."),
        column("Evaluating", "integer", ".status.trials.evaluating", "Trials that are trained.", priority=1),
        column("Failed", "integer", ".status.trials.failed", "Trials that ended without a result."),
        column("GPU-hours", "number", ".status.gpuHours", "Held by pods so far (without GPUs: core-hours)."),
        column("e_IR", "string", ".status.headline", "Downstream error that better pre-training cannot take."),
        column("Of", "string", ".status.headlineOf", "What the e_IR shown is of.", priority=1),
        column("Age", "date", ".metadata.creationTimestamp", "Since it was applied."),
    ]


def _root() -> Schema:
    experiment = experiment_schema()
    spec = structural(experiment["properties"]["spec"])
    _add_list_types(spec)
    for path in _NEED_A_MODEL:
        at(spec, path)["required"] = ["model"]
    add_spec_rules(spec)
    return {
        "type": "object",
        "description": experiment["properties"]["spec"]["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this contract."},
            "kind": {"type": "string", "description": "What the object is."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},  # rules point to it
            "spec": spec,
            "status": structural(plain_schema(ExperimentStatus), defaults=False),
        },
        "x-kubernetes-validations": object_rules(),
    }


def structural(node: Schema, *, defaults: bool = True) -> Schema:
    """A plain schema in the form that Kubernetes takes: OpenAPI 3.0, unknown fields left to pruning."""
    plain: Schema = {}
    for key, value in node.items():
        if key == "properties":
            plain[key] = {name: structural(field, defaults=defaults) for name, field in value.items()}
        elif key == "items":
            plain[key] = structural(value, defaults=defaults)
        elif key == "additionalProperties":
            if value == {}:  # any JSON
                plain["x-kubernetes-preserve-unknown-fields"] = True
            elif value is not False:
                plain[key] = structural(value, defaults=defaults)
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            plain[key.replace("exclusiveM", "m")] = value
            plain[key] = True
        elif key != "default" or defaults:
            plain[key] = deepcopy(value)
    if plain.get("type") == "integer":
        plain["format"] = "int64"
    return plain


def _add_list_types(spec: Schema) -> None:
    for path in _SETS:
        at(spec, path)["x-kubernetes-list-type"] = "set"
    for path in _MAPS:
        at(spec, path).update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    for path in _AXES:
        axes = at(spec, path)
        axes["minProperties"] = 1
        for axis in axes["properties"].values():
            axis["x-kubernetes-list-type"] = "set"
