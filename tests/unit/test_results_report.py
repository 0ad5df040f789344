"""The report of a storage from its Parquet rows alone."""

import shutil
from pathlib import Path

import pytest

from builders import experiment
from report_builders import payload_of
from study_rows import write_study
from tepui_evaluator.analysis import write_experiment
from tepui_evaluator.report_replay import study_yaml
from tepui_evaluator.results_report import write_results_report
from tepui_evaluator.results_table import open_store
from tepui_spec.cli import main
from tepui_spec.experiment import Experiment
from tepui_trainer.storage import Storage

MODELS = [{"name": f"m{i}", "timm": "resnet18", "args": {"channels": [8 * i] * 4}} for i in range(1, 9)]


@pytest.fixture
def study(tmp_path: Path) -> Experiment:
    """Sixteen finished trials in tmp_path/results, nothing else."""
    study = experiment(
        models=MODELS,
        sweep={"grid": {"model": [m["name"] for m in MODELS], "epochs": [1, 2]}},
        evaluation={"tasks": ["mnist"], "dataRoot": "data", "shots": [5, 25]},
    )
    write_study(Storage(str(tmp_path / "results")), study)
    return study


def test_rows_alone_are_enough(study: Experiment, tmp_path: Path) -> None:
    """Without YAML, status or manifest of the study, the report has the same views, laws and factors."""
    results = tmp_path / "results"
    assert not (results / "studies").exists()
    report = Path(write_results_report(open_store(str(results))))
    assert report == results / "studies/results/report.html"
    alone = payload_of(report.read_text())
    assert set(alone["views"]) == {"mnist-5", "mnist-25"}
    assert {"law", "scaling", "shots", "curves"} <= alone["charts"].keys()
    assert {"f_model", "f_epochs"} <= alone["models"]["columns"].keys()
    shutil.rmtree(results / "studies")
    file = tmp_path / "study.yaml"
    file.write_text(study_yaml(study))
    assert main(["report", str(file), "--storage", str(results)]) == 0
    whole = payload_of((results / "studies/study/report.html").read_text())
    assert whole["views"] == alone["views"]
    assert "replay" in whole


def test_several_studies_must_be_told_apart(
    study: Experiment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two studies in one storage: the message names them."""
    storage = Storage(str(tmp_path / "results"))
    for name in ("one", "two"):
        renamed = study.model_copy(update={"metadata": study.metadata.model_copy(update={"name": name})})
        write_experiment(storage, renamed)
    assert main(["report", storage.root]) != 0
    assert "holds the studies: one, two" in capsys.readouterr().err
