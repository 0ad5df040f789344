"""How torchrun is called, and which of several processes' reports explains how a pod ended."""

import signal
import subprocess
from pathlib import Path

import pytest

from tepui_spec.outcome import Outcome, PodReport
from tepui_spec.trial import TASK_VARIABLE, Placement
from tepui_trainer import worker
from tepui_trainer.launch import REPORTS_VARIABLE, explaining, stop_processes, torchrun_command
from training_pods import train_task


def report(outcome: Outcome) -> PodReport:
    """A report of this class."""
    return PodReport(outcome=outcome, message=outcome.value)


def test_one_node_takes_any_free_port() -> None:
    """Trials on one machine never fight for a port."""
    command = torchrun_command(Placement(processes_per_node=2), {})
    assert command[1:] == [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--standalone",
        "--module",
        "tepui_trainer.worker",
    ]


def test_nodes_meet_where_the_job_says() -> None:
    """Rank and meeting point of a node come from its Job's environment; GPUs decide the number of processes."""
    environ = {"JOB_COMPLETION_INDEX": "3", "MASTER_ADDR": "trial-0.trial", "MASTER_PORT": "29500"}
    command = torchrun_command(Placement(nodes=4, gpus_per_node=8), environ)
    assert {"--nproc-per-node=8", "--nnodes=4", "--node-rank=3", "--master-addr=trial-0.trial"} < set(command)
    assert "--standalone" not in command


@pytest.mark.parametrize("missing", ["JOB_COMPLETION_INDEX", "MASTER_ADDR", "MASTER_PORT"])
def test_a_node_that_does_not_know_the_others_says_so(missing: str) -> None:
    """A missing variable is named."""
    environ = {"JOB_COMPLETION_INDEX": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    del environ[missing]
    with pytest.raises(ValueError, match=missing):
        torchrun_command(Placement(nodes=2), environ)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.SUCCEEDED, Outcome.SUCCEEDED], Outcome.SUCCEEDED),
        ([Outcome.PEER_LOST, Outcome.DIVERGED], Outcome.DIVERGED),
        ([Outcome.PREEMPTED, Outcome.CONFIGURATION], Outcome.CONFIGURATION),
        ([Outcome.PEER_LOST, None], Outcome.CRASHED),
        ([None, Outcome.OUT_OF_MEMORY], Outcome.OUT_OF_MEMORY),
        ([Outcome.PEER_LOST, Outcome.PREEMPTED], Outcome.PREEMPTED),
        ([Outcome.PEER_LOST, Outcome.PEER_LOST], Outcome.PEER_LOST),
        ([Outcome.SUCCEEDED, Outcome.PEER_LOST], Outcome.PEER_LOST),
    ],
)
def test_the_cause_is_told_before_its_effects(outcomes: list[Outcome | None], expected: Outcome) -> None:
    """A process that failed of itself explains more than those that lost it."""
    assert explaining([None if outcome is None else report(outcome) for outcome in outcomes]).outcome is expected


def test_silent_processes_are_named() -> None:
    """A process that left no report was killed; its number is in the message."""
    assert "process 1 of 3" in explaining([report(Outcome.PEER_LOST), None, report(Outcome.PEER_LOST)]).message


def test_a_stop_finds_processes_that_are_starting_or_gone(tmp_path: Path) -> None:
    """An id that is half written and a process that has just ended are passed over; the others are told."""
    told = subprocess.Popen(["sleep", "60"])
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "0.pid").write_text("")
    (tmp_path / "1.pid").write_text(str(gone.pid))
    (tmp_path / "2.pid").write_text(str(told.pid))
    assert stop_processes(tmp_path)
    assert told.wait(10) == -signal.SIGTERM


def test_nobody_told_is_tried_again(tmp_path: Path) -> None:
    """Before the first process is there the launcher must ask once more."""
    (tmp_path / "0.pid").write_text("")
    assert not stop_processes(tmp_path)


def test_a_process_names_itself_only_when_it_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM right after the id appears asks for a stop: it must not kill a process without a report."""
    monkeypatch.setattr(worker, "die_with_parent", lambda: None)
    monkeypatch.setattr(worker, "train_trial", lambda _task, _context: None)
    handlers = []
    written = Path.write_text

    def write_text(path: Path, text: str) -> int:
        if path.suffix == ".pid":
            handlers.append(signal.getsignal(signal.SIGTERM))
        return written(path, text)

    monkeypatch.setattr(Path, "write_text", write_text)
    for name, value in {"LOCAL_RANK": "0", "RANK": "0", REPORTS_VARIABLE: str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    task = train_task(tmp_path / "data", tmp_path / "store")
    monkeypatch.setenv(TASK_VARIABLE, task.model_dump_json())
    assert worker.main() == 0
    assert handlers
    assert signal.SIG_DFL not in handlers
