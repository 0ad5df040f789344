"""The four laws of one group of points."""

from dataclasses import replace

import numpy as np
import pytest

from tepui_evaluator.heldout import split_at
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.laws import KINDS, band, fit_laws
from tepui_evaluator.points import Points, make_points
from tepui_evaluator.saturation import fit_power
from tepui_evaluator.simulation import SCENARIOS, simulate


def _points(name: str = "easy", seed: int = 0) -> Points:
    return simulate(next(s for s in SCENARIOS if s.name == name), np.random.default_rng(seed))


def test_four_laws_in_order_with_what_each_can_say() -> None:
    """Frontier and average have intervals and a flag; hull and all_points as published have neither."""
    laws = fit_laws(_points(), by={"task": "pets", "shots": 25}, at=0.1)
    assert [law.law for law in laws] == list(KINDS)
    for law in laws[:2]:
        assert law.identified == "yes"
        assert law.interval.e_ir is not None
        assert law.e_ir is not None
        assert law.interval.e_ir[0] <= law.e_ir <= law.interval.e_ir[1]
        assert law.predict is not None
        assert law.predict.interval is not None
        assert law.predict.y == pytest.approx(law.at(0.1))
    for law in laws[2:]:
        assert law.interval.e_ir is None
        assert law.identified == "no"
        assert law.e_ir is not None
    assert all(law.by == {"task": "pets", "shots": 25} and law.n == 100 for law in laws)
    assert laws[2].fitted < laws[3].fitted == 100


def test_frontier_is_below_average() -> None:
    """What the best models reach is less error than what models reach on average, over the data's range."""
    frontier, average, *_ = fit_laws(_points())
    for x in (0.2, 0.5, 0.8):
        assert float(frontier.at(x) or 1.0) < float(average.at(x) or 0.0)


def test_same_points_same_laws() -> None:
    """The result is a function of the points."""
    assert fit_laws(_points()) == fit_laws(_points())


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (make_points([], []), "only 0 models"),
        (make_points([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), "only 3 models"),
        (make_points([0.3] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), "the same upstream error 0.3"),
        (make_points([0.1, 0.2, 0.3, 0.4], [0.2] * 4), "the same downstream error 0.2"),
        (make_points([0.1, 0.1, 0.3, 0.3], [0.1, 0.2, 0.3, 0.4]), "only two different upstream errors"),
        (make_points([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]), "does not rise with upstream error"),
        (
            make_points(1.0 - np.linspace(0.1, 0.9, 20), 0.9 - 0.6 * np.linspace(0.1, 0.9, 20) ** 3),
            "bend like accuracies",
        ),
    ],
)
def test_points_that_carry_no_law_get_a_reason_and_no_number(points: Points, reason: str) -> None:
    """Never a made-up number: every estimate and interval is None, the flag is no, the reason is a sentence."""
    for law in fit_laws(points):
        assert (law.e_ir, law.k, law.alpha) == (None, None, None)
        assert law.interval.e_ir is None
        assert law.identified == "no"
        assert reason in law.reason


def test_few_models_have_no_frontier_interval() -> None:
    """Five models give an estimate, no interval, and say how many are needed."""
    x = np.array([0.2, 0.35, 0.5, 0.65, 0.8])
    frontier = fit_laws(make_points(x, 0.1 + 0.5 * x**2 + [0.01, 0.0, 0.02, 0.0, 0.01]))[0]
    assert frontier.e_ir is not None
    assert frontier.interval.e_ir is None
    assert frontier.reason == "only 5 models; the frontier's interval needs at least 6"


def test_unknown_noise_is_noted() -> None:
    """Without standard errors the frontier law says what it assumed."""
    frontier = fit_laws(replace(_points(), y_se=None))[0]
    assert any("no standard errors" in note for note in frontier.notes)


@pytest.mark.parametrize("index", [0, 1])
def test_band_contains_the_curve_and_agrees_with_predict(index: int) -> None:
    """The band surrounds the law on the whole grid; at one x it is the prediction's interval."""
    points = _points()
    law = fit_laws(points, at=0.3)[index]
    found = band(points, law, [0.3, 0.0, 0.9])
    assert found.x == (0.0, 0.3, 0.9)
    for y, lo, hi in zip(found.y, found.lo, found.hi, strict=True):
        assert y is not None
        assert lo is not None
        assert hi is not None
        assert lo <= y <= hi
    assert law.predict is not None
    assert (found.lo[1], found.hi[1]) == pytest.approx(law.predict.interval, rel=1e-3)
    assert (found.lo[0], found.hi[0]) == pytest.approx(law.interval.e_ir, rel=1e-3)


def test_band_of_published_laws_is_a_bare_curve() -> None:
    """Hull and all_points have a curve without interval."""
    points = _points()
    found = band(points, fit_laws(points)[3], [0.2, 0.4])
    assert found.lo == (None, None)
    assert None not in found.y


def test_a_logit_line_is_not_claimed_as_identified() -> None:
    """Points of another law: held-out models are predicted better by the logit line, and the flag says so."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.05, 0.9, 100)
    y = 1.0 / (1.0 + np.exp(-(0.3 + 0.7 * np.log(x / (1.0 - x))))) + np.abs(rng.normal(0.0, 0.005, 100))
    se = np.full(100, 0.002)
    for law in fit_laws(make_points(x, y, x_se=se, y_se=se))[:2]:
        assert law.identified in ("weak", "no")


def test_confidence_and_at_are_checked() -> None:
    """Values outside their range are refused with the range."""
    with pytest.raises(ValueError, match=r"confidence is 95; allowed are values in \[0.5, 0.999\]"):
        fit_laws(_points(), confidence=95.0)
    with pytest.raises(ValueError, match=r"at is 1.5; allowed are upstream errors in \[0, 1\]"):
        fit_laws(_points(), at=1.5)


def test_hundred_thousand_points() -> None:
    """A table that long is fitted, and the frontier law notes that it used a subset."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 0.9, 100_000)
    laws = fit_laws(make_points(x, np.clip(0.1 + 0.6 * x**3 + rng.exponential(0.02, x.size), 0.0, 1.0)))
    assert laws[0].fitted == 5000
    assert any("5000 of the 100000 models" in note for note in laws[0].notes)
    assert all(law.e_ir == pytest.approx(0.1, abs=0.03) for law in laws)


def test_the_hull_law_is_checked_by_the_hull_of_the_fitted_models() -> None:
    """Held out, the hull law predicts from the hull of the worse models, not from all of them."""
    points = _points("noise > scatter")
    at = split_at(points.x)
    fitted = points.take(points.x >= at)
    hull = fitted.take(lower_hull(fitted.x, fitted.y))
    fit = fit_power(hull.x, hull.y)
    outer = lower_hull(points.x, points.y)
    test = points.take(outer[points.x[outer] < at])
    missed = fit.c[0] + fit.k[0] * test.x ** fit.alpha[0] - test.y
    score = fit_laws(points)[KINDS.index("hull")].heldout
    assert score is not None
    assert score.law == pytest.approx(float(np.sqrt(np.mean(missed**2))))


def test_one_model_is_not_one_models() -> None:
    """A reason counts in English."""
    assert fit_laws(make_points([0.1], [0.2]))[0].reason.startswith("only 1 model:")
