"""What a real watch tells of one object, as a list that grows: tests wait for it instead of for a time."""

import subprocess
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tepui_testbed.cluster import Cluster


class Watched:
    """One line per change of an object, by `kubectl get --watch`."""

    def __init__(self, cluster: Cluster, *what: str, path: str) -> None:
        """`path` is the JSONPath that makes a change's line."""
        self.lines: list[str] = []
        self._changed = threading.Condition()
        command = ["kubectl", "get", *what, "--watch", "-o", f"jsonpath={path}{{'\\n'}}"]
        self._process = subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        self.until(lambda lines: len(lines) > 0)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._reader.join()
        self._process.wait()

    def until(self, holds: Callable[[list[str]], bool], timeout_s: float = 60) -> list[str]:
        """The lines, once `holds` is true of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.lines), timeout_s), f"not seen in time: {self.lines[-5:]}"
            return self.lines[:]

    def _read(self) -> None:
        assert self._process.stdout is not None  # it was started with a pipe
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        self._process.stdout.close()
