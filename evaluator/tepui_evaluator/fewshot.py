"""Few-shot top-1 error of frozen features by closed-form ridge regression on one-vs-rest targets.

The protocol of Scenic and big_vision (DESIGN.md, "Few-shot protocol"): features standardised by the support set's
mean and standard deviation, targets in {-1, +1}, a bias, L2 from 2^-10 .. 2^19 or fixed at 2^10, top-1.

    N support images, M test images, D features, C classes, R = rank of the standardised support features <= min(N, D)

Derivation. X (N, D): standardised support features, so its columns have mean 0. Y (N, C): targets. We want

    min over W, b of  |X W + 1 b' - Y|^2 + L |W|^2            with the bias b (C,) not penalised.

Because 1'X = 0, b is the mean of Y over the support set, and W solves (X'X + L I) W = X'Yc for Yc = Y - 1 b'.
With the eigenvectors V (D, R) of X'X for its non-zero eigenvalues s (R,), P = X V (N, R) and A = P'Yc (R, C),

    W = V diag(1 / (s + L)) A,    scores of any features Z = Z V diag(1 / (s + L)) A + b,

so one decomposition serves every L. Directions with s = 0 carry nothing of X'Yc and are left out. Where D <= N, V and
s come from X'X (D, D). Where N < D they come from the smaller dual X X' (N, N) = U diag(s) U', with V = X'U / sqrt(s):
then P = U sqrt(s), and nothing of size (D, D) is made.

Leave-one-out. The fit is a linear smoother, F = H Y with H = 11'/N + P diag(1 / (s + L)) P', of a quadratic penalty, so
the model fitted without image i gives it the scores (Sherman-Morrison; Golub, Heath, Wahba 1979, section 2)

    Y_i - (Y_i - F_i) / (1 - H_ii),    H_ii = 1/N + sum over r of P_ir^2 / (s_r + L)

exactly, for all i, C and L without a refit. The only thing not repeated without image i is the division by the support
set's standard deviation (its mean is absorbed by the bias). L > 0 and N >= 2 keep H_ii below 1.

With one shot per class leave-one-out says nothing: the class of the image left out has no other image, every L is wrong
on all images, and the tie rule decides. Ties go to the L nearest 2^10 (in octaves), the protocol's fixed value, and of
two equally near to the larger.
"""

from dataclasses import dataclass
from typing import Literal

import torch

FIXED_EXPONENT = 10
L2_EXPONENTS = tuple(range(-10, 20))
"""Ridge penalties are 2 to these powers."""

_BY_PREFERENCE = sorted(L2_EXPONENTS, key=lambda e: (abs(e - FIXED_EXPONENT), -e))
_SCALE_FLOOR = 1e-5  # of the largest feature scale: below it a feature is rounding noise, not to be blown up to 1

L2Choice = Literal["leave-one-out", "fixed"]


@dataclass(frozen=True)
class FewShot:
    """Result of one support set."""

    error: float
    """Share of the M test images that are classified wrongly."""
    l2: float
    """The ridge penalty that was used."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """A support set's standardisation and decomposition: everything that does not depend on the penalty."""

    mean_D: torch.Tensor
    scale_D: torch.Tensor
    basis_DR: torch.Tensor
    eigenvalues_R: torch.Tensor
    projected_NR: torch.Tensor
    moments_RC: torch.Tensor
    bias_C: torch.Tensor

    def project(self, features_MD: torch.Tensor) -> torch.Tensor:
        """(M, R) coordinates of any features in the basis."""
        standardised_MD = (features_MD.double() - self.mean_D) / self.scale_D
        return standardised_MD @ self.basis_DR

    def scores(self, projected_MR: torch.Tensor, l2: float) -> torch.Tensor:
        """(M, C) scores under one penalty."""
        return projected_MR @ (self.moments_RC / (self.eigenvalues_R + l2)[:, None]) + self.bias_C

    def leave_one_out_scores(self, targets_NC: torch.Tensor, l2: float) -> torch.Tensor:
        """(N, C) scores that each support image gets from the fit to all others."""
        leverage_N = (self.projected_NR.square() / (self.eigenvalues_R + l2)).sum(dim=1) + 1.0 / len(targets_NC)
        residual_NC = targets_NC - self.scores(self.projected_NR, l2)
        return targets_NC - residual_NC / (1.0 - leverage_N)[:, None]


def one_vs_rest(labels_N: torch.Tensor, num_classes: int) -> torch.Tensor:
    """(N, C) float64 targets: +1 for an image's class, -1 for all others."""
    return torch.nn.functional.one_hot(labels_N, num_classes).double().mul_(2.0).sub_(1.0)


def fit(features_ND: torch.Tensor, targets_NC: torch.Tensor) -> Ridge:
    """Standardise and decompose a support set, in float64 on the features' device. N >= 2."""
    features_ND = features_ND.double()
    mean_D, scale_D = _standardisation(features_ND)
    x_ND = (features_ND - mean_D) / scale_D
    basis_DR, eigenvalues_R = _decompose(x_ND)
    projected_NR = x_ND @ basis_DR
    bias_C = targets_NC.mean(dim=0)
    moments_RC = projected_NR.T @ (targets_NC - bias_C)
    return Ridge(mean_D, scale_D, basis_DR, eigenvalues_R, projected_NR, moments_RC, bias_C)


def choose_l2(ridge: Ridge, targets_NC: torch.Tensor) -> float:
    """The penalty with the smallest leave-one-out error on the support set, under the module's tie rule."""
    labels_N = targets_NC.argmax(dim=1)
    wrong = {
        e: int((ridge.leave_one_out_scores(targets_NC, 2.0**e).argmax(dim=1) != labels_N).sum()) for e in _BY_PREFERENCE
    }
    best = min(_BY_PREFERENCE, key=wrong.__getitem__)  # min keeps the first, so the preferred, of equals
    return float(2.0**best)


def few_shot(
    support_ND: torch.Tensor,
    support_labels_N: torch.Tensor,
    test_MD: torch.Tensor,
    test_labels_M: torch.Tensor,
    *,
    num_classes: int,
    l2: L2Choice = "leave-one-out",
) -> FewShot:
    """Fit on the support set (N >= 2 images), classify the test images; labels are integers in [0, C)."""
    targets_NC = one_vs_rest(support_labels_N, num_classes)
    ridge = fit(support_ND, targets_NC)
    penalty = choose_l2(ridge, targets_NC) if l2 == "leave-one-out" else float(2.0**FIXED_EXPONENT)
    predicted_M = ridge.scores(ridge.project(test_MD), penalty).argmax(dim=1)
    wrong = int((predicted_M != test_labels_M).sum())
    return FewShot(error=wrong / len(test_labels_M), l2=penalty)


def _standardisation(features_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and scale (D,) of each feature: its standard deviation, but no less than rounding could make it.

    Without a floor a feature that is all but dead on the support set (a ReLU channel that one image wakes a little)
    outweighs all others on a test image where it is alive. big_vision adds 1e-5 to every standard deviation; a floor
    relative to the features' own size guards as well and leaves the result independent of their unit.
    """
    std_D, mean_D = torch.std_mean(features_ND, dim=0, correction=0)
    floor_D = _SCALE_FLOOR * torch.maximum(mean_D.abs(), std_D.max())
    scale_D = torch.maximum(std_D, floor_D)
    return mean_D, torch.where(scale_D > 0, scale_D, torch.ones_like(scale_D))


def _decompose(x_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvectors (D, R) and eigenvalues (R,) of X'X above rounding, from the smaller of X'X and XX'."""
    n, d = x_ND.shape
    dual = n < d
    eigenvalues, vectors = torch.linalg.eigh(x_ND @ x_ND.T if dual else x_ND.T @ x_ND)
    rounding = eigenvalues[-1].clamp(min=0.0) * max(n, d) * torch.finfo(torch.float64).eps
    kept = eigenvalues > rounding
    eigenvalues_R, vectors = eigenvalues[kept], vectors[:, kept]
    return (x_ND.T @ vectors) / eigenvalues_R.sqrt() if dual else vectors, eigenvalues_R
