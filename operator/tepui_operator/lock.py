"""One engine at a time per study: a file lock that lives as long as any process of the engine does."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tepui_spec.status import rfc3339


@contextmanager
def engine_lock(path: Path, study: str) -> Iterator[int]:
    """Hold the study's lock; yields its descriptor, for the pods to hold too.

    When the holder on this host is dead, the lock is its pods', which are just being ended: this waits for them.
    Raises ValueError naming the holder where another engine is at work.
    """
    with path.open("a+") as file:
        _acquire(file.fileno(), path, study)
        path.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": rfc3339(time.time())}))
        yield file.fileno()


def _acquire(descriptor: int, path: Path, study: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = json.loads(path.read_text() or "{}")
        if holder.get("host") == socket.gethostname() and not Path(f"/proc/{holder.get('pid')}").exists():
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return
        raise ValueError(
            f"study {study} is being run by process {holder.get('pid')} on {holder.get('host')} since "
            f"{holder.get('since')} ({path}); one engine at a time: wait for it or stop it"
        ) from None
