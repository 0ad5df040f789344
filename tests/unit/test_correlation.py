"""Spearman's correlation and its interval."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tepui_evaluator.correlation import rank_correlations, ranks, spearman


def test_equals_scipys_with_ties() -> None:
    """The coefficient is scipy's, ties included."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 8, 50) / 8.0, rng.integers(0, 8, 50) / 8.0
    y = 0.5 * x + 0.5 * y
    found = spearman(x, y, np.arange(50))
    assert found is not None
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    assert ranks(np.array([0.3, 0.1, 0.3])).tolist() == [2.5, 1.0, 2.5]


def test_interval_covers_the_population_value() -> None:
    """Of 200 normal samples of 30 models with Pearson 0.8, about 95% of intervals hold the true Spearman 0.786."""
    rng = np.random.default_rng(1)
    truth = 6.0 / np.pi * np.arcsin(0.8 / 2.0)
    covered = 0
    for _ in range(200):
        x, e = rng.normal(size=30), rng.normal(size=30)
        found = spearman(x, 0.8 * x + 0.6 * e, np.arange(30))
        assert found is not None
        assert found.interval is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    assert 183 <= covered <= 199


def test_related_models_widen_it() -> None:
    """Copies within groups leave the interval at least as wide as the models once."""
    rng = np.random.default_rng(2)
    x = rng.uniform(size=12)
    y = x + rng.normal(0.0, 0.2, 12)
    rows = np.repeat(np.arange(12), 6)
    once, grouped = spearman(x, y, np.arange(12)), spearman(x[rows], y[rows], rows)
    assert once is not None
    assert grouped is not None
    assert once.interval is not None
    assert grouped.interval is not None
    assert grouped.interval[1] - grouped.interval[0] > 0.8 * (once.interval[1] - once.interval[0])


def test_nothing_is_made_up() -> None:
    """A constant axis has no correlation; a perfect one and four models have no interval."""
    x = np.linspace(0.1, 0.9, 10)
    assert spearman(x, np.full(10, 0.2), np.arange(10)) is None
    perfect = spearman(x, x**2, np.arange(10))
    assert perfect is not None
    assert (perfect.rho, perfect.interval) == (1.0, None)
    few = spearman(x[:4], np.array([0.1, 0.3, 0.2, 0.4]), np.arange(4))
    assert few is not None
    assert few.interval is None


@pytest.mark.parametrize(("groups", "size"), [(8, 5), (20, 2)])
def test_interval_covers_with_related_models(groups: int, size: int) -> None:
    """Of 300 samples whose groups share half of their variance, 93% to 100% of intervals hold the true Spearman."""
    rng = np.random.default_rng(3)
    truth, group_N = 6.0 / np.pi * np.arcsin(0.8 / 2.0), np.repeat(np.arange(groups), size)
    covered = 0
    for _ in range(300):
        x, e = ((rng.normal(size=groups)[group_N] + rng.normal(size=groups * size)) / np.sqrt(2.0) for _ in range(2))
        found = spearman(x, 0.8 * x + 0.6 * e, group_N)
        assert found is not None
        assert found.interval is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    assert 279 <= covered <= 300


def test_all_pairs_at_once_are_the_single_pairs() -> None:
    """The matrix holds what each pair has alone, intervals included."""
    rng = np.random.default_rng(4)
    values, group_N = rng.normal(size=(3, 24)), np.arange(24) // 3
    values[1] += values[0]
    all_pairs = rank_correlations(values, group_N)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        alone = spearman(values[i], values[j], group_N)
        assert alone is not None
        assert alone.rho == pytest.approx(all_pairs.rho_AA[i, j])
        assert alone.interval == pytest.approx((all_pairs.lo_AA[i, j], all_pairs.hi_AA[i, j]))
