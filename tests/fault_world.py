"""A small study in which a fault can happen: digits, a trial, its evaluation, and what an undisturbed run gives."""

import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import experiment
from digit_data import digits, write_digits
from tepui_evaluator.protocol import protocol_of
from tepui_spec import layout
from tepui_spec.experiment import Evaluation
from tepui_spec.naming import task_hash, trial_hash
from tepui_spec.outcome import EXIT_CODES, Outcome
from tepui_spec.trial import EvaluateTask, TrainTask
from training_pods import Died, Pod, results, run, train_task

CLASSES = 5
TASKS = ("near", "far")


@dataclass(frozen=True)
class World:
    """Datasets, and two stores: in one the trial was killed in the middle, in the other all is done."""

    data: Path
    interrupted: Path
    """The trial after SIGKILL, with two checkpoints, beside a trial of another seed that is finished."""
    finished: Path
    """The trial, trained and evaluated."""

    def undisturbed(self) -> dict[str, bytes]:
        """Rows and weights of the trial that nothing happened to."""
        return results(training(self.data, self.finished), self.finished)

    def copy(self, store: Path, folder: Path) -> tuple[Path, Path]:
        """Data and one of the stores in a test's own folder."""
        shutil.copytree(self.data, folder / "data")
        shutil.copytree(store, folder / "store")
        return folder / "data", folder / "store"

    def mend(self, data: Path) -> None:
        """Bring the data back."""
        shutil.rmtree(data)
        shutil.copytree(self.data, data)


def build_world(folder: Path) -> World:
    """Seven pods."""
    data = folder / "data"
    write_digits(data / "up", {"train": digits(0, 400, CLASSES), "test": digits(400, 500, CLASSES)}, CLASSES)
    write_digits(data / "near", {"train": digits(500, 700, CLASSES), "test": digits(700, 800, CLASSES)}, CLASSES)
    write_digits(data / "far", {"train": digits(800, 1000), "test": digits(1000, 1100)})
    world = World(data, folder / "interrupted", folder / "finished")
    task = training(data, world.finished)
    done(task, folder / "pods")
    done(evaluation(task, data), folder / "pods")
    done(with_seed(training(data, world.interrupted), 1), folder / "pods")
    code, pod = run(training(data, world.interrupted), folder / "pods", died=Died("manifest.json", 3))
    assert code == -signal.SIGKILL, pod.log.read_text()
    return world


def done(task: TrainTask | EvaluateTask, folder: Path) -> Pod:
    """Run a pod that must succeed."""
    code, pod = run(task, folder)
    assert code == 0, pod.log.read_text()
    return pod


def ended(pod: Pod, outcome: Outcome) -> str:
    """Assert how a pod ended; returns it as it is recorded."""
    code = pod.wait()
    assert (code, pod.report.outcome) == (EXIT_CODES[outcome], outcome), pod.log.read_text()
    return f"{outcome}, exit code {code}\n{pod.report.message}"


def training(data: Path, store: Path, *, checkpoint_every_s: float = 0.02) -> TrainTask:
    """One trial of about 70 steps. Its name does not depend on where the data lie."""
    task = train_task(Path("data/up"), store, checkpoint_every_s=checkpoint_every_s, epochs=6)
    return task.model_copy(update={"data_uri": str(data / "up")})


def with_seed(task: TrainTask, seed: int) -> TrainTask:
    """The trial of another seed."""
    return with_config(task, {"seed": seed})


def with_config(task: TrainTask, changes: Mapping[str, object]) -> TrainTask:
    """Another trial: fields of its configuration, by their names."""
    config = task.config.model_copy(update=changes)
    return task.model_copy(update={"config": config, "trial": trial_hash(config)})


def with_data(task: TrainTask, changes: Mapping[str, object]) -> TrainTask:
    """Another trial: fields of its `data`."""
    return with_config(task, {"data": task.config.data.model_copy(update=changes)})


def evaluation(task: TrainTask, data: Path, **changes: object) -> EvaluateTask:
    """The trial's evaluation on both tasks."""
    settings = {"tasks": list(TASKS), "dataRoot": "data", "shots": [1, 5], "supportSeeds": 2}
    spec: Evaluation = experiment(evaluation=settings | changes).spec.evaluation
    return EvaluateTask(
        trial=task.trial,
        attempt=0,
        config=task.config,
        factors={},
        evaluation=spec,
        task_uris={name: str(data / name) for name in TASKS},
        destination=task.destination,
    )


def rows_of(task: EvaluateTask, name: str) -> Path:
    """The file of a downstream task's rows."""
    path = layout.evaluation_rows(task.trial, name, task_hash(task.evaluation, name, protocol_of(task.evaluation)))
    return Path(task.destination.storage_uri) / path


def undisturbed_rows(world: World, name: str) -> bytes:
    """The rows of one task of the trial that nothing happened to."""
    return rows_of(evaluation(training(world.data, world.finished), world.data), name).read_bytes()


def snapshot(store: Path) -> dict[str, bytes]:
    """Every file below a folder but unfinished writes, which nobody reads."""
    files = (file for file in sorted(store.rglob("*")) if file.is_file() and not file.name.endswith(".tmp"))
    return {str(file.relative_to(store)): file.read_bytes() for file in files}
