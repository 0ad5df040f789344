"""A real MLflow server on loopback, for tests of what reaches it."""

import os
import shlex
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from tepui_spec.pods import MlflowServer
from tepui_spec.trial import Destination
from tepui_trainer.tracking import prepare, ui_command

READY_S = 240


class Server:
    """MLflow on loopback, by the command that a study prints; `kill` ends it as kill -9 does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        local = Destination(storage_uri=str(folder / "a b"), study="none", mlflow=MlflowServer())
        prepare(local)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._command = [*shlex.split(str(ui_command(local))), "--port", str(self._port), "--workers", "1"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs, and return when it answers."""
        if self._process is not None:
            return
        log = self._folder / "server.log"
        environ = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, start_new_session=True, env=environ, cwd=self._folder
            )
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), urlopen(f"{self.uri}/health", timeout=1) as answer:
                assert answer.read() == b"OK"
                return
            time.sleep(0.1)
        self.kill()
        pytest.fail(f"the MLflow server did not start:\n{log.read_text()}")

    def kill(self) -> None:
        """The server and its workers, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None
