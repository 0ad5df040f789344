"""Faults of data, disks and processes, on real pods: how each ends, in which words, and that nothing written is lost.

After a wanted change of words: `TEPUI_UPDATE_GOLDEN=1 pytest tests/faults/test_data_faults.py`, then read the diff.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

import data_damage as damage
from data_damage import Damage
from digit_data import digits, write_digits
from fault_world import (
    CLASSES,
    TASKS,
    World,
    done,
    ended,
    evaluation,
    rows_of,
    snapshot,
    training,
    undisturbed_rows,
    with_config,
    with_data,
    with_seed,
)
from golden_messages import GoldenMessages
from tepui_spec import layout
from tepui_spec.outcome import Outcome, from_exit_code
from tepui_spec.results import EvaluationRow, TrialRow
from tepui_spec.trial import TrainTask
from tepui_trainer.rows import read_rows
from tepui_trainer.storage import Storage
from training_pods import TINY, Died, Pod, results, run

pytestmark = pytest.mark.e2e
PIN = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the data, or with what is asked of them."""

    name: str
    outcome: Outcome
    damage: Damage = damage.nothing
    train: Callable[[TrainTask], TrainTask] = lambda task: task
    evaluate: Mapping[str, object] = field(default_factory=dict)
    """Settings of the evaluation."""


def other_digits(folder: Path) -> None:
    """Other images under the same names."""
    write_digits(folder, {"train": digits(900, 1300, CLASSES), "test": digits(0, 100, CLASSES)}, CLASSES)


def model(**args: object) -> Callable[[TrainTask], TrainTask]:
    """Other arguments of the model."""
    changed = TINY.model_copy(update={"args": TINY.args | args})
    return lambda task: with_config(task, {"model": changed})


def data(**changes: object) -> Callable[[TrainTask], TrainTask]:
    """Other fields of the trial's data."""
    return lambda task: with_data(task, changes)


def diverging(task: TrainTask) -> TrainTask:
    """A learning rate far too high."""
    changes = {"optimizer": "sgd", "lr_peak": 100.0, "clip_norm": 0.0, "schedule": "constant"}
    return with_config(task, {"recipe": task.config.recipe.model_copy(update=changes)})


def near(**changes: object) -> Mapping[str, object]:
    """Other fields of the data of the task near."""
    return {"datasets": [{"name": "near", "data": {"uri": "data/near"} | changes}]}


def from_the_start(task: TrainTask) -> TrainTask:
    """A trial that was not begun: which images it meets first does not depend on when another was killed."""
    return with_seed(task, 2)


D = Outcome.DATA
BOTH = (
    Fault("missing data", D, damage.removed),
    Fault("a folder without shards", D, damage.emptied),
    Fault("a shard that is gone", D, damage.shard_removed),
    Fault("a shard that is not Parquet", D, damage.not_parquet),
    Fault("a truncated shard", D, damage.truncated),
    Fault("a flipped bit", D, damage.flipped),
    Fault("a card cut short", D, damage.card_cut),
    Fault("columns by other names", D, damage.columns_renamed),
    Fault("images as paths", D, damage.images_as_paths),
    Fault("labels above the card's classes", D, damage.labels_above_card),
    Fault("one class", D, damage.one_class),
    Fault("a class that only the test split has", D, damage.class_of_test_only),
    Fault("an empty test split", D, partial(damage.no_rows, split="test")),
    Fault("too many corrupt images", D, partial(damage.corrupted, split="train", images=30), train=from_the_start),
    Fault("all test images corrupt", D, partial(damage.corrupted, split="test", images=1000)),
)
TRAINING = (
    *BOTH,
    Fault("a truncated shard without card", D, damage.truncated_without_card),
    Fault("an empty training split", D, partial(damage.no_rows, split="train")),
    Fault("labels as text", D, damage.labels_as_text),
    Fault("labels below 0", D, damage.labels_negative),
    Fault("data changed under a trial", D, other_digits),
    Fault("data that are not the pinned ones", D, other_digits, train=data(content_hash=PIN)),
    Fault("a training split that does not exist", D, train=data(train_split="training")),
    Fault("a test split that does not exist", D, train=data(test_split="holdout")),
    Fault("a format that the data are not in", D, train=data(format="webdataset")),
    Fault("arguments that do not fit each other", Outcome.CONFIGURATION, train=model(embed_dim=9)),
    Fault("an argument that the model has not", Outcome.CONFIGURATION, train=model(embedding_dim=16)),
    Fault("arguments that do not fit the images", Outcome.CONFIGURATION, train=model(patch_size=32)),
    Fault("a learning rate that diverges", Outcome.DIVERGED, train=diverging),
)


EVALUATION = (
    *BOTH,
    Fault("data that are not the pinned ones", D, other_digits, evaluate=near(contentHash=PIN)),
    Fault("a test split that does not exist", D, evaluate=near(testSplit="holdout")),
    Fault(
        "fewer images than any of the shots",
        Outcome.CONFIGURATION,
        partial(damage.images_a_class, at_most=4),
        evaluate={"shots": [5, 10]},
    ),
)


def ids(faults: tuple[Fault, ...]) -> list[str]:
    """Names for pytest."""
    return [fault.name for fault in faults]


@pytest.mark.parametrize("fault", TRAINING, ids=ids(TRAINING))
def test_a_fault_while_training(fault: Fault, world: World, golden: GoldenMessages, tmp_path: Path) -> None:
    """A trial that goes on after a kill meets the fault: its class, its words, no byte lost; mended, the same rows."""
    data, store = world.copy(world.interrupted, tmp_path)
    before = snapshot(store)
    fault.damage(data / "up")
    words = ended(Pod(fault.train(training(data, store, checkpoint_every_s=600)), tmp_path / "pod"), fault.outcome)
    golden.check(f"train: {fault.name}", words, {data: "DATA", store: "STORE"})
    assert snapshot(store) == before
    world.mend(data)
    assert "resuming" in done(training(data, store), tmp_path / "mended").log.read_text()
    assert results(training(data, store), store) == world.undisturbed()
    neighbour = with_seed(training(data, store), 1)
    assert results(neighbour, store) == results(neighbour, world.interrupted)


@pytest.mark.parametrize("fault", EVALUATION, ids=ids(EVALUATION))
def test_a_fault_while_evaluating(fault: Fault, world: World, golden: GoldenMessages, tmp_path: Path) -> None:
    """One task has the fault: the other gets its rows all the same; mended, both have those of an undisturbed run."""
    data, store = world.copy(world.finished, tmp_path)
    plain = evaluation(training(data, store), data)
    task = evaluation(training(data, store), data, **fault.evaluate)
    for name in TASKS:
        rows_of(plain, name).unlink()
    before = snapshot(store)
    fault.damage(data / "near")
    words = ended(Pod(task, tmp_path / "pod"), fault.outcome)
    golden.check(f"evaluate: {fault.name}", words, {data: "DATA", store: "STORE"})
    assert {path for path in snapshot(store).items() if path not in before.items()} == {
        (str(rows_of(task, "far").relative_to(store)), rows_of(task, "far").read_bytes())
    }
    world.mend(data)
    done(plain, tmp_path / "mended")
    assert snapshot(store).items() >= before.items()
    for name in TASKS:
        assert rows_of(plain, name).read_bytes() == undisturbed_rows(world, name)


def test_corrupt_images_below_the_limit(world: World, golden: GoldenMessages, tmp_path: Path) -> None:
    """Two of some 200 images cannot be read: counted in every row, the work ends well, and twice with the same rows."""
    limit = 0.02
    found = []
    for name in ("one", "two"):
        data, store = world.copy(world.interrupted, tmp_path / name)
        damage.corrupted(data / "up", "train", 2)
        damage.corrupted(data / "near", "test", 1)
        task = with_seed(with_data(training(data, store), {"max_corrupt_share": limit}), 2)
        words = ended(Pod(task, tmp_path / name), Outcome.SUCCEEDED)
        golden.check("train: corrupt images below the limit", words, {})
        evaluated = evaluation(task, data, **near(maxCorruptShare=limit))
        words = ended(Pod(evaluated, tmp_path / name), Outcome.SUCCEEDED)
        golden.check("evaluate: corrupt images below the limit", words, {})
        storage = Storage(str(store))
        (row,) = read_rows(storage, layout.trial_rows(task.trial), TrialRow)
        assert row.corrupt_images == 2
        rows = read_rows(storage, str(rows_of(evaluated, "near").relative_to(store)), EvaluationRow)
        assert {(r.corrupt_images, r.n_test) for r in rows} == {(1, 53)}
        found.append(results(task, store) | {"near": rows_of(evaluated, "near").read_bytes()})
    assert found[0] == found[1]


def test_fewer_images_than_some_of_the_shots(world: World, golden: GoldenMessages, tmp_path: Path) -> None:
    """Shots that a class has no images for are left out and told; the others have their rows."""
    data, store = world.copy(world.finished, tmp_path)
    damage.images_a_class(data / "near", 4)
    task = evaluation(training(data, store), data, shots=[1, 5, 10])
    words = ended(Pod(task, tmp_path / "pod"), Outcome.SUCCEEDED)
    golden.check("evaluate: fewer images than some of the shots", words, {})
    for name, shots in (("near", {1}), ("far", {1, 5, 10})):
        rows = read_rows(Storage(str(store)), str(rows_of(task, name).relative_to(store)), EvaluationRow)
        assert {row.shots for row in rows} == shots


def test_an_evaluation_killed_between_two_tasks(world: World, tmp_path: Path) -> None:
    """kill -9 before the second task's rows: the first one's stay, and the next attempt adds the second's."""
    data, store = world.copy(world.finished, tmp_path)
    task = evaluation(training(data, store), data)
    for name in TASKS:
        rows_of(task, name).unlink()
    code, pod = run(task, tmp_path / "killed", died=Died("evaluations/", 2))
    assert code == -signal.SIGKILL, pod.log.read_text()
    assert from_exit_code(code) is Outcome.CRASHED
    assert rows_of(task, "near").read_bytes() == undisturbed_rows(world, "near")
    assert not rows_of(task, "far").exists()
    done(task, tmp_path / "again")
    assert rows_of(task, "far").read_bytes() == undisturbed_rows(world, "far")


def test_no_other_messages_are_recorded(golden: GoldenMessages) -> None:
    """What no test here checks any more is not in the file either."""
    others = {"train: corrupt images below the limit"}
    others |= {
        f"evaluate: {name}" for name in ("corrupt images below the limit", "fewer images than some of the shots")
    }
    expected = {f"train: {fault.name}" for fault in TRAINING} | {f"evaluate: {fault.name}" for fault in EVALUATION}
    assert {name for name in golden.names if name.startswith(("train: ", "evaluate: "))} == expected | others
