"""The report says what the laws say and no more, holds together with hostile or missing data, and stays small."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import vl_convert
import yaml

from builders import experiment
from report_builders import FAILURE, TRUTHS, simulated_study, with_layers
from tepui_evaluator.figure_law import law_datasets, law_figure
from tepui_evaluator.figures import to_svg, vega_lite_version
from tepui_evaluator.report import ReportData, law_grid, render, static_figures, write_report
from tepui_evaluator.report_payload import pack, payload
from tepui_evaluator.report_replay import point_yaml, study_yaml
from tepui_evaluator.report_table import law_rows
from tepui_evaluator.report_text import answers, caveats, floor_text, headline, in_percent, percent, scope, verdict
from tepui_evaluator.report_view import View, families, thinned, views
from tepui_spec.expand import expand
from tepui_spec.experiment import Experiment
from tepui_spec.law import Intervals, Law

MAX_BYTES = 5_000_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def study() -> ReportData:
    return simulated_study()


@pytest.fixture(scope="module")
def page(study: ReportData) -> str:
    return render(study)


class _Page(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside[-1:]):
            self.text.append(data)


def _view(key: str, data: ReportData) -> View:
    return next(view for view in views(data) if view.key == key)


def _payload(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def _law(flag: str, e_ir: float | None, interval: tuple[float, float] | None) -> Law:
    return Law.model_validate(
        {
            "law": "frontier",
            "n": 30,
            "groups": 6,
            "fitted": 30,
            "e_ir": e_ir,
            "k": 0.8,
            "alpha": 2.0,
            "confidence": 0.95,
        }
        | {"interval": Intervals(e_ir=interval), "identified": flag, "reason": "why", "method": "m", "version": "1"}
    )


@pytest.mark.parametrize(
    ("law", "text"),
    [
        (_law("yes", 0.0493, (0.03, 0.081)), "4.9% [3.0%, 8.1%]"),
        (_law("at_most", 0.0, (0.0, 0.031)), "at most 3.1%"),
        (_law("weak", 0.05, (0.02, 0.31)), "2.0% to 31.0%"),
        (_law("no", 0.05, (0.0, 0.31)), "not identified"),
        (_law("no", None, None), "not identified"),
        (_law("weak", 0.05, None), "not identified"),
        (None, "no law fitted"),
    ],
)
def test_floor_is_a_number_only_where_identified(law: Law | None, text: str) -> None:
    """Each flag has its words; a point estimate appears for `yes` alone."""
    assert floor_text(law) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0%"), (0.0004, "<0.1%"), (0.0005, "0.1%"), (0.12345, "12.3%"), (1.0, "100.0%")]
)
def test_percent_has_one_decimal(value: float, text: str) -> None:
    """Small but not zero does not read as zero."""
    assert percent(value) == text


@pytest.mark.parametrize(
    ("law", "outlook", "gain", "words"),
    [
        (_law("yes", 0.05, (0.03, 0.08)), "room", "7.0 points [4.0, 9.0]", "from 12.0% to about 5.0% [3.0%, 8.0%]."),
        (_law("yes", 0.09, (0.07, 0.125)), "maybe", "3.0 points [0.0, 5.0]", "do not rule out"),
        (_law("yes", 0.115, (0.11, 0.119)), "near", "0.5 points [0.1, 1.0]", "at most 1.0 points are left"),
        (_law("at_most", 0.0, (0.0, 0.04)), "room", "at least 8.0 points", "from 12.0% to 4.0% or less"),
        (_law("weak", 0.05, (0.01, 0.09)), "room", "3.0 to 11.0 points", "somewhere between 1.0% and 9.0%"),
        (_law("weak", 0.05, (0.01, 0.13)), "unknown", "0.0 to 11.0 points", "the data cannot tell"),
        (_law("yes", 0.125, (0.08, 0.13)), "near", "0.0 points [0.0, 4.0]", "at its floor as far as the data can tell"),
        (
            _law("no", 0.05, (0.0, 0.11)),
            "room",
            "at least 1.0 points",
            "to 11.0% or less; where it ends the data cannot",
        ),
        (_law("no", 0.05, (0.0, 0.13)), "unknown", "cannot tell", "the data cannot tell"),
        (None, "unknown", "cannot tell", "the data cannot tell"),
    ],
)
def test_verdict_of_each_flag(study: ReportData, law: Law | None, outlook: str, gain: str, words: str) -> None:
    """The gain is the distance from the best error to the interval, and the sentence claims no more than the flag."""
    best = replace(study.points[0], downstream_error=0.12)
    said = verdict(View("mnist", 25, (best,), {} if law is None else {"frontier": law}, {}))
    assert (said.outlook, said.gain_text) == (outlook, gain)
    assert words in said.sentence
    if law is not None and law.identified == "no":
        assert percent(law.e_ir or 0.0) not in said.sentence + said.floor_text + said.gain_text


def test_reasons_are_in_percent_as_all_the_report(study: ReportData) -> None:
    """Errors in a law's reason read as everywhere on the page; ratios and counts stay as they are."""
    for reason, words in (
        ("anything from 0 to 0.164 fits (95%), 0.77 times the best error 0.125", "fits (95%), 0.77 times the best"),
        ("models with an upstream error below 0.15 would help most", "upstream error below 15.0% would help most"),
        ("the 95% interval 0.017 to 0.039 is narrow against the best error 0.023", "95% interval 1.7% to 3.9% is"),
    ):
        assert words in in_percent(reason)
    for view in views(study):
        assert not re.search(r"\b0\.\d{3}", verdict(view).narrow)


def test_opening_words_count_the_tasks(study: ReportData) -> None:
    """One verdict a task, at its largest number of shots, the most useful first."""
    said = answers(views(study))
    assert {v.task for v in said} == {t.task for t in TRUTHS}
    assert {v.shots for v in said} == {25}
    assert [v.outlook for v in said] == ["room", "room", "maybe", "unknown"]
    assert (
        headline(said) == "Better pre-training can still help 2 of 4 tasks and may help 1; for 1 the data cannot tell."
    )
    assert headline(said[-2:-1]) == said[-2].sentence
    assert headline(said[-1:] * 2).startswith("The data cannot yet tell")
    assert "no answer" in headline(())


def test_caveats_name_confidence_interim_and_lost_checks(study: ReportData) -> None:
    """A reader learns what the brackets mean, that numbers may change, and where a simpler curve was better."""
    text = " ".join(caveats(replace(study, interim=True), views(study)))
    assert "95% of studies" in text
    assert "still running" in text
    assert "in 12 of 16 cases; in 4 a curve without a floor was clearly better" in text
    assert "still running" not in " ".join(caveats(study, views(study)))


@pytest.mark.parametrize(
    ("best", "words"), [("law", "supports the law"), ("mean", "neither for the law nor against it")]
)
def test_caveat_of_the_held_out_check(study: ReportData, best: str, words: str) -> None:
    """A check that the law does not win is not said to support it."""
    view = _view("mnist-25", study)
    held = view.laws["frontier"].heldout
    assert held is not None
    law = view.laws["frontier"].model_copy(update={"heldout": held.model_copy(update={"best": best})})
    assert words in " ".join(caveats(study, [replace(view, laws={"frontier": law})]))


def test_scope_counts_trials(study: ReportData) -> None:
    """Finished, planned and failed trials, families and reach in one line."""
    assert scope(study).startswith("36 of 37 trials finished · 1 failed · mixer, resnet, vit · upstream error 15.8% to")


def test_page_needs_no_network(page: str) -> None:
    """No element points anywhere but into the page, and the policy forbids the rest."""
    tags = _Page(page).tags
    targets = [(tag, a[name]) for tag, a in tags for name in ("src", "href", "action", "data") if a.get(name)]
    assert targets
    assert [t for t in targets if not str(t[1]).startswith(("#", "data:"))] == []
    policy = [a["content"] for tag, a in tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0] is not None
    assert policy[0].startswith("default-src 'none'")
    assert "url(" not in page.partition("<style>")[2].partition("</style>")[0]


def test_page_has_every_part(page: str, study: ReportData) -> None:
    """Answer, table, laws, failures and provenance are there in words, without a script run."""
    text = " ".join(" ".join(_Page(page).text).split())
    for words in (
        "Better pre-training can still help 2 of 4 tasks",
        "3.4% [2.0%, 6.4%]",
        "not identified",
        "Anything from 0 to 31.0% fits (95%), 0.98 times the best error",
        FAILURE,
        "tepui run simulated.yaml",
        "tepui run point.yaml",
        "all points, as published",
        "deepspeed 0.19.8",
        study.provenance.hashes["mnist"],
    ):
        assert words in text


def test_page_is_the_same_twice(study: ReportData, page: str) -> None:
    """Nothing in it depends on time or order of hashing."""
    assert render(study) == page


def test_hostile_names_stay_text() -> None:
    """Markup in a failure, a model or a task neither runs nor ends the data early."""
    evil = "</script><img src=x onerror=alert(1)>"
    data = simulated_study(6)
    points = tuple(replace(p, model=evil, family=evil, task="<b>task</b>") for p in data.points)
    html = render(replace(data, points=points, failures=(evil,), study=evil))
    parsed = _Page(html)
    assert {"img", "b"}.isdisjoint(tag for tag, _ in parsed.tags)
    assert evil in parsed.text
    assert _payload(html)["views"]["<b>task</b>-25"]["task"] == "<b>task</b>"


@pytest.mark.parametrize(
    "data",
    [
        ReportData(study="nothing"),
        ReportData(study="failed", experiment=experiment(), failures=("a", "b"), planned_trials=2),
        simulated_study(1),
        replace(simulated_study(5), experiment=None, curves=(), trials=()),
        replace(simulated_study(5), bands=()),
    ],
    ids=["nothing", "all failed", "one trial", "a table of points", "no bands"],
)
def test_incomplete_studies_render(data: ReportData) -> None:
    """Whatever is missing is left out or said, and every figure that remains can be drawn."""
    html = render(data)
    assert "<h1>" in html
    for _, spec in static_figures(data):
        assert vl_convert.vegalite_to_vega(json.dumps(spec), vl_version=vega_lite_version())["marks"]
    if not data.points:
        assert _payload(html)["charts"] == {}
        assert "there is no answer" in html


def test_size_at_5000_models() -> None:
    """A study of 5,000 models stays under 5 MB, all points drawn."""
    data = simulated_study(5000, curve_points=20)
    html = render(data)
    assert len(html.encode()) < MAX_BYTES
    assert all(view["points"]["n"] == 5000 for view in _payload(html)["views"].values())


def test_size_with_many_tasks() -> None:
    """A quarter of a million points over 25 tasks are thinned to stay under 5 MB."""
    truths = tuple(replace(TRUTHS[i % 4], task=f"task-{i:02d}") for i in range(25))
    data = simulated_study(5000, curve_points=2, truths=truths, shots=(5, 25))
    html = render(data)
    assert len(html.encode()) < MAX_BYTES
    view = _payload(html)["views"]["task-07-25"]
    assert 1000 < view["points"]["n"] < view["n"] == 5000


def test_thinning_keeps_hull_and_best(study: ReportData) -> None:
    """The points that the frontier is read from survive."""
    view = _view("mnist-25", study)
    kept = thinned(view.points, 9)
    assert len(kept) < 20
    assert view.best in kept
    hull = {(r["x"], r["y"]) for r in law_datasets(view)["lines"] if r["line"] == "hull of the points"}
    assert hull <= {(p.upstream_error, p.downstream_error) for p in kept}


def _unpack(packed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the page does with a packed table (report.js)."""

    def cell(column: Mapping[str, Any], i: int) -> Any:
        if "all" in column:
            return column["all"]
        return column["of"][column["at"][i]] if "of" in column else column["each"][i]

    return [{name: cell(c, i) for name, c in packed["columns"].items()} for i in range(packed["n"])]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"a": 1.0}],
        [{"a": "x", "b": 1}, {"a": "x", "b": None}, {"a": "y", "b": 1.5}, {"a": "x", "b": True}],
        [{"a": 1}, {"a": True}, {"a": 1.0}],
    ],
)
def test_packing_loses_nothing(rows: list[dict[str, Any]]) -> None:
    """Columns become rows again, with the types of their values."""
    back = _unpack(json.loads(json.dumps(pack(rows))))
    assert back == rows
    assert [[type(v) for v in row.values()] for row in back] == [[type(v) for v in row.values()] for row in rows]


def test_models_are_stored_once(study: ReportData) -> None:
    """A model's hash stands once in the data, however many tasks it was evaluated on."""
    content = payload(study, views(study))
    assert content["models"]["n"] == len(study.trials)
    assert [row["m"] for row in _unpack(content["views"]["greek-1"]["points"])] == list(range(36))


def test_law_rows_mark_published_estimates(study: ReportData) -> None:
    """Hull and all-points laws are labelled and have no interval; unidentified floors have no number."""
    rows = {(r[0], r[1], r[2]): r for r in law_rows(views(study))}
    assert rows["mnist", "25", "hull, as published"][5] == "5.4%"
    assert rows["mnist", "25", "frontier"][5] == "3.4% [2.0%, 6.4%]"
    assert rows["textures", "25", "frontier"][5] == "not identified"
    assert rows["mnist", "25", "frontier"][6].startswith("0.780 [0.624, ")


def test_open_interval_of_alpha_reads_infinite(study: ReportData) -> None:
    """An interval without an upper end says so."""
    view = _view("mnist-25", study)
    law = view.laws["frontier"].model_copy(update={"interval": Intervals(alpha=(1.0, None))})
    assert law_rows([replace(view, laws={"frontier": law})])[0][7].endswith("[1.00, ∞]")


def test_replay_of_a_point_is_the_same_trial() -> None:
    """The YAML of one point expands to one trial with the hash of the original; so does that of the whole study."""
    sweep = {"grid": {"model": ["tiny"], "dataFraction": [0.3, 1.0], "epochs": [1, 2.5], "headLrScale": [0.5, 1]}}
    original = experiment(sweep=sweep)
    trials = expand(original.spec)
    read = yaml.safe_load
    whole = expand(Experiment.model_validate(read(study_yaml(original))).spec)
    assert [t.hash for t in whole] == [t.hash for t in trials]
    for trial in trials:
        factors = trial.factors.model_dump(exclude_none=True)
        again = expand(Experiment.model_validate(read(point_yaml(original, factors))).spec)
        assert [t.hash for t in again] == [trial.hash]


def test_views_keep_layers_apart(study: ReportData) -> None:
    """Points of inner layers do not enter the law's picture, but have a figure of their own."""
    layered = with_layers(study)
    assert [len(v.points) for v in views(layered)] == [len(v.points) for v in views(study)]
    assert "layers" in _payload(render(layered))["charts"]
    assert "layers" not in _payload(render(study))["charts"]


def test_law_figure_draws_no_floor_where_not_identified(study: ReportData) -> None:
    """No asymptote, no interval bar and no curve beyond the data; the words stand instead."""
    sets = law_datasets(_view("textures-25", study))
    assert sets["floor"] == sets["asymptote"] == []
    assert [row["label"] for row in sets["label"]] == ["e_IR not identified"]
    assert not any(row["faded"] for row in sets["lines"])
    yes = law_datasets(_view("mnist-25", study))
    assert yes["asymptote"] == [{"y": pytest.approx(0.034)}]
    assert any(row["faded"] for row in yes["lines"])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("key", ["mnist-25", "digits8x8-5", "greek-1", "textures-25"])
def test_law_figure_as_svg(study: ReportData, key: str, log: bool) -> None:
    """A static picture with one symbol a model, in both kinds of axes."""
    view = _view(key, study)
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
    """The report and its static figures lie where the layout says; an interim report has no figures."""
    uri = write_report(str(tmp_path), "simulated", replace(study, interim=True))
    assert uri == f"{tmp_path}/studies/simulated/report.html"
    assert [p.name for p in (tmp_path / "studies/simulated").iterdir()] == ["report.html"]
    write_report(str(tmp_path), "simulated", study)
    figures = {p.stem: p for p in (tmp_path / "studies/simulated/figures").iterdir()}
    laws = {f"law-{t.task}-25" for t in TRUTHS}
    assert set(figures) == laws | {"overview", "scaling-mnist-25", "shots", "spearman", "curves"}
    for path in figures.values():
        assert ET.parse(path).getroot().tag == f"{SVG}svg"
