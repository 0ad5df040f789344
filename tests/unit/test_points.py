"""Points are checked before anything is fitted."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tepui_evaluator.points import make_points, measurement_se

X = [0.2, 0.4, 0.6, 0.8]


def test_accuracies_and_percent_become_errors() -> None:
    """Accuracies in percent give the same points as errors in fractions; standard errors are scaled too."""
    points = make_points([80, 60], [70, 50], x_se=[1, 2], accuracy=True, percent=True)
    assert points.x == pytest.approx([0.2, 0.4])
    assert points.y == pytest.approx([0.3, 0.5])
    assert points.x_se == pytest.approx([0.01, 0.02])


def test_groups_are_numbered_and_default_to_one_each() -> None:
    """Labels of any type become numbers; without labels every model is its own group."""
    points = make_points(X, X, group=["vit", "mixer", "vit", None])
    assert points.group.tolist() == [0, 1, 0, 2]
    assert points.groups == 3
    assert make_points(X, X).groups == 4


def test_text_cells_are_parsed() -> None:
    """A CSV's strings are numbers."""
    assert make_points(["0.2", " 0.4 "], ["1e-1", "0"]).y.tolist() == [0.1, 0.0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.1, 0.2, float("nan"), 0.3], r'column "y", row 3: the value is empty or not a number'),
        ([0.1, 0.2, None, None], r'column "y", row 3: the value is empty or not a number \(and 1 more rows\)'),
        ([0.1, float("inf"), 0.2, 0.3], 'column "y", row 2: the value is infinite'),
        ([0.1, -0.2, 0.3, 0.3], r'column "y", row 2: -0.2 is outside \[0, 1\]; errors are expected'),
        ([0.1, 0.2, 0.3, 1.2], r'column "y", row 4: 1.2 is outside \[0, 1\]'),
        ([12.0, 20.0, 30.0, 80.0], "looks like percent; errors are fractions"),
        (["a", "b", "c", "d"], "column \"y\", row 1: 'a' is not a number"),
        ([0.1, 0.2], 'column "y" has 2 rows but "x" has 4'),
    ],
)
def test_bad_values_are_named(y: ArrayLike, message: str) -> None:
    """Column, row and value of the first thing wrong are in the message."""
    with pytest.raises(ValueError, match=message):
        make_points(X, y)


def test_standard_errors_have_their_own_limits() -> None:
    """A negative or huge standard error is refused, in the unit it was given."""
    with pytest.raises(ValueError, match=r'column "y_se", row 2: -0\.01 is not a standard error'):
        make_points(X, X, y_se=[0.01, -0.01, 0.01, 0.01])
    with pytest.raises(ValueError, match=r"allowed are values in \[0, 50\]"):
        make_points(X, X, y_se=[60, 1, 1, 1], percent=True)


def test_measurement_se_covers_binomial_and_seeds() -> None:
    """Simulated errors of one model scatter as its standard error says, within 10%."""
    rng = np.random.default_rng(0)
    true, test_n, seeds, seed_sd = 0.2, 500, 3, 0.02
    deviations = rng.normal(0.0, seed_sd, (20000, seeds))
    measured = rng.binomial(test_n, true, 20000) / test_n + deviations.mean(axis=1)
    se = measurement_se(measured, np.full(20000, test_n), deviations.var(axis=1, ddof=1), seeds)
    assert np.median(se) == pytest.approx(np.std(measured), rel=0.1)


def test_an_error_of_zero_is_not_exact() -> None:
    """No mistake in 100 images leaves a standard error above 1%."""
    assert measurement_se(np.array([0.0]), np.array([100.0]))[0] > 0.01
