"""`tepui fit` on real files."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tepui_evaluator.fit_command import register
from tepui_evaluator.points import measurement_se
from tepui_evaluator.simulation import SCENARIOS, simulate
from tepui_spec.law import LawTable

ZHAI = Path(__file__).parents[2] / "examples" / "zhai2021_fewshot.csv"


def fit(*arguments: str) -> int:
    """Run the sub-command as the `tepui` command does."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["fit", *arguments])
    return int(args.run(args))


def _table() -> dict[str, list[object]]:
    points = simulate(SCENARIOS[1], np.random.default_rng(0))
    both = {"x": points.x.tolist() * 2, "y": points.y.tolist() * 2}
    return {**both, "task": ["pets"] * 40 + ["cars"] * 40, "shots": [5] * 40 + [25] * 40}


def test_json_is_the_law_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Parquet file with groups gives four laws per group, in order, that read back as Law."""
    pq.write_table(pa.table(_table()), tmp_path / "points.parquet")
    columns = ("--x", "x", "--y", "y", "--by", "task", "shots", "--at", "0.05")
    assert fit(str(tmp_path / "points.parquet"), *columns, "--json") == 0
    laws = LawTable.model_validate_json(capsys.readouterr().out).laws
    assert [(law.law, law.by) for law in laws[::4]] == [
        ("frontier", {"task": "pets", "shots": 5}),
        ("frontier", {"task": "cars", "shots": 25}),
    ]
    assert laws[0].e_ir == laws[4].e_ir
    assert laws[0].predict is not None
    assert laws[0].predict.x == 0.05


def test_csv_and_parquet_give_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows from either format are the same laws, `by` values typed alike."""
    table = _table()
    pq.write_table(pa.table(table), tmp_path / "points.parquet")
    rows = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    (tmp_path / "points.csv").write_text("\n".join(rows) + "\n")
    printed = []
    for name in ("points.parquet", "points.csv"):
        fit(str(tmp_path / name), "--x", "x", "--y", "y", "--by", "task", "shots", "--json")
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]


def test_text_shows_laws_flags_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    """The laws of 262 published models are printed with intervals, flag, reason and held-out scores."""
    columns = ("--x", "INet10", "--y", "Pets10", "--group", "model", "--accuracy", "--percent", "--at", "0.1")
    assert fit(str(ZHAI), *columns) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("all rows: 262 models in 11 groups, Spearman 0.99 [")
    assert lines[1].split() == ["law", "e_IR", "k", "alpha", "identified", "at", "0.1"]
    assert [line.split()[0] for line in lines[2:6]] == ["frontier", "average", "hull", "all_points"]
    assert any(line.startswith("  frontier: held-out error (fitted to") for line in lines)


def test_target_and_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target adds the upstream error it needs, --compare the differences of e_IR between groups."""
    pq.write_table(pa.table(_table()), tmp_path / "points.parquet")
    columns = ("--x", "x", "--y", "y", "--by", "task", "--target", "0.2", "--compare")
    fit(str(tmp_path / "points.parquet"), *columns, "--json")
    table = LawTable.model_validate_json(capsys.readouterr().out)
    assert table.laws[0].needed is not None
    assert table.laws[0].needed.reach == "yes"
    assert table.laws[2].needed is None
    assert [(d.law, d.a["task"], d.b["task"]) for d in table.differences] == [
        ("frontier", "pets", "cars"),
        ("average", "pets", "cars"),
    ]
    fit(str(tmp_path / "points.parquet"), *columns)
    printed = capsys.readouterr().out
    assert "target 0.2 needs e_US 0." in printed
    assert "  frontier: (task pets) - (task cars): +0.000" in printed


def test_several_downstream_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Each --y column is a group of its own, labelled by the column."""
    fit(str(ZHAI), "--x", "INet10", "--y", "Pets10", "Birds10", "--accuracy", "--percent", "--json")
    laws = LawTable.model_validate_json(capsys.readouterr().out).laws
    assert [law.by for law in laws[::4]] == [{"y": "Pets10"}, {"y": "Birds10"}]


def test_fit_imports_nothing_heavy() -> None:
    """Registering imports neither numpy nor scipy; running a CSV imports no torch, pandas or pyarrow."""
    code = (
        "import sys, argparse; from tepui_evaluator.fit_command import register;"
        "p = argparse.ArgumentParser(); register(p.add_subparsers());"
        "assert not {'numpy', 'scipy'} & set(sys.modules);"
        f"a = p.parse_args(['fit', {str(ZHAI)!r}, '--x', 'INet10', '--y', 'Birds10']"
        " + ['--accuracy', '--percent', '--json']);"
        "a.run(a);"
        "assert not {'torch', 'pandas', 'pyarrow', 'scipy.stats', 'scipy.optimize'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_counts_and_seeds_make_the_standard_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Test counts and support-seed variance give the same laws as the standard errors made from them, by group."""
    points = simulate(SCENARIOS[1], np.random.default_rng(0))
    variance = np.random.default_rng(1).exponential(1e-4, 40)
    n = np.full(40, 2000.0)
    x_se, y_se = measurement_se(points.x, n), measurement_se(points.y, n, variance, 3.0)
    columns = {"x": points.x, "y": points.y, "n": n, "var": variance, "r": np.full(40, 3), "x_se": x_se, "y_se": y_se}
    pq.write_table(pa.table(columns), tmp_path / "points.parquet")
    printed = []
    counts = ("--x-n", "n", "--y-n", "n", "--y-seed-var", "var", "--y-seeds", "r")
    for noise in (counts, ("--x-se", "x_se", "--y-se", "y_se")):
        fit(str(tmp_path / "points.parquet"), "--x", "x", "--y", "y", *noise, "--json")
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]


def test_percent_reaches_every_noise_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same study in percent, its variance in squared percent, gives the same laws."""
    points = simulate(SCENARIOS[1], np.random.default_rng(0))
    n, variance = np.full(40, 2000.0), np.full(40, 1e-4)
    printed = []
    for scale, percent in ((1.0, ()), (100.0, ("--percent",))):
        columns = {"x": points.x * scale, "y": points.y * scale, "n": n, "var": variance * scale**2, "r": n * 0 + 3}
        pq.write_table(pa.table(columns), tmp_path / "points.parquet")
        counts = ("--x-n", "n", "--y-n", "n", "--y-seed-var", "var", "--y-seeds", "r")
        fit(str(tmp_path / "points.parquet"), "--x", "x", "--y", "y", *counts, *percent, "--json")
        printed.append(LawTable.model_validate_json(capsys.readouterr().out).laws[0])
    assert printed[0].interval.e_ir == pytest.approx(printed[1].interval.e_ir, rel=1e-6)


def test_json_holds_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without options the laws alone; --at adds predict, --sampled the errors by number of models."""
    pq.write_table(pa.table(_table()), tmp_path / "points.parquet")
    columns = (str(tmp_path / "points.parquet"), "--x", "x", "--y", "y", "--by", "task", "--json")
    fit(*columns)
    plain = json.loads(capsys.readouterr().out)
    assert list(plain) == ["laws"]
    shape = {
        "law",
        "by",
        "n",
        "groups",
        "e_ir",
        "k",
        "alpha",
        "interval",
        "confidence",
        "identified",
        "reason",
        "heldout",
    }
    assert shape <= set(plain["laws"][0])
    assert "predict" not in plain["laws"][0]
    fit(*columns, "--at", "0.1", "--sampled")
    more = json.loads(capsys.readouterr().out)
    assert list(more) == ["laws", "sampled"]
    assert more["laws"][0]["predict"]["x"] == 0.1
    assert [s["law"] for s in more["sampled"] if s["by"] == {"task": "pets"}].count("hull") == 8
