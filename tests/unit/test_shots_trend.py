"""The law's parameters against the number of shots."""

import pytest

from report_builders import simulated_study
from tepui_evaluator.report_view import views
from tepui_evaluator.shots_trend import counts, shots_trends


def test_directions_of_the_simulated_laws() -> None:
    """k and e_IR fall and alpha rises in every task, as the laws were made, and e_IR's change excludes 0."""
    trends = shots_trends(views(simulated_study()), "average")
    of = {(t.task, t.quantity): t for t in trends}
    assert of["mnist", "k"].shots == (1, 5, 10, 25)
    assert (of["mnist", "k"].direction, of["mnist", "alpha"].direction) == ("falls", "rises")
    assert of["mnist", "e_ir"].rank == pytest.approx(-1.0)
    assert -1.0 < (of["mnist", "e_ir"].pearson or 0.0) < -0.8
    change = of["mnist", "e_ir"].change()
    assert change is not None
    assert change.differ == "yes"
    assert change.interval is not None
    assert change.interval[1] < 0.0
    assert counts(trends, "k") == (4, 4)
    assert counts(trends, "e_ir") == (3, 3)  # textures' e_IR is not estimated
    assert of["mnist", "alpha"].change() is None


def test_two_numbers_of_shots_have_no_correlation() -> None:
    """Two numbers always correlate perfectly, so nothing is said; one has no row."""
    two = shots_trends(views(simulated_study(shots=(5, 25))), "hull")
    assert {(t.pearson, t.rank) for t in two} == {(None, None)}
    assert {t.direction for t in two} == {"unclear"}
    assert shots_trends(views(simulated_study(shots=(25,))), "hull") == ()
