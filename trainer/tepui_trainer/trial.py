"""One pre-training trial in this process, from task to finished rows; alone or as one of several ranks."""

import logging
import os

import torch
from pydantic import ValidationError
from torch import nn

from tepui_spec import layout
from tepui_spec.outcome import Outcome, PodReport
from tepui_spec.results import CurveRow, TrialRow
from tepui_spec.trial import Placement, TrainTask
from tepui_trainer import checkpoint
from tepui_trainer.engine import Engine, EngineConfig
from tepui_trainer.failures import DataError, classify
from tepui_trainer.gang import joined
from tepui_trainer.loop import Run, changed_data, seed_of
from tepui_trainer.manifest import Finished
from tepui_trainer.model import build_model, set_head_bias
from tepui_trainer.rows import read_table, write_rows
from tepui_trainer.runtime import PodContext
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker
from tepui_trainer.trial_rows import trial_row
from tepui_trainer.upstream import Upstream, open_upstream
from tepui_trainer.validation import Validation

log = logging.getLogger(__name__)


def train_trial(task: TrainTask, context: PodContext) -> PodReport:
    """Trains, or finds the trial finished in the store. Raises the classes of `tepui_trainer.failures`."""
    storage = Storage(task.destination.storage_uri)
    upstream = open_upstream(task)
    if is_finished(storage, task, upstream):
        return PodReport(outcome=Outcome.SUCCEEDED, reused=True, message="found finished in the store")
    config = EngineConfig.of(task.config.recipe, task.placement, task.config.precision)
    device_type = "cuda" if task.placement.gpus_per_node else "cpu"
    _make_deterministic(device_type, task.placement)
    model = _initial_model(task, upstream)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    context.check_stop()
    with joined(device_type) as gang, _tracker(task, tracked=gang.is_leader) as tracker:
        try:
            engine = Engine(model, task.config.recipe, config, gang)
            run = Run(task, engine=engine, upstream=upstream, storage=storage, context=context, tracker=tracker)
            run.resume()
            validation = run.train()
            run.save(final=True)
            if gang.is_leader:
                _finish(run, storage, parameters, validation)
            gang.wait()
        except BaseException as error:
            tracker.end(classify(error))
            raise
        tracker.end(Outcome.SUCCEEDED)
    return PodReport(outcome=Outcome.SUCCEEDED)


def is_finished(storage: Storage, task: TrainTask, upstream: Upstream) -> bool:
    """Whether the store has the finished trial and its rows are intact; otherwise the final checkpoint gives them anew.

    Raises DataError if it was trained on other data, TransientError.
    """
    path = layout.finished(task.trial)
    try:
        finished = Finished.model_validate_json(storage.read(path))
    except FileNotFoundError:
        return False
    except ValidationError:
        return False
    if finished.data_content_hash != upstream.content_hash:
        raise DataError(changed_data(task, finished.data_content_hash, upstream.content_hash))
    try:
        read_table(storage, [layout.trial_rows(task.trial)], TrialRow)
        read_table(storage, [layout.curve_rows(task.trial)], CurveRow)
    except (FileNotFoundError, ValueError) as error:
        log.warning("rows of the finished trial are written anew: %s", error)
        return False
    return True


def _initial_model(task: TrainTask, upstream: Upstream) -> nn.Module:
    torch.manual_seed(seed_of("initialisation", task.config.seed))
    model = build_model(task.config.model, num_classes=upstream.num_classes, image_size=task.config.image_size)
    set_head_bias(model, task.config.recipe.head_bias)
    return model


def _finish(run: Run, storage: Storage, parameters: int, validation: Validation) -> None:
    """Rows, then the file that says so, then the end of the checkpoints that are needed no more."""
    task = run.task
    row = trial_row(
        task,
        run.upstream,
        parameters=parameters,
        steps=run.total,
        corrupt_images=run.corrupt_images,
        validation=validation,
    )
    write_rows(storage, layout.trial_rows(task.trial), [row])
    write_rows(storage, layout.curve_rows(task.trial), run.curve)
    finished = Finished(
        trial=task.trial,
        step=run.total,
        data_content_hash=run.upstream.content_hash,
        upstream_error=validation.error,
        upstream_n=validation.images,
    )
    storage.write(layout.finished(task.trial), finished.model_dump_json().encode())
    checkpoint.prune(storage, task.trial, [run.total])


def _tracker(task: TrainTask, *, tracked: bool) -> Tracker:
    if tracked:
        return Tracker.of_task(task, "train")
    untracked = task.destination.model_copy(update={"mlflow": None})
    return Tracker.of_task(task.model_copy(update={"destination": untracked}), "train")


def _make_deterministic(device_type: str, placement: Placement) -> None:
    torch.set_num_threads(placement.threads)
    # cuBLAS is deterministic only with a workspace of fixed size, chosen before it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # a few CUDA kernels (such as the backward pass of bicubic resizing) exist in no deterministic form
    torch.use_deterministic_algorithms(True, warn_only=device_type == "cuda")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
