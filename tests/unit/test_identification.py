"""The flag that says whether the data identify e_IR."""

import numpy as np
import pytest

from tepui_evaluator.identification import doubt, judge, shapeless
from tepui_evaluator.points import make_points
from tepui_spec.law import HeldOut

POINTS = make_points(np.linspace(0.2, 0.8, 50), np.linspace(0.2, 0.8, 50))  # best error 0.2


@pytest.mark.parametrize(
    ("interval", "flag"),
    [
        ((0.10, 0.19), "yes"),
        ((0.10, 0.201), "weak"),
        ((0.0, 0.09), "at_most"),
        ((0.0, 0.11), "no"),
        (None, "no"),
    ],
)
def test_the_rule(interval: tuple[float, float] | None, flag: str) -> None:
    """L > 0 or not, and a width above or below half of the best error, decide."""
    assert judge(interval, POINTS, confidence=0.95).identified == flag


def test_an_error_of_zero_is_never_a_point_claim() -> None:
    """Where a model reached error 0, no width is narrow against it."""
    points = make_points([0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.2, 0.3])
    assert judge((0.0, 0.01), points, confidence=0.95).identified == "no"


def test_a_clear_loss_weakens_a_claim_and_names_the_rival() -> None:
    """`yes` and `at_most` become `weak` with the reason; `no` stays as it is."""
    lost = HeldOut(fit_n=37, test_n=13, x_split=0.3, law=0.05, log_log=0.01, best="log_log", lost_to="log_log")
    yes = doubt(judge((0.10, 0.19), POINTS, confidence=0.95), lost)
    assert yes.identified == "weak"
    assert "power law without floor" in yes.reason
    no = judge((0.0, 0.11), POINTS, confidence=0.95)
    assert doubt(no, lost) == no


def test_a_floor_without_a_way_down_to_it_is_no_point_claim() -> None:
    """`yes` becomes `weak` where the exponent has no upper bound or no interval; other flags stay."""
    yes, no = judge((0.10, 0.19), POINTS, confidence=0.95), judge((0.0, 0.11), POINTS, confidence=0.95)
    assert shapeless(yes, (1.0, 3.0)) == yes
    assert shapeless(yes, (0.0, None)).identified == "weak"
    assert "exponent" in shapeless(yes, None).reason
    assert shapeless(no, (0.0, None)) == no


def test_the_reason_says_what_would_help() -> None:
    """Far from 0 upstream: better models; near it and few: more models; else less noise; few groups: more groups."""
    near = np.linspace(0.05, 0.8, 50)
    assert "upstream error below 0.20" in judge((0.0, 0.19), POINTS, confidence=0.95).reason
    few = make_points(near[:20], near[:20])
    assert "more than 20 models" in judge((0.0, 0.19), few, confidence=0.95).reason
    many = make_points(near, near)
    assert "less noisy" in judge((0.0, 0.19), many, confidence=0.95).reason
    grouped = make_points(near, near, group=[i % 3 for i in range(50)])
    assert "only 3 groups" in judge(None, grouped, confidence=0.95).reason
