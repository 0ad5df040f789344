"""Support sets: balanced, deterministic, robust to corrupt images."""

import numpy as np
import pytest

from tepui_evaluator.support import possible_shots, support_order

LABELS_N = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2, 0, 1, 2, 2], dtype=np.int64)
PINNED = ([9, 10, 14], [0, 2, 7, 9, 11, 13])


@pytest.mark.parametrize("shots", [1, 3, 5])
def test_support_set_has_shots_of_every_class(shots: int) -> None:
    """A support set holds exactly `shots` different images of each class."""
    support = support_order(LABELS_N, seed=0).take(shots)
    assert len(set(support.tolist())) == 3 * shots
    assert np.bincount(LABELS_N[support]).tolist() == [shots] * 3


def test_order_is_pinned() -> None:
    """The support sets of a seed never change: rows computed years apart are comparable."""
    assert support_order(LABELS_N, seed=0).take(1).tolist() == PINNED[0]
    assert support_order(LABELS_N, seed=1).take(2).tolist() == PINNED[1]


def test_corrupt_image_is_replaced_by_the_next_of_its_class() -> None:
    """Leaving out one image changes the support set by that image and one other of the same class."""
    before = support_order(LABELS_N, seed=0).take(2)
    lost = int(before[0])
    usable_N = np.arange(len(LABELS_N)) != lost
    after = support_order(LABELS_N, seed=0, usable_N=usable_N).take(2)
    gone, new = set(before.tolist()) - set(after.tolist()), set(after.tolist()) - set(before.tolist())
    assert gone == {lost}
    assert [int(LABELS_N[i]) for i in new] == [int(LABELS_N[lost])]


def test_possible_shots_are_those_of_the_smallest_class() -> None:
    """Shots beyond the class with fewest images are named as impossible."""
    assert possible_shots((25, 1, 10, 5), np.array([12, 10, 300])) == ((1, 5, 10), (25,))
    assert possible_shots((1, 5), np.array([12, 0, 300])) == ((), (1, 5))
