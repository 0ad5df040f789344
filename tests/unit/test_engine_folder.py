"""The engine's own folder: where it is, and what happens when the disk does not take it."""

from pathlib import Path

import pytest

from tepui_operator.folder import engine_folder, local_storage
from tepui_spec.errors import TransientError
from tepui_spec.status import ExperimentStatus


def test_the_status_is_read_as_written(tmp_path: Path) -> None:
    """A status survives the file; before any engine ran there is none."""
    folder = engine_folder(str(tmp_path), "study", create=True)
    assert folder.read_status() is None
    status = ExperimentStatus(phase="Running", gpu_hours=1.5, completed_trials="0-3")
    folder.write_status(status)
    assert folder.read_status() == status


def test_a_disk_that_takes_no_status_is_the_worlds_fault(tmp_path: Path) -> None:
    """The message names the file and the reason, and the old status stays."""
    folder = engine_folder(str(tmp_path), "study", create=True)
    folder.write_status(ExperimentStatus(phase="Running"))
    folder.status.with_suffix(".tmp").mkdir()
    with pytest.raises(TransientError, match=r"cannot write .*status\.json: Is a directory"):
        folder.write_status(ExperimentStatus(phase="Complete"))
    assert folder.read_status() == ExperimentStatus(phase="Running")


def test_storage_that_cannot_be_created_names_the_field(tmp_path: Path) -> None:
    """A file in the way of the storage is the user's to mend."""
    (tmp_path / "results").write_text("")
    with pytest.raises(ValueError, match=r"spec\.storage\.uri: cannot create .*: Not a directory"):
        engine_folder(str(tmp_path / "results"), "study", create=True)


def test_remote_storage_has_a_folder_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs and status of a study in an object store are kept on this machine, apart for each store."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first, second = local_storage("s3://results/a"), local_storage("s3://results/b")
    assert first.parent == tmp_path / "tepui"
    assert first != second
    assert local_storage("file:///srv/results") == Path("/srv/results")


def test_a_status_that_is_none_names_its_file(tmp_path: Path) -> None:
    """A file cut short by a power failure: the message says which one it is and what it costs to remove it."""
    folder = engine_folder(str(tmp_path), "study", create=True)
    folder.status.write_text('{"phase": "Run')
    with pytest.raises(ValueError, match=r"status\.json: not a study's status .*remove it"):
        folder.read_status()
