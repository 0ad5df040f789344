"""`tepui run` on a whole study: real training, evaluation and analysis; killed and run again to the same rows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from digit_data import digits, write_digits
from tepui_spec.status import ExperimentStatus

MODELS = [
    {
        "name": f"vit-{width}",
        "timm": "vit_tiny_patch16_224",
        "args": {"patch_size": 4, "embed_dim": width, "depth": 1, "num_heads": 2},
    }
    for width in (8, 24)
]
DEADLINE_S = 300


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 to 7 as upstream task, all ten as downstream task."""
    folder = tmp_path_factory.mktemp("data")
    write_digits(folder / "up", {"train": digits(0, 1000, 8), "validation": digits(1000, 1300, 8)}, 8)
    write_digits(folder / "ten", {"train": digits(0, 400), "test": digits(1300, 1797)})
    return folder


class Study:
    """Eight trials on digits, in a folder of their own."""

    def __init__(self, folder: Path, data: Path, **spec: Any) -> None:
        self.file = folder / "study.yaml"
        self.storage = folder / "results"
        self.process: subprocess.Popen[str] | None = None
        base: dict[str, Any] = {
            "upstream": {"data": {"uri": str(data / "up")}, "imageSize": 8},
            "models": MODELS,
            "sweep": {"grid": {"model": ["vit-8", "vit-24"], "epochs": [2, 20], "seed": [0, 1]}},
            "training": {"recipe": "vit-small", "precision": "fp32", "batchSize": 50, "checkpointEveryS": 0.2},
            "evaluation": {"tasks": ["ten"], "dataRoot": str(data), "shots": [1, 5], "supportSeeds": 2},
            "storage": {"uri": "results"},
            "parallelism": 2,
        }
        document = {"apiVersion": "tepui.dev/v1alpha1", "kind": "ExperimentSpec", "metadata": {"name": "digits"}}
        self.file.write_text(yaml.safe_dump({**document, "spec": {**base, **spec}}))

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """Start `tepui run` in a process group of its own."""
        command = [str(Path(sys.executable).with_name("tepui")), "run", *options, str(self.file)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "CI": "true"}
        )
        return self.process

    def finish(self, *options: str) -> str:
        """Run to the end, which must be good; returns what was printed."""
        output, _ = self.start(*options).communicate(timeout=DEADLINE_S)
        assert self.process is not None
        assert self.process.returncode == 0, output
        return output

    def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it must before the study ends."""
        assert self.process is not None
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)  # between two looks at the condition

    def rows(self) -> dict[str, bytes]:
        """The bytes of every file of rows of every trial."""
        files = sorted((self.storage / "trials").rglob("*.parquet"))
        return {str(file.relative_to(self.storage)): file.read_bytes() for file in files}

    def laws(self) -> list[dict[str, Any]]:
        """The rows of laws.parquet."""
        return list(pq.read_table(self.storage / "studies/digits/laws.parquet").to_pylist())

    def status(self) -> ExperimentStatus:
        """What the engine wrote last."""
        return ExperimentStatus.model_validate_json((self.storage / "studies/digits/status.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str]:
    """A study that nothing happened to, and what its run printed."""
    study = Study(tmp_path_factory.mktemp("undisturbed"), data)
    return study, study.finish()


def test_a_study_ends_with_an_answer(undisturbed: tuple[Study, str]) -> None:
    """All trials have rows, every task and number of shots has its laws, and the user is told where to look."""
    study, printed = undisturbed
    trials = [name for name in study.rows() if name.endswith("trial.parquet")]
    assert len(trials) == 8
    assert {(law["task"], law["shots"], law["law"]) for law in study.laws()} == {
        ("ten", shots, law) for shots in (1, 5) for law in ("frontier", "average", "hull", "all_points")
    }
    assert (study.storage / "studies/digits/report.html").stat().st_size > 100_000
    assert "e_DS = k * e_US^alpha + e_IR" in printed
    assert "report.html" in printed
    assert "ui --backend-store-uri sqlite:///" in printed
    assert study.status().trials.completed == 8


def test_every_trial_is_a_run_in_mlflow(undisturbed: tuple[Study, str]) -> None:
    """One experiment, a run a trial with the swept factors as its own parameters, curves and evaluation metrics."""
    from mlflow.tracking import MlflowClient

    study, _ = undisturbed
    client = MlflowClient(tracking_uri=f"sqlite:///{study.storage}/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = [run for run in client.search_runs([experiment.experiment_id]) if "tepui.trial" in run.data.tags]
    trials = [run for run in runs if {"model", "epochs", "seed"} <= set(run.data.params)]
    assert len(trials) == 8
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in trials:
        assert {"validation_error", "ten/error_5_shot"} <= set(run.data.metrics), run.data.metrics
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) > 3


def test_running_again_changes_nothing(undisturbed: tuple[Study, str]) -> None:
    """A finished study run again keeps every byte of its rows and comes to the same laws."""
    study, _ = undisturbed
    rows, laws = study.rows(), study.laws()
    assert "finished" in study.finish("--again")
    assert study.rows() == rows
    assert study.laws() == laws


def test_a_complete_study_is_told_without_running(undisturbed: tuple[Study, str]) -> None:
    """Nothing starts and no file changes; laws and places are told as at a run's end, and the ways to more."""
    study, printed = undisturbed
    before = {path: path.stat().st_mtime_ns for path in study.storage.rglob("*") if path.is_file()}
    told = study.finish()
    assert {path: path.stat().st_mtime_ns for path in study.storage.rglob("*") if path.is_file()} == before
    assert "Study digits is complete: all 8 trials, as the file says now. Nothing was run." in told
    assert f"`tepui report {study.file}`" in told
    assert f"`tepui run --again {study.file}`" in told
    end = printed[printed.index("e_DS = ") :]
    assert told.endswith(end)


def test_a_missing_row_is_not_complete(undisturbed: tuple[Study, str]) -> None:
    """Where a result is gone, the study runs and has it again."""
    study, _ = undisturbed
    rows = study.rows()
    gone = next(name for name in rows if "/evaluations/" in name)
    (study.storage / gone).unlink()
    assert "Nothing was run" not in study.finish()
    assert study.rows() == rows


def test_killed_at_any_moment_the_rows_are_the_same(undisturbed: tuple[Study, str], data: Path, tmp_path: Path) -> None:
    """kill -9 of the engine at the first checkpoint and at the first evaluation, Ctrl-C later: the same rows."""
    study = Study(tmp_path, data)

    def some(pattern: str) -> Callable[[], bool]:
        return lambda: any((study.storage / "trials").glob(pattern))

    for pattern, number in (
        ("*/checkpoints/*/manifest.json", signal.SIGKILL),
        ("*/evaluations/*.parquet", signal.SIGKILL),
        ("*/finished.json", signal.SIGINT),
    ):
        engine = study.start()
        study.until(some(pattern))
        engine.send_signal(number)
        engine.communicate(timeout=DEADLINE_S)
        assert engine.returncode != 0
    study.finish()
    assert study.rows() == undisturbed[0].rows()
    assert study.laws() == undisturbed[0].laws()


def test_a_trial_that_diverges_is_told_of(data: Path, tmp_path: Path) -> None:
    """A trial with an absurd learning rate fails for good, with its class and log; the others give their rows."""
    absurd = {"name": "absurd", "optimizer": "sgd", "lrPeak": 100, "warmupSteps": 0, "clipNorm": 0, "batchSize": 50}
    trials = [{"model": "vit-24", "epochs": 1, "seed": seed} for seed in (0, 1, 2)]
    sweep = {"list": [*trials, {"model": "vit-24", "epochs": 20, "recipe": "absurd"}]}
    study = Study(tmp_path, data, recipes=[absurd], sweep=sweep)
    output, _ = study.start().communicate(timeout=DEADLINE_S)
    assert study.process is not None
    assert study.process.returncode == 1, output
    assert "Diverged: " in output
    assert "log: " in output
    assert study.status().trials.failed == 1
    assert len([name for name in study.rows() if name.endswith("trial.parquet")]) == 3
