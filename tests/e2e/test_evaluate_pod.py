"""The evaluation pod on a checkpoint that the training pod wrote: rows, reuse, repair, failures."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from builders import experiment
from digit_data import digits, write_digits
from pod_process import run_pod_process
from tepui_evaluator.evaluate_pod import evaluate, rows_path
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import point_table
from tepui_spec.outcome import EXIT_CODES, Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.results import EvaluationRow, TrialRow
from tepui_spec.trial import TASK_VARIABLE, Destination, EvaluateTask, Placement, TrainTask
from tepui_trainer.failures import DataError
from tepui_trainer.rows import from_table, read_rows
from tepui_trainer.runtime import PodContext
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import replay_spools

pytestmark = pytest.mark.e2e

ARGS = {"patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}
SHOTS = (1, 5, 10)
SEEDS = 3


@dataclass(frozen=True)
class Study:
    """One trained trial and its two tasks."""

    folder: Path
    store: Store
    task: EvaluateTask


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A ViT trained for a few steps on digits by a real training pod."""
    folder = tmp_path_factory.mktemp("study")
    write_digits(folder / "data/up", {"train": digits(0, 600), "validation": digits(600, 900)})
    write_digits(folder / "data/near", {"train": digits(900, 1500), "test": digits(1500, 1797)})
    write_digits(folder / "data/small", {"train": digits(900, 1100, 3), "test": digits(1500, 1797, 3)}, classes=3)
    spec = experiment(
        upstream={"data": {"uri": str(folder / "data/up")}, "imageSize": 16},
        models=[{"name": "tiny", "timm": "vit_tiny_patch16_224", "args": ARGS}],
        sweep={"grid": {"model": ["tiny"], "epochs": [4]}},
        evaluation={
            "tasks": ["near", "small"],
            "dataRoot": str(folder / "data"),
            "shots": [*SHOTS, 25],
            "supportSeeds": SEEDS,
            "layers": "all",
        },
    )
    store = Store(Storage(str(folder / "store")), spec)
    trial = store.planned[0]
    destination = Destination(storage_uri=str(folder / "store"), study="study")
    train = TrainTask(
        trial=trial.hash,
        attempt=0,
        config=trial.config,
        factors={},
        placement=Placement(),
        checkpoint_every_s=600,
        data_uri=str(folder / "data/up"),
        destination=destination,
    )
    trained = run_pod_process("train", train, folder / "pod")
    assert trained.code == 0, trained.output
    task = EvaluateTask(
        trial=trial.hash,
        attempt=0,
        config=trial.config,
        factors={"epochs": 4.0},
        evaluation=spec.spec.evaluation,
        task_uris={name: str(folder / "data" / name) for name in ("near", "small")},
        destination=destination.model_copy(update={"mlflow": MlflowServer()}),
    )
    ended = run_pod_process("evaluate", task, folder / "pod")
    assert (ended.code, ended.report.reused) == (0, False), ended.output
    assert "small: 25 shots left out, because class 'digit" in ended.report.message
    return Study(folder, store, task)


def test_rows_of_every_seed_shots_and_layer(study: Study) -> None:
    """The pod writes one row a support seed, number of shots and layer, with the checkpoint's upstream error."""
    rows = read_rows(study.store.storage, rows_path(study.task, "near"), EvaluationRow)
    layers = ["block-00", "block-01", "pooled"]
    expected = {(s, seed, layer) for s in (*SHOTS, 25) for seed in range(SEEDS) for layer in layers}
    assert {(r.shots, r.seed, r.layer) for r in rows} == expected
    assert len(rows) == len(expected)
    trial = from_table(study.store.table("trials"), TrialRow)[0]
    assert {(r.trial, r.step, r.upstream_error, r.upstream_n) for r in rows} == {
        (trial.trial, trial.steps, trial.upstream_error, trial.upstream_n)
    }
    assert {r.n_test for r in rows} == {297}
    assert {r.protocol for r in rows} == {"few-shot-ridge/1:loo"}


def test_errors_are_those_of_a_model_that_has_learnt_a_little(study: Study) -> None:
    """More shots help, and 25 shots are far better than chance on a near task."""
    rows = read_rows(study.store.storage, rows_path(study.task, "near"), EvaluationRow)
    mean = {s: np.mean([r.error for r in rows if r.shots == s and r.layer == "pooled"]) for s in (1, 5, 25)}
    assert mean[25] < mean[5] < mean[1] < 0.9
    assert mean[25] < 0.7


def test_store_finds_the_pod_s_rows(study: Study) -> None:
    """The pod and the store agree on the name of the rows' file, so points come out of a real study."""
    table = point_table(study.store.table("trials"), study.store.table("evaluations"))
    assert table.num_rows == 3 * (4 + 3)  # layers x shots of both tasks


def test_second_run_computes_nothing(study: Study) -> None:
    """With all rows there the pod ends at once: reused, same bytes, torch not even imported."""
    path = rows_path(study.task, "near")
    before = study.store.storage.read(path)
    code = (
        "import sys; from tepui_evaluator.evaluate_pod import evaluate; from tepui_spec.trial import EvaluateTask;"
        "from tepui_trainer.runtime import PodContext; import os;"
        f"task = EvaluateTask.model_validate_json(os.environ['{TASK_VARIABLE}']);"
        "report = evaluate(task, PodContext()); print(report.reused, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, TASK_VARIABLE: study.task.model_dump_json()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False"]
    assert study.store.storage.read(path) == before


def test_damaged_rows_are_computed_again_to_the_same_bytes(study: Study) -> None:
    """A flipped bit in one task's rows costs that task's evaluation, and the rows come back byte for byte."""
    storage, path = study.store.storage, rows_path(study.task, "small")
    before = storage.read(path)
    damaged = bytearray(before)
    damaged[len(damaged) // 3] ^= 1
    storage.write(path, bytes(damaged))
    report = evaluate(study.task, PodContext())
    assert not report.reused
    assert storage.read(path) == before


def test_missing_task_does_not_keep_the_others(study: Study) -> None:
    """A task without data fails the pod as Data, naming it, after all other tasks have their rows."""
    spec = study.task.evaluation.model_copy(update={"tasks": ("gone", "near"), "l2": "fixed"})
    uris = {"gone": str(study.folder / "data/gone"), "near": study.task.task_uris["near"]}
    untracked = study.task.destination.model_copy(update={"mlflow": None})
    task = study.task.model_copy(update={"evaluation": spec, "task_uris": uris, "destination": untracked})
    with pytest.raises(DataError, match="data/gone"):
        evaluate(task, PodContext())
    rows = read_rows(study.store.storage, rows_path(task, "near"), EvaluationRow)
    assert {r.l2 for r in rows} == {1024.0}
    assert {r.protocol for r in rows} == {"few-shot-ridge/1:fixed"}


def test_damaged_card_does_not_keep_the_others(study: Study) -> None:
    """A task whose rows are there but whose card no longer parses fails alone, after the others."""
    shutil.copytree(study.folder / "data/small", study.folder / "data/carded", dirs_exist_ok=True)
    uris = {name: str(study.folder / "data" / name) for name in ("carded", "small")}
    untracked = study.task.destination.model_copy(update={"mlflow": None})

    def task_of(*tasks: str) -> EvaluateTask:
        spec = study.task.evaluation.model_copy(update={"tasks": tasks, "shots": (1,), "layers": "last"})
        return study.task.model_copy(update={"evaluation": spec, "task_uris": uris, "destination": untracked})

    evaluate(task_of("carded"), PodContext())
    (study.folder / "data/carded/card.json").write_text("{}")
    task = task_of("carded", "small")
    with pytest.raises(DataError, match=r"carded.*not a dataset card"):
        evaluate(task, PodContext())
    assert read_rows(study.store.storage, rows_path(task, "small"), EvaluationRow)


def test_untrained_trial_is_refused(study: Study) -> None:
    """A trial without a result ends the pod with the user's exit code and a sentence that says so."""
    task = study.task.model_copy(update={"trial": "0" * 12})
    ended = run_pod_process("evaluate", task, study.folder / "refused")
    assert ended.code == EXIT_CODES[Outcome.CONFIGURATION]
    assert "trial 000000000000 has no result" in ended.report.message


def test_metrics_reach_mlflow(study: Study) -> None:
    """The mean error over support seeds stands in the trial's own MLflow run, beside its swept factors.

    On a busy machine the pod may leave its spool behind, as with a server that is down; then it is sent here.
    """
    from mlflow.tracking import MlflowClient

    assert replay_spools(study.store.storage, study.task.destination) == 0
    client = MlflowClient(f"sqlite:///{study.folder / 'store' / 'mlflow.db'}")
    found = client.get_experiment_by_name("study")
    assert found is not None
    run = client.search_runs([found.experiment_id])[0]
    rows = read_rows(study.store.storage, rows_path(study.task, "near"), EvaluationRow)
    expected = np.mean([r.error for r in rows if (r.shots, r.layer) == (5, "pooled")])
    assert run.data.metrics["near/error_5_shot"] == pytest.approx(expected)
    assert run.data.params["epochs"] == "4.0"
