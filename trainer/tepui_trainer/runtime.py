"""What every pod's main does: its task from the environment, signals, exceptions to outcomes, and its last words."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import ValidationError

from tepui_spec.base import Section
from tepui_spec.outcome import EXIT_CODES, MESSAGE_LIMIT_BYTES, Outcome, PodReport, Progress
from tepui_spec.trial import PROGRESS_VARIABLE, TASK_FILE_VARIABLE, TASK_VARIABLE, TERMINATION_LOG_VARIABLE
from tepui_trainer.failures import Preempted, classify

DEFAULT_TERMINATION_LOG = "/dev/termination-log"
PROGRESS_EVERY_S = 0.25
MESSAGE_LIMIT_CHARACTERS = 1500
MESSAGE_KEPT_CHARACTERS = 200
CRASH_EXIT_CODE = 1

T = TypeVar("T", bound=Section)


class PodContext:
    """What a stage's work needs of its pod."""

    def __init__(self, progress_path: str | None = None) -> None:
        self.stop_requested = False
        """True once SIGTERM or SIGINT came: save what is done, then raise `Preempted`."""
        self._progress_path = progress_path
        self._pending: Progress | None = None
        self._written_at = -PROGRESS_EVERY_S

    def check_stop(self) -> None:
        """Raise `Preempted` if the pod was told to stop; for work that has nothing to save."""
        if self.stop_requested:
            raise Preempted("told to stop before the work was finished")

    def progress(self, progress: Progress) -> None:
        """Tell whoever watches; at most four times a second, the rest waits for `flush`. Cheap where nobody does."""
        if self._progress_path is None:
            return
        self._pending = progress
        if time.monotonic() - self._written_at >= PROGRESS_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write the newest progress now. A watcher's file that cannot be written fails nobody's trial."""
        if self._progress_path is None or self._pending is None:
            return
        path = Path(self._progress_path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with suppress(OSError):
            temporary.write_text(self._pending.model_dump_json())
            temporary.replace(path)
        self._pending = None
        self._written_at = time.monotonic()


def run_pod(
    task_type: type[T],
    work: Callable[[T, PodContext], PodReport | None],
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Do one stage's work in this process; returns the exit code, and leaves the PodReport.

    `work` returns a report (its trial and CPU time are filled in here) or None, and raises the classes of
    `tepui_trainer.failures`; anything else is a crash: traceback on stderr, exit code 1.
    """
    context = PodContext(environ.get(PROGRESS_VARIABLE))
    trial: str | None = None
    with _stop_signals(context):
        try:
            task = _task(task_type, environ)
            trial = getattr(task, "trial", None)
            report = work(task, context) or PodReport(outcome=Outcome.SUCCEEDED)
        except BaseException as error:  # this is where every failure becomes an outcome
            report = report_of(error)
        context.flush()
        report = report.model_copy(update={"trial": report.trial or trial, "busy_cpu_s": busy_cpu_s()})
        leave_report(report, environ)
    return EXIT_CODES.get(report.outcome, CRASH_EXIT_CODE)


def report_of(error: BaseException) -> PodReport:
    """The report of a failure; the traceback of an unexpected one goes to stderr."""
    outcome = classify(error)
    text = str(error)
    if outcome is Outcome.CRASHED:
        traceback.print_exception(error)
        text = f"{type(error).__name__}: {text}"
    else:
        print(f"{outcome}: {text}", file=sys.stderr, flush=True)
    return PodReport(outcome=outcome, message=_shortened(text or type(error).__name__, MESSAGE_LIMIT_CHARACTERS))


def leave_report(report: PodReport, environ: Mapping[str, str] = os.environ) -> None:
    """Write the report where the kubelet or the engine looks for it, in place: the kubelet mounts the very file."""
    path = environ.get(TERMINATION_LOG_VARIABLE)
    if path is None and not Path(DEFAULT_TERMINATION_LOG).exists():
        return
    target = Path(path or DEFAULT_TERMINATION_LOG)
    try:
        target.write_bytes(report_bytes(report))
    except OSError as error:
        print(f"no report was left in {target}: {error}", file=sys.stderr, flush=True)


def report_bytes(report: PodReport) -> bytes:
    """The report as JSON of at most MESSAGE_LIMIT_BYTES: the message keeps its beginning, then laws go from the end."""
    report = _with_message_of(report, MESSAGE_KEPT_CHARACTERS)
    while len(_encoded(report)) > MESSAGE_LIMIT_BYTES and report.laws:
        report = report.model_copy(update={"laws": report.laws[:-1]})
    return _encoded(_with_message_of(report, 1))


def _with_message_of(report: PodReport, floor: int) -> PodReport:
    """The report with its message shortened until it fits, but not below `floor` characters."""
    while (size := len(_encoded(report))) > MESSAGE_LIMIT_BYTES and len(report.message) > floor:
        limit = min(len(report.message) - 1, len(report.message) * MESSAGE_LIMIT_BYTES // size)
        report = report.model_copy(update={"message": _shortened(report.message, max(limit, floor))})
    return report


def busy_cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _encoded(report: PodReport) -> bytes:
    return report.model_dump_json(exclude_defaults=True).encode()


def _shortened(text: str, limit: int) -> str:
    """At most `limit` characters that any JSON reader takes: undecodable file names keep their bytes as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _task(task_type: type[T], environ: Mapping[str, str]) -> T:
    """The payload. Raises ValueError that names the variable and the fields at fault."""
    file = environ.get(TASK_FILE_VARIABLE)
    text = environ.get(TASK_VARIABLE) if file is None else Path(file).read_text()
    if text is None:
        raise ValueError(f"{TASK_VARIABLE} is not set: it must hold a {task_type.__name__} as JSON")
    try:
        return task_type.model_validate_json(text)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}" for e in error.errors()[:5])
        raise ValueError(f"{TASK_VARIABLE} does not hold a valid {task_type.__name__}: {faults}") from error


@contextmanager
def _stop_signals(context: PodContext) -> Iterator[None]:
    """SIGTERM and SIGINT ask for a stop, however often they come; the handlers that were there come back."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        context.stop_requested = True

    before = {which: signal.signal(which, ask) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
