"""The contract as one plain tree: JSON schema without references, unions or titles, by wire names.

The CustomResourceDefinition, `tepui explain`, docs/spec.md and the words of error messages are all made from it.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from tepui_spec.base import MEANING
from tepui_spec.experiment import Experiment

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "$defs", "discriminator", "propertyNames"})
_NULL = {"type": "null"}


def plain_schema(model: type[BaseModel]) -> Schema:
    """A model's schema with every reference replaced by what it names, and "or null" by absence."""
    raw = model.model_json_schema(by_alias=True)
    return _plain(raw, raw.get("$defs", {}))


@cache
def experiment_schema() -> Schema:
    """The schema of what a user writes. Shared: do not change it."""
    return plain_schema(Experiment)


def _plain(node: Schema, definitions: Schema) -> Schema:
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        return _plain(target | {k: v for k, v in node.items() if k != "$ref"}, definitions)
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option != _NULL]
        rest = {k: v for k, v in node.items() if k != "anyOf"}
        if len(options) > 1:  # none in what a user writes or reads back on a cluster
            return {"anyOf": [_plain(option, definitions) for option in options]} | _plain(rest, definitions)
        return _plain(options[0] | rest, definitions)
    plain: Schema = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and value is None):
            continue
        if key == "const":
            plain["enum"] = [value]
        elif key == "properties":
            required = node.get("required", [])
            plain[key] = {name: _field(field, definitions, name in required) for name, field in value.items()}
        elif key == "prefixItems":  # a tuple of fixed length; all of the contract's have one type
            entries = [_entry(entry, definitions) for entry in value]
            plain["items"] = max(entries, key=len)  # the one that may be null, if any
            assert all(entry.items() <= plain["items"].items() for entry in entries), f"several types: {node}"
        elif key == "items":
            plain[key] = _entry(value, definitions)
        elif key == "additionalProperties" and isinstance(value, dict):
            plain[key] = _plain(value, definitions)
        else:
            plain[key] = value
    return plain


def _field(field: Schema, definitions: Schema, required: bool) -> Schema:
    """A section or mapping that may be left out, and is not null then, is its defaults."""
    plain = _plain(field, definitions)
    if not required and plain.get("type") == "object" and _NULL not in field.get("anyOf", []):
        plain.setdefault("default", {})
    return plain


def _entry(entry: Schema, definitions: Schema) -> Schema:
    """An entry of a list; here null has a place of its own."""
    return _plain(entry, definitions) | ({"nullable": True} if _NULL in entry.get("anyOf", []) else {})


def at(schema: Schema, path: Sequence[str]) -> Schema:
    """The schema of the field at a path that exists; "[]" is the entry of a list."""
    for part in path:
        schema = schema["items"] if part == "[]" else schema["properties"][part]
    return schema


def node_at(schema: Schema, path: Sequence[str | int]) -> Schema | None:
    """The schema of the field at a path; None where the contract has no such field."""
    for part in path:
        if isinstance(part, int):
            below = schema.get("items")
        else:
            below = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
        if not isinstance(below, dict):
            return None
        schema = below
    return schema


def kind(node: Schema) -> str:
    """A field's type, as short as kubectl writes it: `integer`, `[]number`, `map[string]string`, `object`."""
    if "anyOf" in node:
        return " or ".join(kind(option) for option in node["anyOf"])
    if node["type"] == "array":
        return f"[]{kind(node['items'])}"
    below = node.get("additionalProperties")
    if node["type"] == "object" and isinstance(below, dict):
        return f"map[string]{kind(below) if below else 'any'}"
    return str(node["type"])


def default_text(node: Schema) -> str:
    """A field's default as it would be written in YAML."""
    return "its fields' defaults" if node["default"] == {} and "properties" in node else json.dumps(node["default"])


def allowed(node: Schema) -> str:
    """What a field may hold, in words: `a number above 0, at most 1`."""
    if "enum" in node:
        return ("one of " if len(node["enum"]) > 1 else "") + ", ".join(str(v) or '""' for v in node["enum"])
    match node["type"]:
        case "integer" | "number" as kind:
            words = f"{'a whole number' if kind == 'integer' else 'a number'} {_range(node)}"
        case "string":
            limit = f"at most {node['maxLength']} characters"
            words = f"{limit}: {MEANING[node['pattern']]}" if "pattern" in node else f"text of {limit}"
        case "boolean":
            words = "true or false"
        case "array":
            fewest, most = node.get("minItems", 0), node["maxItems"]
            words = f"a list of {fewest} to {most} entries, each {allowed(node['items'])}"
        case _:
            words = f"a mapping with {_names(node)}" if "properties" in node else "a mapping of names to values"
    return words


def _range(node: Schema) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"from {_number(low)} to {_number(high)}"
    bounds = [
        (f"above {_number(node['exclusiveMinimum'])}" if "exclusiveMinimum" in node else None),
        (f"at least {_number(low)}" if low is not None else None),
        (f"at most {_number(high)}" if high is not None else None),
        (f"below {_number(node['exclusiveMaximum'])}" if "exclusiveMaximum" in node else None),
    ]
    return ", ".join(filter(None, bounds))


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _names(node: Schema) -> str:
    required = node.get("required", [])
    optional = [name for name in node["properties"] if name not in required]
    return " and optionally ".join(filter(None, (", ".join(required), ", ".join(optional))))
