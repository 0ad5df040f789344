"""Bands of the frontier law on points that a real study measured, where the likelihood overflows or has two basins."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tepui_evaluator.laws import band, fit_laws
from tepui_evaluator.newton import Box, minimise
from tepui_evaluator.points import FloatArray, IntArray, Points
from tepui_evaluator.simulation import SCENARIOS, simulate

FLAT_FLOOR = Path(__file__).parent.parent / "golden/points_flat_floor.csv"
GRID = np.linspace(0, 0.986, 25) ** 2


@pytest.fixture(scope="module")
def points() -> Points:
    """Textures against fonts: the downstream error hardly falls, so alpha is anything."""
    x, y, x_se, y_se, group = np.loadtxt(FLAT_FLOOR, delimiter=",", skiprows=1, unpack=True)
    return Points(x=x, y=y, x_se=x_se, y_se=y_se, group=group.astype(np.int64))


def test_band_where_the_likelihood_overflows(points: Points) -> None:
    """Near e_US = 0 k * x**alpha overflows for some alpha; the band is finite there all the same."""
    law = fit_laws(points)[0]
    found = band(points, law, GRID.tolist())
    assert np.isfinite(np.array([found.lo, found.hi], dtype=float)).all()


def test_band_rises(points: Points) -> None:
    """All laws rise, so neither end of the band falls from one upstream error to the next."""
    found = band(points, fit_laws(points)[0], GRID.tolist())
    for end in (found.lo, found.hi):
        assert all(a is not None and b is not None and a <= b for a, b in itertools.pairwise(end))


@pytest.mark.parametrize(("name", "seed"), [("n=40", 0), ("low alpha", 0), ("outliers", 1)])
def test_band_is_narrow_where_points_are_dense(name: str, seed: int) -> None:
    """Between the second and the last but one of 12 models the band is a few scatters wide, at every upstream error.

    A profile that rises slowly just below its threshold used to be given up as open, an upper end of 1.
    """
    scenario = replace(next(s for s in SCENARIOS if s.name == name), n=12)
    points = simulate(scenario, np.random.default_rng([seed, 12, *scenario.name.encode()]))
    inner = np.sort(points.x)[1:-1]
    found = band(points, fit_laws(points)[0], np.linspace(inner[0], inner[-1], 20).tolist())
    widths = np.array(found.hi, dtype=float) - np.array(found.lo, dtype=float)
    assert widths.max() < 8.0 * scenario.u_mean


def test_minimise_from_where_the_objective_overflows() -> None:
    """A problem that starts in overflow ends there with value inf; its neighbour finds its minimum."""

    def parabola(_rows: IntArray, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        broken = v[:, 0] > 5.0
        hessian = np.where(broken[:, None, None], np.nan, np.full((len(v), 1, 1), 2.0))
        return np.where(broken, np.nan, v[:, 0] ** 2), 2.0 * v, hessian

    box = Box(lo=np.array([-10.0]), hi=np.array([10.0]), scale=np.ones(1))
    found = minimise(parabola, np.array([[9.0], [3.0]]), np.zeros((2, 1), dtype=bool), box)
    assert found.value[0] == np.inf
    assert found.v[1, 0] == pytest.approx(0.0, abs=1e-6)
