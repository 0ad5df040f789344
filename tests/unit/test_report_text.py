"""The report says what the laws say and no more."""

import re
from dataclasses import replace

import pytest

from report_builders import TRUTHS, simulated_study, view_of
from tepui_evaluator.report import ReportData
from tepui_evaluator.report_table import law_rows
from tepui_evaluator.report_text import answers, caveats, floor_text, headline, in_percent, percent, scope, verdict
from tepui_evaluator.report_view import View, views
from tepui_spec.law import Intervals, Law


@pytest.fixture(scope="module")
def study() -> ReportData:
    return simulated_study()


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
        (
            _law("yes", 0.13, (0.125, 0.14)),
            "near",
            "0.0 points [0.0, 0.0]",
            "lies below it by the chance of one among 30",
        ),
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
    view = view_of("mnist-25", study)
    held = view.laws["frontier"].heldout
    assert held is not None
    law = view.laws["frontier"].model_copy(update={"heldout": held.model_copy(update={"best": best})})
    assert words in " ".join(caveats(study, [replace(view, laws={"frontier": law})]))


def test_scope_counts_trials(study: ReportData) -> None:
    """Finished, planned and failed trials, families and reach in one line."""
    assert scope(study).startswith("36 of 37 trials finished · 1 failed · mixer, resnet, vit · upstream error 15.8% to")


def test_law_rows_mark_published_estimates(study: ReportData) -> None:
    """Hull and all-points laws are labelled and have no interval; unidentified floors have no number."""
    rows = {(r[0], r[1], r[2]): r for r in law_rows(views(study))}
    assert rows["mnist", "25", "hull, as published"][5] == "5.4%"
    assert rows["mnist", "25", "frontier"][5] == "3.4% [2.0%, 6.4%]"
    assert rows["textures", "25", "frontier"][5] == "not identified"
    assert rows["mnist", "25", "frontier"][6].startswith("0.780 [0.624, ")


def test_open_interval_of_alpha_reads_infinite(study: ReportData) -> None:
    """An interval without an upper end says so."""
    view = view_of("mnist-25", study)
    law = view.laws["frontier"].model_copy(update={"interval": Intervals(alpha=(1.0, None))})
    assert law_rows([replace(view, laws={"frontier": law})])[0][7].endswith("[1.00, ∞]")
