"""The mean of paired differences and its group-robust interval."""

import numpy as np
import pytest

from tepui_evaluator.paired import effective_groups, paired_mean


def test_interval_covers_under_related_pairs() -> None:
    """Of 400 samples of 10 groups of 4 with a common part, about 95% of intervals hold the true mean."""
    rng = np.random.default_rng(0)
    groups = [str(i) for i in range(10) for _ in range(4)]
    covered = 0
    for _ in range(400):
        values = 0.3 + np.repeat(rng.normal(size=10), 4) + rng.normal(size=40)
        found = paired_mean(values, groups)
        assert found.interval is not None
        covered += found.interval[0] <= 0.3 <= found.interval[1]
    assert 0.92 <= covered / 400 <= 0.98


def test_independent_pairs_give_the_t_interval() -> None:
    """With a group each it is Student's interval."""
    from scipy.stats import t

    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    found = paired_mean(values, list("abcde"))
    assert found.interval == pytest.approx(t.interval(0.95, 4, values.mean(), values.std(ddof=1) / np.sqrt(5)))


def test_two_groups_have_no_interval() -> None:
    """Two groups give a mean alone."""
    found = paired_mean(np.array([0.1, 0.2, 0.6]), ["a", "a", "b"])
    assert (found.mean, found.interval, found.n, found.groups) == (pytest.approx(0.3), None, 3, 2)


def test_one_large_group_is_not_many() -> None:
    """Six groups of which one holds 14 of 19 are worth 1.8 equal ones: no interval rests on them."""
    groups = [*("a" * 14), *"bcdef"]
    assert effective_groups(np.unique(groups, return_inverse=True)[1]) == pytest.approx(361 / 201)
    assert paired_mean(np.linspace(0.0, 1.0, 19), groups).interval is None
