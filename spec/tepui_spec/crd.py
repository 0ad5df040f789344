"""From the contract to a CustomResourceDefinition: structural schema, defaults, rules with messages, columns.

What pydantic's validators say in Python is said here once more in CEL, with the same words, so that `kubectl apply`
refuses what `tepui validate` refuses. What a running study cannot change: everything that a trial's or a
measurement's hash covers, and the place of its rows. What it can: how much runs at once and what for
(`parallelism`, `suspend`, `retries`, `budget`, `ttlSecondsAfterFinished`, `pods`, `tracking`), how a trial is laid out
(`training.deepspeed`, `microBatchSize`, `checkpointEveryS`) and the intervals' coverage: no result depends on them.
"""

from copy import deepcopy
from typing import Any

from tepui_spec.experiment import API_VERSION, KIND
from tepui_spec.recipes import BUILT_IN
from tepui_spec.schema import Schema, experiment_schema, plain_schema
from tepui_spec.status import ExperimentStatus
from tepui_spec.sweep import MAX_TRIALS, Axes, Hyperparameters

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "experimentspecs"

Path = tuple[str, ...]

_SETS: tuple[Path, ...] = (("evaluation", "tasks"), ("evaluation", "shots"))
_MAPS: tuple[Path, ...] = (("models",), ("recipes",), ("evaluation", "datasets"))
"""Lists whose entries are told apart by `name`."""
_AXES: tuple[Path, ...] = (
    ("sweep", "grid"),
    ("sweep", "random", "axes"),
    ("sweep", "oneFactorAtATime", "axes"),
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
    _add_rules(spec)
    return {
        "type": "object",
        "description": experiment["properties"]["spec"]["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this contract."},
            "kind": {"type": "string", "description": "What the object is."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural(plain_schema(ExperimentStatus), defaults=False),
        },
        "x-kubernetes-validations": [*_name_rules(), *_immutable()],
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


def _at(spec: Schema, path: Path) -> Schema:
    for part in path:
        spec = spec["properties"][part]
    return spec


def _add_list_types(spec: Schema) -> None:
    for path in _SETS:
        _at(spec, path)["x-kubernetes-list-type"] = "set"
    for path in _MAPS:
        _at(spec, path).update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    for path in _AXES:
        axes = _at(spec, path)
        axes["minProperties"] = 1
        for axis in axes["properties"].values():
            axis["x-kubernetes-list-type"] = "set"


def _rule(rule: str, message: str, **more: str) -> dict[str, str]:
    return {"rule": rule, "message": message, **more}


def _exactly_one(*names: str) -> dict[str, str]:
    given = ", ".join(f"has(self.{name})" for name in names)
    return _rule(f"[{given}].filter(x, x).size() == 1", f"needs exactly one of {', '.join(names)}")


def _add_rules(spec: Schema) -> None:
    def add(path: Path, *rules: dict[str, str]) -> None:
        _at(spec, path).setdefault("x-kubernetes-validations", []).extend(rules)

    add(("sweep",), _exactly_one("grid", "random", "oneFactorAtATime", "list"))
    add(("storage",), _exactly_one("uri", "persistentVolumeClaim"))
    product = _combinations("self")
    add(("sweep", "grid"), _rule(f"{product} <= {MAX_TRIALS}.0", f"makes more than {MAX_TRIALS} trials"))
    add(
        ("sweep", "random"),
        _rule(f"double(self.count) <= {_combinations('self.axes')}", "count is more than the combinations of the axes"),
    )
    add(("evaluation",), _rule(_TASKS_HAVE_DATA, "a task has no data: give dataRoot, or list it under datasets"))
    dataset = _at(spec, ("evaluation", "datasets"))["items"]["properties"]["data"]
    for data in (_at(spec, ("upstream", "data")), dataset):
        data["x-kubernetes-validations"] = [
            _rule("!has(self.testSplit) || self.testSplit != self.trainSplit", "testSplit is trainSplit too")
        ]
    schemes = "['http://', 'https://', 'sqlite:///'].exists(s, self.uri.startsWith(s))"
    add(("tracking", "mlflow"), _rule(f"!has(self.uri) || {schemes}", "uri must be http(s):// or sqlite:///"))
    _at(spec, ("pods", "tolerations"))["items"]["x-kubernetes-validations"] = [
        _rule("self.key != '' || self.operator == 'Exists'", "an empty key needs operator: Exists"),
        _rule("self.value == '' || self.operator == 'Equal'", "operator Exists takes no value"),
    ]
    built_in = ", ".join(f"'{recipe.name}'" for recipe in BUILT_IN)
    add(
        (),
        _rule(f"self.recipes.all(r, !(r.name in [{built_in}]))", "recipes redefines a built-in one: rename it"),
        _rule(_BATCH_DIVIDES, "training.batchSize is not a multiple of the processes times training.microBatchSize"),
    )


def _combinations(axes: str) -> str:
    """The size of a grid in CEL; as doubles, which do not overflow."""
    names = [field.alias or name for name, field in Axes.model_fields.items()]
    return " * ".join(f"(has({axes}.{name}) ? double(size({axes}.{name})) : 1.0)" for name in names)


_TASKS_HAVE_DATA = "has(self.dataRoot) || self.tasks.all(t, self.datasets.exists(d, d.name == t))"
_BATCH_DIVIDES = (
    "!has(self.training.batchSize) || self.training.batchSize % (self.pods.nodes * "
    "(self.pods.gpusPerNode > 0 ? self.pods.gpusPerNode : self.pods.processesPerNode) * "
    "(has(self.training.microBatchSize) ? self.training.microBatchSize : 1)) == 0"
)


def _name_rules() -> list[dict[str, str]]:
    return [
        _rule("size(self.metadata.name) <= 40", "metadata.name has more than 40 characters; Jobs' names begin with it"),
        _rule("!self.metadata.name.contains('.')", "metadata.name holds a '.'; Jobs' names begin with it"),
        _rule("self.metadata.name.matches('^[a-z]')", "metadata.name begins with a digit; Services' names must not"),
    ]


_STARTED = "has(oldSelf.status) && has(oldSelf.status.trials) && oldSelf.status.trials.total > 0"
_WHAT_TO_DO = (
    "cannot change once trials exist: apply an ExperimentSpec with another name "
    "(trials that both share, in the same storage, are not computed again)"
)


def _immutable() -> list[dict[str, str]]:
    """Transition rules on what results depend on; before the first trial exists everything may be mended."""
    sections = ("upstream", "models", "recipes", "sweep", "evaluation", "storage")
    rules = [
        _rule(f"!({_STARTED}) || self.spec.{name} == oldSelf.spec.{name}", f"spec.{name} {_WHAT_TO_DO}")
        for name in sections
    ]
    same = [f"self.spec.training.{name} == oldSelf.spec.training.{name}" for name in ("precision", "curvePoints")]
    for name, field in Hyperparameters.model_fields.items():
        new, old = (f"{side}.spec.training.{field.alias or name}" for side in ("self", "oldSelf"))
        same.append(f"has({new}) == has({old}) && (!has({new}) || {new} == {old})")
    fields = ", ".join(["precision", "curvePoints", *(f.alias or n for n, f in Hyperparameters.model_fields.items())])
    rules.append(_rule(f"!({_STARTED}) || ({' && '.join(same)})", f"spec.training ({fields}) {_WHAT_TO_DO}"))
    return rules
