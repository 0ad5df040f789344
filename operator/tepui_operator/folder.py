"""Where the embedded engine keeps what is its own: logs, status, lock, and what pods leave for it."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tepui_operator.as_run import AsRun
from tepui_spec.errors import TransientError
from tepui_spec.layout import study_dir
from tepui_spec.status import ExperimentStatus

_LOG_TAIL_BYTES = 2048


@dataclass(frozen=True, slots=True)
class EngineFolder:
    """The folder of one study on this machine."""

    root: Path

    @property
    def logs(self) -> Path:
        """A file per pod, and one of the fork server."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What running pods say: progress and last words."""
        return self.root / ".run"

    @property
    def lock(self) -> Path:
        """Held by the engine and its pods."""
        return self.root / "engine.lock"

    @property
    def status(self) -> Path:
        """The status as last written."""
        return self.root / "status.json"

    @property
    def as_run(self) -> Path:
        """What the study was when it last began to run (`as_run.AsRun`)."""
        return self.root / "as-run.json"

    def log(self, pod: str) -> Path:
        """The log of one pod."""
        return self.logs / f"{pod}.log"

    def logs_of(self, job: str) -> list[Path]:
        """The logs of a Job's pods: one, or one for each of a gang."""
        single = self.log(job)
        return [single] if single.exists() else sorted(self.logs.glob(f"{job}-*.log"))

    def clear_run(self) -> None:
        """Forget what pods of an earlier engine said; only with the lock held."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir()

    def read_status(self) -> ExperimentStatus | None:
        """The status as last written; None where no engine has run. Raises ValueError where the file holds none."""
        if not self.status.exists():
            return None
        try:
            return ExperimentStatus.model_validate_json(self.status.read_bytes())
        except ValidationError as error:
            raise ValueError(
                f"{self.status}: not a study's status ({error.errors()[0]['msg']}): remove it to go on; the hours held "
                "by earlier runs are then no longer counted against the budget"
            ) from error

    def write_status(self, status: ExperimentStatus) -> None:
        """Replace the status, whole or not at all. Raises TransientError where the disk does not take it."""
        _replace(self.status, status.model_dump_json(indent=1) + "\n")

    def write_as_run(self, run: AsRun) -> None:
        """Replace what the study was when it last ran. Raises as `write_status`."""
        _replace(self.as_run, run.model_dump_json(indent=1, by_alias=True) + "\n")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as error:
        raise TransientError(f"cannot write {path}: {error.strerror}") from error


def engine_folder(storage_uri: str, study: str, *, create: bool = False) -> EngineFolder:
    """The study's folder inside its storage; for storage that is no local folder, one in the user's cache.

    Raises ValueError where it is to be created and cannot be.
    """
    folder = EngineFolder(local_storage(storage_uri) / study_dir(study))
    if create:
        try:
            folder.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"spec.storage.uri: cannot create {folder.logs}: {error.strerror}") from error
    return folder


def local_storage(storage_uri: str) -> Path:
    """The storage as a local path; for storage elsewhere, a folder of its own in the user's cache."""
    if "://" not in storage_uri or storage_uri.startswith("file://"):
        return Path(storage_uri.removeprefix("file://"))
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "tepui" / hashlib.sha256(storage_uri.encode()).hexdigest()[:16]


def last_line(log: Path, start: int = 0) -> str:
    """The last line that a log has from the byte `start` on; empty where it has none, or the log is not there."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _LOG_TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
