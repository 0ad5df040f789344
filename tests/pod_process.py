"""Pods as the engine runs them: a process with its task in the environment, a report when it ends."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tepui_spec.base import Section
from tepui_spec.outcome import PodReport
from tepui_spec.trial import TASK_VARIABLE, TERMINATION_LOG_VARIABLE


@dataclass(frozen=True)
class Ended:
    """A pod that has ended."""

    code: int
    report: PodReport
    output: str


def run_pod_process(stage: str, task: Section, folder: Path) -> Ended:
    """Run one pod to its end; `folder` is for its report."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    variables = {TASK_VARIABLE: task.model_dump_json(), TERMINATION_LOG_VARIABLE: str(report), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tepui_spec.pod", stage],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), done.stdout
    return Ended(done.returncode, PodReport.model_validate_json(report.read_bytes()), done.stdout)
