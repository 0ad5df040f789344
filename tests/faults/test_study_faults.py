"""Faults of a whole study as `tepui run` tells them: a bad model, unreadable data, MLflow that is not there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import data_damage as damage
from builders import experiment_dict
from digit_data import digits, write_digits
from fault_world import CLASSES, snapshot
from golden_messages import GoldenMessages
from tepui_spec.status import ExperimentStatus
from training_pods import free_port

pytestmark = pytest.mark.e2e
DEADLINE_S = 300
TINY = {"patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 2}


class Study:
    """Trials of a good model and of one that cannot be built, and two tasks; its MLflow server does not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "results"
        self._mlflow = f"http://127.0.0.1:{free_port()}"

    def run(self, models: tuple[str, ...], epochs: tuple[int, ...] = (1, 4)) -> tuple[int, str]:
        """`tepui run` with these models, the good one trained this long: exit code and what was printed."""
        arguments = {"tiny": TINY, "wrong": TINY | {"norm_layer": "none-such"}}
        document = experiment_dict(
            "faults",
            upstream={"data": {"uri": str(self.folder / "up"), "testSplit": "test"}, "imageSize": 8},
            models=[{"name": m, "timm": "vit_tiny_patch16_224", "args": arguments[m]} for m in models],
            sweep={"list": [{"model": m, "epochs": e} for m in models for e in (epochs if m == "tiny" else (1,))]},
            training={"recipe": "vit-small", "precision": "fp32", "batchSize": 20},
            evaluation={"tasks": ["near", "far"], "dataRoot": str(self.folder), "shots": [1, 5], "supportSeeds": 2},
            tracking={"mlflow": {"uri": self._mlflow}},
            parallelism=2,
        )
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(document))
        done = subprocess.run(
            [str(Path(sys.executable).with_name("tepui")), "run", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "CI": "true", "OMP_NUM_THREADS": "1"},
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode, done.stdout

    def status(self) -> ExperimentStatus:
        """What the engine wrote last."""
        return ExperimentStatus.model_validate_json((self.storage / "studies/faults/status.json").read_text())

    def rows(self) -> dict[str, bytes]:
        """Every file of rows of every trial."""
        return {name: content for name, content in snapshot(self.storage).items() if re.match("trials/.*parquet", name)}

    def spool(self) -> dict[str, bytes]:
        """What waits for MLflow."""
        return {name: content for name, content in snapshot(self.storage).items() if name.startswith("spool/")}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """With sound data."""
    write_digits(tmp_path / "up", {"train": digits(0, 300, CLASSES), "test": digits(300, 400, CLASSES)}, CLASSES)
    task = {"train": digits(400, 600, CLASSES), "test": digits(600, 700, CLASSES)}
    for name in ("near", "far"):
        write_digits(tmp_path / name, task, CLASSES)
    return Study(tmp_path)


def test_a_study_with_faults_is_told_and_mended(study: Study, golden: GoldenMessages) -> None:
    """What can be computed is; what cannot is told with its log; mended and run again the study completes.

    MLflow stays away all the time: no pod fails for it, its log says so, and all it should know is kept.
    """
    sound = snapshot(study.folder / "far")
    damage.flipped(study.folder / "far")
    code, printed = study.run(("tiny", "wrong"))
    assert code == 1, printed
    told = printed[printed.index("Failed for good") :]
    golden.check("study: what failed for good", in_order(told.split("\n\n")[0]), {study.folder: "STUDY"})
    assert (study.status().trials.failed, study.status().trials.completed) == (3, 0)
    before = study.rows()
    assert sum("near" in name for name in before) == 2
    assert sum(name.endswith("/trial.parquet") for name in before) == 2
    told_in_logs(study)
    waiting = study.spool()
    assert waiting

    for name, content in sound.items():
        (study.folder / "far" / name).write_bytes(content)
    code, printed = study.run(("tiny",))
    assert code == 0, printed
    assert (study.status().trials.failed, study.status().trials.completed) == (0, 2)
    after = study.rows()
    assert after.items() > before.items()
    assert sum("far" in name for name in after) == 2
    told_in_logs(study)
    assert study.spool().keys() > waiting.keys()


def test_data_that_fail_every_trial_end_the_study_early(study: Study) -> None:
    """A shard that cannot be read, which no look at its folder tells: after three trials no further ones begin."""
    damage.flipped(study.folder / "up")
    code, printed = study.run(("tiny",), epochs=(1, 2, 3, 4, 5, 6, 7, 8))
    assert code == 1, printed
    assert "trials failed alike and none completed, so no more were started: Data in train: " in printed
    status = study.status()
    assert [condition.reason for condition in status.conditions] == ["FailedAlike"]
    assert status.trials.failed in (3, 4)  # one more may have been at work
    assert status.trials.waiting == 8 - status.trials.failed


def test_data_that_are_not_there_are_told_before_anything_runs(study: Study) -> None:
    """By line, field and value; no pod starts and nothing is written."""
    shutil.move(study.folder / "far", study.folder / "afar")
    code, printed = study.run(("tiny",))
    assert code == 2, printed
    assert "spec.evaluation.tasks[1]: far: there is no folder" in printed
    assert "did you mean afar? tasks there: afar, near, up" in printed
    assert not study.storage.exists()


def told_in_logs(study: Study) -> None:
    """Some pod's log says that MLflow did not take its tracking, and where it waits."""
    logs = "".join(file.read_text() for file in (study.storage / "studies/faults").rglob("*.log"))
    assert "MLflow does not take" in logs
    assert "spool/" in logs


def in_order(told: str) -> str:
    """The failures without their logs' places, in alphabetical order."""
    lines = [line.strip() for line in told.splitlines()]
    assert sum(line.startswith("log: ") for line in lines) == 3
    failures = sorted({line for line in lines[1:] if not line.startswith("log: ")}, key=lambda line: line.split()[1:])
    return "\n".join([lines[0], *failures])
