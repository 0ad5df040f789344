"""Full and read-only disks under whole pods, and result files that are damaged after they were written."""

import shutil
import subprocess
from pathlib import Path

import pytest

from builders import experiment
from fault_world import TASKS, World, done, ended, evaluation, rows_of, snapshot, training, undisturbed_rows, with_seed
from golden_messages import GoldenMessages
from small_disk import Mount
from study_rows import write_study
from tepui_evaluator.analysis import laws_path
from tepui_evaluator.store import Store
from tepui_spec import layout
from tepui_spec.outcome import Outcome
from tepui_spec.trial import AnalyseTask, Destination
from tepui_trainer.checkpoint import newest_intact
from tepui_trainer.storage import Storage
from training_pods import Filled, Pod, results, run

pytestmark = pytest.mark.e2e
STUDY = experiment(evaluation={"tasks": ["mnist"], "dataRoot": "data", "shots": [5]})


@pytest.mark.parametrize(
    "part", ["optimizer-", "model.safetensors", "manifest.json", "trial.parquet", "curve.parquet", "finished.json"]
)
def test_a_full_disk_while_training(
    part: str, world: World, golden: GoldenMessages, mount: Mount, tmp_path: Path
) -> None:
    """The disk fills up just before a write: Storage, an intact checkpoint stands; with space again the same rows."""
    disk = mount("size=8m")
    store, filler = disk / "store", disk / "filler"
    shutil.copytree(world.interrupted, store)
    task = training(world.data, store)
    words = ended(Pod(task, tmp_path / "full", died=Filled(part, filler)), Outcome.STORAGE)
    golden.check(f"disk: full at {part.strip('-')}", words, {store: "STORE"})
    assert newest_intact(Storage(str(store)), task.trial) is not None
    neighbour = with_seed(task, 1)
    assert results(neighbour, store) == results(neighbour, world.interrupted)
    filler.unlink()
    assert "resuming" in done(task, tmp_path / "again").log.read_text()
    assert results(task, store) == world.undisturbed()


def test_a_full_disk_while_evaluating(world: World, golden: GoldenMessages, mount: Mount, tmp_path: Path) -> None:
    """The first task's rows are written, the second's find no room: Storage; with space again the same rows."""
    disk = mount("size=8m")
    store, filler = disk / "store", disk / "filler"
    shutil.copytree(world.finished, store)
    task = evaluation(training(world.data, store), world.data)
    for name in TASKS:
        rows_of(task, name).unlink()
    before = snapshot(store)
    words = ended(Pod(task, tmp_path / "full", died=Filled("evaluations/", filler, 2)), Outcome.STORAGE)
    golden.check("disk: full at the second task's rows", words, {store: "STORE"})
    assert snapshot(store).items() >= before.items()
    assert rows_of(task, "near").read_bytes() == undisturbed_rows(world, "near")
    assert not rows_of(task, "far").exists()
    filler.unlink()
    done(task, tmp_path / "again")
    assert rows_of(task, "far").read_bytes() == undisturbed_rows(world, "far")


def test_a_read_only_storage(world: World, golden: GoldenMessages, mount: Mount, tmp_path: Path) -> None:
    """A storage that cannot be written to is the user's to mend: Configuration, nothing lost, then the same rows."""
    disk = mount("size=8m")
    store = disk / "store"
    shutil.copytree(world.interrupted, store)
    before = snapshot(store)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    task = training(world.data, store)
    golden.check("disk: read-only", ended(Pod(task, tmp_path / "read-only"), Outcome.CONFIGURATION), {store: "STORE"})
    assert snapshot(store) == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    done(task, tmp_path / "again")
    assert results(task, store) == world.undisturbed()


def analysis(store: Path) -> AnalyseTask:
    """The last analysis of a study whose rows are there."""
    destination = Destination(storage_uri=str(store), study=STUDY.metadata.name)
    return AnalyseTask(experiment=STUDY, attempt=0, final=True, destination=destination)


def test_a_full_disk_while_analysing(golden: GoldenMessages, mount: Mount, tmp_path: Path) -> None:
    """No room for the laws: Storage, all rows stand; with space again the laws are those of an undisturbed run."""
    disk = mount("size=8m")
    store, plain = Storage(str(disk / "store")), Storage(str(tmp_path / "plain"))
    for storage in (store, plain):
        write_study(storage, STUDY)
    before = snapshot(disk)
    task = analysis(disk / "store")
    words = ended(Pod(task, tmp_path / "full", died=Filled("laws.parquet", disk / "filler")), Outcome.STORAGE)
    golden.check("disk: full at laws.parquet", words, {disk / "store": "STORE"})
    (disk / "filler").unlink()
    for where in (disk / "store", tmp_path / "plain"):
        code, pod = run(analysis(where), tmp_path / "again")
        assert code == 0, pod.log.read_text()
    assert snapshot(disk).items() >= before.items()
    assert store.read(laws_path("study")) == plain.read(laws_path("study"))


@pytest.mark.parametrize("table", ["trials", "curves", "evaluations"])
def test_a_damaged_result_file(table: str, golden: GoldenMessages, tmp_path: Path) -> None:
    """One flipped bit in one trial's rows: the analysis computes nothing from them, and names the file and the way."""
    storage = Storage(str(tmp_path / "store"))
    write_study(storage, STUDY)
    path = Store(storage, STUDY).paths(table)[1]
    flip(tmp_path / "store" / path)
    words = ended(Pod(analysis(tmp_path / "store"), tmp_path / "pod"), Outcome.CONFIGURATION)
    assert storage.uri(path) in words
    golden.check(f"analyse: a flipped bit in {table}", words, {tmp_path / "store": "STORE"})


@pytest.mark.parametrize("damaged", ["trial", "curve"])
def test_damaged_rows_come_back(damaged: str, world: World, tmp_path: Path) -> None:
    """What the message promises: the trial run again writes its rows anew, the same, and trains no step."""
    data, store = world.copy(world.finished, tmp_path)
    task = training(data, store)
    path = store / {"trial": layout.trial_rows, "curve": layout.curve_rows}[damaged](task.trial)
    flip(path)
    log = done(task, tmp_path / "flipped").log.read_text()
    assert f"{path} is damaged" in log
    assert results(task, store) == world.undisturbed()
    path.unlink()
    done(task, tmp_path / "gone")
    assert results(task, store) == world.undisturbed()


def flip(path: Path) -> None:
    """One bit of a file's first page."""
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)


def test_no_other_messages_are_recorded(golden: GoldenMessages) -> None:
    """What no test here checks any more is not in the file either."""
    full = ["optimizer", "model.safetensors", "manifest.json", "trial.parquet", "curve.parquet", "finished.json"]
    full += ["the second task's rows", "laws.parquet"]
    expected = {"disk: read-only", *(f"disk: full at {part}" for part in full)}
    expected |= {f"analyse: a flipped bit in {table}" for table in ("trials", "curves", "evaluations")}
    assert {name for name in golden.names if name.startswith(("disk: ", "analyse: "))} == expected
