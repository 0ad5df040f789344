"""What a person sees of a study that runs: a live picture on a terminal, plain lines with a time elsewhere."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from tepui_operator.text import duration
from tepui_spec.outcome import FREE, Outcome, Progress
from tepui_spec.status import ExperimentStatus, Failure, Stage

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_VERB: dict[Stage, str] = {"train": "training", "evaluate": "evaluating", "analyse": "analysing"}


@dataclass(frozen=True, slots=True)
class JobNews:
    """A Job, as far as people are told of it."""

    name: str
    stage: Stage
    label: str
    """What the sweep set for its trial, or the kind of analysis."""
    attempt: int
    log: str
    started_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    message: str = ""
    reused: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole study at one moment."""

    study: str
    status: ExperimentStatus
    running: tuple[JobNews, ...] = ()
    share_done: float = 0.0
    """Of the work of all trials."""
    elapsed_s: float = 0.0
    left_s: float | None = None
    server_ready: bool = True


class View(Protocol):
    """Where the engine tells what happens."""

    tick_s: float | None
    """How often it wants a snapshot while nothing happens; None: never."""

    def say(self, text: str) -> None:
        """A sentence to the user."""

    def started(self, job: JobNews) -> None:
        """A Job's pods were started."""

    def ended(self, job: JobNews) -> None:
        """A Job ended, well or not."""

    def gave_up(self, failure: Failure, log: str) -> None:
        """A trial failed for good."""

    def show(self, snapshot: Snapshot) -> None:
        """The study as it is now."""

    def close(self) -> None:
        """Nothing more will be shown."""


def view_for(stream: TextIO) -> View:
    """The live view where the stream is a terminal, plain lines elsewhere."""
    return LiveView(stream) if stream.isatty() else PlainView(stream)


class PlainView:
    """A line for each Job that starts or ends."""

    tick_s: float | None = None

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._clock = clock
        self._status: ExperimentStatus | None = None

    def say(self, text: str) -> None:
        """See View."""
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        try:
            print(f"{stamp} {text}", file=self._stream, flush=True)
        except BrokenPipeError:  # `tepui run FILE | head`: nobody reads any more, and the study goes on
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def started(self, job: JobNews) -> None:
        """See View."""
        self.say(f"started   {describe(job)}")

    def ended(self, job: JobNews) -> None:
        """See View."""
        self.say(describe_end(job))

    def gave_up(self, failure: Failure, log: str) -> None:
        """See View."""
        self.say(describe_failure(failure, log))

    def show(self, snapshot: Snapshot) -> None:
        """See View."""
        trials = snapshot.status.trials
        if not snapshot.server_ready and self._status is None:
            self.say(f"study     {snapshot.study}: {trials.total} trials; importing what pods need, once for all")
        elif self._status is not None and (self._status.trials.completed, self._status.trials.failed) != (
            trials.completed,
            trials.failed,
        ):
            self.say(f"progress  {counts_line(snapshot)}")
        self._status = snapshot.status

    def close(self) -> None:
        """See View."""


class LiveView:
    """One picture that is redrawn in place; failures and sentences scroll by above it."""

    tick_s: float | None = 0.5

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(file=stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        """See View."""
        self._console.print(text, markup=False, highlight=False)

    def started(self, job: JobNews) -> None:
        """See View."""

    def ended(self, job: JobNews) -> None:
        """See View."""
        if job.outcome is not Outcome.SUCCEEDED:
            self.say(describe_end(job))

    def gave_up(self, failure: Failure, log: str) -> None:
        """See View."""
        self.say(describe_failure(failure, log))

    def show(self, snapshot: Snapshot) -> None:
        """See View."""
        self._live.update(picture(snapshot), refresh=True)

    def close(self) -> None:
        """See View."""
        self._live.stop()


def picture(snapshot: Snapshot) -> "RenderableType":
    """The live view of one moment."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    head = Text.assemble((snapshot.study, "bold"), "  ", counts_line(snapshot))
    bar = ProgressBar(total=1.0, completed=snapshot.share_done, width=60)
    parts: list[RenderableType] = [head, bar, _running_table(snapshot)]
    if not snapshot.server_ready:
        parts.insert(2, Text("importing what pods need, once for all of them ...", style="dim"))
    return Group(*parts)


def _running_table(snapshot: Snapshot) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("stage", "trial", "step", "loss", "for", ""):
        table.add_column(title, justify="right" if title in ("step", "loss", "for") else "left", overflow="fold")
    now = time.time()
    for job in snapshot.running:
        progress = job.progress
        table.add_row(
            _VERB[job.stage],
            job.label + (f" (attempt {job.attempt + 1})" if job.attempt and job.stage != "analyse" else ""),
            f"{progress.step}/{progress.steps}" if progress is not None and progress.steps else "",
            f"{progress.loss:.4f}" if progress is not None and progress.loss is not None else "",
            duration(now - (job.started_at or now)),
            progress.note if progress is not None else "",
        )
    return table


def counts_line(snapshot: Snapshot) -> str:
    """`5/24 trials completed, 1 failed; 2 training, 1 evaluating; 1m 20s, about 4m left`."""
    trials = snapshot.status.trials
    parts = [f"{trials.completed}/{trials.total} trials completed"]
    if trials.failed:
        parts.append(f"{trials.failed} failed")
    left = f", about {duration(snapshot.left_s)} left" if snapshot.left_s is not None else ""
    work = f"{trials.training} in training, {trials.evaluating} in evaluation, {trials.waiting} to come"
    return f"{', '.join(parts)}; {work}; {duration(snapshot.elapsed_s)}{left}"


def describe(job: JobNews) -> str:
    """A Job in a few words."""
    again = f", attempt {job.attempt + 1}" if job.attempt and job.stage != "analyse" else ""
    return f"{job.stage:8} {job.label}  [{job.name}{again}]"


def describe_end(job: JobNews) -> str:
    """How a Job ended: a success with what it has to say, a failure with its reason and its log."""
    took = duration((job.ended_at or 0.0) - (job.started_at or 0.0))
    if job.outcome is Outcome.SUCCEEDED:
        told = " (found finished)" if job.reused else f": {job.message}" if job.message else ""
        return f"finished  {describe(job)} in {took}{told}"
    verb = "stopped " if job.outcome in FREE else "FAILED  "
    return f"{verb}  {describe(job)} after {took}: {job.outcome}: {job.message or 'no message'}; log: {job.log}"


def describe_failure(failure: Failure, log: str) -> str:
    """A trial that is given up."""
    tried = f"{failure.attempts} attempts" if failure.attempts > 1 else "1 attempt"
    return f"GIVEN UP  trial {failure.trial} in {failure.stage} after {tried}: {failure.outcome}; log: {log}"


def default_view() -> View:
    """The view for standard output."""
    return view_for(sys.stdout)
