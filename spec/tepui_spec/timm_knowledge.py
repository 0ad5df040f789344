"""What is known of timm's models without importing timm: tables made by `python -m tepui_trainer.timm_tables`."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Construction:
    """How timm builds a model of a family whose cost is known."""

    family: str
    """Name of timm's class, such as VisionTransformer."""
    arguments: dict[str, Any]
    """Arguments that timm builds it with; classes by their names."""


@cache
def model_names() -> frozenset[str]:
    """Every model of timm."""
    return frozenset(files("tepui_spec").joinpath("timm_models.txt").read_text().split())


@cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(files("tepui_spec").joinpath("timm_arguments.json").read_text())
    return table


def construction(name: str) -> Construction | None:
    """How timm builds a model; None where its family is not one of those whose cost is known."""
    entry = _table()["models"].get(name)
    return None if entry is None else Construction(entry["class"], entry["arguments"])


def arguments_of(family: str) -> tuple[str, ...]:
    """The arguments that a family's class takes, but for those that the trainer gives."""
    return tuple(_table()["classes"][family])
