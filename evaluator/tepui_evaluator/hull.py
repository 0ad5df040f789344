"""The achievable frontier as published: the convex hull of the points.

A classifier that uses model A with probability p and model B otherwise has, on both axes, the same
convex combination of their errors, so every point of the hull is achievable (Abnar et al. 2022, arXiv
2110.02095, Lemma 2.1). The upper hull in accuracy is the lower hull in error.
"""

from __future__ import annotations

import numpy as np

from tepui_evaluator.points import FloatArray, IntArray


def lower_hull(x_N: FloatArray, y_N: FloatArray) -> IntArray:
    """Row numbers (V,) of the vertices of the lower convex hull, by ascending `x_N`.

    Of several points with one x only the lowest can be a vertex; points on an edge are not vertices, nor
    are second copies of a point. Andrew's monotone chain: O(N log N).
    """
    order = np.lexsort((y_N, x_N))
    x_sorted = x_N[order]
    first_of_x = np.concatenate(([True], np.diff(x_sorted) > 0.0))
    order = order[first_of_x]
    xs, ys = x_N[order].tolist(), y_N[order].tolist()
    chain: list[int] = []
    for i in range(len(xs)):
        while len(chain) >= 2 and _not_convex(xs, ys, chain[-2], chain[-1], i):
            chain.pop()
        chain.append(i)
    return np.asarray(order[chain], dtype=np.int64)


def _not_convex(xs: list[float], ys: list[float], a: int, b: int, c: int) -> bool:
    """Whether b lies on or above the line from a to c."""
    return (xs[b] - xs[a]) * (ys[c] - ys[a]) <= (ys[b] - ys[a]) * (xs[c] - xs[a])
