"""Names and content hashes: the same thing has the same name everywhere, and a changed thing a new one."""

import hashlib
import json

from tepui_spec.base import Section
from tepui_spec.experiment import Evaluation
from tepui_spec.trial import TrialConfig

HASH_LENGTH = 12
"""Hex digits kept: 48 bits, so 15,000 trials collide with probability 4e-7."""


def content_hash(value: object) -> str:
    """Hex SHA-256 of the canonical JSON (sorted keys, no spaces) of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(section: Section, *leave_out: str) -> dict[str, object]:
    return section.model_dump(mode="json", by_alias=True, exclude=set(leave_out))


def trial_hash(config: TrialConfig) -> str:
    """The name of a trial: labels (model name, family, recipe name) do not count, and where a content hash of the
    data is given, neither does where the data lies."""
    content = config.model_dump(
        mode="json",
        by_alias=True,
        exclude={
            "model": {"name", "family", "recipe"},
            "recipe": {"name"},
            "data": {"uri"} if config.data.content_hash else set(),
        },
    )
    return content_hash(content)[:HASH_LENGTH]


def task_hash(evaluation: Evaluation, name: str, protocol: str) -> str:
    """The name of one downstream task under one protocol: a changed setting makes new rows, another task does not."""
    data = evaluation.data_of(name)
    return content_hash(
        {
            "protocol": protocol,
            "data": _plain(data, "uri") if data.content_hash else _plain(data),
            "evaluation": _plain(evaluation, "tasks", "data_root", "datasets"),
        }
    )[:HASH_LENGTH]


def family_of(timm_name: str) -> str:
    """The family of a timm model: its name up to the first underscore, such as vit, mixer, resnetv2, resnet50."""
    return timm_name.split("_", 1)[0]
