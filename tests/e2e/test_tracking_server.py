"""Tracking into a real MLflow server that is not there yet, is killed half-way, and comes back."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from mlflow_server import READY_S, Server
from tepui_spec.outcome import Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.trial import Destination
from tepui_trainer import tracking
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker, replay_spools

pytestmark = pytest.mark.e2e
TRIAL = "0123456789ab"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is not running yet; ended with the tests. Starting it is most of what they cost."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time; no test depends on how long."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setattr(tracking, "CLOSE_TIMEOUT_S", 300.0)
    monkeypatch.setattr(tracking, "SERVER_EVERY_S", 0.05)
    monkeypatch.setattr(tracking, "BACKOFF_LIMIT_S", 0.5)


def history(where: Destination) -> list[tuple[str, dict[str, Counter[tuple[int, float]]]]]:
    """Status and points of every run of the study."""
    from tepui_trainer.mlflow_client import MlflowClient

    assert where.mlflow is not None
    client = MlflowClient(where.mlflow.uri)
    experiment = client.get_experiment_by_name(f"vision/{where.study}")
    runs = [] if experiment is None else client.search_runs([experiment.experiment_id])
    return [
        (
            run.info.status,
            {
                key: Counter((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key))
                for key in run.data.metrics
            },
        )
        for run in runs
    ]


def wait_for_steps(where: Destination, count: int) -> None:
    """Return when the server has `count` points of the loss."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if sum(len(points.get("loss", ())) for _, points in history(where)) == count:
            return
        time.sleep(0.1)
    pytest.fail(f"{count} points did not arrive: {history(where)}")


def test_a_server_that_comes_and_goes(server: Server, tmp_path: Path) -> None:
    """Metrics are taken before the server exists and while it is dead; in the end it holds each of them once."""
    mlflow = MlflowServer(uri=server.uri)
    where = Destination(storage_uri=str(tmp_path), study="comes-and-goes", namespace="vision", mlflow=mlflow)
    storage = Storage(where.storage_uri)
    storage.write("studies/where/report.html", b"<html>")

    def record(steps: range) -> None:
        for step in steps:
            tracker.metrics({"loss": 1 / (step + 1), "lr": 0.5}, step)

    tracker = Tracker(where, trial=TRIAL, stage="train", run_name="tiny", params={"seed": 0})
    record(range(50))  # returns, although there is no server yet
    server.start()
    wait_for_steps(where, 50)
    server.kill()
    record(range(50, 100))
    server.start()
    record(range(100, 1500))  # more than one request's worth
    wait_for_steps(where, 1500)
    tracker.artifact("studies/where/report.html")
    tracker.end(Outcome.SUCCEEDED)
    tracker.close()
    expected = {
        "loss": Counter({(step, 1 / (step + 1)): 1 for step in range(1500)}),
        "lr": Counter({(step, 0.5): 1 for step in range(1500)}),
    }
    assert history(where) == [("FINISHED", expected)]
    assert storage.list("spool") == []
    artifact = f"{server.uri}/get-artifact?path=report.html&run_uuid={_run_id(where)}"
    with urlopen(artifact, timeout=READY_S) as answer:
        assert answer.read() == b"<html>"


def test_a_server_that_was_not_there_for_whole_pods(server: Server) -> None:
    """Pods end without it; a later pod's replay brings everything, once, even if it is killed and done again."""
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        nowhere = MlflowServer(uri=f"http://127.0.0.1:{taken.getsockname()[1]}")
        where = Destination(storage_uri="memory://whole-pods", study="whole-pods", namespace="vision", mlflow=nowhere)
        storage = Storage(where.storage_uri)
        for stage in ("train", "evaluate"):
            with Tracker(where, trial=TRIAL, stage=stage, run_name="tiny") as tracker:
                tracker.metrics({"loss": 0.5, f"{stage}.error": 0.25}, 7)
                tracker.end(Outcome.SUCCEEDED)
        left = {path: storage.read(path) for path in storage.list("spool")}
        assert len(left) == 2
        assert replay_spools(storage, where) == 2
    server.start()
    found = where.model_copy(update={"mlflow": MlflowServer(uri=server.uri)})
    once = {"loss": {(7, 0.5): 1}, "train.error": {(7, 0.25): 1}, "evaluate.error": {(7, 0.25): 1}}
    for _ in range(2):
        assert replay_spools(storage, found) == 0
        assert storage.list("spool") == []
        assert history(found) == [("FINISHED", once)]
        for path, data in left.items():  # as if the replaying pod had been killed before it removed them
            storage.write(path, data)


def _run_id(where: Destination) -> str:
    from tepui_trainer.mlflow_client import MlflowClient

    assert where.mlflow is not None
    client = MlflowClient(where.mlflow.uri)
    experiment = client.get_experiment_by_name(f"vision/{where.study}")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return str(run.info.run_id)
