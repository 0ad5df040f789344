"""The embedded engine: a study on one machine, by the same plan and the same manifests as on a cluster.

Level-triggered: each turn plans from what is observed (Jobs in memory, which stand for the API server), creates what
should exist, starts the pods for which there is room, and waits until something happens. Nothing is kept for the next
engine but the status: what is finished is found in the store again, by pods that end at once.
"""

import os
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from tepui_operator.as_run import AsRun
from tepui_operator.folder import EngineFolder, last_line
from tepui_operator.interrupts import Interrupts
from tepui_operator.local_job import GPU_VARIABLE, LocalJob, check_secrets
from tepui_operator.lock import engine_lock
from tepui_operator.machine import Machine, check_fits
from tepui_operator.manifests import objects
from tepui_operator.observed import Observed
from tepui_operator.payloads import Site
from tepui_operator.plan import Plan, plan
from tepui_operator.pod_client import ForkServer, PodProcess
from tepui_operator.resources import hours_unit, resources
from tepui_operator.scheduler import place
from tepui_operator.study import Study
from tepui_operator.tasks import TASK_FILE, check_tasks
from tepui_operator.telling import Teller
from tepui_operator.text import digits
from tepui_operator.view import View
from tepui_spec.status import ExperimentStatus


@dataclass(frozen=True)
class Pods:
    """How pods are run on this machine."""

    preload: tuple[str, ...]
    """Modules that the fork server imports."""
    targets: Mapping[str, str] = field(default_factory=dict)
    """`module:function` by stage, in place of the installed stages."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @staticmethod
    def installed() -> "Pods":
        """The stages and preloads of the installed parts."""
        return Pods(tuple(entry.value for entry in entry_points(group="tepui.preload")))


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    status: ExperimentStatus
    interrupted: bool
    wall_s: float
    busy_cpu_s: float
    """CPU seconds of all pods."""


class Engine:
    """One run of one study. `run` may be called once."""

    def __init__(
        self,
        study: Study,
        *,
        site: Site,
        machine: Machine,
        folder: EngineFolder,
        pods: Pods,
        as_run: AsRun,
        open_view: Callable[[], View],
    ) -> None:
        """Raises ValueError where a pod of the study is larger than the machine, or its task than a variable."""
        check_fits(study.experiment.spec.pods, machine)
        check_tasks(study, site)
        self._study, self._site, self._folder, self._pods = study, site, folder, pods
        self._gpu_resource = study.experiment.spec.pods.gpu_resource
        self._jobs: dict[str, LocalJob] = {}
        self._free = machine.capacity
        self._free_gpus = list(machine.gpus)
        self._server: ForkServer | None = None
        self._lock_fd = -1
        self._selector = selectors.DefaultSelector()
        self._began = time.monotonic()
        self._status = ExperimentStatus()
        self._as_run = as_run
        self._open_view = open_view

    def run(self) -> RunResult:
        """Run the study until it is finished or interrupted.

        Raises ValueError where another engine runs it, where earlier runs have spent its budget, and where the
        preloaded modules do not import.
        """
        with engine_lock(self._folder.lock, self._study.name) as self._lock_fd, Interrupts() as interrupts:
            before = self._folder.read_status()
            if before is not None:
                self._check_budget(before.gpu_hours)
                self._status = ExperimentStatus(gpu_hours=before.gpu_hours, settled_gpu_hours=before.gpu_hours)
            self._folder.clear_run()
            # in this order: a status of an earlier run never stands beside what this one is
            self._folder.write_status(self._status)
            self._folder.write_as_run(self._as_run)
            self._view = self._open_view()
            self._teller = Teller(self._study, self._folder, self._view)
            self._selector.register(interrupts, selectors.EVENT_READ)
            try:
                self._start_server()
                self._work(interrupts)
            finally:
                self._close()
            wall_s = time.monotonic() - self._began
            busy_s = sum(job.cpu_s for job in self._jobs.values())
            return RunResult(self._status, self._status.phase == "Suspended", wall_s, busy_s)

    def _work(self, interrupts: Interrupts) -> None:
        while True:
            made = self._plan()
            self._apply(made)
            if made.finished:
                return
            self._wait(made.wake_at)
            if interrupts.count:
                self._stop(interrupts)
                return

    def _check_budget(self, held: float) -> None:
        """A run that may start nothing would find no finished trial again, and write a status without laws."""
        spec = self._study.experiment.spec
        if spec.budget is not None and held >= spec.budget.gpu_hours:
            raise ValueError(
                f"spec.budget.gpuHours: {spec.budget.gpu_hours:g}: earlier runs have held {digits(held)} "
                f"{hours_unit(spec.pods)}, so nothing may start: raise it to go on (`tepui status` tells what there is)"
            )

    def _plan(self) -> Plan:
        jobs = tuple(job.observed() for job in self._jobs.values())
        return plan(self._study, Observed(jobs, self._status), time.time())

    def _apply(self, made: Plan) -> None:
        """Children first, then the status, then the user."""
        for child in made.create:
            *others, manifest = objects(self._study, child, self._site)
            check_secrets(manifest, self._pods.environment)
            task = next((other["data"][TASK_FILE] for other in others if other["kind"] == "ConfigMap"), None)
            self._jobs[child.name] = LocalJob(child, manifest, self._folder, task)
        self._start_pods()
        before, self._status = self._status, made.status
        self._folder.write_status(made.status)
        self._teller.changed(before, made.status)
        self._show()

    def _start_pods(self) -> None:
        """Start the waiting Jobs for which there is room, once pods can start at once: they hold cores from then on."""
        assert self._server is not None  # it runs as long as the engine does
        if not self._server.ready:
            return
        waiting = [job.demand(self._gpu_resource) for job in self._jobs.values() if job.started_at is None]
        for name in place(waiting, self._free):
            job = self._jobs[name]
            asked = job.demand(self._gpu_resource).total
            self._free -= asked
            gpus = tuple(self._free_gpus.pop(0) for _ in range(asked.gpus))
            job.start(self._server, self._pods.environment, self._pods.targets, gpus, time.time())
            for index, pod in job.running.items():
                self._selector.register(pod, selectors.EVENT_READ, (job, index))
            self._teller.started(job)

    def _wait(self, wake_at: float | None) -> None:
        """Return once something happened that the planner should know, or `wake_at` has come."""
        while True:
            now = time.time()
            deadlines = [t for t in (wake_at, *(job.kill_at for job in self._running())) if t is not None]
            until = max(0.0, min(deadlines) - now) if deadlines else None
            tick_s = self._view.tick_s
            events = self._selector.select(until if tick_s is None else tick_s if until is None else min(until, tick_s))
            changed = [self._take_in(key) for key, _ in events]
            self._kill_overdue()
            if any(changed) or (wake_at is not None and time.time() >= wake_at):
                return
            self._show()

    def _take_in(self, key: selectors.SelectorKey) -> bool:
        """Take in one piece of news; returns whether the planner should know."""
        source = key.fileobj
        if isinstance(source, Interrupts):
            source.drain()
            return True
        if isinstance(source, ForkServer):
            return self._hear_server(source)
        assert isinstance(source, PodProcess)  # nothing else is registered
        end = source.read()
        if end is None:
            return False
        self._selector.unregister(source)
        job, index = key.data
        job.pod_ended(index, end, time.time())
        if job.outcome is None:
            return False
        self._free += job.demand(self._gpu_resource).total
        self._free_gpus += job.gpus
        self._teller.ended(job)
        return True

    def _hear_server(self, server: ForkServer) -> bool:
        if server.read():
            return True
        self._selector.unregister(server)
        server.close()
        if not server.ready:
            raise ValueError(f"what pods need could not be imported: {last_line(server.log)}; log: {server.log}")
        self._view.say(f"the fork server was killed, and its pods with it: starting another; log: {server.log}")
        self._start_server()
        return True

    def _start_server(self) -> None:
        log = self._folder.logs / "forkserver.log"
        asked = self._study.experiment.spec.pods
        threads = {
            "OMP_NUM_THREADS": str(resources(asked, "train").threads),
            "OPENBLAS_NUM_THREADS": "1",  # it starts its threads when it is imported, and pods would not have them
            **({} if asked.gpus_per_node else {GPU_VARIABLE: ""}),
        }
        environment = {**self._pods.environment, **threads}
        self._server = ForkServer(self._pods.preload, log, environment, inherit=(self._lock_fd,))
        self._selector.register(self._server, selectors.EVENT_READ)

    def _running(self) -> Sequence[LocalJob]:
        return [job for job in self._jobs.values() if job.running]

    def _kill_overdue(self) -> None:
        for job in self._running():
            if job.kill_at is not None and time.time() >= job.kill_at:
                job.kill_at = None
                job.kill()

    def _stop(self, interrupts: Interrupts) -> None:
        """SIGTERM for all pods, then SIGKILL when their grace is over or the user asks again."""
        heard = interrupts.count
        running = self._running()
        now = time.time()
        if running:
            self._view.say(
                f"stopping: {len(running)} pods save their work (at most {max(j.grace_s for j in running):.0f} s); "
                "interrupt again to end them at once"
            )
        for job in running:
            job.kill_at = now + job.grace_s
            job.terminate()
        while self._running():
            self._wait(None)
            if interrupts.count > heard:
                for job in self._running():
                    job.kill()
        made = self._plan()
        self._status = made.status if made.finished else self._teller.stopped(made, self._status)
        self._folder.write_status(self._status)

    def _show(self) -> None:
        ready = self._server is not None and self._server.ready
        self._view.show(self._teller.snapshot(self._status, self._jobs.values(), ready=ready))

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for job in self._running():
            for pod in job.running.values():
                pod.close()
        self._selector.close()
        self._view.close()
