"""The definition's rules in CEL, each with its message: what `tepui validate` refuses, `kubectl apply` refuses.

Not in CEL: what needs timm's catalogue (names and arguments of models) or the recipe of each trial. The operator says
that in a condition.

What a running study cannot change: everything that a trial's or a measurement's hash covers, and the place of its rows.
What it can: how much runs at once and what for (`parallelism`, `suspend`, `retries`, `budget`,
`ttlSecondsAfterFinished`, `pods`, `tracking`), how a trial is laid out (`training.deepspeed`, `microBatchSize`,
`checkpointEveryS`) and the intervals' coverage: no result depends on them.
"""

from collections.abc import Iterator

from tepui_spec.base import MEANING
from tepui_spec.recipes import BUILT_IN
from tepui_spec.schema import Schema, at
from tepui_spec.sweep import MAX_TRIALS, Axes, Hyperparameters

Rule = dict[str, str]


def add_spec_rules(spec: Schema) -> None:
    """Add every rule that concerns the spec alone, each at the section that it is about."""
    _patterns_in_words(spec)
    for path, rules in _section_rules():
        at(spec, path).setdefault("x-kubernetes-validations", []).extend(rules)


def object_rules() -> list[Rule]:
    """Rules of the whole object: its name, and what a running study cannot change."""
    return [*_name_rules(), *_immutable()]


def _rule(rule: str, message: str, **more: str) -> Rule:
    return {"rule": rule, "message": message, **more}


def _patterns_in_words(node: Schema) -> None:
    """Say what a text must be rather than which pattern it must match.

    In lists and mappings the pattern stays: there a rule would cost its whole price for every possible entry.
    """
    for field in node.get("properties", {}).values():
        _patterns_in_words(field)
        pattern = field.pop("pattern", None)
        if pattern is not None:
            assert "'" not in pattern, f"a quote ends the rule's text: {pattern}"
            rule = _rule(f"self.matches(r'{pattern}')", f"must be {MEANING[pattern]}")
            field["x-kubernetes-validations"] = [rule]


def _section_rules() -> Iterator[tuple[tuple[str, ...], list[Rule]]]:
    yield ("sweep",), [_exactly_one("grid", "random", "oneFactorAtATime", "list")]
    yield ("sweep", "grid"), [_few_enough()]
    yield ("sweep", "random"), [_rule(f"double(self.count) <= {_combinations('self.axes')}", _COUNT)]
    yield ("storage",), [_exactly_one("uri", "persistentVolumeClaim")]
    yield ("evaluation",), [_rule(_TASKS_HAVE_DATA, "a task has no data: give dataRoot, or list it under datasets")]
    all_data = (("upstream", "data"), ("evaluation", "datasets", "[]", "data"))
    for data in all_data:
        yield data, [_rule("!has(self.testSplit) || self.testSplit != self.trainSplit", "testSplit is trainSplit too")]
    for uri in (*((*data, "uri") for data in all_data), ("evaluation", "dataRoot"), ("storage", "uri")):
        yield uri, [_rule(_ABSOLUTE, _RELATIVE)]
    yield ("tracking", "mlflow", "uri"), [_rule(_TRACKING, "must be http(s)://, or sqlite://// and an absolute path")]
    yield (
        ("pods", "tolerations", "[]"),
        [
            _rule("self.key != '' || self.operator == 'Exists'", "an empty key needs operator: Exists"),
            _rule("self.value == '' || self.operator == 'Equal'", "operator Exists takes no value"),
        ],
    )
    yield (), [*_recipe_rules(), *_batch_rules()]


def _exactly_one(*names: str) -> Rule:
    given = ", ".join(f"has(self.{name})" for name in names)
    return _rule(f"[{given}].filter(x, x).size() == 1", f"needs exactly one of {', '.join(names)}")


def _few_enough() -> Rule:
    rule = f"{_combinations('self')} <= {MAX_TRIALS}.0"
    return _rule(rule, f"makes more than {MAX_TRIALS} trials, the most that one study holds")


def _combinations(axes: str) -> str:
    """The size of a grid in CEL; as doubles, which do not overflow."""
    names = [field.alias or name for name, field in Axes.model_fields.items()]
    return " * ".join(f"(has({axes}.{name}) ? double(size({axes}.{name})) : 1.0)" for name in names)


_COUNT = "count is more than the combinations of the axes"
_TASKS_HAVE_DATA = "has(self.dataRoot) || self.tasks.all(t, self.datasets.exists(d, d.name == t))"
_ABSOLUTE = "self.startsWith('file://') ? self.startsWith('file:///') : self.startsWith('/') || self.contains('://')"
_RELATIVE = (
    "a relative path works on one machine only; on a cluster give a URI that its pods can open, "
    "such as s3://bucket/folder"
)
_TRACKING = "['http://', 'https://', 'sqlite:////'].exists(s, self.startsWith(s))"


def _recipe_rules() -> Iterator[Rule]:
    names = [recipe.name for recipe in BUILT_IN]
    built_in = f"[{', '.join(map(repr, names))}]"
    yield _rule(f"self.recipes.all(r, !(r.name in {built_in}))", "recipes redefines a built-in one: rename it")
    yield _rule(
        f"!has(self.training.recipe) || self.training.recipe in {built_in}"
        " || self.recipes.exists(r, r.name == self.training.recipe)",
        f"no such recipe; built in are {', '.join(names)}, others are defined under spec.recipes",
        fieldPath=".training.recipe",
    )


_UNIT = (
    "(self.pods.nodes * (self.pods.gpusPerNode > 0 ? self.pods.gpusPerNode : self.pods.processesPerNode)"
    " * (has(self.training.microBatchSize) ? self.training.microBatchSize : 1))"
)


def _batch_rules() -> Iterator[Rule]:
    """A batch is divided evenly over the processes and their micro-batches."""
    what = "not a multiple of the processes (pods.nodes x pods.gpusPerNode or processesPerNode)"
    what += " times training.microBatchSize"
    size = "self.training.batchSize"
    yield _rule(f"!has({size}) || {size} % {_UNIT} == 0", what, fieldPath=".training.batchSize")
    for way in ("grid", "random.axes", "oneFactorAtATime.axes"):
        chosen, sizes = f"self.sweep.{way.partition('.')[0]}", f"self.sweep.{way}.batchSize"
        rule = f"!has({chosen}) || !has({sizes}) || {sizes}.all(b, b % {_UNIT} == 0)"
        yield _rule(rule, what, fieldPath=f".sweep.{way}.batchSize")


def _name_rules() -> Iterator[Rule]:
    name = "self.metadata.name"
    for rule, message in (
        (f"size({name}) <= 40", "must be no more than 40 characters: Jobs' names begin with it"),
        (f"!{name}.contains('.')", "must not hold a '.': Jobs' names begin with it"),
        (f"{name}.matches('^[a-z]')", "must begin with a lower-case letter a-z, as Services' names must"),
    ):
        yield _rule(rule, message, fieldPath=".metadata.name")


_STARTED = "has(oldSelf.status) && has(oldSelf.status.trials) && oldSelf.status.trials.total > 0"
_STATUS_WRITE = "!has(self.status) || !has(self.status.trials) || self.status.trials != oldSelf.status.trials"
"""One request changes either the spec or the status. Asked first, so that writes of the status do not pay for comparing
a list of 15,000 trials."""
_WHAT_TO_DO = (
    "cannot change once trials exist: apply an ExperimentSpec with another name "
    "(trials that both share, in the same storage, are not computed again)"
)


def _immutable() -> Iterator[Rule]:
    """Transition rules on what results depend on; before the first trial exists everything may be mended."""
    for name in ("upstream", "models", "recipes", "sweep", "evaluation", "storage"):
        yield _frozen(f"self.spec.{name} == oldSelf.spec.{name}", f".spec.{name}")
    fields = ["precision", "curvePoints", *(f.alias or n for n, f in Hyperparameters.model_fields.items())]
    for name in fields:
        new, old = (f"{side}.spec.training.{name}" for side in ("self", "oldSelf"))
        same = f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"
        yield _frozen(same, f".spec.training.{name}")


def _frozen(same: str, path: str) -> Rule:
    return _rule(
        f"!({_STARTED}) || {_STATUS_WRITE} || ({same})", _WHAT_TO_DO, fieldPath=path, reason="FieldValueForbidden"
    )
