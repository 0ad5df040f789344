"""Logs of the operator: one JSON object a line for machines, or a line for people, each with the study it is about.

`about(study="vision/flat", trial="0123456789ab")` holds for all that is logged inside it, in tasks begun there too.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["json", "text"]

_SUBJECT: ContextVar[dict[str, str]] = ContextVar("subject", default={})  # noqa: B039  never changed, only replaced


@contextmanager
def about(**subject: str) -> Iterator[None]:
    """What everything logged inside is about: study (namespace/name), trial (hash), job."""
    token = _SUBJECT.set({**_SUBJECT.get(), **subject})
    try:
        yield
    finally:
        _SUBJECT.reset(token)


def set_up(form: LogFormat, level: str = "INFO", stream: TextIO = sys.stderr) -> None:
    """Log everything from `level` on (a name such as INFO) to `stream`, in this form and no other."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonFormatter(logging.Formatter):
    """`{"time": ..., "level": ..., "logger": ..., "message": ..., "study": ..., "trial": ..., "error": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_SUBJECT.get(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:34:56.789 warning vision/flat 0123456789ab: message`, a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """For a person at a terminal."""
        where = " ".join(_SUBJECT.get().values()) or record.name
        line = f"{_time(record)[11:23]} {record.levelname.lower():7} {where}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
