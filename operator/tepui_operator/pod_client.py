"""The engine's side of the fork server: start it, have it start pods, hear how they end."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tepui_operator.forkserver import LAUNCH, READY
from tepui_operator.pod_process import TERMINATE, PodRequest, received


@dataclass(frozen=True, slots=True)
class PodEnd:
    """How a pod ended."""

    code: int | None
    """Exit code, or minus the signal that killed it; None: its supervisor was killed and nobody can tell."""
    cpu_s: float = 0.0


class PodProcess:
    """A pod that was started. Its descriptor becomes readable when there is news."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._text = b""
        self.pid: int | None = None
        self.end: PodEnd | None = None

    def fileno(self) -> int:
        """For selectors."""
        return self._link.fileno()

    def read(self) -> PodEnd | None:
        """Take the news in; returns how the pod ended, once it has."""
        chunk = received(self._link, 65_536)
        self._text += chunk
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.pid = event.get("pid", self.pid)
            if "code" in event:
                self.end = PodEnd(event["code"], event["cpuS"])
        if not chunk and self.end is None:
            self.end = PodEnd(None)
        return self.end

    def terminate(self) -> None:
        """Ask the pod to stop (SIGTERM)."""
        self._send(TERMINATE)

    def kill(self) -> None:
        """End all its processes; `read` then tells when none is left."""
        self._link.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give up the link; a pod that still runs ends."""
        self._link.close()

    def _send(self, wish: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just ended: `read` will tell
            self._link.send(wish)


class ForkServer:
    """The running server. Its descriptor becomes readable when it is ready and when it is gone."""

    def __init__(self, modules: Sequence[str], log: Path, env: Mapping[str, str], inherit: Sequence[int] = ()) -> None:
        """Start it; `inherit` are descriptors that it and all pods hold as long as they live."""
        self._control, theirs = socket.socketpair()
        self.log = log
        self.ready = False
        with log.open("ab") as output, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tepui_operator.forkserver", str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                pass_fds=(theirs.fileno(), *inherit),
                start_new_session=True,
            )

    def fileno(self) -> int:
        """For selectors."""
        return self._control.fileno()

    def read(self) -> bool:
        """Take the news in; returns False once the server is gone."""
        news = received(self._control, 16)
        self.ready = self.ready or READY in news
        return bool(news)

    def start(self, request: PodRequest, log: Path) -> PodProcess:
        """Start a pod whose output goes to the end of `log`. Requests wait while the server still imports.

        Where the server has just died, the pod is one that ended without a word.
        """
        ours, theirs = socket.socketpair()
        body = os.memfd_create("tepui-pod")
        with theirs, os.fdopen(body, "wb") as request_file, log.open("ab") as log_file:
            request_file.write(json.dumps(asdict(request)).encode())
            request_file.flush()
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._control, [LAUNCH], [theirs.fileno(), log_file.fileno(), body])
        return PodProcess(ours)

    def close(self) -> None:
        """End the server and every pod; returns when it is gone."""
        self._control.close()
        self._process.wait()
