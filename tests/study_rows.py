"""Rows of a made-up study in a real storage, for tests of what reads them."""

from typing import Any

import numpy as np

from tepui_evaluator.protocol import protocol_of
from tepui_evaluator.store import Store
from tepui_spec import layout
from tepui_spec.expand import Trial
from tepui_spec.experiment import Experiment
from tepui_spec.results import CurveRow, EvaluationRow, TrialRow
from tepui_trainer.rows import write_rows
from tepui_trainer.storage import Storage

N_TEST = 500
UPSTREAM_N = 2000


def trial_row(trial: Trial, upstream_error: float, **other: Any) -> TrialRow:
    """A finished trial with this upstream error."""
    recipe = trial.config.recipe
    values: dict[str, Any] = {
        "trial": trial.hash,
        "model": trial.config.model.name,
        "timm": trial.config.model.timm,
        "family": trial.config.model.family or trial.config.model.timm.split("_")[0],
        "recipe": recipe.name,
        "upstream_uri": trial.config.data.uri,
        "upstream_content_hash": "sha256:" + "0" * 64,
        "image_size": trial.config.image_size,
        "data_fraction": trial.config.data_fraction,
        "epochs": recipe.epochs,
        "seed": trial.config.seed,
        "batch_size": recipe.batch_size,
        "lr_peak": recipe.lr_peak,
        "weight_decay": recipe.weight_decay,
        "head_weight_decay": recipe.head_weight_decay or 0.0,
        "head_lr_scale": recipe.head_lr_scale,
        "precision": trial.config.precision,
        "parameters": 1000,
        "training_flops": None,
        "num_classes": 10,
        "train_images": 100,
        "steps": 10,
        "examples_seen": 1000,
        "corrupt_images": 0,
        "upstream_error": upstream_error,
        "upstream_n": UPSTREAM_N,
        "upstream_error_se": float(np.sqrt(upstream_error * (1 - upstream_error) / UPSTREAM_N)),
        "upstream_loss": 1.0,
    }
    return TrialRow(**(values | other))


def evaluation_row(trial: Trial, task: str, shots: int, seed: int, error: float, **other: Any) -> EvaluationRow:
    """One few-shot measurement."""
    values: dict[str, Any] = {
        "trial": trial.hash,
        "step": 10,
        "protocol": "few-shot-ridge/1:loo",
        "task": task,
        "shots": shots,
        "seed": seed,
        "layer": "pooled",
        "error": error,
        "n_test": N_TEST,
        "error_se": float(np.sqrt(error * (1 - error) / N_TEST)),
        "l2": 1024.0,
        "n_support": 10 * shots,
        "num_classes": 10,
        "corrupt_images": 0,
        "task_content_hash": "sha256:" + "1" * 64,
        "upstream_error": 0.5,
        "upstream_n": UPSTREAM_N,
    }
    return EvaluationRow(**(values | other))


def write_study(
    storage: Storage, experiment: Experiment, trials: int | None = None, law: tuple[float, float, float] = (0.6, 2, 0.1)
) -> None:
    """Finished trials (the first `trials` of the sweep) whose errors follow k x**alpha + e_IR with noise above it."""
    k, alpha, e_ir = law
    store, rng = Store(storage, experiment), np.random.default_rng(0)
    evaluation = experiment.spec.evaluation
    for index, trial in enumerate(store.planned[:trials]):
        upstream_error = 0.9 - 0.8 * index / max(len(store.planned) - 1, 1)
        excess = rng.exponential(0.03)
        write_rows(storage, layout.trial_rows(trial.hash), [trial_row(trial, upstream_error)])
        write_rows(storage, layout.curve_rows(trial.hash), _curve(trial, upstream_error))
        for task in evaluation.tasks:
            rows = [
                evaluation_row(
                    trial,
                    task,
                    shots,
                    seed,
                    float(np.clip(k * upstream_error**alpha + e_ir + excess + rng.normal(0, 0.01), 0, 1)),
                    upstream_error=upstream_error,
                    protocol=protocol_of(evaluation),
                )
                for shots in evaluation.shots
                for seed in range(evaluation.support_seeds)
            ]
            write_rows(storage, store.evaluation_path(trial.hash, task), rows)
        storage.write(layout.finished(trial.hash), b"{}")


def _curve(trial: Trial, upstream_error: float) -> list[CurveRow]:
    return [
        CurveRow(trial=trial.hash, step=step, examples_seen=100 * step, metric="validation_error", value=value)
        for step, value in ((5, min(1.0, upstream_error + 0.05)), (10, upstream_error))
    ]
