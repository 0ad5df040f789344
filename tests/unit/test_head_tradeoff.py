"""The head's settings: upstream and downstream optimum, and what upstream's choice costs."""

import numpy as np
import pytest

from report_builders import model_point, view_with
from tepui_evaluator.head_tradeoff import head_tradeoffs
from tepui_evaluator.report_data import EvaluationPoint

LEVELS = (0.0, 0.1, 1.0, 10.0)


def _points(up: list[float], down: list[float], *, blocks: int = 8, noise: float = 0.01) -> list[EvaluationPoint]:
    """Blocks are models of two seeds; errors by level on top of what each model has of its own."""
    rng = np.random.default_rng(0)
    points = []
    for b in range(blocks):
        model, own = f"m{b // 2}", rng.normal(0, 0.05)
        for i, level in enumerate(LEVELS):
            factors = {"model": model, "seed": b % 2, "headWeightDecay": level}
            x, y = 0.4 + own + up[i] + rng.normal(0, noise), 0.3 + own + down[i] + rng.normal(0, noise)
            points.append(model_point(f"{b}-{i}", x, y, model=model, factors=factors))
    return points


def test_opposed_optima_are_found_with_their_cost() -> None:
    """Upstream wants no decay, downstream much: the cost is what was built in, and its interval excludes 0."""
    (found,) = head_tradeoffs([view_with(_points([0.0, 0.05, 0.1, 0.15], [0.1, 0.07, 0.04, 0.0]))])
    assert (found.factor, found.levels) == ("headWeightDecay", LEVELS)
    assert (found.upstream_best, found.downstream_best, found.opposed) == (0.0, 10.0, True)
    assert found.cost is not None
    assert found.cost.mean == pytest.approx(0.1, abs=0.01)


def test_noise_alone_has_no_cost() -> None:
    """Where no level matters, the best of four by luck does not count: of 60 studies at most 6 show a cost."""
    opposed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points = [
            model_point(
                f"{b}-{i}", rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5), factors={"seed": b, "headLrScale": level}
            )
            for b in range(6)
            for i, level in enumerate(LEVELS)
        ]
        opposed += head_tradeoffs([view_with(points)])[0].opposed
    assert opposed <= 6


def test_incomplete_blocks_are_left_out() -> None:
    """A block that lacks a level is not compared; two blocks have no cost; without the factor there is nothing."""
    points = _points([0.0] * 4, [0.0] * 4, blocks=4)
    (found,) = head_tradeoffs([view_with(points[1:])])
    assert found.upstream_BL.shape == (3, 4)
    (few,) = head_tradeoffs([view_with(_points([0.0, 0.1, 0.2, 0.3], [0.3, 0.2, 0.1, 0.0], blocks=2))])
    assert few.cost is not None
    assert (few.cost.interval, few.opposed) == (None, False)
    (same,) = head_tradeoffs([view_with(_points([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3]))])
    assert (same.cost, same.upstream_best, same.downstream_best) == (None, 0.0, 0.0)
    assert head_tradeoffs([view_with([model_point("t", 0.5, 0.5)])]) == ()
