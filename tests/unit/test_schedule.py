"""The learning rate as a function of the step."""

import itertools
import math
from typing import Any

import pytest

from tepui_spec.recipes import BUILT_IN, Recipe
from tepui_trainer.schedule import learning_rate, warmup_steps

TOTAL = 1000


def recipe(**changes: Any) -> Recipe:
    """100 steps of warm-up to a peak of 0.5."""
    return Recipe(name="test", lr_peak=0.5, warmup_steps=100, warmup_fraction=0.5).model_copy(update=changes)


def rates(**changes: Any) -> list[float]:
    """All learning rates of a run."""
    return [learning_rate(recipe(**changes), step, TOTAL) for step in range(TOTAL)]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "rsqrt"])
def test_warmup_is_linear_and_ends_at_the_peak(schedule: str) -> None:
    """The first step takes 1/W of the peak, the W-th all of it."""
    found = rates(schedule=schedule)
    assert found[:100] == pytest.approx([0.5 * (step + 1) / 100 for step in range(100)])
    assert max(found) == pytest.approx(0.5)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "rsqrt"])
def test_decay_falls_to_almost_zero(schedule: str) -> None:
    """After warm-up a decaying schedule never rises, and the last step is still one that learns."""
    found = rates(schedule=schedule)[100:]
    assert all(after <= before for before, after in itertools.pairwise(found))
    assert 0 < found[-1] < 0.01 * 0.5


def test_shapes_at_half_way() -> None:
    """Half of the decay done: linear and cosine at half the peak, rsqrt at sqrt(W / step)."""
    assert learning_rate(recipe(schedule="linear"), 550, TOTAL) == pytest.approx(0.25)
    assert learning_rate(recipe(schedule="cosine"), 550, TOTAL) == pytest.approx(0.25)
    assert learning_rate(recipe(schedule="constant"), 999, TOTAL) == 0.5
    assert learning_rate(recipe(schedule="rsqrt"), 400, TOTAL) == pytest.approx(0.5 * math.sqrt(100 / 400))


def test_cooldown_of_rsqrt_is_linear_in_the_last_share() -> None:
    """Up to the cool-down the rate is 1/sqrt(step); half through it, half of that."""
    cooled = recipe(schedule="rsqrt", cooldown_fraction=0.2)
    assert learning_rate(cooled, 800, TOTAL) == pytest.approx(0.5 * math.sqrt(100 / 800))
    assert learning_rate(cooled, 900, TOTAL) == pytest.approx(0.5 * math.sqrt(100 / 900) * 0.5)
    assert learning_rate(recipe(schedule="rsqrt", cooldown_fraction=0), 999, TOTAL) > 0.1


def test_warmup_is_bounded_by_its_share() -> None:
    """A short run warms up for its share of the steps, a long one for the recipe's steps."""
    short = recipe(warmup_fraction=0.1)
    assert warmup_steps(short, 200) == 20
    assert warmup_steps(short, 10**6) == 100
    assert learning_rate(recipe(warmup_fraction=0), 0, TOTAL) == 0.5


@pytest.mark.parametrize("built_in", BUILT_IN, ids=lambda built_in: built_in.name)
@pytest.mark.parametrize("total", [1, 2, 7, 100_000])
def test_every_recipe_has_a_positive_rate_at_every_step(built_in: Recipe, total: int) -> None:
    """Runs of any length, one step included, get rates in (0, peak]."""
    for step in {0, total // 2, total - 1}:
        assert 0 < learning_rate(built_in, step, total) <= built_in.lr_peak


@pytest.mark.parametrize("step", [-1, TOTAL])
def test_steps_outside_the_run_are_refused(step: int) -> None:
    """The schedule is defined for the run's steps alone."""
    with pytest.raises(ValueError, match=r"must lie in \[0, 1000\)"):
        learning_rate(recipe(), step, TOTAL)
