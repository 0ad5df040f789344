"""Orders and subsets that results depend on: pinned, and with the shares they promise."""

import numpy as np
import pytest

from tepui_trainer.data import Augment
from tepui_trainer.reader.augment import draws
from tepui_trainer.reader.order import epoch_order, fraction_of
from tepui_trainer.reader.random_bits import named_bits
from tepui_trainer.reader.source import Blocks

PINNED_ORDER = [6, 3, 0, 1, 4, 2, 5, 7]
PINNED_SUBSET = [3, 8, 9, 10, 14]
PINNED_DRAWS = [0.06682529468445009, 0.06161770329089156, 0.2140919255555176]
PINNED_BITS = 12100088058179327416


def blocks(num_blocks: int, samples: int, size_bytes: int) -> Blocks:
    """Equal blocks."""
    return Blocks(np.full(num_blocks, samples), np.full(num_blocks, size_bytes))


def test_orders_are_pinned() -> None:
    """Orders, subsets and draws never change: a checkpoint resumes under any later version."""
    assert (
        epoch_order(np.zeros(8, dtype=np.int64), blocks(1, 8, 1), seed=0, epoch=0).positions_n.tolist() == PINNED_ORDER
    )
    assert fraction_of(np.zeros(20, dtype=np.int64), 0.25).tolist() == PINNED_SUBSET
    assert draws(7, np.array([3]))[0, :3].tolist() == pytest.approx(PINNED_DRAWS, abs=0)
    assert int(named_bits(1, "a", 1)[0]) == PINNED_BITS


def test_blocks_of_a_window_stay_together() -> None:
    """With windows of two blocks, samples of a window come from two blocks, in an order that mixes them."""
    block_n = np.repeat(np.arange(10), 50)
    order = epoch_order(block_n, blocks(10, 50, 100), seed=0, epoch=0, window_bytes=200)
    seen = block_n[order.positions_n].reshape(5, 100)
    assert all(len(set(window.tolist())) == 2 for window in seen)
    assert all(len(set(window[:20].tolist())) == 2 for window in seen)
    assert sorted(order.positions_n.tolist()) == list(range(500))


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5, float("nan")])
def test_fraction_must_be_one(fraction: float) -> None:
    """The message names field, value and what is allowed."""
    with pytest.raises(ValueError, match=f"dataFraction is {fraction}; it must be greater than 0 and at most 1"):
        fraction_of(np.zeros(4, dtype=np.int64), fraction)


def test_fraction_keeps_what_a_decimal_says() -> None:
    """7% of 100 images are 7, although 0.07 * 100 is more than 7 in floating point."""
    assert len(fraction_of(np.zeros(100, dtype=np.int64), 0.07)) == 7


def test_augmentation_is_off_by_default() -> None:
    """Nobody's validation images are cropped."""
    assert Augment() == Augment(crop="none", flip=False)
