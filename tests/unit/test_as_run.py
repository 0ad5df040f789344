"""What a study was when it last ran: what has changed since, and whether anything is left to do."""

from pathlib import Path
from typing import Any

import pytest

from builders import experiment
from tepui_operator.as_run import AsRun, differences, nothing_to_do
from tepui_operator.folder import EngineFolder
from tepui_operator.status_text import status_text
from tepui_operator.study import Study
from tepui_spec import layout
from tepui_spec.status import ExperimentStatus, TrialCounts

COMPLETE = ExperimentStatus(phase="Complete", trials=TrialCounts(total=4, completed=4))
HASHES = {"upstream": "sha256:" + "0" * 64}


def study_of(**spec: Any) -> Study:
    """Four trials of one task."""
    return Study.of(experiment(**spec), lambda _: 1.0)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with all files of a finished study."""
    study = study_of()
    files = [f"{layout.study_dir('study')}/{name}" for name in ("laws.parquet", "points.parquet", "report.html")]
    for trial in study.trials:
        files += [file(trial.hash) for file in (layout.finished, layout.trial_rows, layout.curve_rows)]
        files.append(layout.evaluation_rows(trial.hash, "mnist", "0" * 12))
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    return tmp_path


def test_the_same_study_on_the_same_data_is_done(storage: Path) -> None:
    """All there and nothing changed; another parallelism makes no other result."""
    run = AsRun.of(study_of(), HASHES)
    assert nothing_to_do(run, run, study_of(), COMPLETE, storage)
    other = AsRun.of(study_of(parallelism=3), HASHES)
    assert nothing_to_do(run, other, study_of(parallelism=3), COMPLETE, storage)


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"analysis": {"confidence": 0.9}}},
        {"spec": {"evaluation": {"tasks": ["mnist"], "dataRoot": "data", "shots": [1]}}},
        {"hashes": {"upstream": "sha256:" + "1" * 64}},
        {"status": COMPLETE.model_copy(update={"phase": "Suspended"})},
        {"status": COMPLETE.model_copy(update={"trials": TrialCounts(total=4, completed=3, failed=1)})},
        {"before": None},
        {"gone": "laws.parquet"},
        {"gone": "finished.json"},
        {"gone": "mnist-*"},
    ],
    ids=str,
)
def test_what_leaves_something_to_do(storage: Path, changes: dict[str, Any]) -> None:
    """Another study, other data, a run that did not complete all, or a result that is gone."""
    study = study_of(**changes.get("spec", {}))
    now = AsRun.of(study, changes.get("hashes", HASHES))
    if "gone" in changes:
        next(storage.rglob(changes["gone"])).unlink()
    before = changes.get("before", AsRun.of(study_of(), HASHES))
    assert not nothing_to_do(before, now, study, changes.get("status", COMPLETE), storage)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """None where no run was, and where the file holds none."""
    folder = EngineFolder(tmp_path)
    assert AsRun.read(folder.as_run) is None
    folder.write_as_run(AsRun.of(study_of(), HASHES))
    assert AsRun.read(folder.as_run) == AsRun.of(study_of(), HASHES)
    folder.as_run.write_text("{}")
    assert AsRun.read(folder.as_run) is None


def test_differences_are_told_by_field() -> None:
    """Each changed field with both values; a default that is now written out is none."""
    before = experiment()
    now = experiment(
        sweep={"grid": {"model": ["tiny"], "epochs": [1, 2, 4], "seed": [0, 1]}},
        analysis={"confidence": 0.95},
        budget={"gpuHours": 2},
    )
    assert differences(before, now) == [
        "spec.sweep.grid.epochs: [1, 2] when it ran, now [1, 2, 4]",
        'spec.budget: nothing when it ran, now {"gpuHours": 2.0}',
    ]


def test_a_status_says_that_its_file_has_changed() -> None:
    """What differs, and of which version the rest speaks."""
    run = AsRun.of(study_of(), HASHES)
    wider = study_of(sweep={"grid": {"model": ["tiny"], "epochs": [1, 2, 4], "seed": [0, 1]}})
    text = status_text(wider, EngineFolder(Path("/nowhere")), COMPLETE, run)
    assert "4/4 completed" in text
    assert "The file has changed since, to 6 trials; all else here is of the study as it was run:" in text
    assert "  spec.sweep.grid.epochs: [1, 2] when it ran, now [1, 2, 4]" in text
    assert "has changed" not in status_text(study_of(), EngineFolder(Path("/nowhere")), COMPLETE, run)
