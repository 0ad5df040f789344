"""From a YAML file, or an API server's object, to an Experiment, with all that is wrong with it by line and field."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tepui_spec.check import check
from tepui_spec.errors import MAX_TOLD, Problem, SourceError
from tepui_spec.experiment import Experiment
from tepui_spec.nearest import did_you_mean
from tepui_spec.schema import allowed, experiment_schema, node_at
from tepui_spec.yaml_tree import MAX_DEPTH, Node, read_tree, shorten, too_deep, tree_of

_IDENTITY = ("apiVersion", "kind")
"""Fields with defaults that a file must give all the same: kubectl asks for them."""


def load_experiment(path: str | Path) -> Experiment:
    """The experiment in a YAML file.

    Raises SourceError (a ValueError) with a line `FILE:LINE: field.path: VALUE: what is wrong; what is allowed` for
    everything wrong with it, and TransientError where the file system fails.
    """
    path = Path(path)
    root, problems = read_tree(path)
    unread = {p.path for p in problems}
    problems += [
        _located(root, Problem((field,), f"missing; must be {_allowed((field,))}"))
        for field in _IDENTITY
        if field not in cast(dict[str, Node], root.value)
    ]
    experiment, found = _checked(root, root.plain(), unread, all_read=not problems)
    if experiment is None or problems or found:
        raise SourceError(str(path), [*problems, *found])
    return experiment


def refusal(path: str | Path, problems: Iterable[Problem]) -> SourceError:
    """What is wrong with a file whose fields are each valid, as `load_experiment` would say it. Raises as that does."""
    root, _ = read_tree(Path(path))
    return SourceError(str(path), [_located(root, problem) for problem in problems])


def experiment_of(document: dict[str, Any]) -> Experiment:
    """The experiment that an API server holds, without the metadata that a file cannot have.

    Raises ValueError with a line `field.path: VALUE: what is wrong; what is allowed` for everything wrong with it.
    """
    if (deep := too_deep(document)) is not None:
        raise ValueError(str(Problem(deep, f"nested more than {MAX_DEPTH} levels deep")))
    experiment, problems = _checked(tree_of(document), document, set(), all_read=True)
    if experiment is None or problems:
        told = [str(problem) for problem in problems[:MAX_TOLD]]
        more = len(problems) - len(told)
        raise ValueError("\n".join([*told, f"and {more:,} more"] if more else told))
    return experiment


def _checked(
    root: Node, document: dict[str, Any], unread: set[tuple[str | int, ...]], *, all_read: bool
) -> tuple[Experiment | None, list[Problem]]:
    """The experiment, and what is wrong between its fields; None, and what is wrong with single ones."""
    try:
        experiment = Experiment.model_validate_json(json.dumps(document), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        found = [_problem(root, details) for details in error.errors(include_url=False)]
        return None, _without_echoes(found, unread)
    return experiment, [_located(root, p) for p in check(experiment)] if all_read else []


def _without_echoes(problems: Iterable[Problem], unread: set[tuple[str | int, ...]]) -> list[Problem]:
    """Leave out what only follows from a value that could not be read, or from a list's wrong entries.

    Pydantic counts a list's right entries only, and calls it too short.
    """
    kept = [p for p in problems if p.path not in unread]
    above = {path[:depth] for path in (*unread, *(p.path for p in kept)) for depth in range(len(path))}
    return [p for p in kept if not (p.what.startswith("too short") and p.path in above)]


def _problem(root: Node, details: ErrorDetails) -> Problem:
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return _located(root, Problem(path, f"missing; needs {_allowed(path)}"))
    if kind == "extra_forbidden":
        return _located(root, Problem(path, _unknown(path)))
    if kind == "value_error":
        return _located(root, Problem(path, str(context["error"])))
    node, whole = _find(root, path)
    shown = _shown(node) if whole else None
    return _located(root, Problem(path, f"{_wrong(kind, node)}; allowed: {_allowed(path)}", shown))


def _wrong(kind: str, node: Node) -> str:
    value = node.value
    if isinstance(value, float) and kind == "int_type":
        return "not a whole number"
    if kind in ("too_short", "string_too_short") and not value:
        return "empty"
    if kind in ("too_long", "string_too_long"):
        return f"too long ({len(cast(str | list[Node], value))})"
    if value is None:
        return "no value"
    return _WRONG.get(kind, f"{_KINDS[type(value)]} is the wrong type")


_WRONG = {
    "greater_than": "too small",
    "greater_than_equal": "too small",
    "less_than": "too large",
    "less_than_equal": "too large",
    "too_short": "too short",
    "string_too_short": "too short",
    "string_pattern_mismatch": "not of the right form",
    "literal_error": "unknown value",
}
_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def _allowed(path: Sequence[str | int]) -> str:
    node = node_at(experiment_schema(), path)
    assert node is not None, f"pydantic reports a field that the schema does not have: {path}"
    return allowed(node)


def _unknown(path: tuple[str | int, ...]) -> str:
    parent = node_at(experiment_schema(), path[:-1])
    assert parent is not None, f"pydantic reports a field that the schema does not have: {path}"
    names = list(parent["properties"])
    return f"unknown field; {did_you_mean(str(path[-1]), names)}allowed here: {', '.join(names)}"


def _find(root: Node, path: Sequence[str | int]) -> tuple[Node, bool]:
    """The deepest node of the document on the way to a path, and whether it is the path's own."""
    node = root
    for part in path:
        below: Any = node.value
        if isinstance(part, int):
            known = isinstance(below, list) and part < len(below)
        else:
            known = isinstance(below, dict) and part in below
        if not known:
            return node, False
        node = below[part]
    return node, True


def _located(root: Node, problem: Problem) -> Problem:
    return Problem(problem.path, problem.what, problem.shown, _find(root, problem.path)[0].line)


def _shown(node: Node) -> str | None:
    if node.text is None:
        return None
    text = shorten(node.text)
    return json.dumps(text, ensure_ascii=False) if isinstance(node.value, str) else text or "null"
