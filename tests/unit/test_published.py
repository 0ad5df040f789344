"""Points simulated from the paper's laws."""

import numpy as np
import pytest

from tepui_evaluator.laws import fit_laws
from tepui_evaluator.published import PUBLISHED, X_RANGE, exact_points, scattered_points


@pytest.mark.parametrize("task", PUBLISHED)
def test_points_are_errors_above_the_hull_law(task: str) -> None:
    """No simulated model beats the hull law, and no error leaves [0, 1]."""
    points = exact_points(task)
    assert (points.y >= PUBLISHED[task][0].at(points.x) - 1e-12).all()
    assert (points.y <= 1.0).all()
    assert (points.x.min(), points.x.max()) == X_RANGE


def test_scattered_models_show_what_the_hull_fit_is_worth() -> None:
    """For 200 scattered models a task, six frontier intervals of seven hold e_IR; the hull's fit is above it in all."""
    covered = 0
    for number, (task, (hull, _)) in enumerate(PUBLISHED.items()):
        frontier, _, hull_fit, _ = fit_laws(scattered_points(task, np.random.default_rng(number)))
        assert frontier.interval.e_ir is not None
        assert hull_fit.e_ir is not None
        covered += frontier.interval.e_ir[0] <= hull.e_ir <= frontier.interval.e_ir[1]
        assert hull_fit.e_ir > hull.e_ir
    assert covered >= 6
