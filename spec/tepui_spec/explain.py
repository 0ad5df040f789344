"""The contract in words for a terminal: a field and what is below it, recipes, models."""

import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase

from tepui_spec.cost import model_cost
from tepui_spec.errors import dotted
from tepui_spec.experiment import CustomModel
from tepui_spec.nearest import did_you_mean
from tepui_spec.recipes import BUILT_IN
from tepui_spec.schema import Schema, allowed, default_text, experiment_schema, kind, node_at
from tepui_spec.timm_knowledge import model_names
from tepui_spec.yaml_text import to_yaml


def explain(field: str) -> str:
    """A field's type, bounds, default and description, and the fields below it.

    Raises ValueError for a field that the contract does not have, with the nearest names.
    """
    path: list[str | int] = []
    node = experiment_schema()
    for part in filter(None, field.replace("[]", "").split(".")):
        while node.get("type") == "array":
            path, node = [*path, 0], node["items"]
        below = node_at(node, [part])
        if below is None:
            names = list(node.get("properties", {}))
            where = dotted(tuple(path)) or "an experiment"
            hint = f"{did_you_mean(part, names)}it has {', '.join(names)}" if names else "it has no fields"
            raise ValueError(f"{field}: {where} has no field {part!r}; {hint}")
        path, node = [*path, part], below
    lines = [f"FIELD: {field or '(the whole object)'} <{kind(node)}>", *_paragraph(node.get("description", ""))]
    lines.append(f"  Allowed: {allowed(node)}." if "properties" not in node else "")
    if "default" in node:
        lines.append(f"  Default: {default_text(node)}.")
    while node.get("type") == "array":
        node = node["items"]
    return "\n".join(filter(None, [*lines, *_fields(node)]))


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, width=100, initial_indent="  ", subsequent_indent="  ")


def _fields(node: Schema) -> list[str]:
    if "properties" not in node:
        return []
    required = node.get("required", [])
    lines = ["FIELDS:"]
    for name, field in node["properties"].items():
        sign = " (required)" if name in required else ""
        lines.append(f"  {name} <{kind(field)}>{sign}")
        lines += [f"  {line}" for line in _paragraph(field.get("description", ""))]
    return lines


def recipe_table() -> str:
    """The built-in recipes, a line each."""
    rows = [("NAME", "OPTIMIZER", "LR", "DECAY", "SCHEDULE", "LOSS", "BATCH", "EPOCHS")]
    rows += [
        (
            r.name,
            r.optimizer,
            f"{r.lr_peak:g}",
            f"{r.weight_decay:g}",
            r.schedule,
            r.loss,
            str(r.batch_size),
            f"{r.epochs:g}",
        )
        for r in BUILT_IN
    ]
    return aligned(rows)


def recipe_text(name: str) -> str:
    """One recipe in full, as spec.recipes takes it. Raises ValueError for a name that is not built in."""
    for recipe in BUILT_IN:
        if recipe.name == name:
            return to_yaml(recipe.model_dump(mode="json", by_alias=True)).rstrip()
    names = [r.name for r in BUILT_IN]
    raise ValueError(f"recipe {name!r} is not built in; {did_you_mean(name, names)}allowed: {', '.join(names)}")


def model_table(pattern: str, *, image_size: int, num_classes: int) -> str:
    """timm's models whose names match, with what each costs; `-` where its family is not known.

    Raises ValueError where none matches.
    """
    rows = [("NAME", "PARAMETERS", "GFLOPS/IMAGE")]
    names = sorted(name for name in model_names() if fnmatchcase(name, pattern))
    if not names:
        raise ValueError(f"no model of timm matches {pattern!r}; {did_you_mean(pattern, sorted(model_names()))}")
    for name in names:
        cost = model_cost(CustomModel(name=name, timm=name), image_size=image_size, num_classes=num_classes)
        known = ("-", "-") if cost is None else (f"{cost.parameters:,}", f"{cost.forward_flops / 1e9:.2f}")
        rows.append((name, *known))
    return aligned(rows)


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns of text, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
