"""Rank correlations between upstream error and all tasks."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from report_builders import model_point, view_with
from tepui_evaluator.rank_matrix import UPSTREAM, rank_matrix
from tepui_evaluator.report_data import EvaluationPoint


def _points(task: str, errors: np.ndarray, upstream: np.ndarray) -> list[EvaluationPoint]:
    return [
        model_point(f"t{i}", float(x), float(y), task=task, model=f"m{i}")
        for i, (x, y) in enumerate(zip(upstream, errors, strict=True))
    ]


def test_every_pair_both_ways_round() -> None:
    """Upstream and two tasks have six cells, each scipy's coefficient, with an interval around it."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=20)
    a, b = np.clip(x + rng.normal(0, 0.1, 20), 0, 1), rng.uniform(size=20)
    cells = {(c.a, c.b): c for c in rank_matrix([view_with(_points("a", a, x)), view_with(_points("b", b, x))])}
    assert len(cells) == 6
    assert cells["a", UPSTREAM].rho == cells[UPSTREAM, "a"].rho == pytest.approx(spearmanr(x, a).statistic)
    assert cells["a", "b"].rho == pytest.approx(spearmanr(a, b).statistic)
    for cell in cells.values():
        assert cell.interval is not None
        assert cell.interval[0] < cell.rho < cell.interval[1]
        assert cell.n == 20


def test_models_that_lack_a_task_are_left_out() -> None:
    """A pair is compared over the models that have all tasks; fewer than 3 have no table."""
    x = np.linspace(0.1, 0.9, 8)
    a, b = _points("a", x**2, x), _points("b", x[::-1], x)[:5]
    assert {c.n for c in rank_matrix([view_with(a), view_with(b)])} == {5}
    assert rank_matrix([view_with(a), view_with(b[:2])]) == ()
    assert rank_matrix([]) == ()


def test_a_constant_error_has_no_cell() -> None:
    """Nothing is made up for a task on which all models are alike."""
    x = np.linspace(0.1, 0.9, 8)
    cells = rank_matrix([view_with(_points("a", x**2, x)), view_with(_points("flat", np.full(8, 0.5), x))])
    assert {(c.a, c.b) for c in cells} == {(UPSTREAM, "a"), ("a", UPSTREAM)}
