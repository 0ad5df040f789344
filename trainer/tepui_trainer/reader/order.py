"""In which order samples are seen, and which are kept: functions of seed, epoch and data, never of the ranks.

    n  samples of the view (a subset of the source's)     K  blocks of the source

An epoch is a permutation of the view. Data that fit one window (1 GiB encoded) are permuted as a whole. Larger data
are read a block at a time, so blocks are permuted, grouped into windows of 1 GiB, and samples permuted within a
window: two windows in memory are enough, and the place of every sample is known without reading anything.
"""

from dataclasses import dataclass

import numpy as np

from tepui_trainer.reader.random_bits import named_bits
from tepui_trainer.reader.source import Blocks, IntArray

WINDOW_BYTES = 2**30


@dataclass(frozen=True)
class EpochOrder:
    """One epoch: `positions_n[p]` is the place in the view of the epoch's p-th sample.

    `lane_n[p]` is the rank of that sample's block in the epoch's order of blocks, None if there is a single window.
    A global batch sorted by lane before it is cut into ranks lets each rank read mostly blocks of its own.
    """

    positions_n: IntArray
    lane_n: IntArray | None


def epoch_order(
    block_n: IntArray, blocks: Blocks, *, seed: int, epoch: int, window_bytes: int = WINDOW_BYTES
) -> EpochOrder:
    """The order of an epoch over a view whose n samples lie in the given blocks, (n,) each in [0, K)."""
    bits_n = named_bits(len(block_n), "samples", seed, epoch)
    used = np.unique(block_n)
    if int(blocks.size_bytes_K[used].sum()) <= window_bytes:
        return EpochOrder(np.argsort(bits_n, kind="stable"), None)
    bits_K = named_bits(len(blocks.size_bytes_K), "blocks", seed, epoch)
    used = used[np.argsort(bits_K[used], kind="stable")]
    ends = np.cumsum(blocks.size_bytes_K[used])
    window = (ends - blocks.size_bytes_K[used]) // window_bytes
    lane_K = np.zeros(len(bits_K), dtype=np.int64)
    lane_K[used] = np.arange(len(used))
    lane_n = lane_K[block_n]
    positions_n = np.lexsort((bits_n, window[lane_n]))
    return EpochOrder(positions_n, lane_n[positions_n])


def fraction_of(labels_N: IntArray, fraction: float) -> IntArray:
    """Indices of the samples that `dataFraction` keeps, ascending.

    Of every class with n_c samples the first ceil(fraction * n_c) in an order that depends on nothing but the
    sample's index. So a smaller fraction is a subset of a larger one, classes keep their shares, every class keeps
    at least one sample, and all trials of a sweep see the same subset.

    Raises:
        ValueError: if the fraction is not in (0, 1].
    """
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"dataFraction is {fraction}; it must be greater than 0 and at most 1")
    if fraction == 1.0:
        return np.arange(len(labels_N), dtype=np.int64)
    by_class = np.lexsort((named_bits(len(labels_N), "dataFraction"), labels_N))
    counts_C = np.bincount(labels_N)
    rank_in_class = np.arange(len(labels_N)) - np.repeat(np.cumsum(counts_C) - counts_C, counts_C)
    # the fraction is a decimal that a user wrote: 0.07 * 100 must keep 7, not the 8 of a rounded-up product
    kept_C = np.ceil(np.round(counts_C * fraction, 9)).astype(np.int64)
    return np.sort(by_class[rank_in_class < np.repeat(kept_C, counts_C)])


def rank_slice(batch: int, *, rank: int, world_size: int) -> slice:
    """The part of a batch of `batch` samples that a rank takes: [rank * batch / W, (rank + 1) * batch / W)."""
    return slice(rank * batch // world_size, (rank + 1) * batch // world_size)
