"""Pod stages for tests of the engine: real processes that do what a test's script says.

The script is a JSON file (TEPUI_TEST_SCRIPT) with one entry per "stage-seed" (analysis: "analyse"):
    exit: [codes of attempts 0, 1, ...]   how attempts end; the last code counts for all later ones; default 0
    gate: N                               before step N, write to gates/{key}.at and read gates/{key}.go (FIFOs)
    deaf: true                            do not listen to SIGTERM
    grandchild: true                      start a process in a session of its own that outlives its parent
A training pod counts to ten in a checkpoint file, one step a line, and goes on from where it stopped; its row is the
number of steps that it saw in all. What ran is told in `calls.jsonl` in the storage.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tepui_spec import layout
from tepui_spec.headline import Headline
from tepui_spec.outcome import EXIT_CODES, Outcome, PodReport, Progress
from tepui_spec.trial import (
    PROGRESS_VARIABLE,
    TASK_VARIABLE,
    TERMINATION_LOG_VARIABLE,
    AnalyseTask,
    EvaluateTask,
    TrainTask,
)

STEPS = 10
TARGETS = {
    "train": "engine_stages:train",
    "evaluate": "engine_stages:evaluate",
    "analyse": "engine_stages:analyse",
}
IMPORTED_IN = os.getpid()
"""The process that imported this module: the fork server, if the import was paid once."""
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


class Stopped(Exception):  # noqa: N818 (as the outcome is named)
    """SIGTERM came."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def train() -> int:
    """Count to ten, with a checkpoint after every step."""
    task = TrainTask.model_validate_json(os.environ[TASK_VARIABLE])
    root = Path(task.destination.storage_uri)
    key = f"train-{task.config.seed}"
    if (root / layout.finished(task.trial)).exists():
        _call(root, key, task.attempt, "reused")
        return _report(PodReport(outcome=Outcome.SUCCEEDED, reused=True))
    checkpoint = root / layout.checkpoints_dir(task.trial) / "steps"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    begin = len(checkpoint.read_text().splitlines()) if checkpoint.exists() else 0
    _call(root, key, task.attempt, "begin", step=begin)
    script = _script(key)
    if script.get("grandchild"):
        child = subprocess.Popen([sys.executable, "-c", _DEAF], start_new_session=True)
        _call(root, key, task.attempt, "grandchild", child=child.pid)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if script.get("deaf") else _stop)
        for step in range(begin, STEPS):
            if step == script.get("gate"):
                _pass_gate(key)
            with checkpoint.open("a") as file:
                file.write(f"{step}\n")
            progress = Progress(stage="train", step=step + 1, steps=STEPS, loss=1 / (step + 1))
            Path(os.environ[PROGRESS_VARIABLE]).write_text(progress.model_dump_json())
    except Stopped:
        _call(root, key, task.attempt, "stopped")
        return _report(PodReport(outcome=Outcome.PREEMPTED, message="saved"))
    return _end(script, task.attempt, lambda: _finish(root, task, checkpoint))


def evaluate() -> int:
    """One row from the trial's row."""
    task = EvaluateTask.model_validate_json(os.environ[TASK_VARIABLE])
    root = Path(task.destination.storage_uri)
    key = f"evaluate-{task.config.seed}"
    _call(root, key, task.attempt, "begin")
    script = _script(key)
    if "gate" in script:
        _pass_gate(key)
    row = root / layout.evaluation_rows(task.trial, "mnist", "test")
    row.parent.mkdir(parents=True, exist_ok=True)
    text = (root / layout.trial_rows(task.trial)).read_text()
    return _end(script, task.attempt, lambda: row.write_text(text))


def analyse() -> int:
    """A law whose numbers say what was analysed."""
    task = AnalyseTask.model_validate_json(os.environ[TASK_VARIABLE])
    root = Path(task.destination.storage_uri)
    _call(root, "analyse", task.attempt, "begin", final=task.final, failures=task.failures)
    rows = len(list(root.glob("trials/*/evaluations/*")))
    law = Headline(
        task="mnist",
        shots=5,
        law="frontier",
        n=rows,
        e_ir=(0.1, 0.05, 0.15),
        k=(0.5, 0.4, None),
        alpha=(1.5, 1.2, 2.5),
        identified="yes",
    )
    script = _script("analyse")
    if script.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "gate" in script:
        _pass_gate("analyse")
    code = _code(script, task.attempt - 1)
    if code:
        return code
    return _report(PodReport(outcome=Outcome.SUCCEEDED, laws=(law,), report=str(root / "report.html")))


def _finish(root: Path, task: TrainTask, checkpoint: Path) -> None:
    (root / layout.trial_rows(task.trial)).write_text(checkpoint.read_text())
    (root / layout.finished(task.trial)).write_text("{}")


def _end(script: dict[str, Any], attempt: int, finish: Any) -> int:
    code = _code(script, attempt)
    if code == 0:
        finish()
        return _report(PodReport(outcome=Outcome.SUCCEEDED))
    if code < 0:
        os.kill(os.getpid(), -code)
    known = {value: outcome for outcome, value in EXIT_CODES.items()}
    if code in known:
        return _report(PodReport(outcome=known[code], message=f"scripted {known[code]}"))
    print("the last line of the log", flush=True)
    return code


def _code(script: dict[str, Any], attempt: int) -> int:
    codes: list[int] = script.get("exit", [0])
    return codes[min(attempt, len(codes) - 1)]


def _script(key: str) -> dict[str, Any]:
    script: dict[str, dict[str, Any]] = json.loads(Path(os.environ["TEPUI_TEST_SCRIPT"]).read_text())
    return script.get(key, {})


def _pass_gate(key: str) -> None:
    gate = Path(os.environ["TEPUI_TEST_SCRIPT"]).parent / "gates" / key
    if gate.with_suffix(".at").exists():
        with gate.with_suffix(".at").open("w") as arrival:
            arrival.write("here")
        with gate.with_suffix(".go").open() as waiting:
            waiting.read()


def _call(root: Path, key: str, attempt: int, what: str, **more: object) -> None:
    call = {
        "key": key,
        "attempt": attempt,
        "what": what,
        "pid": os.getpid(),
        "imported_in": IMPORTED_IN,
        "threads": os.environ["OMP_NUM_THREADS"],
        "running_threads": threading.active_count(),
        "token": os.environ.get("MLFLOW_TRACKING_TOKEN"),
        "rank": os.environ.get("JOB_COMPLETION_INDEX"),
        "master": os.environ.get("MASTER_ADDR"),
        **more,
    }
    root.mkdir(parents=True, exist_ok=True)
    with (root / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")


def _report(report: PodReport) -> int:
    Path(os.environ[TERMINATION_LOG_VARIABLE]).write_text(report.model_dump_json())
    return EXIT_CODES[report.outcome]
