"""What holds for the hull of any points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tepui_evaluator.hull import lower_hull

POINTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda p: (p[0] / 40.0, p[1] / 40.0)), min_size=1, max_size=60
)


@given(POINTS)
def test_hull_is_below_every_point_and_convex(points: list[tuple[float, float]]) -> None:
    """The hull's polyline runs below all points over their whole range, with rising slopes."""
    x, y = np.array(points).T
    hull = lower_hull(x, y)
    assert x[hull[0]] == x.min()
    assert x[hull[-1]] == x.max()
    assert np.all(np.interp(x, x[hull], y[hull]) <= y + 1e-12)
    slopes = np.diff(y[hull]) / np.diff(x[hull])
    assert np.all(np.diff(slopes) > 0.0)


@given(POINTS)
def test_order_of_points_does_not_matter(points: list[tuple[float, float]]) -> None:
    """Shuffling the rows gives the same vertices."""
    x, y = np.array(points).T
    order = np.random.default_rng(len(points)).permutation(len(points))
    before, after = lower_hull(x, y), lower_hull(x[order], y[order])
    assert x[before].tolist() == x[order][after].tolist()
    assert y[before].tolist() == y[order][after].tolist()
