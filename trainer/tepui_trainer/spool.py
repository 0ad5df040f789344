"""Tracking events of one process, in a file: appended at once, read by whoever sends them, gone when all are sent.

One JSON object a line; the first is the run that all others belong to. The position up to which MLflow has confirmed
is a line of the file too. A torn line (a killed writer, a full disk) is passed over. A spool belongs to whoever holds
its lock, so a live pod's spool is never sent by another.
"""

import fcntl
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError

from tepui_spec.base import Section

Kind = Literal["metrics", "artifact", "end"]
_log = logging.getLogger(__name__)


class RunHeader(Section):
    """The MLflow run that a spool's events belong to."""

    experiment: str
    trial: str = Field(description="The run is found by this tag, so that a trial has one run.")
    name: str
    params: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    started_ms: int = Field(description="Milliseconds since 1970.")


@dataclass(frozen=True)
class Event:
    """Something to tell MLflow: metrics {step, values}, artifact {path, folder}, end {status}."""

    kind: Kind
    time_ms: int
    body: dict[str, JsonValue]
    end: int
    """Offset behind the event's line: what to confirm once it is sent."""


class Spool:
    """An open spool, locked. Safe for a writing and a sending thread."""

    def __init__(self, path: Path, descriptor: int, header: RunHeader, confirmed: int) -> None:
        self.path = path
        self.header = header
        self._descriptor = descriptor
        self._confirmed = confirmed
        self._append_lock = threading.Lock()
        self._torn = not _ends_with_newline(descriptor)

    @classmethod
    def create(cls, path: Path, header: RunHeader) -> Self:
        """A new spool. Raises OSError where it cannot be made or its first line written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        line = header.model_dump_json().encode() + b"\n"
        if os.write(descriptor, line) != len(line):
            raise OSError(f"{path}: no room for the first line")
        return cls(path, descriptor, header, confirmed=len(line))

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """A spool that another process left; None where its writer still lives, or it is gone, or holds nothing."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        first, _, rest = _pread_all(descriptor, 0).partition(b"\n")
        try:
            header = RunHeader.model_validate_json(first)
        except ValidationError:
            _log.warning("%s: the first line is torn, so nothing in it can be sent", path)
            with suppress(FileNotFoundError):
                path.unlink()
            os.close(descriptor)
            return None
        return cls(path, descriptor, header, confirmed=_last_confirmed(rest, len(first) + 1))

    def append(self, kind: Kind, **body: JsonValue) -> None:
        """Add an event now. A spool that cannot be written (full disk) loses it with a warning, and fails nobody."""
        self._write({"kind": kind, "time_ms": time.time_ns() // 1_000_000, **body})

    def pending(self, limit: int | None = 1000) -> list[Event]:
        """The next events that are not confirmed, oldest first, at most `limit`."""
        events = _events(_pread_all(self._descriptor, self._confirmed), self._confirmed)
        return list(itertools.islice(events, limit))

    def confirm(self, offset: int) -> None:
        """Remember that everything before `offset` is sent."""
        self._confirmed = offset
        self._write({"kind": "confirmed", "offset": offset})

    def remaining(self) -> bytes:
        """The header and what is not confirmed, as a spool of its own; empty where all is sent."""
        events = self.pending(limit=None)
        if not events:
            return b""
        lines = [self.header.model_dump_json()]
        lines += [json.dumps({"kind": e.kind, "time_ms": e.time_ms, **e.body}) for e in events]
        return "\n".join(lines).encode() + b"\n"

    def close(self) -> None:
        """Remove the file if all is sent, and let go of it."""
        if not self.pending(limit=1):
            with suppress(FileNotFoundError):
                self.path.unlink()
        os.close(self._descriptor)

    def _write(self, content: dict[str, Any]) -> None:
        line = json.dumps(content).encode() + b"\n"
        with self._append_lock:
            line = b"\n" + line if self._torn else line
            try:
                self._torn = os.write(self._descriptor, line) != len(line)
            except OSError as error:
                _log.warning("%s: an event for MLflow is lost: %s", self.path, error)


def _events(data: bytes, offset: int) -> Iterator[Event]:
    """The whole events of `data`, which begins at `offset` of the file; torn lines and confirmations passed over."""
    for line in data.splitlines(keepends=True):
        offset += len(line)
        content = _parsed(line) if line.endswith(b"\n") else None
        if content is None or content.get("kind") not in ("metrics", "artifact", "end"):
            continue
        yield Event(content.pop("kind"), content.pop("time_ms"), content, offset)


def _last_confirmed(data: bytes, start: int) -> int:
    """The newest confirmed offset in a spool's lines; `start` where nothing is."""
    confirmed = start
    for line in data.split(b"\n"):
        content = _parsed(line) if b'"confirmed"' in line else None
        if content is not None and content.get("kind") == "confirmed":
            confirmed = max(confirmed, int(content["offset"]))
    return confirmed


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _pread_all(descriptor: int, offset: int) -> bytes:
    """Bytes from `offset` to the end, without moving the descriptor."""
    return os.pread(descriptor, max(os.fstat(descriptor).st_size - offset, 0), offset)


def _ends_with_newline(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
