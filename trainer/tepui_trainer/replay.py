"""Spooled events to MLflow: one run a trial, whoever sends and however often.

MLflow stores a metric once per (key, step, time, value), so an event sent twice counts once. A resumed trial measures
steps again at another time: what a run already has at a step is not sent again. Runs are found by the tag
`tepui.trial`, which is part of the request that makes them, so a sender killed at any moment leaves no second run.
"""

import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from tepui_trainer.mlflow_target import Target
from tepui_trainer.spool import Event, RunHeader, Spool
from tepui_trainer.storage import Storage

if TYPE_CHECKING:
    from tepui_trainer.mlflow_client import Experiment, Metric, MlflowClient, Run

TRIAL_TAG = "tepui.trial"
_log = logging.getLogger(__name__)
METRICS_A_REQUEST = 1000
PARAMS_A_REQUEST = 100

Point = tuple[int, float]
"""(step, value)."""


class Sender:
    """Sends spools to one destination; connects when it first sends.

    Every method may raise whatever MLflow, the network or the disk raise: the caller tries again later.
    """

    def __init__(self, target: Target, storage: Storage) -> None:
        self._target = target
        self._storage = storage
        self._client: MlflowClient | None = None
        self._run_id: dict[tuple[str, str], str] = {}
        self._ended_ms: dict[str, int] = {}
        self._unread: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, str], set[Point]] = {}

    def send(self, spool: Spool) -> bool:
        """Send the spool's next events and confirm them; whether it may hold more."""
        try:
            return self._send(spool)
        except Exception:
            self.forget()  # what the run holds is unknown now, and it may be gone
            raise

    def _send(self, spool: Spool) -> bool:
        with self._target.lock():
            client = self._connected()
            run_id = self._run(client, spool.header)
            events = spool.pending()
            self._send_metrics(client, run_id, [e for e in events if e.kind == "metrics"])
            for event in events:
                if event.kind == "artifact":
                    self._send_artifact(client, run_id, event)
                elif event.kind == "end":
                    self._send_end(client, run_id, event)
        if events:
            spool.confirm(events[-1].end)
        return bool(events)

    def forget(self) -> None:
        """Find runs, and what they hold, anew: another sender, or another spool, may have added to them."""
        self._run_id.clear()
        self._known.clear()
        self._unread.clear()

    def connect(self) -> None:
        """Open the destination; an SQLite file gets its tables."""
        with self._target.lock():
            self._connected()

    def _connected(self) -> "MlflowClient":
        if self._client is None:
            from tepui_trainer.mlflow_client import MlflowClient

            if variable := self._target.token_variable:
                if variable not in os.environ:
                    raise ValueError(f"{variable} is not set, so there is no token for {self._target.uri}")
                os.environ["MLFLOW_TRACKING_TOKEN"] = os.environ[variable]
            self._client = MlflowClient(self._target.uri, registry_uri=self._target.uri)
        return self._client

    def _run(self, client: "MlflowClient", header: RunHeader) -> str:
        """The run of the header's trial: found, or made; parameters that it lacks are added."""
        key = (header.experiment, header.trial)
        if key not in self._run_id:
            experiment_id = self._experiment(client, header.experiment)
            run = _found(client, experiment_id, header.trial)
            if run is None:
                tags = header.tags | {TRIAL_TAG: header.trial}
                client.create_run(experiment_id, header.started_ms, tags, header.name)
                run = cast("Run", _found(client, experiment_id, header.trial))
            _add_params(client, run, header.params)
            self._unread |= {(run.info.run_id, name) for name in run.data.metrics}
            self._ended_ms[run.info.run_id] = run.info.end_time or 0
            if run.info.status != "RUNNING" and header.started_ms > self._ended_ms[run.info.run_id]:
                client.update_run(run.info.run_id, status="RUNNING")  # another attempt, or another stage
            self._run_id[key] = run.info.run_id
        return self._run_id[key]

    def _experiment(self, client: "MlflowClient", name: str) -> str:
        from tepui_trainer.mlflow_client import MlflowException

        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return client.create_experiment(name, artifact_location=self._target.artifact_root)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another pod was quicker
            return str(cast("Experiment", found).experiment_id)

    def _send_metrics(self, client: "MlflowClient", run_id: str, events: Iterable[Event]) -> None:
        metrics = [m for m in _metrics(events) if (m.step, m.value) not in self._points(client, run_id, m.key)]
        for start in range(0, len(metrics), METRICS_A_REQUEST):
            client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_REQUEST])

    def _points(self, client: "MlflowClient", run_id: str, key: str) -> set[Point]:
        """What the run held of a metric when it was found."""
        if (run_id, key) in self._unread:
            history = client.get_metric_history(run_id, key)
            self._known[run_id, key] = {(metric.step, metric.value) for metric in history}
            self._unread.remove((run_id, key))
        return self._known.get((run_id, key), set())

    def _send_artifact(self, client: "MlflowClient", run_id: str, event: Event) -> None:
        path, folder = str(event.body["path"]), str(event.body["folder"])
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / PurePosixPath(path).name
            try:
                local.write_bytes(self._storage.read(path))
            except FileNotFoundError:
                _log.warning("%s is gone, and not attached to its run", self._storage.uri(path))
                return
            client.log_artifact(run_id, str(local), folder or None)

    def _send_end(self, client: "MlflowClient", run_id: str, event: Event) -> None:
        """Set the run's status, unless an end that came later is known already."""
        if event.time_ms >= self._ended_ms[run_id]:
            client.set_terminated(run_id, str(event.body["status"]), event.time_ms)
            self._ended_ms[run_id] = event.time_ms


def _found(client: "MlflowClient", experiment_id: str, trial: str) -> "Run | None":
    """The trial's run: the oldest. Empty ones beside it, of requests that a sender took for failed, are removed."""
    runs: Sequence[Run] = client.search_runs([experiment_id], f"tags.`{TRIAL_TAG}` = '{trial}'")
    ordered = sorted(runs, key=lambda run: (not run.data.metrics, run.info.start_time, run.info.run_id))
    for extra in ordered[1:]:
        if not extra.data.metrics:
            client.delete_run(extra.info.run_id)
    return ordered[0] if ordered else None


def _add_params(client: "MlflowClient", run: "Run", params: dict[str, str]) -> None:
    """Add what is missing: MLflow refuses to change a parameter, and the first value stands."""
    from tepui_trainer.mlflow_client import Param

    missing = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    for start in range(0, len(missing), PARAMS_A_REQUEST):
        client.log_batch(run.info.run_id, params=missing[start : start + PARAMS_A_REQUEST])


def _metrics(events: Iterable[Event]) -> "list[Metric]":
    from tepui_trainer.mlflow_client import Metric

    return [
        Metric(key, value, event.time_ms, int(cast("int", event.body["step"])))
        for event in events
        for key, value in cast("dict[str, float]", event.body["values"]).items()
    ]
