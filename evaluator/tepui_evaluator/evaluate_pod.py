"""The evaluation pod: one trained trial on all its downstream tasks. What is in the storage is not computed again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tepui_evaluator.protocol import protocol_of
from tepui_spec import layout
from tepui_spec.naming import task_hash
from tepui_spec.outcome import Outcome, PodReport, Progress
from tepui_spec.results import EvaluationRow, TrialRow
from tepui_spec.trial import EvaluateTask
from tepui_trainer.failures import DataError, classify
from tepui_trainer.reader.parquet_source import read_card
from tepui_trainer.reader.storage import Folder
from tepui_trainer.rows import read_rows, write_rows
from tepui_trainer.runtime import PodContext, run_pod
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker

if TYPE_CHECKING:
    from torch import nn

    from tepui_evaluator.measure import Checkpoint

_log = logging.getLogger(__name__)


def main() -> int:
    """Entry point `evaluate` of the group `tepui.pods`; returns the exit code."""
    return run_pod(EvaluateTask, evaluate)


def evaluate(task: EvaluateTask, context: PodContext) -> PodReport:
    """Write the rows of every task whose rows are not there. Imports torch only where something is to be computed.

    A task that cannot be evaluated does not keep the others from it: its error is raised at the end. Raises
    ValueError and DataError naming the task, TransientError, CheckpointError, Diverged, Preempted.
    """
    storage = Storage(task.destination.storage_uri)
    missing = [name for name in task.evaluation.tasks if not _done(storage, task, name)]
    if not missing:
        return PodReport(outcome=Outcome.SUCCEEDED, reused=True, message="all rows were there already")
    loaded = _load(storage, task)
    with Tracker.of_task(task, "evaluate") as tracker:
        try:
            notes = _evaluate_tasks(storage, task, missing, loaded=loaded, tracker=tracker, context=context)
        except BaseException as error:
            tracker.end(classify(error))
            raise
        tracker.end(Outcome.SUCCEEDED)
    return PodReport(outcome=Outcome.SUCCEEDED, message="; ".join(notes)[:1500])


def _evaluate_tasks(
    storage: Storage,
    task: EvaluateTask,
    names: Sequence[str],
    *,
    loaded: "Loaded",
    tracker: Tracker,
    context: PodContext,
) -> list[str]:
    """Every task that can be evaluated; the notes for the user. Raises what was wrong with the others, together."""
    notes: list[str] = []
    failures: list[ValueError] = []
    for index, name in enumerate(names):
        context.check_stop()
        context.progress(Progress(stage="evaluate", step=index, steps=len(names), note=name))
        try:
            notes += _evaluate_task(storage, task, name, loaded, tracker)
        except ValueError as error:
            if classify(error) not in (Outcome.CONFIGURATION, Outcome.DATA):
                raise
            failures.append(_naming(name, error))
            _log.error("%s", failures[-1])
    if failures:
        kind = DataError if all(isinstance(error, DataError) for error in failures) else ValueError
        raise kind("; ".join(map(str, failures)))
    context.progress(Progress(stage="evaluate", step=len(names), steps=len(names)))
    return notes


def _naming(name: str, error: ValueError) -> ValueError:
    """The error of one task, naming it."""
    text = str(error)
    kind = DataError if isinstance(error, DataError) else ValueError
    return kind(text if f"task {name}" in text else f"task {name}: {text}")


def rows_path(task: EvaluateTask, name: str) -> str:
    """Where the rows of one downstream task go."""
    return layout.evaluation_rows(task.trial, name, task_hash(task.evaluation, name, protocol_of(task.evaluation)))


def _done(storage: Storage, task: EvaluateTask, name: str) -> bool:
    """Whether a task's rows are there, intact, and of the data that the task's card describes today."""
    path = rows_path(task, name)
    if not storage.exists(path):
        return False
    try:
        rows = read_rows(storage, path, EvaluationRow)
    except ValueError as error:
        _log.warning("%s: computed again", error)
        return False
    try:
        card = read_card(Folder(task.task_uris[name]))
    except DataError:
        return False  # opening the task says it, once the other tasks are done
    if card is not None and card.content_hash != rows[0].task_content_hash:
        _log.warning("task %s: the data at %s have changed: computed again", name, task.task_uris[name])
        return False
    return True


def _evaluate_task(
    storage: Storage,
    task: EvaluateTask,
    name: str,
    loaded: "Loaded",
    tracker: Tracker,
) -> list[str]:
    """Measure, record, write; the notes for the user."""
    from tepui_evaluator.measure import measure
    from tepui_evaluator.tasks import open_task

    data = open_task(name, task.task_uris[name], task.evaluation.data_of(name), task.config.image_size)
    rows, skipped = measure(loaded.model, loaded.checkpoint, data, task.evaluation)
    if skipped is not None:
        _log.warning("%s", skipped)
    # before the rows: a pod killed between the two says some numbers twice, and none is lost
    tracker.metrics(_metrics(rows), loaded.checkpoint.step)
    write_rows(storage, rows_path(task, name), rows)
    return [] if skipped is None else [skipped]


def _metrics(rows: Sequence[EvaluationRow]) -> dict[str, float]:
    """The mean error over support seeds of each number of shots and layer, as MLflow shows it."""
    errors: dict[str, list[float]] = {}
    for row in rows:
        layer = "" if row.layer == "pooled" else f"{row.layer}/"
        errors.setdefault(f"{row.task}/{layer}error_{row.shots}_shot", []).append(row.error)
    return {key: float(np.mean(values)) for key, values in errors.items()}


@dataclass(frozen=True, eq=False)
class Loaded:
    """A checkpoint's model, frozen, on its device."""

    checkpoint: "Checkpoint"
    model: "nn.Module"


def _load(storage: Storage, task: EvaluateTask) -> Loaded:
    """The final model. Raises ValueError for a trial without a result, and as `load_model`."""
    path = layout.trial_rows(task.trial)
    if not storage.exists(path):
        raise ValueError(f"trial {task.trial} has no result in {storage.uri()}: it must be trained first")
    trial = read_rows(storage, path, TrialRow)[0]

    import torch

    from tepui_evaluator.measure import Checkpoint
    from tepui_trainer.checkpoint import load_model

    torch.set_num_threads(task.threads)
    device = torch.device("cuda" if task.gpus else "cpu")
    return Loaded(
        Checkpoint(task.trial, trial.steps, trial.upstream_error, trial.upstream_n),
        load_model(storage, task.trial, trial.steps).to(device).eval(),
    )
