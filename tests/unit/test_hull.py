"""The lower convex hull of points in error."""

import numpy as np

from tepui_evaluator.hull import lower_hull


def test_vertices_of_a_square_with_a_point_inside() -> None:
    """Only the lower corners are vertices, by ascending x."""
    x = np.array([1.0, 0.0, 0.5, 0.0, 1.0])
    y = np.array([0.0, 1.0, 0.5, 0.0, 1.0])
    assert lower_hull(x, y).tolist() == [3, 0]


def test_points_on_an_edge_and_copies_are_not_vertices() -> None:
    """Collinear points and second copies are left out, so they get no weight in the fit as published."""
    x = np.array([0.0, 0.25, 0.5, 0.5, 1.0])
    y = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    assert lower_hull(x, y).tolist() == [0, 2, 4]


def test_one_point_and_one_column() -> None:
    """One point is its own hull; of points with one x the lowest is."""
    assert lower_hull(np.array([0.3]), np.array([0.4])).tolist() == [0]
    assert lower_hull(np.array([0.3, 0.3, 0.3]), np.array([0.4, 0.2, 0.9])).tolist() == [1]


def test_convex_power_law_is_all_vertices() -> None:
    """Every point of a strictly convex curve is a vertex."""
    x = np.linspace(0.0, 1.0, 50)
    assert lower_hull(x, 0.1 + 0.6 * x**3).tolist() == list(range(50))
