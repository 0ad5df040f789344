"""`tepui report` of a table: exported points, or any CSV with named columns."""

from pathlib import Path

import numpy as np
import pytest

from builders import experiment
from report_builders import payload_of
from study_rows import write_study
from tepui_evaluator.store import Store
from tepui_spec.cli import main
from tepui_trainer.storage import Storage

MODELS = [{"name": f"m{i}", "timm": "resnet18", "args": {"channels": [8 * i] * 4}} for i in range(1, 9)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve models on two tasks at two numbers of shots, accuracies in percent, in a file of foreign columns."""
    rng = np.random.default_rng(0)
    lines = ["run,net,size,benchmark,k-shot,pre,post"]
    for i, x in enumerate(np.linspace(0.1, 0.8, 12)):
        for task in ("a", "b"):
            for shots in (5, 25):
                error = 0.05 + 0.7 * x**2 + 0.2 / shots + rng.uniform(0, 0.02)
                lines.append(f"r{i},net-{i % 4},{i},{task},{shots},{100 - 100 * x:.2f},{100 - 100 * error:.2f}")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_of_foreign_columns(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags say which column is which; the report and its figures lie in a folder beside the table."""
    flags = ["--x", "pre", "--y", "post", "--accuracy", "--percent", "--task", "benchmark", "--shots", "k-shot"]
    flags += ["--trial", "run", "--group", "net", "--factors", "size"]
    assert main(["report", str(table), *flags]) == 0
    report = table.with_name("mine-report") / "report.html"
    assert capsys.readouterr().out == f"{report}\n"
    assert {p.name for p in (report.parent / "figures").iterdir()} >= {"law-a-25.svg", "law-a-25.png", "ranks.png"}
    content = payload_of(report.read_text())
    assert set(content["views"]) == {"a-5", "a-25", "b-5", "b-25"}
    assert content["views"]["a-5"]["n"] == 12
    assert "tepui run" not in report.read_text().partition("<script")[0]


def test_several_columns_are_several_tasks(table: Path, tmp_path: Path) -> None:
    """Each --y is a task of its name, without shots."""
    lines = ["net,up,near,far"] + [f"n{i},{0.1 * i:.1f},{0.08 * i:.2f},{0.2 + 0.05 * i:.2f}" for i in range(1, 9)]
    table.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    assert main(["report", str(table), "--x", "up", "--y", "near", "far", "--model", "net", "--out", str(out)]) == 0
    text = (out / "report.html").read_text()
    assert set(payload_of(text)["views"]) == {"near-0", "far-0"}
    assert "0-shot" not in text


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exported_points_need_no_flags(tmp_path: Path, kind: str) -> None:
    """What `tepui results` exports makes the same laws as the study itself, without it."""
    study = experiment(
        models=MODELS,
        sweep={"grid": {"model": [m["name"] for m in MODELS], "epochs": [1, 2]}},
        evaluation={"tasks": ["mnist"], "dataRoot": "data", "shots": [5, 25]},
    )
    results, points = tmp_path / "results", tmp_path / f"points.{kind}"
    write_study(Storage(str(results)), study)
    assert Store(Storage(str(results)), study).finished
    assert main(["results", str(results), "--table", "points", "--out", str(points)]) == 0
    assert main(["report", str(points)]) == 0
    assert main(["report", str(results)]) == 0
    alone = payload_of((tmp_path / "points-report/report.html").read_text())
    whole = payload_of((results / "studies/results/report.html").read_text())
    assert alone["views"] == whole["views"]
    assert alone["models"]["columns"].keys() >= {"f_model", "f_epochs"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "say with --x and --y which columns hold errors; it has run, net"),
        (["--x", "pre"], "--x and --y go together"),
        (["--x", "pre", "--y", "pst", "--accuracy", "--percent"], 'no column "pst"; nearest: post'),
        (["--x", "pre", "--y", "post"], 'column "pre", row 1: 90 looks like percent'),
        (
            ["--x", "pre", "--y", "post", "--percent", "--accuracy", "--shots", "net"],
            "'net-0' is not a number of shots",
        ),
        (["--x", "pre", "--y", "post", "--percent", "--accuracy", "--trial", "nme"], 'no column "nme"'),
        (["--x", "pre", "--y", "post", "size", "--task", "benchmark"], "--task benchmark goes with one --y"),
    ],
)
def test_mistakes_name_the_column(
    table: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong flag ends in one sentence that says what the table has."""
    assert main(["report", str(table), *flags]) != 0
    assert message in capsys.readouterr().err


def test_flags_of_a_table_are_refused_for_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--x says nothing about a folder of results."""
    assert main(["report", str(tmp_path), "--x", "a", "--y", "b"]) != 0
    assert "--x goes with a table of points" in capsys.readouterr().err
