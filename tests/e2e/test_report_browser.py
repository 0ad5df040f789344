"""The report in a real browser: it draws, it is quiet, and mouse and keyboard reach what it offers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from browser import CHROMIUM, Page, browser_page
from report_builders import simulated_study, with_heads, with_layers, with_samples
from tepui_evaluator.report import ReportData, render, write_report

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: apt-get install chromium to test the report"),
]

READY = "document.documentElement.dataset.ready === 'true'"
TOOLTIP = "document.querySelector('#vg-tooltip-element.visible')"
SCREENSHOTS = os.environ.get("TEPUI_SCREENSHOTS")
"""Folder for screenshots of what the tests see; none are kept without it."""


@pytest.fixture(scope="module")
def data() -> ReportData:
    return with_samples(with_heads(with_layers(simulated_study())))


@pytest.fixture(scope="module")
def url(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where `write_report` puts it, opened from disk."""
    return f"file://{write_report(str(tmp_path_factory.mktemp('results')), data.study, data)}"


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture
def page(tab: Page, url: str) -> Page:
    """The report, drawn, on a wide light screen."""
    return _show(tab, url)


def _show(tab: Page, url: str, *, width: int = 1280, dark: bool = False) -> Page:
    tab.requests.clear()
    tab.console.clear()
    tab.look(width=width, height=900, dark=dark)
    tab.open(url)
    tab.wait_for(READY)
    return tab


def _keep(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(Path(SCREENSHOTS) / f"{name}.png")


def _free_point(page: Page, chart: str, mark: str = "symbol") -> tuple[float, float]:
    """The middle, in the window, of a drawn model (or another mark) that nothing covers."""
    return tuple(
        page.evaluate(
            f"""(() => {{
              const marks = [...document.querySelectorAll('[data-chart={chart}] .mark-{mark}.role-mark path')];
              marks[0].scrollIntoView({{block: 'center', behavior: 'instant'}});
              for (const mark of marks) {{
                const box = mark.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                if (document.elementFromPoint(x, y) === mark) return [x, y];
              }}
            }})()"""
        )
    )


def _trials(data: ReportData) -> set[str]:
    return {trial.trial for trial in data.trials}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_draws_quietly(tab: Page, url: str, width: int, dark: bool) -> None:
    """Every figure is drawn, with no request but the file and nothing on the console, and the page fits the screen."""
    page = _show(tab, url, width=width, dark=dark)
    empty = page.evaluate(
        "[...document.querySelectorAll('.chart')].filter(c => !c.querySelector('svg, canvas')).length"
    )
    assert (page.evaluate("document.querySelectorAll('.chart').length"), empty) == (11, 0)
    assert page.requests == [url]
    assert page.console == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _keep(page, f"report-{width}-{'dark' if dark else 'light'}")


def test_hover_shows_the_trial(page: Page, data: ReportData) -> None:
    """The mouse over a point of the law brings up its trial's hash, model and errors; no line is in the way."""
    in_the_way = """[...document.querySelectorAll('[data-chart=law] .mark-symbol.role-mark path')].filter(mark => {
        const box = mark.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return !top.closest('.mark-symbol');
    }).length"""
    page.evaluate("document.querySelector('[data-chart=law]').scrollIntoView({block: 'center', behavior: 'instant'})")
    assert page.evaluate(in_the_way) == 0
    page.mouse(*_free_point(page, "law"))
    page.wait_for(TOOLTIP)
    text = page.evaluate(f"{TOOLTIP}.innerText")
    assert any(trial in text for trial in _trials(data))
    assert "downstream error" in text
    assert "±" in text
    assert page.console == []
    _keep(page, "report-hover")


@pytest.mark.parametrize(
    ("chart", "mark", "words"),
    [
        ("spearman", "rect", "rank correlation"),
        ("ranks", "rect", "against"),
        ("layers", "symbol", "mean error"),
        ("layer_laws", "symbol", "trial"),
        ("heads", "symbol", "mean error"),
        ("sampled", "symbol", "models sampled"),
        ("shots", "symbol", "shots"),
        ("curves", "symbol", "trial"),
    ],
)
def test_every_figure_answers_the_mouse(page: Page, chart: str, mark: str, words: str) -> None:
    """The mouse over a mark of any figure says what it is."""
    page.mouse(*_free_point(page, chart, mark))
    page.wait_for(TOOLTIP)
    assert words in page.evaluate(f"{TOOLTIP}.innerText")


def test_click_chooses_the_trial_to_replay(page: Page, data: ReportData) -> None:
    """A click on a point fills in the study that has this one trial, with the factors it had."""
    page.mouse(*_free_point(page, "scaling"), click=True)
    page.wait_for("document.querySelector('#picked').textContent")
    trial = page.evaluate("document.querySelector('#trial').value")
    chosen = next(p for p in data.points if p.trial == trial)
    spec: dict[str, Any] = yaml.safe_load(page.evaluate("document.querySelector('#point-yaml').textContent"))
    assert spec["spec"]["sweep"] == {"list": [dict(chosen.factors)]}


def test_keyboard_chooses_task_shots_and_axes(page: Page) -> None:
    """Tab reaches the controls, arrows change them, and the figures follow."""
    page.evaluate("document.querySelector('#controls input').focus()")
    page.key("ArrowRight")
    page.wait_for("document.querySelector('[data-chart=law]').dataset.drawn === 'law:digits8x8-25'")
    page.key("Tab")
    page.key("ArrowLeft")
    page.wait_for("document.querySelector('[data-chart=scaling]').dataset.drawn === 'scaling:digits8x8-10'")
    assert page.evaluate("document.querySelector('#said').textContent").startswith(
        "digits8x8 10-shot error: 36 models."
    )
    page.key("Tab")
    page.key("ArrowRight")
    page.wait_for("document.querySelector('[data-chart=law]').dataset.drawn === 'law_log:digits8x8-10'")
    assert "digits8x8 10-shot error" in page.evaluate("document.querySelector('[data-chart=law]').textContent")
    assert page.console == []
    _keep(page, "report-log")


def test_table_sorts_and_leads_to_the_law(page: Page) -> None:
    """A header sorts its column both ways; a task's link shows its law."""
    column = "[...document.querySelector('.verdicts').tBodies[0].rows].map(r => Number(r.cells[2].dataset.sort))"
    header = "document.querySelectorAll('.verdicts th button')[2]"
    page.evaluate(f"{header}.click()")
    rising = page.evaluate(column)
    page.evaluate(f"{header}.click()")
    assert rising == sorted(rising)
    assert page.evaluate(column) == rising[::-1]
    page.evaluate("document.querySelector('a[data-view=textures-5]').click()")
    page.wait_for("document.querySelector('[data-chart=law]').dataset.drawn === 'law:textures-5'")
    assert "e_IR not identified" in page.evaluate("document.querySelector('[data-chart=law]').textContent")


def test_points_as_a_table(page: Page, data: ReportData) -> None:
    """What hovering shows is also there as a table, the best model first."""
    rows = page.evaluate("[...document.querySelectorAll('#points tbody tr')].map(r => r.cells[0].textContent)")
    best = min(
        (p for p in data.points if (p.task, p.shots, p.layer) == ("mnist", 25, "pooled")),
        key=lambda p: p.downstream_error,
    )
    assert set(rows) == _trials(data)
    assert rows[0] == best.trial


def test_follows_the_colour_scheme(page: Page) -> None:
    """Charts are redrawn when the system turns dark, with text that can be read on dark."""
    label = "getComputedStyle(document.querySelector('[data-chart=law] .role-axis-label text')).fill"
    light = page.evaluate(label)
    page.look(width=1280, height=900, dark=True)
    page.wait_for(f"document.querySelector('[data-chart=law].is-dark') && {label} !== {json.dumps(light)}")
    page.look(width=1280, height=900)
    page.wait_for(f"{label} === {json.dumps(light)}")


def test_families_differ_without_colour(page: Page) -> None:
    """In black and white, families keep different shapes and laws different dashes."""
    shapes = page.evaluate(
        """(() => { const of = {};
          for (const p of document.querySelectorAll('[data-chart=law] .mark-symbol.role-mark path'))
            (of[p.getAttribute('fill')] ??= new Set()).add(p.getAttribute('d'));
          return Object.values(of).map(s => [...s]); })()"""
    )
    assert len(shapes) == len({s[0] for s in shapes}) == 3
    assert all(len(s) == 1 for s in shapes)
    lines = "[...document.querySelectorAll('[data-chart=law] .mark-line.role-mark path')]"
    assert len(set(page.evaluate(f"{lines}.map(path => path.getAttribute('stroke-dasharray'))"))) == 3


def test_prints(page: Page) -> None:
    """On paper the controls are gone and the figures stay."""
    page.look(width=800, height=1100, media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('#controls')).display") == "none"
    assert page.evaluate("document.querySelector('[data-chart=law] svg').getBoundingClientRect().width") > 300
    _keep(page, "report-print")
    page.look(width=1280, height=900)


def test_5000_models_draw_and_answer_the_mouse(tab: Page, tmp_path: Path) -> None:
    """Drawn on a canvas, a point still shows its trial."""
    data = simulated_study(5000, curve_points=4, shots=(25,))
    path = tmp_path / "report.html"
    path.write_text(render(data))
    page = _show(tab, f"file://{path}")
    box = page.evaluate(
        """(() => { const c = document.querySelector('[data-chart=law] canvas');
          c.scrollIntoView({block: 'center', behavior: 'instant'});
          const b = c.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"""
    )
    for step in range(200):  # down through the cloud of points in the middle
        page.mouse(box[0] + box[2] * 0.5, box[1] + box[3] * (0.4 + 0.002 * step))
        if page.evaluate(f"Boolean({TOOLTIP})"):
            break
    assert any(trial in page.evaluate(f"{TOOLTIP}.innerText") for trial in _trials(data))
    assert page.console == []


def test_studies_without_an_answer_are_quiet(tab: Page, tmp_path: Path) -> None:
    """One trial, or none: no figure fails for want of data."""
    for data in (simulated_study(1), ReportData(study="nothing")):
        path = tmp_path / f"{data.study}.html"
        path.write_text(render(data))
        page = _show(tab, f"file://{path}")
        assert page.console == []
        assert page.requests == [f"file://{path}"]
