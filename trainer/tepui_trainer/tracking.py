"""MLflow through a local spool: what a pod tells is kept in a file first, sent by a thread, and never waited for."""

import json
import logging
import re
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from tepui_spec import layout
from tepui_spec.outcome import Outcome
from tepui_spec.trial import Destination, EvaluateTask, TrainTask
from tepui_trainer.mlflow_target import Target, experiment_name, ui_command
from tepui_trainer.replay import Sender
from tepui_trainer.spool import RunHeader, Spool
from tepui_trainer.storage import Storage

__all__ = ["Tracker", "prepare", "replay_spools", "ui_command"]

SERVER_EVERY_S = 2.0
SQLITE_EVERY_S = 15.0
"""Seconds between sendings. Every one to SQLite costs CPU in the very process that trains."""
BACKOFF_LIMIT_S = 60.0
CLOSE_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)
_STATUS = {Outcome.SUCCEEDED: "FINISHED", Outcome.PREEMPTED: "KILLED"}


class Tracker:
    """One pod's part of its trial's MLflow run. No method but `close` waits for anything, and none raises.

    The constructor raises ValueError for a tracking URI that cannot work. With `destination.mlflow` None nothing
    is recorded. `spool_dir` is where the spool lies while the pod runs: by default the study's own storage where that
    is a local folder, otherwise a temporary folder, from which `close` moves what is left to the storage.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        trial: str,
        stage: str,
        run_name: str,
        params: Mapping[str, JsonValue] | None = None,
        tags: Mapping[str, str] | None = None,
        spool_dir: Path | None = None,
    ) -> None:
        self._spool: Spool | None = None
        target = Target.of(destination)
        if target is None:
            return
        self._storage = Storage(destination.storage_uri)
        self._stored_as = layout.spool(trial, f"{stage}-{uuid.uuid4().hex[:8]}")
        header = RunHeader(
            experiment=experiment_name(destination),
            trial=trial,
            name=run_name,
            params={_key(key): _text(value, 6000) for key, value in (params or {}).items()},
            tags={_key(key): _text(value, 5000) for key, value in (tags or {}).items()},
            started_ms=time.time_ns() // 1_000_000,
        )
        try:
            self._spool = Spool.create(self._spool_path(spool_dir), header)
        except OSError as error:
            _log.warning("this pod is not tracked in MLflow: %s", error)
            return
        self._sending = _Sending(Sender(target, self._storage), self._spool, target.database is not None)

    @classmethod
    def of_task(cls, task: TrainTask | EvaluateTask, stage: str) -> Self:
        """The tracker of a training or evaluation pod: swept factors and the resolved configuration as parameters."""
        return cls(
            task.destination,
            trial=task.trial,
            stage=stage,
            run_name=f"{task.config.model.name}-{task.trial}",
            params=run_params(task),
            tags={"tepui.study": task.destination.study},
        )

    def metric(self, key: str, value: float, step: int = 0) -> None:
        """Record one value of one metric."""
        self.metrics({key: value}, step)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record several metrics of one step."""
        if self._spool is not None:
            self._spool.append("metrics", step=int(step), values={_key(k): float(v) for k, v in values.items()})

    def artifact(self, path: str, folder: str = "") -> None:
        """Attach a file of the study's storage, by its path there, to the run."""
        if self._spool is not None:
            self._spool.append("artifact", path=path, folder=folder)

    def end(self, outcome: Outcome) -> None:
        """Record how the pod ended: the run's status."""
        if self._spool is not None:
            self._spool.append("end", status=_STATUS.get(outcome, "FAILED"))

    def close(self, timeout_s: float | None = None) -> None:
        """Send what is left for at most `timeout_s` (CLOSE_TIMEOUT_S); the rest waits for `replay_spools`.

        Where the last sending failed, none is tried: a server that is down delays nothing.
        """
        if self._spool is None:
            return
        stopped = self._sending.finish(CLOSE_TIMEOUT_S if timeout_s is None else timeout_s)
        if self._spool.path != self._storage.local_path(self._stored_as):
            self._store_rest(self._spool)
        if stopped:
            self._spool.close()
        self._spool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _spool_path(self, spool_dir: Path | None) -> Path:
        if spool_dir is not None:
            return spool_dir / Path(self._stored_as).name
        local = self._storage.local_path(self._stored_as)
        return local or Path(tempfile.gettempdir()) / f"tepui-{Path(self._stored_as).name}"

    def _store_rest(self, spool: Spool) -> None:
        """Move what is not sent to the storage."""
        try:
            if rest := spool.remaining():
                self._storage.write(self._stored_as, rest)
        except Exception as error:  # the pod's own work is done, and must not fail for its curves
            _log.warning("tracking of this pod stays in %s: %s", spool.path, error)
        else:
            spool.path.unlink()


class _Sending:
    """The thread that sends one spool, with growing pauses while it fails."""

    def __init__(self, sender: Sender, spool: Spool, sqlite: bool) -> None:
        self._sender = sender
        self._spool = spool
        self._every_s = SQLITE_EVERY_S if sqlite else SERVER_EVERY_S
        self._closing = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="tepui-tracking", daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Ask for the last sending and wait for it; whether the thread came to its end."""
        self._closing.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing.wait(min(self._every_s * 2**self._failures, BACKOFF_LIMIT_S)):
            self._try_to_send()
        if self._failures == 0:
            self._try_to_send()

    def _try_to_send(self) -> None:
        try:
            while self._sender.send(self._spool):
                pass
        except Exception as error:
            if self._failures == 0:
                _log.warning("MLflow does not take this pod's tracking, which waits in %s: %s", self._spool.path, error)
            self._failures += 1
        else:
            self._failures = 0


def run_params(task: TrainTask | EvaluateTask) -> dict[str, JsonValue]:
    """Parameters of a trial's run: each swept factor under its own name, and the resolved configuration, flattened."""
    config = task.config.model_dump(mode="json", by_alias=True)
    return {**_flat(config, ""), **task.factors}


def prepare(destination: Destination) -> None:
    """Create the tables of an SQLite destination, once and under a lock; nothing for a server or without tracking.

    Sending does this by itself; calling it first keeps the 1 s of CPU out of the first pod's time.
    """
    target = Target.of(destination)
    if target is not None and target.database is not None:
        Sender(target, Storage(destination.storage_uri)).connect()


def replay_spools(storage: Storage, destination: Destination, timeout_s: float = 60.0) -> int:
    """Send what earlier pods left in the storage, oldest name first; returns the number of spools that still wait.

    Spools of pods that still run are theirs, and not counted. Stops at the first failure, and after `timeout_s`.
    Raises ValueError, TransientError for the storage.
    """
    target = Target.of(destination)
    if target is None:
        return 0
    sender = Sender(target, storage)
    paths = storage.list("spool")
    deadline = time.monotonic() + timeout_s
    for done, path in enumerate(paths):
        if time.monotonic() > deadline or not _replay(sender, storage, path):
            return len(paths) - done
    return 0


def _replay(sender: Sender, storage: Storage, path: str) -> bool:
    """Send one spool and remove it; False where the destination does not take it."""
    local = storage.local_path(path)
    with tempfile.TemporaryDirectory() as scratch:
        if local is None:
            local = Path(scratch) / "spool.jsonl"
            local.write_bytes(storage.read(path))
        spool = Spool.adopt(local)
        if spool is None:
            return True
        sender.forget()
        try:
            while sender.send(spool):
                pass
        except Exception as error:
            _log.warning("MLflow does not take %s, which waits: %s", storage.uri(path), error)
            return False
        finally:
            spool.close()
    if storage.local_path(path) is None:
        storage.remove(path)
    return True


def _flat(value: JsonValue, prefix: str) -> dict[str, JsonValue]:
    """Nested settings under dotted names; lists stay whole."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, JsonValue] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat


def _key(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w./ :-]", "_", name, flags=re.ASCII)[:250]


def _text(value: JsonValue, limit: int) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:limit]
