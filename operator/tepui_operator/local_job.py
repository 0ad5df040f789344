"""A Job on one machine: what the API server, the kubelet and the Job controller know of it, in memory."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tepui_operator.child import Child
from tepui_operator.folder import EngineFolder, last_line
from tepui_operator.observed import ObservedJob, outcome_of_gang
from tepui_operator.payloads import TOKEN_VARIABLE
from tepui_operator.pod_client import ForkServer, PodEnd, PodProcess
from tepui_operator.pod_process import PodRequest
from tepui_operator.pod_template import Manifest
from tepui_operator.scheduler import Capacity, Demand
from tepui_spec.outcome import Outcome, PodReport, Progress, from_exit_code
from tepui_spec.trial import PROGRESS_VARIABLE, TASK_FILE_VARIABLE, TERMINATION_LOG_VARIABLE

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
_MESSAGE_LIMIT = 500


class LocalJob:
    """One Job and its pods, from its creation to its end."""

    def __init__(self, child: Child, manifest: Manifest, folder: EngineFolder, task: str | None = None) -> None:
        """`task` is what its pods are told where the manifest has it in a file."""
        self._task = task
        self.child = child
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.outcome: Outcome | None = None
        self.message = ""
        self.report: PodReport | None = None
        self.gpus: tuple[str, ...] = ()
        self.kill_at: float | None = None
        """When what is left of a failed gang is killed."""
        self.telling_index = 0
        """The pod whose end was the Job's."""
        self.running: dict[int, PodProcess] = {}
        """Pods at work, by index."""
        self._ends: dict[int, PodEnd] = {}
        self._log_starts: dict[int, int] = {}
        self._folder = folder
        spec = manifest["spec"]
        self._pod: dict[str, Any] = spec["template"]["spec"]
        self._completions: int = spec["completions"]

    @property
    def name(self) -> str:
        """The Job's name."""
        return self.child.name

    @property
    def grace_s(self) -> float:
        """Seconds from SIGTERM to SIGKILL."""
        return float(self._pod["terminationGracePeriodSeconds"])

    @property
    def cpu_s(self) -> float:
        """CPU seconds that its ended pods used."""
        return sum(end.cpu_s for end in self._ends.values())

    def demand(self, gpu_resource: str) -> Demand:
        """What it asks of the machine."""
        requests = self._container["resources"]["requests"]
        each = Capacity(int(requests["cpu"].removesuffix("m")), int(requests.get(gpu_resource, 0)))
        return Demand(self.name, self.child.stage, each * self._completions)

    @property
    def _container(self) -> dict[str, Any]:
        container: dict[str, Any] = self._pod["containers"][0]
        return container

    def start(
        self, server: ForkServer, base: Mapping[str, str], targets: Mapping[str, str], gpus: tuple[str, ...], now: float
    ) -> None:
        """Start all its pods, each with its share of `gpus`, in the environment `base` and the manifest's."""
        self.started_at, self.gpus = now, gpus
        stage = self._container["command"][1]
        shared = dict(base) | self._variables(base) | _meeting_point(self._completions)
        if self._task is not None:
            file = self._said(0, "task")
            file.write_text(self._task)
            shared[TASK_FILE_VARIABLE] = str(file)
        share = len(gpus) // self._completions
        for index in range(self._completions):
            own = {
                GPU_VARIABLE: ",".join(gpus[index * share : (index + 1) * share]),
                TERMINATION_LOG_VARIABLE: str(self._said(index, "report")),
                PROGRESS_VARIABLE: str(self._said(index, "progress")),
            }
            if self._completions > 1:
                own["JOB_COMPLETION_INDEX"] = str(index)
            log = self.log(index)
            self._log_starts[index] = log.stat().st_size if log.exists() else 0
            self.running[index] = server.start(PodRequest(stage, shared | own, targets.get(stage)), log)

    def log(self, index: int = 0) -> Path:
        """The log of one of its pods."""
        return self._folder.log(self.name if self._completions == 1 else f"{self.name}-{index}")

    def progress(self) -> Progress | None:
        """What its first pod last said of itself."""
        try:
            return Progress.model_validate_json(self._said(0, "progress").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def pod_ended(self, index: int, end: PodEnd, now: float) -> None:
        """Take in the end of one pod. The first failure of a gang stops the others; the last end is the Job's."""
        self.running.pop(index).close()
        self._ends[index] = end
        if end.code != 0 and self.running and self.kill_at is None:
            self.kill_at = now + self.grace_s
            self.terminate()
        if not self.running:
            self._close(now)

    def terminate(self) -> None:
        """SIGTERM to all its pods."""
        for pod in self.running.values():
            pod.terminate()

    def kill(self) -> None:
        """SIGKILL to everything of it."""
        for pod in self.running.values():
            pod.kill()

    def observed(self) -> ObservedJob:
        """As the planner sees it."""
        child = self.child
        return ObservedJob(
            name=self.name,
            stage=child.stage,
            trial=child.trial.hash if child.trial is not None else None,
            attempt=child.attempt,
            history=child.history,
            started_at=self.started_at,
            ended_at=self.ended_at,
            outcome=self.outcome,
            message=self.message,
            final=child.final,
            covers=child.covers,
            laws=self.report.laws if self.report is not None else (),
            report=self.report.report if self.report is not None else None,
        )

    def _close(self, now: float) -> None:
        outcomes = {index: from_exit_code(end.code) for index, end in self._ends.items()}
        self.ended_at, self.outcome = now, outcome_of_gang(outcomes.values())
        index = next(i for i, outcome in sorted(outcomes.items()) if outcome is self.outcome)
        self.telling_index = index
        self.report = self._read_report(index)
        if self.report is not None and self.report.outcome is self.outcome:
            self.message = self.report.message
        elif self.outcome is not Outcome.SUCCEEDED:
            self.message = self._last_words(index)

    def _read_report(self, index: int) -> PodReport | None:
        try:
            return PodReport.model_validate_json(self._said(index, "report").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None  # a pod that was killed had no time for last words, or for all of them

    def _last_words(self, index: int) -> str:
        """How it ended and the last line of its log, where it left no report."""
        code = self._ends[index].code
        how = "its processes were killed" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        said = last_line(self.log(index), self._log_starts[index])
        return f"{how}: {said}"[:_MESSAGE_LIMIT] if said else how

    def _said(self, index: int, what: str) -> Path:
        return self._folder.run / f"{self.name}-{index}.{what}"

    def _variables(self, base: Mapping[str, str]) -> dict[str, str]:
        """The manifest's variables; one that comes from a Secret is taken from the engine's own environment."""
        return {v["name"]: v["value"] if "value" in v else base[v["name"]] for v in self._container["env"]}


def check_secrets(manifest: Manifest, base: Mapping[str, str]) -> None:
    """Raise ValueError where a variable that comes from a Secret is not in the engine's own environment."""
    for variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" not in variable and variable["name"] not in base:
            assert variable["name"] == TOKEN_VARIABLE  # the only one that manifests take from a Secret
            raise ValueError(
                f"spec.tracking.mlflow.tokenSecret: on one machine the token is read from the environment variable "
                f"{TOKEN_VARIABLE}, which is not set"
            )


def _meeting_point(completions: int) -> dict[str, str]:
    """Where the processes of a gang meet on one machine."""
    if completions == 1:
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
