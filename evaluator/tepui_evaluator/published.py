"""The laws that Abnar et al. 2022 (arXiv 2110.02095) fitted to JFT at 25 shots, and points that have them.

Read off the figure of an earlier, ViT-only draft; good to about 0.002 in error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tepui_evaluator.points import FloatArray, Points, make_points, measurement_se

X_RANGE = (0.45, 0.95)
"""Upstream errors of points simulated from these laws; in it every all-points law lies above its hull law."""


@dataclass(frozen=True)
class PublishedLaw:
    """e_DS = k * e_US**alpha + e_ir."""

    k: float
    alpha: float
    e_ir: float

    def at(self, x: FloatArray) -> FloatArray:
        """Downstream errors at upstream errors `x`."""
        return np.asarray(self.k * x**self.alpha + self.e_ir)


PUBLISHED: dict[str, tuple[PublishedLaw, PublishedLaw]] = {
    "pets": (PublishedLaw(0.865, 9.8, 0.041), PublishedLaw(0.90, 6.95, 0.078)),
    "cifar100": (PublishedLaw(0.573, 3.79, 0.100), PublishedLaw(0.613, 3.25, 0.162)),
    "imagenet": (PublishedLaw(0.795, 3.24, 0.123), PublishedLaw(0.857, 1.69, 0.060)),
    "cars": (PublishedLaw(0.926, 10.2, 0.048), PublishedLaw(1.068, 8.1, 0.075)),
    "dtd": (PublishedLaw(0.410, 4.0, 0.203), PublishedLaw(0.489, 6.4, 0.295)),
    "caltech": (PublishedLaw(0.330, 8.5, 0.058), PublishedLaw(0.497, 10.2, 0.091)),
    "uc_merced": (PublishedLaw(0.144, 6.2, 0.034), PublishedLaw(0.280, 8.55, 0.065)),
}
"""Hull law and all-points law by task."""


def exact_points(task: str, n: int = 400) -> Points:
    """`n` models in pairs: one on the task's hull law, one as far above its all-points law as that is above the hull.

    Their lower hull is the hull law, and their mean at every upstream error the all-points law.
    """
    hull, all_points = PUBLISHED[task]
    x = np.linspace(*X_RANGE, n // 2)
    return make_points(np.tile(x, 2), np.concatenate([hull.at(x), 2.0 * all_points.at(x) - hull.at(x)]))


def scattered_points(task: str, rng: np.random.Generator, n: int = 200, test_n: int = 5000) -> Points:
    """`n` models with an exponential loss against the hull law whose mean is the all-points law, both axes measured."""
    hull, all_points = PUBLISHED[task]
    x = rng.uniform(*X_RANGE, n)
    y = np.clip(hull.at(x) + rng.exponential(all_points.at(x) - hull.at(x)), 0.0, 1.0)
    x, y, count = rng.binomial(test_n, x) / test_n, rng.binomial(test_n, y) / test_n, np.full(n, float(test_n))
    return make_points(x, y, x_se=measurement_se(x, count), y_se=measurement_se(y, count))
