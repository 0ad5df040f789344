"""Several processes of one trial on this node, started and watched by torchrun (`torch.distributed.run`)."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from tepui_spec.outcome import Outcome, PodReport
from tepui_spec.trial import Placement, TrainTask
from tepui_trainer.runtime import PodContext

NODE_RANK_VARIABLE = "JOB_COMPLETION_INDEX"
"""Environment variable with this node's rank: Kubernetes sets it in the pods of an Indexed Job."""
REPORTS_VARIABLE = "TEPUI_RANK_REPORTS"
"""Environment variable with the folder where the processes of this node leave their reports and process ids."""
WORKER_MODULE = "tepui_trainer.worker"
POLL_S = 0.2
PR_SET_PDEATHSIG = 1


def launch(task: TrainTask, context: PodContext) -> PodReport:
    """Trains with all processes of this node; returns the report of the one that explains the outcome best.

    Raises ValueError if the meeting point of several nodes is not in the environment.
    """
    with tempfile.TemporaryDirectory(prefix="tepui-ranks-") as folder:
        reports = Path(folder)
        process = subprocess.Popen(
            torchrun_command(task.placement, os.environ),
            env=os.environ | {REPORTS_VARIABLE: folder, "OMP_NUM_THREADS": str(task.placement.threads)},
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  this process has no other thread
        )
        told_to_stop = False
        while True:
            try:
                process.wait(POLL_S)
                break
            except subprocess.TimeoutExpired:
                if context.stop_requested and not told_to_stop:
                    told_to_stop = stop_processes(reports)
        return explaining([_report(reports / f"{rank}.json") for rank in range(_processes(task.placement))])


def torchrun_command(placement: Placement, environ: "os._Environ[str] | dict[str, str]") -> list[str]:
    """How torchrun is called: alone on any free port, or meeting the other nodes at MASTER_ADDR:MASTER_PORT.

    Raises ValueError naming the variable that several nodes need and lack.
    """
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={_processes(placement)}"]
    if placement.nodes == 1:
        command.append("--standalone")
    else:
        for name in (NODE_RANK_VARIABLE, "MASTER_ADDR", "MASTER_PORT"):
            if name not in environ:
                raise ValueError(f"pods.nodes is {placement.nodes}, but the environment variable {name} is not set")
        command += [
            f"--nnodes={placement.nodes}",
            f"--node-rank={environ[NODE_RANK_VARIABLE]}",
            f"--master-addr={environ['MASTER_ADDR']}",
            f"--master-port={environ['MASTER_PORT']}",
        ]
    return [*command, "--module", WORKER_MODULE]


def explaining(reports: Sequence[PodReport | None]) -> PodReport:
    """The report that tells why: a failure of its own before silence, before preemption, before a lost peer.

    None is a process that ended without a word: killed from outside, or by the kernel for want of memory.
    """
    for report in reports:
        if report and report.outcome not in (Outcome.SUCCEEDED, Outcome.PREEMPTED, Outcome.PEER_LOST):
            return report
    if None in reports:
        silent = ", ".join(str(rank) for rank, report in enumerate(reports) if report is None)
        return PodReport(
            outcome=Outcome.CRASHED,
            message=f"process {silent} of {len(reports)} ended without a report: killed, or memory ran out",
        )
    spoken = [report for report in reports if report is not None]
    for outcome in (Outcome.PREEMPTED, Outcome.PEER_LOST):
        for report in spoken:
            if report.outcome is outcome:
                return report
    return spoken[0]


def stop_processes(reports: Path) -> bool:
    """SIGTERM to the processes themselves; whether any was told. One is enough: the ranks stop together.

    torchrun would kill them 30 s later, in the middle of a checkpoint.
    """
    told = False
    for path in reports.glob("*.pid"):
        if pid := path.read_text():  # empty: being written
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
                told = True
    return told


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, so that no orphan goes on training (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _report(path: Path) -> PodReport | None:
    try:
        return PodReport.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _processes(placement: Placement) -> int:
    return placement.gpus_per_node or placement.processes_per_node
