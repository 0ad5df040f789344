"""MLflow through a local spool: what a pod tells is kept in a file first, and never waited for."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from tepui_spec.trial import Destination
from tepui_trainer.storage import Storage


class Tracker:
    """One pod's part of its trial's MLflow run. Every method returns at once but `close`; none raises.

    With `destination.mlflow` None it does nothing.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        trial: str,
        stage: str,
        run_name: str,
        params: Mapping[str, JsonValue] | None = None,
        tags: Mapping[str, str] | None = None,
        spool_dir: Path | None = None,
    ) -> None:
        raise NotImplementedError

    def metric(self, key: str, value: float, step: int = 0) -> None:
        """Record one value of one metric."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record several metrics of one step."""

    def artifact(self, path: str, folder: str = "") -> None:
        """Attach a file of the study's storage, by its path there, to the run."""

    def finish(self, *, failed: bool = False) -> None:
        """Set the run's end: FINISHED, or FAILED."""

    def close(self, timeout_s: float = 10.0) -> None:
        """Send what is left for at most `timeout_s`; the rest stays in the storage's spool for `replay_spools`."""


def prepare(destination: Destination) -> None:
    """Create the SQLite tables (seconds, once) under a file lock; nothing for a server or without tracking."""
    raise NotImplementedError


def replay_spools(storage: Storage, destination: Destination, timeout_s: float = 60.0) -> int:
    """Send what earlier pods left behind; returns the number of spools that still wait."""
    raise NotImplementedError


def ui_command(destination: Destination) -> str | None:
    """The one command that opens MLflow on the runs; None without tracking."""
    raise NotImplementedError
