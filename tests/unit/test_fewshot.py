"""Closed-form few-shot ridge against scikit-learn, and leave-one-out against refits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge as SklearnRidge

from tepui_evaluator.fewshot import L2_EXPONENTS, choose_l2, few_shot, fit, one_vs_rest
from tepui_evaluator.support import support_order

PRIMAL, DUAL = (60, 7), (12, 40)


def _problem(n: int, d: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Features with very different scales and offsets, and labels they say something about."""
    generator = torch.Generator().manual_seed(n * 1000 + d)
    labels_N = torch.arange(n) % classes
    centres_CD = torch.randn(classes, d, generator=generator, dtype=torch.float64)
    noise_ND = torch.randn(n, d, generator=generator, dtype=torch.float64)
    scale_D = torch.logspace(-2, 2, d, dtype=torch.float64)
    return (centres_CD[labels_N] + 1.5 * noise_ND) * scale_D + 10.0 * scale_D.sqrt(), labels_N


def _sklearn_scores(support_ND: torch.Tensor, targets_NC: torch.Tensor, test_MD: torch.Tensor, l2: float) -> np.ndarray:
    model = SklearnRidge(alpha=l2, solver="svd").fit(support_ND.numpy(), targets_NC.numpy())
    return np.asarray(model.predict(test_MD.numpy()))


@pytest.mark.parametrize("l2", [2.0**-10, 1.0, 2.0**10, 2.0**19])
@pytest.mark.parametrize("shape", [PRIMAL, DUAL])
def test_scores_equal_scikit_learn(shape: tuple[int, int], l2: float) -> None:
    """Primal and dual give scikit-learn's ridge with an unpenalised bias on the standardised features."""
    features_ND, labels_N = _problem(*shape)
    targets_NC = one_vs_rest(labels_N, 4)
    ridge = fit(features_ND, targets_NC)
    test_MD = features_ND.flip(0) * 1.1
    mean_D, std_D = features_ND.mean(dim=0), features_ND.std(dim=0, correction=0)
    expected = _sklearn_scores((features_ND - mean_D) / std_D, targets_NC, (test_MD - mean_D) / std_D, l2)
    np.testing.assert_allclose(ridge.scores(ridge.project(test_MD), l2).numpy(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("l2", [2.0**-10, 1.0, 2.0**10])
@pytest.mark.parametrize("shape", [PRIMAL, DUAL])
def test_leave_one_out_equals_refits(shape: tuple[int, int], l2: float) -> None:
    """The closed form gives, for every image, the scores of a fit to all other images."""
    features_ND, labels_N = _problem(*shape)
    targets_NC = one_vs_rest(labels_N, 4)
    ridge = fit(features_ND, targets_NC)
    x_ND = (features_ND - ridge.mean_D) / ridge.scale_D
    expected_NC = np.concatenate(
        [
            _sklearn_scores(x_ND[kept], targets_NC[kept], x_ND[[i]], l2)
            for i in range(len(x_ND))
            for kept in [[j for j in range(len(x_ND)) if j != i]]
        ]
    )
    np.testing.assert_allclose(ridge.leave_one_out_scores(targets_NC, l2).numpy(), expected_NC, rtol=1e-6, atol=1e-6)


def test_chosen_penalty_minimises_the_refitted_error() -> None:
    """The penalty chosen has the least leave-one-out error by refits, and is the nearest to 2^10 of those that do."""
    features_ND, labels_N = _problem(24, 40)
    targets_NC = one_vs_rest(labels_N, 4)
    ridge = fit(features_ND, targets_NC)
    x_ND = (features_ND - ridge.mean_D) / ridge.scale_D
    wrong: dict[int, int] = {}
    others = [[j for j in range(24) if j != i] for i in range(24)]
    for e in L2_EXPONENTS:
        scores_NC = [_sklearn_scores(x_ND[k], targets_NC[k], x_ND[[i]], 2.0**e) for i, k in enumerate(others)]
        wrong[e] = int((np.concatenate(scores_NC).argmax(axis=1) != labels_N.numpy()).sum())
    least = min(wrong.values())
    assert least < max(wrong.values())
    nearest = min((e for e in wrong if wrong[e] == least), key=lambda e: (abs(e - 10), -e))
    assert choose_l2(ridge, targets_NC) == 2.0**nearest


def test_one_shot_falls_back_to_the_fixed_penalty() -> None:
    """With one image a class every penalty errs on every image left out, so the tie rule's 2^10 is used."""
    features_ND, labels_N = _problem(4, 9)
    targets_NC = one_vs_rest(labels_N, 4)
    ridge = fit(features_ND, targets_NC)
    for e in L2_EXPONENTS:
        predicted_N = ridge.leave_one_out_scores(targets_NC, 2.0**e).argmax(dim=1)
        assert bool((predicted_N != labels_N).all())
    assert choose_l2(ridge, targets_NC) == 2.0**10


def test_constant_and_nearly_constant_features_say_nothing() -> None:
    """Features that vary only by rounding on the support set do not change a prediction, whatever they do on test."""
    features_ND, labels_N = _problem(*DUAL)
    dead_N1 = torch.full((12, 1), 3.0, dtype=torch.float64)
    rounding_N1 = 100.0 + 1e-6 * torch.randn(12, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wild_M2 = torch.tensor([[1.0, 1e2]], dtype=torch.float64).expand(12, 2)
    targets_NC = one_vs_rest(labels_N, 4)
    plain, padded = fit(features_ND, targets_NC), fit(torch.cat([features_ND, dead_N1, rounding_N1], 1), targets_NC)
    expected = plain.scores(plain.project(features_ND), 1.0)
    actual = padded.scores(padded.project(torch.cat([features_ND, wild_M2], 1)), 1.0)
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-2, atol=1e-2)


def test_features_without_information_give_chance() -> None:
    """A collapsed backbone (one feature vector for all images) errs on all classes but one."""
    labels = torch.arange(40) % 4
    result = few_shot(torch.ones(8, 5), labels[:8], torch.ones(40, 5), labels, num_classes=4)
    assert result.error == 0.75


def test_raw_pixels_of_digits() -> None:
    """On 8x8 digits raw pixels reach, with 25 shots, the error that a linear model is known for; more shots help."""
    pixels, labels = load_digits(return_X_y=True)
    features_ND, labels_N = torch.from_numpy(pixels), labels.astype(np.int64)
    train, test = np.arange(900), np.arange(900, len(labels_N))
    mean_error = {}
    for shots in (1, 5, 25):
        errors = []
        for seed in range(3):
            support = train[support_order(labels_N[train], seed).take(shots)]
            labels_B, labels_M = torch.from_numpy(labels_N[support]), torch.from_numpy(labels_N[test])
            errors.append(few_shot(features_ND[support], labels_B, features_ND[test], labels_M, num_classes=10).error)
        mean_error[shots] = float(np.mean(errors))
    assert 0.35 < mean_error[1] < 0.65
    assert 0.15 < mean_error[5] < 0.35
    assert 0.05 < mean_error[25] < 0.18
