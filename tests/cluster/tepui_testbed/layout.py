"""Where a cluster's programs, files and logs are, and how its daemons start."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tepui_testbed.namespaces import Namespaces
from tepui_testbed.processes import Process
from tepui_testbed.waiting import TestbedError

_TAIL_CHARACTERS = 1500


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's places."""

    programs: Path
    folder: Path
    """Of this cluster: keys, files, logs."""

    @property
    def logs(self) -> Path:
        """A file for each daemon."""
        return self.folder / "logs"

    def start(self, where: Namespaces, program: str, flags: Sequence[str], name: str | None = None) -> Process:
        """Start a daemon; its log is called as it is, or by `name`."""
        return where.start([str(self.programs / program), *flags], self.log(name or program))

    def log(self, name: str) -> Path:
        """The log of a daemon."""
        return self.logs / f"{name}.log"

    def see_alive(self, name: str, process: Process) -> None:
        """Raises TestbedError with the last words of a daemon that has ended."""
        if not process.alive():
            log = self.log(name)
            raise TestbedError(f"{name} ended ({log}): {log.read_text(errors='replace')[-_TAIL_CHARACTERS:].strip()}")
