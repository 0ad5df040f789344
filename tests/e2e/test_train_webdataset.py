"""A training pod that reads WebDataset tars from the first step to its row."""

import signal
from pathlib import Path

from data_builders import images, tar_shard
from tepui_spec import layout
from tepui_spec.results import TrialRow
from tepui_trainer.rows import read_rows
from tepui_trainer.storage import Storage
from training_pods import Died, results, run, train_task


def test_tars_train_and_resume(tmp_path: Path) -> None:
    """A trial on two tars sees all their images, and a kill in the middle changes no byte of its results."""
    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train-0", 60), ("train-1", 36), ("test-0", 24)):
        tar_shard(data / f"{split}.tar", images(count))
    found = []
    for name, died in (("plain", None), ("killed", Died("manifest.json", 2))):
        store = tmp_path / name
        task = train_task(data, store, format_="webdataset", epochs=10)
        if died:
            assert run(task, tmp_path / name / "a", died=died)[0] == -signal.SIGKILL
        code, pod = run(task, tmp_path / name / "b")
        assert code == 0, pod.log.read_text()
        found.append(results(task, store))
        (row,) = read_rows(Storage(str(store)), layout.trial_rows(task.trial), TrialRow)
        assert (row.train_images, row.upstream_n, row.num_classes, row.steps) == (96, 24, 3, 60)
    assert found[0] == found[1]
