"""The test of one curve for models scaled by different factors."""

import numpy as np
import pytest

from tepui_evaluator.scaling import one_curve

SERIES = ["data"] * 5 + ["model"] * 5 + ["epochs"] * 6


def _study(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.15, 0.85, 16)
    return x, 0.1 + 0.6 * x**3 + rng.normal(0.0, 0.01, 16) + shift * (np.arange(16) < 5)


def test_p_values_are_uniform_under_one_curve() -> None:
    """Of 400 studies on one curve, p is below 0.05 in 3 to 7%, below 0.5 in 44 to 56%."""
    p = np.array([found.p for seed in range(400) if (found := one_curve(*_study(seed), SERIES))])
    assert p.size == 400
    assert 0.03 <= np.mean(p < 0.05) <= 0.07
    assert 0.44 <= np.mean(p < 0.5) <= 0.56


def test_a_shifted_series_is_found_and_measured() -> None:
    """A series 0.05 above the others has a small p and an offset interval that holds 2/3 of 0.05."""
    found = one_curve(*_study(0, shift=0.05), SERIES)
    assert found is not None
    assert found.p < 1e-4
    data = next(o for o in found.offsets if o.series == "data")
    assert data.interval[0] < 0.05 * 2.0 / 3.0 < data.interval[1]
    assert sum(o.offset for o in found.offsets) == pytest.approx(0.0, abs=1e-12)
    assert (found.numerator_df, found.denominator_df) == (2, 11)


def test_too_little_for_a_test() -> None:
    """One series, or too few points for the parameters, give no p-value."""
    x, y = _study(0)
    assert one_curve(x, y, ["data"] * 16) is None
    assert one_curve(x[:6], y[:6], ["data", "data", "model", "model", "epochs", "epochs"]) is None


def test_p_values_are_uniform_within_blocks_and_under_skewed_scatter() -> None:
    """Models lie off the curve by an amount of their own and scatter to one side: p below 0.05 in 3 to 7% of 400."""
    rng = np.random.default_rng(1)
    small = 0
    for _ in range(400):
        model, level, x = rng.integers(0, 12, 40), rng.integers(0, 3, 40), rng.uniform(0.15, 0.9, 40)
        y = 0.1 + 0.6 * x**2 + rng.normal(0.0, 0.02, 12)[model] + rng.exponential(0.02, 40)
        found = one_curve(x, y, level.astype(str), blocks=model.astype(str))
        assert found is not None
        small += found.p < 0.05
    assert 12 <= small <= 28


def test_a_shift_is_found_within_blocks() -> None:
    """Where models differ by more than the factor does, blocks still show the factor."""
    rng = np.random.default_rng(2)
    model, level, x = np.repeat(np.arange(10), 6), np.tile([0, 1], 30), rng.uniform(0.15, 0.9, 60)
    y = 0.1 + 0.6 * x**2 + rng.normal(0.0, 0.1, 10)[model] + 0.02 * level + rng.normal(0.0, 0.005, 60)
    blocked, plain = (one_curve(x, y, level.astype(str), blocks=b) for b in (model.astype(str), None))
    assert blocked is not None
    assert plain is not None
    assert blocked.p < 1e-6 < plain.p
    assert blocked.offsets[1].interval[0] < 0.01 < blocked.offsets[1].interval[1]


def test_series_that_blocks_leave_incomparable_have_no_offset() -> None:
    """A factor that is constant within each block cannot be told from the blocks."""
    x, y = _study(0)
    assert one_curve(x, y, SERIES, blocks=SERIES) is None
