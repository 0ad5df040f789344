"""Invariances of the few-shot protocol, on generated problems."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_evaluator.fewshot import few_shot
from tepui_evaluator.support import support_order


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Support and test features with labels; both N < D and N > D occur."""
    classes, shots, d = draw(st.integers(2, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    labels_N = torch.arange(classes * shots) % classes
    labels_M = torch.arange(30) % classes
    centres_CD = torch.randn(classes, d, generator=generator)
    support_ND = centres_CD[labels_N] + torch.randn(len(labels_N), d, generator=generator)
    test_MD = centres_CD[labels_M] + torch.randn(30, d, generator=generator)
    return support_ND, labels_N, test_MD, labels_M, classes


@given(problems(), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_order_of_images_does_not_matter(
    problem: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int], seed: int
) -> None:
    """Error and penalty are those of the support set, not of the order in which its images come."""
    support_ND, labels_N, test_MD, labels_M, classes = problem
    order = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(seed))
    plain = few_shot(support_ND, labels_N, test_MD, labels_M, num_classes=classes)
    permuted = few_shot(support_ND[order], labels_N[order], test_MD, labels_M, num_classes=classes)
    assert permuted == plain


@given(problems(), st.floats(1e-3, 1e3), st.floats(-10, 10))
@settings(max_examples=60, deadline=None)
def test_unit_of_features_does_not_matter(
    problem: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int], scale: float, shift: float
) -> None:
    """Standardisation takes out a common scale and offset of the features."""
    support_ND, labels_N, test_MD, labels_M, classes = problem
    support_ND, test_MD = support_ND.double(), test_MD.double()
    plain = few_shot(support_ND, labels_N, test_MD, labels_M, num_classes=classes)
    moved = few_shot(
        support_ND * scale + shift, labels_N, test_MD * scale + shift, labels_M, num_classes=classes, l2="leave-one-out"
    )
    assert moved == plain


@given(st.integers(2, 6), st.integers(3, 12), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_support_sets_of_a_seed_are_nested(
    classes: int, per_class: int, seed: int, random: np.random.Generator
) -> None:
    """Fewer shots of a seed are a part of more shots, class by class."""
    labels = [c for c in range(classes) for _ in range(per_class)]
    random.shuffle(labels)
    order = support_order(np.array(labels, dtype=np.int64), seed)
    sets = [set(order.take(shots).tolist()) for shots in range(1, per_class + 1)]
    assert all(fewer < more for fewer, more in itertools.pairwise(sets))
    assert len(sets[-1]) == len(labels)
