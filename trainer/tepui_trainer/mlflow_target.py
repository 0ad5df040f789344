"""Where a destination's runs go: a server, or an SQLite file that several pods write to at the same time."""

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tepui_spec.trial import Destination
from tepui_trainer.storage import Storage

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Target:
    """A tracking server, or database file, in the form that MLflow wants it."""

    uri: str
    database: Path | None
    """The SQLite file; None for a server."""
    token_variable: str | None = None

    @classmethod
    def of(cls, destination: Destination) -> Self | None:
        """None without tracking. Raises ValueError for a URI that is none of http(s):// and sqlite:///."""
        if destination.mlflow is None:
            return None
        uri = destination.mlflow.uri
        if uri is None:
            folder = Storage(destination.storage_uri).local_path()
            if folder is None:
                raise ValueError(
                    f"tracking.mlflow.uri is needed, because storage.uri {destination.storage_uri} is not a folder of "
                    f"this machine where mlflow.db could lie; or set tracking.enabled to false"
                )
            uri = f"{_SQLITE}{folder / 'mlflow.db'}"
        if uri.startswith(_SQLITE):
            database = Path(uri.removeprefix(_SQLITE)).absolute()
            return cls(f"{_SQLITE}{database}", database)
        if not uri.startswith(("http://", "https://")):
            raise ValueError(f"tracking.mlflow.uri is {uri}; allowed are http://, https:// and sqlite:///path")
        return cls(uri, None, destination.mlflow_token_variable)

    @property
    def artifact_root(self) -> str | None:
        """Where artifacts of the SQLite file go: beside it. A server has its own place."""
        return None if self.database is None else (self.database.parent / "mlartifacts").as_uri()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time on an SQLite file: its own locks let a transaction that reads first fail, not wait."""
        if self.database is None:
            yield
            return
        self.database.parent.mkdir(parents=True, exist_ok=True)
        path = self.database.with_name(self.database.name + ".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def experiment_name(destination: Destination) -> str:
    """The MLflow experiment of a study; its namespace is named where it is not the default one."""
    if destination.namespace == "default":
        return destination.study
    return f"{destination.namespace}/{destination.study}"


def ui_command(destination: Destination) -> str | None:
    """What shows the runs: a command for an SQLite file, the address of a server; None without tracking.

    Raises ValueError as `Target.of`.
    """
    target = Target.of(destination)
    if target is None or target.database is None:
        return target.uri if target else None
    mlflow = Path(sys.executable).with_name("mlflow")
    return f"{shlex.quote(str(mlflow))} ui --backend-store-uri {shlex.quote(target.uri)}"
