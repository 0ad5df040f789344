"""Plain data as YAML that every version of YAML reads alike: text in double quotes, no line folded."""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z$_][A-Za-z0-9_./-]*")
_AMBIGUOUS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def to_yaml(value: dict[str, Any]) -> str:
    """Block style, fields in the order of the mapping; values as JSON writes them, which is YAML too."""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: dict[str, Any]) -> Iterator[str]:
    for name, entry in value.items():
        key = name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _AMBIGUOUS else json.dumps(name)
        if isinstance(entry, dict) and entry:
            yield f"{key}:"
            yield from (f"  {line}" for line in _mapping(entry))
        elif isinstance(entry, list) and any(isinstance(e, dict | list) for e in entry):
            yield f"{key}:"
            for element in entry:
                lines = _mapping(element) if isinstance(element, dict) and element else iter([_flow(element)])
                yield f"- {next(lines)}"
                yield from (f"  {line}" for line in lines)
        else:
            yield f"{key}: {_flow(entry)}"


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
