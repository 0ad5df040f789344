"""Which samples a batch holds: pure functions of seed, place in the run and number of ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tepui_trainer.reader.order import EpochOrder, epoch_order, rank_slice
from tepui_trainer.reader.source import Blocks, IntArray


@dataclass(frozen=True)
class Planned:
    """One rank's share of one batch: places in the view, and places in the run (which the augmentation follows)."""

    positions_B: IntArray
    run_samples_B: IntArray


def training_plan(
    block_n: IntArray,
    blocks: Blocks,
    *,
    seed: int,
    global_batch_size: int,
    start_sample: int,
    stop_sample: int,
    rank: int,
    world_size: int,
) -> Iterator[Planned]:
    """Global batches from `start_sample` to `stop_sample`, cut for one rank; the last may be smaller.

    Sample i of the run is sample i mod n of epoch i div n over a view of n samples. Over several windows a batch is
    dealt out by block, so that a rank reads few blocks; the union over ranks is the same for every world size.
    """

    @lru_cache(maxsize=2)
    def order_of(epoch: int) -> EpochOrder:
        return epoch_order(block_n, blocks, seed=seed, epoch=epoch)

    num_samples = len(block_n)
    for first in range(start_sample, stop_sample, global_batch_size):
        run_samples = np.arange(first, min(first + global_batch_size, stop_sample), dtype=np.int64)
        epoch_B, place_B = np.divmod(run_samples, num_samples)
        positions_B = np.empty_like(run_samples)
        lane_B = np.zeros_like(run_samples)
        for epoch in range(int(epoch_B[0]), int(epoch_B[-1]) + 1):
            order = order_of(epoch)
            here = epoch_B == epoch
            positions_B[here] = order.positions_n[place_B[here]]
            if order.lane_n is not None:
                lane_B[here] = order.lane_n[place_B[here]]
        dealt = np.lexsort((lane_B, epoch_B))[rank_slice(len(run_samples), rank=rank, world_size=world_size)]
        yield Planned(positions_B[dealt], run_samples[dealt])


def sequential_plan(num_samples: int, *, batch_size: int, rank: int, world_size: int) -> Iterator[Planned]:
    """The view once, in canonical order: each rank a contiguous part, in batches of `batch_size`."""
    part = rank_slice(num_samples, rank=rank, world_size=world_size)
    for first in range(part.start, part.stop, batch_size):
        positions_B = np.arange(first, min(first + batch_size, part.stop), dtype=np.int64)
        yield Planned(positions_B, positions_B)
