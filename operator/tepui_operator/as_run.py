"""What a study was when it last ran on this machine: to tell whether its file or its data have changed since."""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tepui_operator.study import Study
from tepui_spec import layout
from tepui_spec.base import Section
from tepui_spec.errors import dotted
from tepui_spec.experiment import Experiment
from tepui_spec.status import ExperimentStatus

_NO_PART_OF_A_RESULT = frozenset({("spec", "parallelism")})
"""Also what `tepui run --parallelism` sets."""
_SHOWN = 60


class AsRun(Section):
    """One run of a study."""

    tepui: str = Field(description="Version of Tepui.")
    experiment: Experiment
    content_hashes: dict[str, str] = Field(description="Of the data that have a card here, by name in the study.")

    @classmethod
    def of(cls, study: Study, content_hashes: Mapping[str, str]) -> "AsRun":
        """The run that would begin now."""
        return cls(tepui=version("tepui"), experiment=study.experiment, content_hashes=dict(content_hashes))

    @classmethod
    def read(cls, path: Path) -> "AsRun | None":
        """As last written; None where there is none, or one that an other version wrote."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


def differences(before: Experiment, now: Experiment) -> list[str]:
    """What differs between two versions of a study, a line a field."""
    old, new = (experiment.model_dump(mode="json", by_alias=True) for experiment in (before, now))
    return [
        f"{dotted(path)}: {_short(was)} when it ran, now {_short(is_)}"
        for path, was, is_ in _changes((), old, new)
        if path not in _NO_PART_OF_A_RESULT
    ]


def nothing_to_do(before: AsRun | None, now: AsRun, study: Study, status: ExperimentStatus, storage: Path) -> bool:
    """Whether the last run was of the same study on the same data, completed it all, and its results are there."""
    if before is None or status.phase != "Complete" or status.trials.completed < len(study.trials):
        return False
    if (before.tepui, before.content_hashes) != (now.tepui, now.content_hashes):
        return False
    if differences(before.experiment, now.experiment):
        return False
    return all(path.exists() for path in _results(study, storage)) and all(
        any(storage.glob(pattern)) for pattern in _evaluations(study)
    )


def _results(study: Study, storage: Path) -> Iterator[Path]:
    folder = layout.study_dir(study.name)
    yield from (storage / folder / name for name in ("laws.parquet", "points.parquet", "report.html"))
    for trial in study.trials:
        for file in (layout.finished, layout.trial_rows, layout.curve_rows):
            yield storage / file(trial.hash)


def _evaluations(study: Study) -> Iterator[str]:
    for trial in study.trials:
        for task in study.experiment.spec.evaluation.tasks:
            yield layout.evaluation_rows(trial.hash, task, "*")


def _changes(path: tuple[str | int, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from _changes((*path, name), old.get(name), new.get(name))
    elif old != new:
        yield path, old, new


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(_plain(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _plain(value: Any) -> Any:
    """4.0 as the 4 that the user wrote."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
