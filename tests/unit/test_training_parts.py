"""Small decisions of a training: sizes that divide, when to talk, when to record, how much to validate."""

import itertools
from typing import Any, cast

import pytest

from tepui_spec.recipes import Recipe
from tepui_spec.trial import Placement
from tepui_trainer.engine import EngineConfig
from tepui_trainer.gang import Gang
from tepui_trainer.loop import point_steps, seed_of
from tepui_trainer.upstream import total_steps
from tepui_trainer.validation import curve_images
from tepui_trainer.watch import Watch


def config(batch_size: int, **placement: Any) -> EngineConfig:
    """The engine's configuration for a batch size and placement."""
    return EngineConfig.of(Recipe(name="r", batch_size=batch_size), Placement(**placement), "fp32")


def test_batch_is_shared_out() -> None:
    """Processes times micro-batch times accumulation is the batch."""
    shared = config(96, nodes=2, processes_per_node=3, micro_batch_size=4)
    assert (shared.world_size, shared.micro_batches) == (6, 4)
    assert config(96).micro_batches == 1
    assert config(96, gpus_per_node=8).world_size == 8


@pytest.mark.parametrize(
    ("batch_size", "placement", "words"),
    [
        (10, {"processes_per_node": 3}, "batchSize is 10; it must be a multiple of the 3 processes"),
        (2, {"gpus_per_node": 4}, "pods.gpusPerNode"),
        (12, {"micro_batch_size": 5}, "training.microBatchSize is 5; it must divide the 12 images"),
        (12, {"micro_batch_size": 24}, "1, 2, 3, 4, 6, 12"),
        (5040, {"micro_batch_size": 11}, "1, 2, 3, 4, 5, 6, ..., 1008, 1260, 1680, 2520, 5040"),
    ],
)
def test_sizes_that_do_not_divide(batch_size: int, placement: dict[str, int], words: str) -> None:
    """The message names field, value and what is allowed."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the words are checked below
        config(batch_size, **placement)
    assert words in str(caught.value)


@pytest.mark.parametrize(("steps", "points"), [(1, 20), (7, 20), (20, 20), (204, 20), (1000, 3)])
def test_points_are_spread_and_end_at_the_last_step(steps: int, points: int) -> None:
    """As many points as asked where there are steps for them, the last after the last step."""
    found = sorted(point_steps(steps, points))
    assert len(found) == min(steps, points)
    assert found[0] >= 1
    assert found[-1] == steps
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_steps_of_a_trial() -> None:
    """Epochs times images over the batch, rounded, and never none."""
    recipe = Recipe(name="r", batch_size=100, epochs=2.5)
    assert total_steps(recipe, 1000) == 25
    assert total_steps(recipe, 1) == 1


def test_validation_for_the_curve_is_bounded() -> None:
    """About a twentieth of the training's work, between 256 and 2,048 images a point."""
    assert curve_images(1000, 20) == 256
    assert curve_images(80_000, 20) == 600
    assert curve_images(10**9, 20) == 2048


def test_seeds_differ_by_every_part() -> None:
    """Step, seed and rank each change the draw; the same parts give the same seed."""
    seeds = {seed_of("step", seed, step, rank) for seed in (0, 1) for step in (0, 1) for rank in (0, 1)}
    assert len(seeds) == 8
    assert seed_of("step", 0, 1, 1) in seeds


class Alone:
    """A gang of one."""

    is_leader = True

    def largest(self, values: list[float]) -> list[float]:
        """Nobody else to compare with."""
        return values


def test_watch_saves_by_the_clock_and_stops_at_once() -> None:
    """Between talks nothing is asked; a checkpoint is due after its time; one request to stop is enough."""
    now = [0.0]
    watch = Watch(cast(Gang, Alone()), step=0, checkpoint_every_s=10.0, clock=lambda: now[0])
    talks, saves = [], []
    for step in range(1, 301):
        now[0] += 0.1
        if watch.due(step):
            talks.append(step)
            decision = watch.decide(step, stop_requested=step > 290, loss_is_finite=True)
            assert decision.stop == (step > 290)
            if decision.save:
                saves.append(step)
                watch.saved()
    assert all(4 <= after - before <= 6 for before, after in itertools.pairwise(talks))
    assert len(saves) == 2
    assert 99 <= saves[0] <= 105
    assert watch.decide(300, stop_requested=False, loss_is_finite=False).diverged
