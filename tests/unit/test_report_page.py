"""The page holds together with hostile or missing data, needs no network, and has every part in words."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import vl_convert

from builders import experiment
from report_builders import FAILURE, payload_of, simulated_study
from tepui_evaluator.figures import vega_lite_version
from tepui_evaluator.report import ReportData, render, static_figures


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
    assert payload_of(html)["views"]["<b>task</b>-25"]["task"] == "<b>task</b>"


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
        assert payload_of(html)["charts"] == {}
        assert "there is no answer" in html
