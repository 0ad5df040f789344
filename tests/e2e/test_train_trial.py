"""Training trials as real processes: killed, resumed, preempted, diverged, spread over ZeRO stages and ranks."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from data_builders import image_folder, images
from tepui_spec import layout
from tepui_spec.experiment import CustomModel
from tepui_spec.outcome import Outcome
from tepui_spec.results import CurveRow, TrialRow
from tepui_spec.trial import Placement, TrainTask
from tepui_trainer.checkpoint import load_model
from tepui_trainer.data import open_dataset, sequential
from tepui_trainer.manifest import step_of
from tepui_trainer.rows import read_rows
from tepui_trainer.storage import Storage
from training_pods import (
    Died,
    Pod,
    ToldToStop,
    free_port,
    manifests,
    ranks,
    results,
    run,
    saving_every_step,
    stripes,
    train_task,
    wait_for,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 training and 24 test images."""
    folder = tmp_path_factory.mktemp("data") / "stripes"
    stripes(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run gives that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    task = train_task(data, folder / "store")
    code, pod = run(task, folder)
    assert code == 0, pod.log.read_text()
    return results(task, folder / "store")


def losses(task: TrainTask, storage: Path) -> list[float]:
    """The curve's training losses, by step."""
    rows = read_rows(Storage(str(storage)), layout.curve_rows(task.trial), CurveRow)
    return [row.value for row in rows if row.metric == "train_loss"]


def trial_row(task: TrainTask, storage: Path) -> TrialRow:
    """The trial's row."""
    (row,) = read_rows(Storage(str(storage)), layout.trial_rows(task.trial), TrialRow)
    return row


def error_of_loaded(task: TrainTask, storage: Path, data: Path) -> float:
    """The validation error of the final checkpoint, as an evaluator would find it."""
    model = load_model(Storage(str(storage)), task.trial)
    dataset = open_dataset(str(data), split="test", image_size_px=8)
    wrong = sum(
        int((model(batch.images_BCHW).argmax(dim=1) != batch.labels_B).sum())
        for batch in sequential(dataset, batch_size=16)
    )
    return wrong / len(dataset)


def test_finished_trial(data: Path, tmp_path: Path) -> None:
    """A trial leaves its row, its curve, one checkpoint of weights only, and is not computed again."""
    task = train_task(data, tmp_path / "store")
    code, pod = run(task, tmp_path)
    assert code == 0, pod.log.read_text()
    row = trial_row(task, tmp_path / "store")
    assert (row.steps, row.examples_seen, row.train_images, row.upstream_n) == (150, 2400, 96, 24)
    curve = losses(task, tmp_path / "store")
    assert len(curve) == 5
    assert curve[-1] < 0.9 * curve[0]
    assert row.upstream_error == error_of_loaded(task, tmp_path / "store", data)
    (manifest,) = manifests(task, tmp_path / "store")
    assert sorted(file.name for file in manifest.parent.iterdir()) == ["manifest.json", "model.safetensors"]
    before = results(task, tmp_path / "store")
    code, pod = run(task, tmp_path)
    assert code == 0
    assert pod.report.reused
    assert results(task, tmp_path / "store") == before


@pytest.mark.parametrize(
    "died",
    [
        Died("optimizer-"),
        Died("model.safetensors"),
        Died("manifest.json"),
        Died("optimizer-", 3),
        Died("model.safetensors", 4),
        Died("manifest.json", 5),
        Died("trial.parquet"),
        Died("curve.parquet"),
        Died("finished.json"),
    ],
    ids=lambda died: f"{died.part}{died.occurrence}",
)
def test_killed_and_resumed(died: Died, data: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """kill -9 before any of its writes, then another attempt: the same rows and weights, bit for bit."""
    task = train_task(data, tmp_path / "store")
    code, pod = run(task, tmp_path / "killed", died=died)
    assert code == -signal.SIGKILL, pod.log.read_text()
    code, pod = run(task, tmp_path / "resumed")
    assert code == 0, pod.log.read_text()
    assert results(task, tmp_path / "store") == undisturbed


def test_killed_many_times(data: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Killed from outside three times, whenever a new checkpoint has appeared: the same, bit for bit."""
    task = train_task(data, tmp_path / "store")
    for attempt in range(3):
        before = manifests(task, tmp_path / "store")
        pod = Pod(saving_every_step(task), tmp_path / f"attempt{attempt}")
        wait_for(lambda before=before: manifests(task, tmp_path / "store")[-1:] != before[-1:], pod)  # type: ignore[misc]
        pod.signal(signal.SIGKILL)
        assert pod.wait() == -signal.SIGKILL
    code, pod = run(task, tmp_path / "last")
    assert code == 0, pod.log.read_text()
    assert results(task, tmp_path / "store") == undisturbed


def test_preempted(data: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """SIGTERM ends a pod as preempted, after a checkpoint of its last step, from which the next attempt goes on."""
    task = train_task(data, tmp_path / "store", checkpoint_every_s=600)
    code, pod = run(task, tmp_path / "stopped", died=ToldToStop())
    assert code == 44, pod.log.read_text()
    assert pod.report.outcome is Outcome.PREEMPTED
    assert "told to stop after step 1 of 150" in pod.report.message
    assert [step_of(str(path)) for path in manifests(task, tmp_path / "store")] == [1]
    code, pod = run(task, tmp_path / "resumed")
    assert code == 0, pod.log.read_text()
    assert "resuming" in pod.log.read_text()
    assert results(task, tmp_path / "store") == undisturbed


def interrupted(data: Path, tmp_path: Path) -> TrainTask:
    """A trial with two intact checkpoints."""
    task = train_task(data, tmp_path / "store")
    code, pod = run(task, tmp_path / "killed", died=Died("optimizer-", 4))
    assert code == -signal.SIGKILL, pod.log.read_text()
    assert len(manifests(task, tmp_path / "store")) == 2
    return task


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "manifest"])
def test_newest_checkpoint_damaged(damage: str, data: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """A damaged newest checkpoint is passed over with a warning; the one before it gives the same result."""
    task = interrupted(data, tmp_path)
    newest = manifests(task, tmp_path / "store")[-1]
    weights = newest.parent / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flipped":
        content[-9] ^= 1
        weights.write_bytes(content)
    elif damage == "truncated":
        weights.write_bytes(content[:-100])
    elif damage == "missing":
        weights.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[:-20])
    code, pod = run(task, tmp_path / "resumed")
    assert code == 0, pod.log.read_text()
    assert "passing over the checkpoint" in pod.log.read_text()
    assert results(task, tmp_path / "store") == undisturbed


def test_all_checkpoints_damaged(data: Path, tmp_path: Path) -> None:
    """With checkpoints and none intact a pod ends with the Checkpoint class, and never starts at step 0."""
    task = interrupted(data, tmp_path)
    for manifest in manifests(task, tmp_path / "store"):
        (manifest.parent / "model.safetensors").write_bytes(b"")
    code, pod = run(task, tmp_path / "resumed")
    assert code == 47, pod.log.read_text()
    assert "none is intact" in pod.report.message


def test_diverged(data: Path, tmp_path: Path) -> None:
    """A non-finite loss ends the trial as diverged; checkpoints that stand hold finite weights."""
    task = train_task(data, tmp_path / "store", optimizer="sgd", lr_peak=100.0, clip_norm=0.0, schedule="constant")
    code, pod = run(task, tmp_path)
    assert code == 42, pod.log.read_text()
    assert "lrPeak 100" in pod.report.message
    for manifest in manifests(task, tmp_path / "store"):
        model = load_model(Storage(str(tmp_path / "store")), task.trial, int(manifest.parent.name[5:]))
        assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_user_mistakes(data: Path, tmp_path: Path) -> None:
    """Mistakes in a spec end with their class and a message that names the field or the place."""
    wrong_name = CustomModel(name="wrong", timm="vit_tiny_patch17_224")
    code, pod = run(train_task(data, tmp_path / "store", model=wrong_name), tmp_path / "name")
    assert code == 40
    assert "vit_tiny_patch16_224" in pod.report.message
    code, pod = run(train_task(data, tmp_path / "store", placement=Placement(micro_batch_size=5)), tmp_path / "micro")
    assert code == 40
    assert "training.microBatchSize is 5" in pod.report.message
    code, pod = run(train_task(tmp_path / "nothing", tmp_path / "store"), tmp_path / "data")
    assert code == 41
    assert "nothing" in pod.report.message
    assert not (tmp_path / "store").exists()


def test_other_data_under_the_same_name(data: Path, tmp_path: Path) -> None:
    """A finished trial is not taken for one on data that have changed since."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    task = train_task(copy, tmp_path / "store", epochs=1)
    assert run(task, tmp_path)[0] == 0
    shutil.rmtree(copy)
    stripes(copy, 90, 24)
    code, pod = run(task, tmp_path)
    assert code == 41, pod.log.read_text()
    assert "contentHash" in pod.report.message


def test_corrupt_images_counted_over_attempts(tmp_path: Path) -> None:
    """Corrupt images met before a kill are counted once in the row, as in an undisturbed run."""
    for split, count in (("train", 96), ("test", 24)):
        image_folder(tmp_path / "data", split, images(count))
        for name in ("class0/00000.png", "class1/00004.png"):
            (tmp_path / "data" / split / name).write_bytes(b"no image")
    found = {}
    for name, died in (("plain", None), ("killed", Died("manifest.json", 3))):
        task = train_task(
            tmp_path / "data", tmp_path / name / "store", format_="imagefolder", epochs=10, max_corrupt_share=0.1
        )
        if died:
            assert run(task, tmp_path / name / "a", died=died)[0] == -signal.SIGKILL
        code, pod = run(task, tmp_path / name / "b")
        assert code == 0, pod.log.read_text()
        found[name] = results(task, tmp_path / name / "store")
        assert trial_row(task, tmp_path / name / "store").corrupt_images == 4
    assert found["plain"] == found["killed"]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_stages(stage: int, data: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Every ZeRO stage learns as stage 0 does, and resumes from its own checkpoints to the same bits."""
    (tmp_path / "stage0").mkdir()
    (tmp_path / "stage0" / "curve.parquet").write_bytes(undisturbed["curve"])
    rows = read_rows(Storage(str(tmp_path / "stage0")), "curve.parquet", CurveRow)
    expected = [row.value for row in rows if row.metric == "train_loss"]
    placement = Placement.model_validate({"zero_stage": stage})
    task = train_task(data, tmp_path / "store", placement=placement)
    code, pod = run(task, tmp_path / "plain")
    assert code == 0, pod.log.read_text()
    assert losses(task, tmp_path / "store") == pytest.approx(expected, rel=1e-3)
    killed = train_task(data, tmp_path / "killed", placement=placement)
    assert run(killed, tmp_path / "a", died=Died("optimizer-", 4))[0] == -signal.SIGKILL
    code, pod = run(killed, tmp_path / "b")
    assert code == 0, pod.log.read_text()
    assert results(killed, tmp_path / "killed") == results(task, tmp_path / "store")


EXACT = CustomModel(
    name="exact",
    timm="vit_tiny_patch16_224",
    args={"patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2},
)
"""Without dropout, whose draws depend on the rank and the micro-batch."""


@pytest.fixture(scope="module")
def whole_batch(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Losses of one process with the whole batch at once, SGD."""
    folder = tmp_path_factory.mktemp("whole")
    task = exact_task(data, folder / "store", Placement())
    code, pod = run(task, folder)
    assert code == 0, pod.log.read_text()
    return losses(task, folder / "store")


def exact_task(data: Path, storage: Path, placement: Placement, *, epochs: int = 10) -> TrainTask:
    """A trial whose result may depend on its placement by rounding alone."""
    return train_task(data, storage, model=EXACT, placement=placement, optimizer="sgd", lr_peak=0.02, epochs=epochs)


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_micro_batches(zero_stage: int, data: Path, tmp_path: Path, whole_batch: list[float]) -> None:
    """Gradients add up over micro-batches to those of the whole batch."""
    placement = Placement.model_validate({"zero_stage": zero_stage, "micro_batch_size": 4})
    task = exact_task(data, tmp_path / "store", placement)
    code, pod = run(task, tmp_path)
    assert code == 0, pod.log.read_text()
    assert losses(task, tmp_path / "store") == pytest.approx(whole_batch, rel=1e-4)


@pytest.mark.parametrize("zero_stage", [0, 1, 3])
def test_two_ranks(zero_stage: int, data: Path, tmp_path: Path, whole_batch: list[float]) -> None:
    """Two processes learn as one does; when one is lost the other ends as PeerLost; both resume to the same bits."""
    placement = Placement.model_validate({"zero_stage": zero_stage, "processes_per_node": 2})
    task = exact_task(data, tmp_path / "store", placement)
    pods = ranks(task, tmp_path / "plain", 2)
    assert [pod.wait() for pod in pods] == [0, 0], pods[0].log.read_text()
    assert losses(task, tmp_path / "store") == pytest.approx(whole_batch, rel=1e-4)

    cut = exact_task(data, tmp_path / "cut", placement)
    pods = ranks(cut, tmp_path / "a", 2, dies_after=2)
    assert [pod.wait() for pod in pods] == [45, -signal.SIGKILL], pods[0].log.read_text()
    pods = ranks(cut, tmp_path / "b", 2)
    assert [pod.wait() for pod in pods] == [0, 0], pods[0].log.read_text()
    assert "resuming" in pods[0].log.read_text()
    assert results(cut, tmp_path / "cut") == results(task, tmp_path / "store")


def test_another_placement_goes_on(data: Path, tmp_path: Path, whole_batch: list[float]) -> None:
    """A checkpoint of one process at stage 0 is resumed by two at stage 2, and theirs by one at stage 3."""
    placements = [
        Placement(),
        Placement.model_validate({"zero_stage": 2, "processes_per_node": 2}),
        Placement.model_validate({"zero_stage": 3}),
    ]
    first, second, third = (exact_task(data, tmp_path / "store", placement) for placement in placements)
    assert run(first, tmp_path / "a", died=Died("manifest.json", 3))[0] == -signal.SIGKILL
    pods = ranks(second, tmp_path / "b", 2, dies_after=2)
    assert [pod.wait() for pod in pods] == [45, -signal.SIGKILL], pods[0].log.read_text()
    code, pod = run(third, tmp_path / "c")
    assert code == 0, pod.log.read_text()
    assert "resuming" in pod.log.read_text()
    assert losses(third, tmp_path / "store") == pytest.approx(whole_batch, rel=1e-4)


def test_two_nodes(data: Path, tmp_path: Path, whole_batch: list[float]) -> None:
    """Pods of two nodes meet at MASTER_ADDR; when one is killed with its processes the other ends as PeerLost."""
    placement = Placement(nodes=2)

    def pods(task: TrainTask, folder: Path) -> list[Pod]:
        meeting: dict[str, Any] = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "TEPUI_PEER_TIMEOUT_S": "20",
        }
        return [Pod(task, folder / node, JOB_COMPLETION_INDEX=node, **meeting) for node in ("0", "1")]

    task = exact_task(data, tmp_path / "store", placement)
    cut = pods(saving_every_step(task), tmp_path / "cut")
    wait_for(lambda: bool(manifests(task, tmp_path / "store")), cut[0])
    cut[1].signal(signal.SIGKILL)
    assert [pod.wait() for pod in cut] == [45, -signal.SIGKILL], cut[0].log.read_text()
    resumed = pods(task, tmp_path / "resumed")
    assert [pod.wait() for pod in resumed] == [0, 0], resumed[0].log.read_text()
    assert losses(task, tmp_path / "store") == pytest.approx(whole_batch, rel=1e-4)


def test_torchrun(data: Path, tmp_path: Path) -> None:
    """A pod with two processes starts them by torchrun, passes SIGTERM on, and reports for both."""
    # so many steps, each saved, that SIGTERM finds them at work: the launcher passes it on within 0.2 s
    alone, task = (
        exact_task(data, tmp_path / name, placement, epochs=40)
        for name, placement in (("alone", Placement()), ("store", Placement(processes_per_node=2)))
    )
    progress = tmp_path / "progress.json"
    pod = Pod(saving_every_step(task), tmp_path / "stopped", TEPUI_PROGRESS=str(progress))
    wait_for(progress.exists, pod)
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 44, pod.log.read_text()
    code, pod = run(task, tmp_path / "resumed")
    assert code == 0, pod.log.read_text()
    assert pod.report.busy_cpu_s > 1
    code, pod = run(alone, tmp_path / "pod")
    assert code == 0, pod.log.read_text()
    assert losses(task, tmp_path / "store") == pytest.approx(losses(alone, tmp_path / "alone"), rel=1e-4)


@pytest.mark.parametrize("zero_stage", [0, 2])
def test_bf16(zero_stage: int, data: Path, tmp_path: Path, whole_batch: list[float]) -> None:
    """bf16 learns as fp32 does to the precision of its forward pass, and resumes to the same bits."""
    placement = Placement.model_validate({"zero_stage": zero_stage})
    found = []
    for name, died in (("plain", None), ("killed", Died("manifest.json", 3))):
        task = exact_task(data, tmp_path / name, placement)
        config = task.config.model_copy(update={"precision": "bf16"})
        task = task.model_copy(update={"config": config})
        if died:
            assert run(task, tmp_path / "a", died=died)[0] == -signal.SIGKILL
        code, pod = run(task, tmp_path / "b")
        assert code == 0, pod.log.read_text()
        found.append(results(task, tmp_path / name))
    assert found[0] == found[1]
    assert losses(task, tmp_path / "plain") == pytest.approx(whole_batch, rel=0.05)
    assert losses(task, tmp_path / "plain") != pytest.approx(whole_batch, rel=1e-6)
