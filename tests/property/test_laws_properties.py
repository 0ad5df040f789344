"""What holds for the laws of any points, however odd."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_evaluator.laws import fit_laws
from tepui_evaluator.points import Points, make_points

ERROR = st.one_of(
    st.floats(0.0, 1.0, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, 1e-12, 0.5]),
    st.integers(0, 20).map(lambda i: i / 20),
)


@st.composite
def odd_points(draw: st.DrawFn) -> Points:
    """Up to 25 points anywhere in the unit square, with ties, zeros, ones, groups and standard errors or not."""
    n = draw(st.integers(0, 25))
    x, y = (draw(st.lists(ERROR, min_size=n, max_size=n)) for _ in range(2))
    group = draw(st.none() | st.lists(st.integers(0, 8), min_size=n, max_size=n))
    se = draw(st.none() | st.lists(st.sampled_from([0.0, 0.001, 0.02, 0.2]), min_size=n, max_size=n))
    return make_points(x, y, x_se=se, y_se=se, group=group)


@st.composite
def law_points(draw: st.DrawFn) -> Points:
    """Points scattered about some law, over a wide or narrow range of upstream error."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(6, 60))
    lo, hi = sorted(draw(st.tuples(st.floats(0.0, 0.9), st.floats(0.1, 1.0))))
    alpha, floor = draw(st.floats(0.2, 20.0)), draw(st.sampled_from([0.0, 0.05, 0.4]))
    x = rng.uniform(lo, hi + 0.01, n).clip(0.0, 1.0)
    y = floor + draw(st.floats(0.0, 1.0)) * x**alpha + rng.exponential(draw(st.sampled_from([1e-6, 0.01, 0.1])), n)
    return make_points(x, y.clip(0.0, 1.0), group=draw(st.none() | st.just([i % 7 for i in range(n)])))


@settings(max_examples=60, deadline=None)
@given(st.one_of(odd_points(), law_points()), st.sampled_from([0.5, 0.95, 0.999]))
def test_laws_are_finite_and_consistent(points: Points, confidence: float) -> None:
    """Four laws come out, no number is NaN or out of range, and every interval holds its estimate."""
    laws = fit_laws(points, confidence=confidence, at=0.1)
    assert len(laws) == 4
    for law in laws:
        assert law.reason
        estimates = ((law.interval.e_ir, law.e_ir), (law.interval.k, law.k), (law.interval.alpha, law.alpha))
        for interval, estimate in estimates:
            if interval is not None:
                assert estimate is not None
                assert interval[0] <= estimate
                assert interval[1] is None or estimate <= interval[1]
        if law.identified != "no":
            assert law.interval.e_ir is not None
        if law.predict is not None and law.predict.interval is not None:
            assert law.predict.interval[0] <= law.predict.y <= law.predict.interval[1]
