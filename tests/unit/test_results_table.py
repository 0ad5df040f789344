"""`tepui results`: what is opened, filtered and printed."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from builders import experiment
from study_rows import write_study
from tepui_evaluator.analysis import (
    Standing,
    analyse,
    stored_experiment,
    write_experiment,
    write_standing,
    write_tables,
)
from tepui_evaluator.report_replay import study_yaml
from tepui_evaluator.results_table import TableName, encoded, filtered, load, open_store
from tepui_evaluator.store import Store
from tepui_spec import layout
from tepui_spec.cli import main
from tepui_spec.experiment import Experiment
from tepui_spec.source import load_experiment
from tepui_trainer.storage import Storage

TABLES: tuple[TableName, ...] = ("trials", "curves", "evaluations", "points", "laws")


@pytest.fixture
def study() -> Experiment:
    """Four trials, two tasks, two shots."""
    return experiment(
        models=[{"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"patch_size": 8, "embed_dim": 48}}],
        evaluation={"tasks": ["mnist", "greek"], "dataRoot": "data", "shots": [1, 5]},
    )


@pytest.fixture
def folder(tmp_path: Path, study: Experiment) -> Path:
    """A folder with the study's file and, beside it, its results, analysed."""
    (tmp_path / "study.yaml").write_text(study_yaml(study))
    storage = Storage(str(tmp_path / "results"))
    write_study(storage, study)
    write_experiment(storage, study)
    write_tables(storage, study.metadata.name, analyse(Store(storage, study), confidence=0.95))
    return tmp_path


@pytest.mark.parametrize("name", TABLES)
def test_file_and_folder_name_the_same_rows(folder: Path, name: TableName) -> None:
    """A study's file finds the results where it says, relative to itself, and the folder alone shows the same."""
    by_file = load(open_store(str(folder / "study.yaml")), name)
    assert by_file.equals(load(open_store(str(folder / "results")), name))
    assert by_file.num_rows == {"trials": 4, "curves": 8, "evaluations": 48, "points": 16, "laws": 16}[name]


@pytest.mark.parametrize("name", TABLES)
def test_formats_hold_the_same_rows(folder: Path, name: TableName) -> None:
    """CSV, JSON and Parquet hold every column and row; the text says how many it leaves out."""
    table = load(open_store(str(folder / "results")), name)
    rows = json.loads(encoded(table, name, "json"))
    assert rows == table.to_pylist()
    assert pq.read_table(io.BytesIO(encoded(table, name, "parquet"))).equals(table)
    from_csv = pyarrow.csv.read_csv(io.BytesIO(encoded(table, name, "csv")))
    assert (from_csv.num_rows, from_csv.column_names) == (table.num_rows, table.column_names)
    text = encoded(table, name, "table").decode()
    assert f"({table.num_rows} rows" in text.splitlines()[-1]


def test_filters_keep_only_what_was_asked_for(folder: Path) -> None:
    """--task and --shots choose rows; a value that is not there, or a table without the column, is named."""
    points = load(open_store(str(folder / "results")), "points")
    kept = filtered(points, tasks=["greek"], shots=[5])
    assert set(zip(kept["task"].to_pylist(), kept["shots"].to_pylist(), strict=True)) == {("greek", 5)}
    with pytest.raises(ValueError, match="--task: no rows for cars; the table holds greek, mnist"):
        filtered(points, tasks=["cars"])
    with pytest.raises(ValueError, match="--shots: this table has no column shots"):
        filtered(pa.table({"trial": ["a"]}), shots=[5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results", "nowhere"], "nowhere: there are no results"),
        (["results", "study.md"], "study.md holds no results"),
        (["results", "empty"], "empty holds no results"),
        (["report", "empty"], "empty holds no results"),
        (["results", "results", "--format", "parquet"], "--format parquet is not text"),
        (["results", "results", "--out", "study.yaml/x.csv"], "--out study.yaml/x.csv: cannot be written"),
    ],
)
def test_mistakes_end_with_a_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """A user's mistake is exit code 2 and one line."""
    monkeypatch.chdir(folder)
    Path("study.md").write_text("not a study")
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("no rows")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_study_as_applied_can_be_read_back(folder: Path, study: Experiment) -> None:
    """The stored experiment is a valid file that says the same study; with two studies it must be named."""
    storage = Storage(str(folder / "results"))
    assert stored_experiment(storage) == study
    other = study.model_copy(update={"metadata": study.metadata.model_copy(update={"name": "other"})})
    write_experiment(storage, other)
    with pytest.raises(ValueError, match="holds the studies: other, study"):
        stored_experiment(storage)
    assert load_experiment(folder / "results/studies/other/experiment.yaml") == other


def test_a_report_made_anew_keeps_what_failed(
    folder: Path, study: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tepui report` shows the failures that the last analysis was told of, and is final where that one was."""
    storage = Storage(str(folder / "results"))
    storage.remove(layout.finished(Store(storage, study).finished[0]))
    write_standing(
        storage, study.metadata.name, Standing(final=True, failures=("trial a1b2: Diverged: the loss became NaN",))
    )
    assert main(["report", str(folder / "results")]) == 0
    page = Path(capsys.readouterr().out.strip()).read_text()
    assert "trial a1b2: Diverged: the loss became NaN" in page
    assert "Trials are still running" not in page


def test_a_report_before_the_end_says_so(folder: Path, study: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a final analysis, a study with unfinished trials is not over."""
    storage = Storage(str(folder / "results"))
    storage.remove(layout.finished(Store(storage, study).finished[0]))
    assert main(["report", str(folder / "results")]) == 0
    assert "Trials are still running" in Path(capsys.readouterr().out.strip()).read_text()
