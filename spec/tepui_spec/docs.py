"""docs/spec.md and docs/results.md, from the contract itself: `python -m tepui_spec.docs` in the repository's root.

A test compares the files with what this makes.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tepui_spec.law import Law
from tepui_spec.recipes import BUILT_IN
from tepui_spec.results import TABLES
from tepui_spec.schema import Schema, allowed, default_text, experiment_schema, kind, plain_schema

NOTE = "<!-- Made by `python -m tepui_spec.docs`; do not edit. -->"

_SPEC_HEAD = f"""{NOTE}
# The experiment file

One YAML file is one study: `apiVersion`, `kind`, `metadata` and `spec`, as for any Kubernetes object. `tepui validate
FILE` checks it without running anything, and names every mistake by line and field; `tepui explain FIELD` says on a
terminal what stands here. `examples/` has whole files.

A trial's own factors (from the sweep) go before `spec.training`, and that before the recipe. Fields are camelCase,
unknown ones are refused, and numbers are written in decimal.
"""

_RESULTS_HEAD = f"""{NOTE}
# Results

Rows are Parquet files in the study's storage, with page checksums; `tepui results` prints and exports them. Errors are
1 - accuracy, in [0, 1]. Rows say what a trial is and what was measured, never how long it took: the same trial gives
the same rows on any machine. [report.md](report.md) says what the report makes of them.
"""


def spec_page() -> str:
    """docs/spec.md: every field of the contract, section by section, and the built-in recipes."""
    root = experiment_schema()
    return "\n".join([_SPEC_HEAD, *_section("", root), *_recipes()])


def results_page() -> str:
    """docs/results.md: every column of every table, and the fields of a law."""
    lines = [_RESULTS_HEAD]
    for name, row in TABLES.items():
        lines += [f"## Table `{name}`", "", _first_paragraph(row), ""]
        lines += [f"One row for each {', '.join(f'`{column}`' for column in row.KEY)}.", ""]
        lines += [*_columns(row), ""]
    lines += ["## Laws", "", _first_paragraph(Law), ""]
    lines += [
        "`tepui fit --json` prints these; `laws.parquet` holds them flat, a column for each number, with `layer`:",
        "",
    ]
    lines += [
        "`pooled` (what the head sees), or `depth-25` to `depth-100`, each model's block at that share of depth.",
        "",
    ]
    lines += _columns(Law)
    return "\n".join(lines) + "\n"


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _section(path: str, node: Schema) -> Iterator[str]:
    """One table of a section's fields, then the sections below it."""
    required = node.get("required", [])
    yield f"## {f'`{path}`' if path else 'The object'}"
    yield ""
    yield node["description"]
    yield ""
    yield "| field | type | allowed | default | meaning |"
    yield "|---|---|---|---|---|"
    for name, field in node["properties"].items():
        default = "**required**" if name in required else _code(default_text(field)) if "default" in field else ""
        limits = "" if _below(field) else _cell(allowed(field))
        yield f"| `{name}` | {kind(field)} | {limits} | {default} | {_cell(field['description'])} |"
    yield ""
    for name, field in node["properties"].items():
        below = _below(field)
        if below is not None:
            suffix = "[]" if field["type"] == "array" else ""
            yield from _section(f"{path}.{name}{suffix}".lstrip("."), below)


def _below(field: Schema) -> Schema | None:
    """The section that a field is, or that each entry of its list is."""
    entry: Schema = field["items"] if field["type"] == "array" else field
    return entry if "properties" in entry else None


def _columns(model: type[BaseModel]) -> Iterator[str]:
    raw, node = model.model_json_schema(by_alias=True)["properties"], plain_schema(model)
    yield "| column | type | null | meaning |"
    yield "|---|---|---|---|"
    for name, field in node["properties"].items():
        null = "may be" if {"type": "null"} in raw[name].get("anyOf", []) else ""
        yield f"| `{name}` | {_type(field)} | {null} | {_cell(field.get('description', ''))} |"


def _type(field: Schema) -> str:
    return ", ".join(f"`{value}`" for value in field["enum"]) if "enum" in field else kind(field)


def _recipes() -> Iterator[str]:
    names = [name for name in BUILT_IN[0].model_dump(by_alias=True) if name != "name"]
    yield "## Built-in recipes"
    yield ""
    yield "`*-jft`, `*-21k` and `vit-1k` are the literature's (224 px); `*-small` are scaled for images of 32 px."
    yield ""
    yield f"| field | {' | '.join(r.name for r in BUILT_IN)} |"
    yield f"|---|{'---|' * len(BUILT_IN)}"
    for name in names:
        values = (json.dumps(r.model_dump(by_alias=True)[name]).strip('"') for r in BUILT_IN)
        yield f"| `{name}` | {' | '.join(values)} |"
    yield ""


def _code(text: str) -> str:
    return f"`{text}`" if text.startswith(("[", "{", '"')) or " " not in text else text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write both pages below the working directory."""
    folder = Path("docs")
    (folder / "spec.md").write_text(spec_page())
    (folder / "results.md").write_text(results_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
