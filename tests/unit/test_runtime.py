"""What every pod's main does: task, outcomes, last words, progress, signals."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tepui_spec.base import Section
from tepui_spec.errors import TransientError
from tepui_spec.headline import Headline
from tepui_spec.outcome import EXIT_CODES, MESSAGE_LIMIT_BYTES, Outcome, PodReport, Progress
from tepui_trainer.failures import CheckpointError, DataError, Diverged, PeerLost, Preempted
from tepui_trainer.runtime import PodContext, report_bytes, run_pod


class Task(Section):
    """A payload as small as can be."""

    trial: str
    data_uri: str = ""


def pod(tmp_path: Path, work: Any, payload: str = '{"trial": "0123456789ab"}') -> tuple[int, PodReport]:
    """Run `work` as a pod in this process; exit code and report."""
    log = tmp_path / "termination-log"
    code = run_pod(Task, work, {"TEPUI_TASK": payload, "TEPUI_TERMINATION_LOG": str(log)})
    return code, PodReport.model_validate_json(log.read_bytes())


def test_success_with_its_report(tmp_path: Path) -> None:
    """Exit code 0; what the work reports is kept, its trial and CPU time are filled in."""
    code, report = pod(tmp_path, lambda task, _: PodReport(outcome=Outcome.SUCCEEDED, reused=True, message=task.trial))
    assert code == 0
    assert report.reused
    assert (report.message, report.trial) == ("0123456789ab", "0123456789ab")
    assert report.busy_cpu_s > 0
    assert pod(tmp_path, lambda *_: None)[1].outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("lr_peak is -1"), Outcome.CONFIGURATION),
        (DataError("s3://x: not there"), Outcome.DATA),
        (Diverged("loss is nan at step 7"), Outcome.DIVERGED),
        (MemoryError(), Outcome.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), Outcome.OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Outcome.OUT_OF_MEMORY),
        (Preempted("stopped at step 7"), Outcome.PREEMPTED),
        (PeerLost("rank 1 is gone"), Outcome.PEER_LOST),
        (torch.distributed.DistNetworkError("reset"), Outcome.PEER_LOST),
        (TransientError("the disk is full"), Outcome.STORAGE),
        (OSError(errno.ENOSPC, "No space left on device"), Outcome.STORAGE),
        (CheckpointError("none is intact"), Outcome.CHECKPOINT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_expected_failures_by_class(
    error: BaseException, outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each class of failure has its outcome, exit code and sentence, and no traceback."""

    def fail(_task: Task, _context: PodContext) -> None:
        raise error

    code, report = pod(tmp_path, fail)
    assert report.outcome is outcome
    assert code == EXIT_CODES[outcome]
    assert report.message == (str(error) or type(error).__name__)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [np.linalg.LinAlgError("Eigenvalues did not converge"), json.JSONDecodeError("bad", "{", 0)]
)
def test_a_library_s_own_value_error_is_a_bug(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kinds of ValueError that libraries raise are not the user's mistake: the pod crashes with a traceback."""

    def fail(_task: Task, _context: PodContext) -> None:
        raise error

    assert pod(tmp_path, fail)[1].outcome is Outcome.CRASHED
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyError("step"), OSError("odd"), SystemExit(3), RuntimeError("mat1 and mat2")])
def test_anything_else_is_a_crash(error: BaseException, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bug ends with code 1, its type in the report and the traceback on stderr."""

    def fail(_task: Task, _context: PodContext) -> None:
        raise error

    code, report = pod(tmp_path, fail)
    assert (code, report.outcome) == (1, Outcome.CRASHED)
    assert report.message == f"{type(error).__name__}: {error}"
    assert "Traceback" in capsys.readouterr().err


def test_torch_on_the_cpu_out_of_memory(tmp_path: Path) -> None:
    """The allocator's real error is a plain RuntimeError, and is understood all the same."""
    code, report = pod(tmp_path, lambda *_: torch.empty(1 << 55))
    assert code == EXIT_CODES[Outcome.OUT_OF_MEMORY]
    assert "DefaultCPUAllocator" in report.message


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ("{", "TEPUI_TASK does not hold a valid Task: payload: Invalid JSON"),
        ('{"dataUri": "x"}', "trial: Field required"),
        ('{"trial": "a", "colour": 1}', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_bad_payload_is_a_configuration_error(payload: str, says: str, tmp_path: Path) -> None:
    """The message names the field."""
    code, report = pod(tmp_path, lambda *_: None, payload)
    assert code == EXIT_CODES[Outcome.CONFIGURATION]
    assert says in report.message


def test_a_long_payload_comes_in_a_file(tmp_path: Path) -> None:
    """Longer than Linux takes in one variable, it is read from the file that the other variable names."""
    payload = tmp_path / "task.json"
    payload.write_text(json.dumps({"trial": "a", "dataUri": "x" * 200_000}))
    told: list[Task] = []
    environ = {"TEPUI_TASK_FILE": str(payload), "TEPUI_TERMINATION_LOG": str(tmp_path / "log")}
    assert run_pod(Task, lambda task, _: told.append(task), environ) == 0
    assert len(told[0].data_uri) == 200_000


def test_no_payload(tmp_path: Path) -> None:
    """A pod started by hand says what it needs."""
    log = tmp_path / "log"
    assert run_pod(Task, lambda *_: None, {"TEPUI_TERMINATION_LOG": str(log)}) == EXIT_CODES[Outcome.CONFIGURATION]
    assert "TEPUI_TASK is not set" in log.read_text()


HEADLINE = Headline(
    task="mnist" * 10,
    shots=25,
    law="frontier",
    n=24,
    e_ir=(0.123, 0.1, 0.2),
    k=(0.5, 0.25, None),
    alpha=(1.5, None, None),
    identified="at_most",
)


@pytest.mark.parametrize("letter", ["x", "ß", "山", "🏔", "\x01", '"', "\\"])
@pytest.mark.parametrize("laws", [0, 3, 15, 40])
def test_the_report_fits(letter: str, laws: int) -> None:
    """Never above the kubelet's limit in bytes, always whole JSON, and no shorter than it must be."""
    report = PodReport(outcome=Outcome.SUCCEEDED, message=letter * 1500, laws=(HEADLINE,) * laws, report="s3://r" * 20)
    data = report_bytes(report)
    read = PodReport.model_validate_json(data)
    assert len(data) <= MESSAGE_LIMIT_BYTES
    assert read.message.rstrip("…") == letter * len(read.message.rstrip("…"))
    assert len(read.message) >= 200
    if len(read.laws) < laws:
        assert len(data) > MESSAGE_LIMIT_BYTES - len(HEADLINE.model_dump_json()) - 1
    elif len(read.message) < 1500:
        assert len(data) > MESSAGE_LIMIT_BYTES - 8


def test_a_file_name_that_is_not_text(tmp_path: Path) -> None:
    """Bytes that no encoding takes do not keep the report from being written."""
    name = os.fsdecode(b"shard-\xff.parquet")

    def fail(_task: Task, _context: PodContext) -> None:
        raise DataError(f"{name}: damaged")

    assert pod(tmp_path, fail)[1].message == "shard-\\udcff.parquet: damaged"


def test_a_report_that_cannot_be_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code still tells the class."""
    environ = {"TEPUI_TASK": '{"trial": "a"}', "TEPUI_TERMINATION_LOG": str(tmp_path / "no" / "such")}
    assert run_pod(Task, lambda *_: None, environ) == 0
    assert "no report was left" in capsys.readouterr().err


def test_progress_is_limited_in_rate_and_ends_up_to_date(tmp_path: Path) -> None:
    """Thousands of calls become a few files; the last one stands at the end; nothing temporary stays."""
    path = tmp_path / "progress.json"
    writes = set()

    def work(_task: Task, context: PodContext) -> None:
        for step in range(2000):
            context.progress(Progress(stage="train", step=step, steps=2000, loss=1.0))
            writes.add(path.stat().st_ino)

    environ = {"TEPUI_TASK": '{"trial": "a"}', "TEPUI_PROGRESS": str(path)}
    environ["TEPUI_TERMINATION_LOG"] = str(tmp_path / "log")
    assert run_pod(Task, work, environ) == 0
    assert len(writes) < 200
    assert Progress.model_validate_json(path.read_bytes()).step == 1999
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "progress.json"]


def test_progress_where_nobody_watches_or_the_place_is_gone(tmp_path: Path) -> None:
    """No file, no failure."""
    PodContext(None).progress(Progress(stage="train"))
    PodContext(str(tmp_path / "gone" / "p")).progress(Progress(stage="train"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_is_asked_for_and_handlers_come_back(which: signal.Signals, tmp_path: Path) -> None:
    """However often it comes, work goes on until it sees the flag; afterwards the process is as it was."""
    before = signal.getsignal(which)
    seen = []

    def work(_task: Task, context: PodContext) -> None:
        seen.append(context.stop_requested)
        os.kill(os.getpid(), which)
        os.kill(os.getpid(), which)
        seen.append(context.stop_requested)
        context.check_stop()

    code, report = pod(tmp_path, work)
    assert seen == [False, True]
    assert (code, report.outcome) == (EXIT_CODES[Outcome.PREEMPTED], Outcome.PREEMPTED)
    assert signal.getsignal(which) is before


POD = """
import sys, time
from tepui_spec.trial import AnalyseTask
from tepui_spec.base import Section
from tepui_trainer.failures import Preempted
from tepui_trainer.runtime import run_pod

class Task(Section):
    trial: str

def work(task, context):
    print("at work", flush=True)
    while not context.stop_requested:
        sum(range(10_000))
    raise Preempted("saved at step 7")

sys.exit(run_pod(Task, work))
"""


def test_sigterm_to_a_real_process(tmp_path: Path) -> None:
    """A fresh process saves, says so and ends with the code of a preemption."""
    log = tmp_path / "log"
    environ = os.environ | {"TEPUI_TASK": '{"trial": "a"}', "TEPUI_TERMINATION_LOG": str(log)}
    process = subprocess.Popen([sys.executable, "-c", POD], env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.terminate()
    process.communicate()
    assert process.returncode == EXIT_CODES[Outcome.PREEMPTED]
    assert json.loads(log.read_bytes())["message"] == "saved at step 7"


def in_child(log: str) -> None:
    """A pod in a forked child."""
    environ = {"TEPUI_TASK": '{"trial": "a"}', "TEPUI_TERMINATION_LOG": log}

    def work(_task: Task, context: PodContext) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert context.stop_requested
        raise Preempted("as a child")

    sys.exit(run_pod(Task, work, environ))


def test_a_child_of_the_fork_server(tmp_path: Path) -> None:
    """The embedded engine's kind of process: its own signals, CPU time and exit code."""
    log = tmp_path / "log"
    child = multiprocessing.get_context("forkserver").Process(target=in_child, args=(str(log),))
    child.start()
    child.join()
    assert child.exitcode == EXIT_CODES[Outcome.PREEMPTED]
    assert PodReport.model_validate_json(log.read_bytes()).message == "as a child"


def test_importing_the_runtime_is_cheap() -> None:
    """No torch, MLflow or pyarrow before a stage's own work asks for it."""
    code = "import sys, tepui_trainer.runtime, tepui_trainer.tracking, tepui_trainer.storage; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "mlflow", "pyarrow", "fsspec", "numpy"} & set(done.stdout.split())
