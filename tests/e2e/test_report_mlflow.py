"""The analysis pod's report and figures in a real MLflow server, as a reader of its page gets them."""

from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from builders import experiment
from mlflow_server import READY_S, Server
from study_rows import write_study
from tepui_evaluator import analyse_pod
from tepui_spec import layout
from tepui_spec.outcome import Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.trial import AnalyseTask, Destination
from tepui_trainer.runtime import PodContext
from tepui_trainer.storage import Storage

pytestmark = pytest.mark.e2e

MODELS = [{"name": f"m{i}", "timm": "resnet18", "args": {"channels": [8 * i] * 4}} for i in range(1, 9)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def test_figures_can_be_opened_in_mlflow(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every static figure of the final report is an artifact of the analysis's run, byte for byte; so is the report."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setattr(analyse_pod, "TRACKING_TIMEOUT_S", 300.0)
    study = experiment(
        models=MODELS,
        sweep={"grid": {"model": [m["name"] for m in MODELS], "epochs": [1, 2]}},
        evaluation={"tasks": ["mnist"], "dataRoot": "data", "shots": [5, 25]},
    )
    storage = Storage(str(tmp_path / "results"))
    write_study(storage, study)
    where = Destination(storage_uri=storage.root, study="study", mlflow=MlflowServer(uri=server.uri))
    report = analyse_pod.run(AnalyseTask(experiment=study, attempt=0, final=True, destination=where), PodContext())
    assert report.outcome is Outcome.SUCCEEDED
    client = MlflowClient(server.uri)
    (found,) = [e for e in client.search_experiments() if e.name.endswith("study")]
    (run,) = client.search_runs([found.experiment_id])
    assert run.info.status == "FINISHED"
    figures = storage.list(layout.figures_dir("study"))
    assert len(figures) >= 10
    for path, artifact in [(f, f"figures/{Path(f).name}") for f in figures] + [
        ("studies/study/report.html", "report.html")
    ]:
        url = f"{server.uri}/get-artifact?path={artifact}&run_uuid={run.info.run_id}"
        with urlopen(url, timeout=READY_S) as answer:
            assert answer.read() == storage.read(path)
