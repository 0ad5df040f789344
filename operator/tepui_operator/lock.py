"""One engine at a time per study: a file lock that lives as long as any process of the engine does."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tepui_spec.errors import TransientError
from tepui_spec.status import rfc3339

_POLL_S = 0.1
_HOLDER_BYTES = 512
"""The holder's name is padded to this, so that one write replaces the last one: no reader meets half of it."""


@contextmanager
def engine_lock(path: Path, study: str) -> Iterator[int]:
    """Hold the study's lock; yields its descriptor, for the pods to hold too.

    When the holder on this host is dead, the lock is its pods', which are just being ended: this waits for them.
    Raises ValueError naming the holder where another engine is at work, or the field where there can be no lock, and
    TransientError where the disk does not take it.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ValueError(f"spec.storage.uri: cannot open {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb"):
        _acquire(descriptor, path, study)
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "since": rfc3339(time.time())}
        try:
            os.pwrite(descriptor, json.dumps(mine).ljust(_HOLDER_BYTES).encode(), 0)
        except OSError as error:
            raise TransientError(f"cannot write {path}: {error.strerror}") from error
        yield descriptor


def _acquire(descriptor: int, path: Path, study: str) -> None:
    """Try again as long as the last holder is dead: another engine that waits too may be the next one."""
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = json.loads(path.read_text() or "{}")
        if holder.get("host") != socket.gethostname() or Path(f"/proc/{holder['pid']}").exists():
            who = (
                f"process {holder['pid']} on {holder['host']} since {holder['since']}" if holder else "another process"
            )
            raise ValueError(
                f"study {study} is being run by {who} ({path}); one engine at a time: wait for it or stop it"
            )
        time.sleep(_POLL_S)
