"""Points: one row a model, with its upstream and downstream error, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Points:
    """Upstream errors `x`, downstream errors `y` (fractions in [0, 1]) of N models, all arrays (N,).

    `x_se` and `y_se` are standard errors of the measurement; `y_se` should hold both the binomial and the
    few-shot (support seed) part, see `measurement_se`. None where they were not measured: the frontier
    law then estimates one noise level for all models. `group` numbers the groups of related models
    (same architecture and recipe) 0..G-1; N distinct numbers where models are taken as independent.
    """

    x: FloatArray
    y: FloatArray
    x_se: FloatArray | None
    y_se: FloatArray | None
    group: IntArray

    @property
    def n(self) -> int:
        """Number of models."""
        return int(self.x.size)

    @property
    def groups(self) -> int:
        """Number of groups of related models."""
        return int(np.unique(self.group).size)

    def take(self, rows: NDArray[np.bool_] | IntArray) -> Points:
        """The points of these rows, in their order."""
        return Points(
            x=self.x[rows],
            y=self.y[rows],
            x_se=None if self.x_se is None else self.x_se[rows],
            y_se=None if self.y_se is None else self.y_se[rows],
            group=self.group[rows],
        )


def make_points(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_se: ArrayLike | None = None,
    y_se: ArrayLike | None = None,
    group: Sequence[object] | None = None,
    names: tuple[str, str, str, str] = ("x", "y", "x_se", "y_se"),
    accuracy: bool = False,
    percent: bool = False,
) -> Points:
    """Check and convert columns of N values to `Points`.

    `accuracy`: `x` and `y` are accuracies, errors are 1 - them. `percent`: all values are 0 to 100.
    `names` are the columns' names in messages. Raises ValueError naming column, row (counted from 1) and value.
    """
    scale = 0.01 if percent else 1.0
    x_N = _fractions(x, names[0], scale, accuracy=accuracy)
    y_N = _fractions(y, names[1], scale, accuracy=accuracy)
    x_se_N = None if x_se is None else _standard_errors(x_se, names[2], scale)
    y_se_N = None if y_se is None else _standard_errors(y_se, names[3], scale)
    for name, column in zip(names[1:], (y_N, x_se_N, y_se_N), strict=True):
        if column is not None and column.size != x_N.size:
            raise ValueError(f'column "{name}" has {column.size} rows but "{names[0]}" has {x_N.size}')
    if group is not None and len(group) != x_N.size:
        raise ValueError(f'the group column has {len(group)} rows but "{names[0]}" has {x_N.size}')
    return Points(x=x_N, y=y_N, x_se=x_se_N, y_se=y_se_N, group=_group_numbers(group, x_N.size))


def measurement_se(
    error: FloatArray, test_n: FloatArray, seed_variance: FloatArray | None = None, seeds: float | FloatArray = 1.0
) -> FloatArray:
    """Standard errors (N,) of few-shot errors (N,): binomial plus pooled support-seed variance.

    `test_n` (N,): test images. `seed_variance` (N,): sample variance of a model's error over its `seeds`
    support seeds (one number, or (N,)), whose mean is `error`; it is pooled over models, because a variance of
    three numbers is too noisy to weight by, and leaving it out costs most of the coverage where it dominates
    (docs/statistics.md).
    The binomial part is that of the Agresti-Coull estimate, so that an error of 0 does not claim to be exact.
    Support seeds share the test images, so the part of the binomial variance in `seed_variance` is not
    removed: the result is conservative.
    """
    smoothed = (error * test_n + 2.0) / (test_n + 4.0)
    variance = smoothed * (1.0 - smoothed) / (test_n + 4.0)
    if seed_variance is not None and seed_variance.size:
        variance = variance + float(np.mean(seed_variance)) / seeds
    return np.asarray(np.sqrt(variance))


def at_least(values: ArrayLike, name: str, least: float) -> FloatArray:
    """A column (N,) of numbers; ValueError naming column, row and value for one below `least`."""
    column = _numbers(values, name)
    bad = np.flatnonzero(column < least)
    if bad.size:
        raise ValueError(
            f'column "{name}", row {bad[0] + 1}: {column[bad[0]]:g} is too small; it is {least:g} at least'
        )
    return column


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    column = np.asarray(values)
    if column.dtype.kind not in "fiub":
        column = _parse(column, name)
    column = column.astype(np.float64).reshape(-1)
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        what = "infinite" if np.isinf(column[bad[0]]) else "empty or not a number"
        more = f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""
        raise ValueError(
            f'column "{name}", row {bad[0] + 1}: the value is {what}{more}; leave out models without a result'
        )
    return column


def _parse(column: NDArray[np.generic], name: str) -> FloatArray:
    parsed = np.empty(column.size)
    for row, cell in enumerate(column.reshape(-1).tolist()):
        try:
            parsed[row] = np.nan if cell is None or cell == "" else float(cell)
        except (TypeError, ValueError):
            raise ValueError(f'column "{name}", row {row + 1}: {cell!r} is not a number') from None
    return parsed


def _fractions(values: ArrayLike, name: str, scale: float, *, accuracy: bool) -> FloatArray:
    column = _numbers(values, name)
    kind = "accuracies" if accuracy else "errors"
    bad = np.flatnonzero((column * scale < 0.0) | (column * scale > 1.0))
    if bad.size:
        value, row = column[bad[0]], bad[0] + 1
        where = f'column "{name}", row {row}: {value:g}'
        looks_percent = scale == 1.0 and column.min() >= 0.0 and np.median(column) > 1.0 and column.max() <= 100.0
        if looks_percent:
            also = "" if accuracy else ", and --accuracy too if these are accuracies"
            raise ValueError(f"{where} looks like percent; {kind} are fractions in [0, 1]: pass --percent{also}")
        limits = "[0, 100] with --percent" if scale != 1.0 else "[0, 1]"
        raise ValueError(f"{where} is outside {limits}; {kind} are expected")
    column = column * scale
    return 1.0 - column if accuracy else column


def _standard_errors(values: ArrayLike, name: str, scale: float) -> FloatArray:
    column = _numbers(values, name)
    bad = np.flatnonzero((column < 0.0) | (column * scale > 0.5))
    if bad.size:
        raise ValueError(
            f'column "{name}", row {bad[0] + 1}: {column[bad[0]]:g} is not a standard error of an error rate; '
            f"allowed are values in [0, {0.5 / scale:g}]"
        )
    return column * scale


def _group_numbers(group: Sequence[object] | None, n: int) -> IntArray:
    if group is None:
        return np.arange(n, dtype=np.int64)
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in group], dtype=np.int64)
