"""Tracking into a real SQLite MLflow: one run a trial, nothing twice, nothing lost."""

import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from tepui_spec import layout
from tepui_spec.experiment import CustomModel, Data
from tepui_spec.outcome import Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.recipes import BUILT_IN
from tepui_spec.trial import Destination, Placement, TrainTask, TrialConfig
from tepui_trainer import tracking
from tepui_trainer.mlflow_target import Target
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker, prepare, replay_spools, ui_command

TRIAL = "0123456789ab"


def destination(folder: Path, uri: str | None = None, **other: Any) -> Destination:
    """A study in `folder`, tracked in its mlflow.db or at `uri`."""
    return Destination(storage_uri=str(folder), study="where", mlflow=MlflowServer(uri=uri), **other)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing in them: making one takes MLflow a second of CPU."""
    folder = tmp_path_factory.mktemp("template")
    prepare(destination(folder))
    return folder / "mlflow.db"


@pytest.fixture
def where(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    """A study tracked in SQLite; closing waits as long as a busy machine needs."""
    monkeypatch.setattr(tracking, "CLOSE_TIMEOUT_S", 300.0)
    shutil.copy(template, tmp_path / "mlflow.db")
    return destination(tmp_path)


def runs_of(where: Destination) -> list[Any]:
    """All runs of the study's MLflow experiment."""
    from tepui_trainer.mlflow_client import MlflowClient

    target = Target.of(where)
    assert target is not None
    client = MlflowClient(target.uri, registry_uri=target.uri)
    experiment = client.get_experiment_by_name("where")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def points_of(where: Destination, run: Any) -> dict[str, Counter[tuple[int, float]]]:
    """How often each (step, value) stands in the run, by metric."""
    from tepui_trainer.mlflow_client import MlflowClient

    target = Target.of(where)
    assert target is not None
    client = MlflowClient(target.uri, registry_uri=target.uri)
    return {
        key: Counter((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
    }


def train_task(where: Destination) -> TrainTask:
    """A training task with one swept factor that the configuration holds too."""
    config = TrialConfig(
        model=CustomModel(name="tiny", timm="vit_tiny_patch16_224", args={"depth": 1}),
        recipe=BUILT_IN[0],
        data=Data(uri="data/fonts"),
        image_size=32,
        seed=3,
    )
    return TrainTask(
        trial=TRIAL,
        attempt=0,
        config=config,
        factors={"model": "tiny", "seed": 3, "dataFraction": 0.1},
        placement=Placement(),
        checkpoint_every_s=60,
        data_uri="/data/fonts",
        destination=where,
    )


def test_train_and_evaluate_are_one_run(where: Destination, tmp_path: Path) -> None:
    """Factors are parameters, curves are by step, evaluation joins the same run, and the spool is gone."""
    with Tracker.of_task(train_task(where), "train") as tracker:
        for step in (10, 20):
            tracker.metrics({"train_loss": 1 / step, "lr": 0.1}, step)
        tracker.end(Outcome.SUCCEEDED)
    assert [run.info.status for run in runs_of(where)] == ["FINISHED"]
    Storage(str(tmp_path)).write("studies/where/report.html", b"<html>")
    with Tracker.of_task(train_task(where), "evaluate") as tracker:
        tracker.metric("mnist.shots25.error", 0.25)
        tracker.artifact("studies/where/report.html", "report")
        tracker.end(Outcome.DATA)
    (run,) = runs_of(where)
    assert run.info.run_name == f"tiny-{TRIAL}"
    assert run.info.status == "FAILED"
    assert run.data.tags["tepui.trial"] == TRIAL
    assert {key: run.data.params[key] for key in ("model", "seed", "dataFraction", "recipe.schedule", "imageSize")} == {
        "model": "tiny",
        "seed": "3",
        "dataFraction": "0.1",
        "recipe.schedule": BUILT_IN[0].schedule,
        "imageSize": "32",
    }
    assert points_of(where, run) == {
        "train_loss": {(10, 0.1): 1, (20, 0.05): 1},
        "lr": {(10, 0.1): 1, (20, 0.1): 1},
        "mnist.shots25.error": {(0, 0.25): 1},
    }
    (artifact,) = tmp_path.glob("mlartifacts/**/report.html")
    assert artifact.read_bytes() == b"<html>"
    assert Storage(str(tmp_path)).list("spool") == []


def test_a_resumed_trial_draws_one_curve(where: Destination) -> None:
    """Steps that are measured again at another time are not drawn twice; the run is running again meanwhile."""
    with Tracker.of_task(train_task(where), "train") as tracker:
        for step in range(6):
            tracker.metric("train_loss", 1 / (step + 1), step)
        tracker.end(Outcome.PREEMPTED)
    assert [run.info.status for run in runs_of(where)] == ["KILLED"]
    with Tracker.of_task(train_task(where), "train") as tracker:
        for step in range(4, 9):
            tracker.metric("train_loss", 1 / (step + 1), step)
    (run,) = runs_of(where)
    assert run.info.status == "RUNNING"
    assert points_of(where, run) == {"train_loss": {(step, 1 / (step + 1)): 1 for step in range(9)}}


KILLED = """
import os, signal, sys
from tepui_spec.pods import MlflowServer
from tepui_spec.outcome import Outcome
from tepui_spec.trial import Destination
from tepui_trainer.mlflow_client import MlflowClient
from tepui_trainer.tracking import Tracker

where = Destination(storage_uri=sys.argv[1], study="where", mlflow=MlflowServer())

def attempt(die_in, calls):
    '''One pod; it is killed -9 in its n-th call of a method of the client, after the database did its part.'''
    method = getattr(MlflowClient, die_in)
    def and_die(*arguments, **named):
        nonlocal calls
        result = method(*arguments, **named)
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(MlflowClient, die_in, and_die)
    tracker = Tracker(where, trial="t", stage="train", run_name="n", params={"seed": 0})
    for step in range(5):
        tracker.metrics({"loss": 1 / (step + 1), "lr": 0.5}, step)
    tracker.end(Outcome.SUCCEEDED)
    tracker.close(60)

for die_in, calls in (("create_experiment", 1), ("create_run", 1), ("log_batch", 1), ("log_batch", 1),
                      ("set_terminated", 1), ("get_metric_history", 2)):
    child = os.fork()
    if child == 0:
        attempt(die_in, calls)
        os._exit(0)
    print(die_in, os.waitpid(child, 0)[1])
"""


def test_kill_9_at_every_stage_of_sending(where: Destination, tmp_path: Path) -> None:
    """Whatever a killed pod had done: one run, each point once, and the later replay sends what it left."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["9"] * 6, done.stderr
    storage = Storage(str(tmp_path))
    assert len(storage.list("spool")) == 6
    assert replay_spools(storage, where) == 0
    assert storage.list("spool") == []
    (run,) = runs_of(where)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "0"}
    assert points_of(where, run) == {
        "loss": {(step, 1 / (step + 1)): 1 for step in range(5)},
        "lr": {(step, 0.5): 1 for step in range(5)},
    }


SEVERAL = """
import os, sys
from tepui_spec.pods import MlflowServer
from tepui_spec.trial import Destination
import tepui_trainer.mlflow_client
from tepui_trainer.tracking import Tracker

where = Destination(storage_uri=sys.argv[1], study="where", mlflow=MlflowServer())
start, go = os.pipe()
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        os.close(go)
        tracker = Tracker(where, trial=f"trial{number // 2}", stage=f"s{number}", run_name="n", params={"a": 1})
        for step in range(200):
            tracker.metrics({f"m{number}": step, "both": step}, step)
        os.read(start, 1)  # the end of the pipe: all begin to send at once
        tracker.close(120)
        os._exit(0)
    children.append(child)
os.close(go)
print([os.waitpid(child, 0)[1] for child in children])
"""


def test_several_pods_at_once_on_a_new_file(tmp_path: Path) -> None:
    """Eight processes, two to a trial, meet on a database that none of them has made yet."""
    where = destination(tmp_path)
    done = subprocess.run([sys.executable, "-c", SEVERAL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[0] * 8}\n"
    assert Storage(str(tmp_path)).list("spool") == [], done.stderr
    runs = runs_of(where)
    assert sorted(run.data.tags["tepui.trial"] for run in runs) == ["trial0", "trial1", "trial2", "trial3"]
    for run in runs:
        first = 2 * int(run.data.tags["tepui.trial"][-1])
        assert points_of(where, run) == {
            key: {(step, float(step)): 1 for step in range(200)} for key in ("both", f"m{first}", f"m{first + 1}")
        }


def test_a_changed_label_keeps_the_first_parameter(where: Destination) -> None:
    """MLflow refuses to change a parameter: the first value stands, new ones are added, and metrics come through."""
    attempts: list[dict[str, JsonValue]] = [{"model": "tiny"}, {"model": "renamed", "epochs": 3}]
    for params in attempts:
        with Tracker(where, trial=TRIAL, stage="train", run_name="n", params=params) as tracker:
            tracker.metric("loss", 0.5, len(params))
    (run,) = runs_of(where)
    assert run.data.params == {"model": "tiny", "epochs": "3"}
    assert points_of(where, run) == {"loss": {(1, 0.5): 1, (2, 0.5): 1}}


def test_names_and_values_that_mlflow_would_refuse(where: Destination, tmp_path: Path) -> None:
    """Odd characters, long values, NaN and a missing artifact do not block what comes after them."""
    params: dict[str, JsonValue] = {"ä=ö,": "x" * 10_000, "list": [1, {"a": None}], "k" * 300: None}
    tags = {"t": "y" * 9000}
    with Tracker(where, trial=TRIAL, stage="train", run_name="n" * 300, params=params, tags=tags) as tracker:
        tracker.metrics({"loß!": float("nan"), "l" * 300: 1e308, "inf": float("inf")}, 1)
        tracker.artifact("studies/where/none.html")
        tracker.metric("after", 1.0)
    (run,) = runs_of(where)
    assert run.data.metrics["after"] == 1.0
    assert run.data.params["list"] == '[1, {"a": null}]'
    assert Storage(str(tmp_path)).list("spool") == []


def test_without_tracking_nothing_happens(tmp_path: Path) -> None:
    """No spool, no thread, no database."""
    where = Destination(storage_uri=str(tmp_path), study="where", mlflow=None)
    with Tracker(where, trial=TRIAL, stage="train", run_name="n") as tracker:
        tracker.metric("loss", 1.0)
        tracker.end(Outcome.SUCCEEDED)
    prepare(where)
    assert replay_spools(Storage(str(tmp_path)), where) == 0
    assert ui_command(where) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("storage_uri", "uri", "says"),
    [
        ("memory://results", None, r"tracking.mlflow.uri is needed, because storage.uri memory://results"),
        ("/tmp/x", "mlruns", r"tracking.mlflow.uri is mlruns; allowed are http://, https:// and sqlite:///path"),
    ],
)
def test_a_tracking_uri_that_cannot_work(storage_uri: str, uri: str | None, says: str) -> None:
    """A mistake in the spec is told as one, by the field's name."""
    where = Destination(storage_uri=storage_uri, study="where", mlflow=MlflowServer(uri=uri))
    with pytest.raises(ValueError, match=says):
        Tracker(where, trial=TRIAL, stage="train", run_name="n")


def test_a_server_that_hangs_blocks_no_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a request waits for an answer that never comes, metrics are taken and `close` returns; all is kept."""
    monkeypatch.setattr(tracking, "SERVER_EVERY_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = destination(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}")
        tracker = Tracker(where, trial=TRIAL, stage="train", run_name="n")
        tracker.metric("loss", 1.0, 0)
        request, _ = server.accept()  # the sending thread is in the middle of a request now
        with request:
            assert request.recv(1)
            for step in range(1, 1000):
                tracker.metric("loss", 1.0, step)
            tracker.close(timeout_s=0.01)
            request.setblocking(False)
            assert request.recv(65536)  # and still is: nobody answered or hung up
    (left,) = Storage(str(tmp_path)).list("spool")
    assert (tmp_path / left).read_text().count('"metrics"') == 1000


def test_the_token_goes_with_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bearer token comes from the variable that the payload names."""
    monkeypatch.setattr(tracking, "SERVER_EVERY_S", 0.01)
    monkeypatch.setenv("OUR_TOKEN", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        where = destination(tmp_path, uri, mlflow_token_variable="OUR_TOKEN")
        tracker = Tracker(where, trial=TRIAL, stage="train", run_name="n")
        request, _ = server.accept()
        with request, request.makefile("rb") as lines:
            headers = list(iter(lines.readline, b"\r\n"))
        tracker.close(timeout_s=0.01)
    assert b"Authorization: Bearer s3cret\r\n" in headers


def test_what_cannot_be_sent_goes_to_the_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the storage is no local folder, the spool is moved there at the end."""
    monkeypatch.setattr(tracking, "SERVER_EVERY_S", 0.01)
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        server = MlflowServer(uri=f"http://127.0.0.1:{taken.getsockname()[1]}")
        where = Destination(storage_uri="memory://tracking", study="where", mlflow=server)
        with Tracker(where, trial=TRIAL, stage="train", run_name="n") as tracker:
            tracker.metric("loss", 1.0, 3)
        storage = Storage("memory://tracking")
        (path,) = storage.list("spool")
        assert path.startswith(layout.spool(TRIAL, "train").removesuffix(".jsonl"))
        assert storage.read(path).count(b"\n") == 2
        assert replay_spools(storage, where) == 1
        assert storage.list("spool") == [path]
