"""The chart's MLflow server: its container's very command and environment, as a process of this machine."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart_rendered import IMAGE, MLFLOW, objects
from tepui_spec.outcome import Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.trial import Destination
from tepui_testbed.waiting import wait_until
from tepui_trainer.tracking import Tracker

TOKEN = "token-of-the-secret"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=10"
HOST = "tepui-mlflow.tepui-system:5000"
"""As pods of another namespace reach it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of a release with a token and one further name, its volume a folder; yields its URI."""
    volume = tmp_path_factory.mktemp("volume")
    values = {
        **IMAGE,
        "mlflow": MLFLOW | {"tokenSecret": "token", "allowedHosts": ["mlflow.example.com"], "workers": 1},
    }
    (deployment,) = (
        one
        for one in objects(values)
        if one["metadata"]["name"] == "tepui-mlflow" and "replicas" in one.get("spec", {})
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name(container["command"][0]), *container["command"][1:]]
    command += [
        one.replace("/mlflow", str(volume)).replace("--port=5000", f"--port={port}") for one in container["args"]
    ]
    environment = {
        one["name"]: one.get("value", TOKEN).replace("sqlite:////mlflow", f"sqlite:///{volume}")
        for one in container["env"]
    }
    log = volume / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)

    def healthy() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return status(f"http://127.0.0.1:{port}", container["readinessProbe"]["httpGet"]["path"], token=None) == 200
        except OSError:
            return False

    try:
        wait_until(healthy, "MLflow to be healthy", timeout_s=240)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def status(uri: str, path: str, *, token: str | None = TOKEN, host: str = HOST) -> int:
    """The HTTP status of a request."""
    headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token is not None else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(uri + path, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "host",
    [
        *("tepui-mlflow:5000", "tepui-mlflow.tepui-system", HOST, "tepui-mlflow.tepui-system.svc:5000"),
        *("tepui-mlflow.tepui-system.svc.cluster.local:5000", "localhost:5000", "127.0.0.1:5001", "mlflow.example.com"),
    ],
)
def test_it_is_reached_by_its_names(server: str, host: str) -> None:
    """The Service's from anywhere in the cluster, port-forward's, and those of `mlflow.allowedHosts`."""
    assert status(server, SEARCH, host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "tepui-mlflow.tepui-system.evil.example.com", "mlflow.example.com.evil"]
)
def test_it_is_not_reached_by_other_names(server: str, host: str) -> None:
    """A page in someone's browser cannot make itself its origin (DNS rebinding)."""
    assert status(server, SEARCH, host=host) == 403


def test_it_asks_for_the_token(server: str) -> None:
    """For runs, for artifacts and for its page; probes are answered without."""
    for path in (SEARCH, "/api/2.0/mlflow-artifacts/artifacts?path=", "/"):
        assert status(server, path) == 200
        assert status(server, path, token=None) == 401
        assert status(server, path, token="another") == 401
    assert status(server, "/health", token=None) == 200


def test_a_study_tracks_with_the_token(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pod does with `tracking.mlflow.tokenSecret`: a run, its metric and an artifact arrive."""
    monkeypatch.setenv("STUDY_TOKEN", TOKEN)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "set by the tracker, and taken back after the test")
    destination = Destination(
        storage_uri=str(tmp_path),
        study="with-token",
        mlflow=MlflowServer(uri=server),
        mlflow_token_variable="STUDY_TOKEN",
    )
    (tmp_path / "notes.txt").write_text("kept")
    with Tracker(destination, trial="0123456789ab", stage="train", run_name="one") as tracker:
        tracker.metric("loss", 0.5, step=1)
        tracker.artifact("notes.txt")
        tracker.end(Outcome.SUCCEEDED)
        tracker.close(timeout_s=120)
    from tepui_trainer.mlflow_client import MlflowClient

    client = MlflowClient(server)
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 0.5})
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["notes.txt"]
