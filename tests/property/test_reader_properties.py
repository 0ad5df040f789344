"""What the reader promises for any sizes: the same batches for any ranks and any resume, nested subsets."""

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_trainer.reader.augment import draws
from tepui_trainer.reader.order import epoch_order, fraction_of, rank_slice
from tepui_trainer.reader.plan import sequential_plan, training_plan
from tepui_trainer.reader.source import Blocks, IntArray

Layout = tuple[IntArray, Blocks]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Blocks of 1 to 9 samples, of up to 2 GiB in all, so that there are one or several windows; and a view."""
    samples = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    sizes = draw(st.lists(st.integers(1, 2**28), min_size=len(samples), max_size=len(samples)))
    block_N = np.repeat(np.arange(len(samples)), samples)
    kept = draw(st.lists(st.booleans(), min_size=len(block_N), max_size=len(block_N)).filter(any))
    return block_N[np.array(kept)], Blocks(np.array(samples), np.array(sizes))


def planned(
    layout: Layout, *, start: int, stop: int, batch: int, rank: int = 0, world: int = 1
) -> list[list[tuple[int, int]]]:
    """(place in the view, place in the run) of each sample of each batch."""
    plan = training_plan(
        *layout, seed=3, global_batch_size=batch, start_sample=start, stop_sample=stop, rank=rank, world_size=world
    )
    return [list(zip(p.positions_B.tolist(), p.run_samples_B.tolist(), strict=True)) for p in plan]


@settings(deadline=None)
@given(layouts(), st.integers(0, 50))
def test_an_epoch_is_a_permutation(layout: Layout, epoch: int) -> None:
    """Every sample of the view comes exactly once in every epoch."""
    order = epoch_order(*layout, seed=0, epoch=epoch)
    assert sorted(order.positions_n.tolist()) == list(range(len(layout[0])))


@settings(deadline=None)
@given(layouts(), st.integers(1, 12), st.integers(0, 60), st.integers(0, 60), st.integers(1, 4))
def test_ranks_together_see_the_global_batches(layout: Layout, batch: int, start: int, more: int, world: int) -> None:
    """For any number of ranks the union of their shares is the batch that one process sees, none seen twice."""
    batch *= world
    alone = planned(layout, start=start, stop=start + more, batch=batch)
    shares = [
        planned(layout, start=start, stop=start + more, batch=batch, rank=rank, world=world) for rank in range(world)
    ]
    together = [sorted(chain.from_iterable(parts)) for parts in zip(*shares, strict=True)]
    assert together == [sorted(whole) for whole in alone]


@settings(deadline=None)
@given(layouts(), st.integers(1, 12), st.integers(0, 8), st.integers(0, 8))
def test_resuming_anywhere_changes_nothing(layout: Layout, batch: int, done: int, more: int) -> None:
    """The plan from batch k on is the tail of the plan from the start."""
    stop = (done + more) * batch
    assert (
        planned(layout, start=done * batch, stop=stop, batch=batch)
        == planned(layout, start=0, stop=stop, batch=batch)[done:]
    )


@settings(deadline=None)
@given(layouts(), st.integers(1, 12), st.integers(1, 12))
def test_sample_i_does_not_depend_on_the_batch_size(layout: Layout, one: int, other: int) -> None:
    """Which image is the i-th of the run is the same for any batch size."""
    by_run = [
        {run: place for batch in planned(layout, start=0, stop=40, batch=size) for place, run in batch}
        for size in (one, other)
    ]
    assert by_run[0] == by_run[1]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80),
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
)
def test_subsets_are_nested_and_keep_every_class(labels: list[int], a: float, b: float) -> None:
    """A smaller fraction is part of a larger one; every class keeps its share, rounded up."""
    labels_N = np.array(labels)
    small, large = (fraction_of(labels_N, fraction) for fraction in sorted((a, b)))
    assert set(small.tolist()) <= set(large.tolist())
    counts = np.bincount(labels_N)
    kept = np.bincount(labels_N[small], minlength=len(counts))
    share = counts * min(a, b)
    assert ((kept >= share - 1e-6) & (kept < share + 1)).all()
    assert np.array_equal(small, np.unique(small))


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 9))
def test_rank_slices_cut_without_gap(batch: int, world: int) -> None:
    """Slices of the ranks follow each other from 0 to the end, sizes differing by at most one."""
    parts = [rank_slice(batch, rank=rank, world_size=world) for rank in range(world)]
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == batch
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(1, 20), st.integers(1, 4))
def test_evaluation_sees_every_image_once(num_samples: int, batch: int, world: int) -> None:
    """Ranks together see each image once, in order."""
    seen = [
        position
        for rank in range(world)
        for part in sequential_plan(num_samples, batch_size=batch, rank=rank, world_size=world)
        for position in part.positions_B.tolist()
    ]
    assert seen == list(range(num_samples))


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**63 - 1))
def test_draws_belong_to_the_sample(sample: int, seed: int) -> None:
    """A sample's draws are the same alone or among others, and lie in [0, 1)."""
    alone = draws(seed, np.array([sample]))
    among = draws(seed, np.array([sample + 1, sample, 5]))
    assert np.array_equal(alone[0], among[1])
    assert ((alone >= 0) & (alone < 1)).all()
