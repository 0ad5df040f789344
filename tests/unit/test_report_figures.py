"""The report's figures: drawn as far as the data allow, and written beside it."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from report_builders import TRUTHS, payload_of, simulated_study, view_of, with_layers
from tepui_evaluator.figure_law import law_datasets, law_figure
from tepui_evaluator.figures import to_svg
from tepui_evaluator.report import ReportData, law_grid, render, write_report
from tepui_evaluator.report_view import families, views

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def study() -> ReportData:
    return simulated_study()


def test_views_keep_layers_apart(study: ReportData) -> None:
    """Points of inner layers do not enter the law's picture, but have a figure of their own."""
    layered = with_layers(study)
    assert [len(v.points) for v in views(layered)] == [len(v.points) for v in views(study)]
    assert "layers" in payload_of(render(layered))["charts"]
    assert "layers" not in payload_of(render(study))["charts"]


def test_law_figure_draws_no_floor_where_not_identified(study: ReportData) -> None:
    """No asymptote, no interval bar and no curve beyond the data; the words stand instead."""
    sets = law_datasets(view_of("textures-25", study))
    assert sets["floor"] == sets["asymptote"] == []
    assert [row["label"] for row in sets["label"]] == ["e_IR not identified"]
    assert not any(row["faded"] for row in sets["lines"])
    yes = law_datasets(view_of("mnist-25", study))
    assert yes["asymptote"] == [{"y": pytest.approx(0.034)}]
    assert any(row["faded"] for row in yes["lines"])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("key", ["mnist-25", "digits8x8-5", "greek-1", "textures-25"])
def test_law_figure_as_svg(study: ReportData, key: str, log: bool) -> None:
    """A static picture with one symbol a model, in both kinds of axes."""
    view = view_of(key, study)
    svg = to_svg(law_figure(view, families(study), log=log))
    root = ET.fromstring(svg)
    marks = [
        g for g in root.iter(f"{SVG}g") if "mark-symbol" in g.get("class", "") and "role-mark" in g.get("class", "")
    ]
    assert max(len(list(g)) for g in marks) == len(view.points)
    assert "NaN" not in svg


def test_law_grid_reaches_from_zero_to_the_data(study: ReportData) -> None:
    """Bands are asked for where the picture needs them."""
    law = study.laws[0]
    grid = law_grid(law)
    assert grid[0] == 0.0
    assert grid[-1] == law.x_max
    assert list(grid) == sorted(set(grid))


def test_written_files(study: ReportData, tmp_path: Path) -> None:
    """Report and figures, as SVG and PNG, lie where the layout says; old figures go; an interim report has none."""
    folder = tmp_path / "studies/simulated"
    uri = write_report(str(tmp_path), "simulated", replace(study, interim=True))
    assert uri == f"{folder}/report.html"
    assert [p.name for p in folder.iterdir()] == ["report.html"]
    (folder / "figures").mkdir()
    (folder / "figures/law-gone-1.svg").touch()
    write_report(str(tmp_path), "simulated", study)
    files = list((folder / "figures").iterdir())
    names = {"overview", "scaling-mnist-25", "shots", "spearman", "ranks", "curves"}
    names |= {f"law-{t.task}-25" for t in TRUTHS}
    assert {p.name for p in files} == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    for path in files:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag == f"{SVG}svg"
        else:
            assert path.read_bytes().startswith(b"\x89PNG")
