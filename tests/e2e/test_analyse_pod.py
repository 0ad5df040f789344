"""The analysis pod on stored rows: laws, points, report, headline, MLflow; and the commands that read them."""

import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from builders import experiment
from pod_process import run_pod_process
from study_rows import write_study
from tepui_evaluator.analyse_pod import law_metrics, run
from tepui_evaluator.analysis import laws_path, points_path
from tepui_evaluator.law_rows import LawRow
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import PointRow
from tepui_spec import layout
from tepui_spec.cli import main
from tepui_spec.experiment import Experiment
from tepui_spec.outcome import MESSAGE_LIMIT_BYTES, Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.source import load_experiment
from tepui_spec.trial import AnalyseTask, Destination
from tepui_trainer.rows import read_rows
from tepui_trainer.runtime import PodContext, report_bytes
from tepui_trainer.storage import Storage

pytestmark = pytest.mark.e2e

MODELS = [{"name": f"m{i}", "timm": "resnet18", "args": {"channels": [8 * i] * 4}} for i in range(1, 13)]
LAW = (0.6, 2.0, 0.1)


def _study(tasks: tuple[str, ...] = ("mnist", "greek")) -> Experiment:
    """Twelve models, two trials each."""
    return experiment(
        models=MODELS,
        sweep={"grid": {"model": [m["name"] for m in MODELS], "epochs": [1, 2]}},
        evaluation={"tasks": list(tasks), "dataRoot": "data", "shots": [5, 25]},
    )


def _task(folder: Path, study: Experiment, *, final: bool = True, mlflow: bool = False) -> AnalyseTask:
    server = MlflowServer() if mlflow else None
    destination = Destination(storage_uri=str(folder), study=study.metadata.name, mlflow=server)
    return AnalyseTask(
        experiment=study, attempt=0, final=final, failures=("trial m1 diverged",), destination=destination
    )


def test_a_study_gets_its_laws_and_report(tmp_path: Path) -> None:
    """A real pod leaves laws near the truth, points, a report, the study as applied, and a report of its own."""
    study = _study()
    storage = Storage(str(tmp_path))
    write_study(storage, study, law=LAW)
    ended = run_pod_process("analyse", _task(tmp_path, study, mlflow=True), tmp_path / "pod")
    assert ended.code == 0, ended.output
    assert ended.report.message == "24 of 24 trials; laws for 4 of 4 pairs of task and shots"
    laws = read_rows(storage, laws_path("study"), LawRow)
    assert len(laws) == 2 * 2 * 4
    for law in laws:
        if law.law == "average":
            assert law.e_ir_low is not None
            assert law.e_ir_high is not None
            assert law.e_ir_low < 0.13 < law.e_ir_high  # e_IR + the mean of the exponential scatter
    points = read_rows(storage, points_path("study"), PointRow)
    assert len(points) == 24 * 2 * 2
    report = Path(str(ended.report.report))
    assert report.read_text().startswith("<!")
    assert load_experiment(tmp_path / layout.study_dir("study") / "experiment.yaml") == study
    assert [(h.task, h.shots) for h in ended.report.laws] == [
        (task, shots) for task in ("greek", "mnist") for shots in (5, 25)
    ]
    assert {h.law for h in ended.report.laws} <= {"frontier", "average"}
    _check_mlflow(tmp_path, laws)
    _check_commands(tmp_path)


def _check_mlflow(folder: Path, laws: list[LawRow]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = client.get_experiment_by_name("study")
    assert found is not None
    (logged,) = client.search_runs([found.experiment_id])
    law = next(row for row in laws if (row.task, row.shots, row.law) == ("mnist", 25, "average"))
    assert logged.data.metrics["mnist/25_shot/average/e_ir"] == pytest.approx(law.e_ir)
    assert {file.path for file in client.list_artifacts(logged.info.run_id)} == {
        "figures",
        "laws.parquet",
        "points.parquet",
        "report.html",
    }
    logged_figures = {Path(file.path).name for file in client.list_artifacts(logged.info.run_id, "figures")}
    assert logged_figures == {path.name for path in (folder / layout.figures_dir("study")).iterdir()}
    assert {"law-mnist-25.svg", "law-mnist-25.png", "ranks.svg"} <= logged_figures


def _check_commands(folder: Path) -> None:
    """`tepui results` and `tepui report` on the same storage."""
    out = folder / "out"
    assert main(["results", str(folder), "--out", str(out / "laws.csv")]) == 0
    table = pyarrow.csv.read_csv(out / "laws.csv")
    assert table.num_rows == 16
    assert table.column_names[0] == "study"
    assert main(["results", str(folder), "--table", "points", "--task", "greek", "--out", str(out / "p.parquet")]) == 0
    assert pq.read_table(out / "p.parquet").num_rows == 48
    before = Storage(str(folder)).read(laws_path("study"))
    assert main(["report", str(folder)]) == 0
    assert Storage(str(folder)).read(laws_path("study")) == before


@pytest.mark.parametrize("trials", [0, 1, 3])
def test_interim_look_with_too_few_trials_succeeds_and_says_so(tmp_path: Path, trials: int) -> None:
    """Laws that cannot be fitted yet fail nobody; the message says how far the study is and what is missing."""
    study = _study(("mnist",))
    write_study(Storage(str(tmp_path)), study, trials=trials)
    report = run(_task(tmp_path, study, final=False), PodContext())
    assert report.outcome is Outcome.SUCCEEDED
    assert report.message.startswith(f"{trials} of 24 trials; ")
    if trials == 0:
        assert "no downstream results yet" in report.message
        assert report.laws == ()
    else:
        assert f"not fitted (mnist at 5, mnist at 25): only {trials} model" in report.message
        assert [h.identified for h in report.laws] == ["no", "no"]
    assert Path(str(report.report)).exists()


def test_headline_of_many_tasks_fits_the_termination_message(tmp_path: Path) -> None:
    """With 25 tasks the pod's report stays within the 4 KiB that Kubernetes keeps, and is valid JSON."""
    study = _study(tuple(f"a-task-with-a-rather-long-name-{i:02d}" for i in range(25)))
    write_study(Storage(str(tmp_path)), study, trials=2)
    report = run(_task(tmp_path, study), PodContext())
    encoded = report_bytes(report)
    assert len(encoded) <= MESSAGE_LIMIT_BYTES
    assert json.loads(encoded)["outcome"] == "Succeeded"


def test_law_metrics_leave_out_what_was_not_estimated(tmp_path: Path) -> None:
    """MLflow gets numbers only: no interval for the published laws, nothing at all for a law that was not fitted."""
    from tepui_evaluator.analysis import analyse

    study = _study(("mnist",))
    write_study(Storage(str(tmp_path)), study, law=LAW)
    laws = analyse(Store(Storage(str(tmp_path)), study), confidence=0.95).fitted.laws
    metrics = law_metrics(laws)
    assert {"mnist/5_shot/average/e_ir", "mnist/5_shot/average/e_ir_low", "mnist/5_shot/hull/alpha"} <= metrics.keys()
    assert "mnist/5_shot/hull/e_ir_low" not in metrics
    assert all(isinstance(value, float) for value in metrics.values())
