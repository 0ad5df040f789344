"""The process that a cluster hangs on: holds its namespaces, forwards its API, ends it with its parent.

`python -m tepui_testbed.keeper FOLDER PARENT` (PARENT 0: none). It is the parent of the namespaces' PID 1, which the
kernel kills with it; it ends when that PID 1 does.
"""

import argparse
import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path

from tepui_testbed.forward import forward
from tepui_testbed.namespaces import create
from tepui_testbed.network import API_PORT, CONTROL
from tepui_testbed.processes import Process, spawn
from tepui_testbed.waiting import TestbedError, wait_until

_CLONE_NEWNET = 0x40000000
_FILE = "keeper.json"
_START_S = 20


def start_keeper(folder: Path, parent: int | None) -> tuple[Process, Process, int]:
    """Start the keeper; returns it, the PID 1 of the new namespaces, and the forwarded port on 127.0.0.1."""
    file, log = folder / _FILE, folder / "logs" / "keeper.log"
    package_folder = str(Path(__file__).parents[1])
    keeper = spawn(
        [sys.executable, "-m", "tepui_testbed.keeper", str(folder), str(parent or 0)],
        log,
        {**os.environ, "PYTHONPATH": package_folder},
    )

    def standing() -> bool:
        if not keeper.alive():
            raise TestbedError(f"the keeper died: {log.read_text().strip()}")
        return file.exists()

    wait_until(standing, f"the keeper stands ({log})", _START_S)
    said = json.loads(file.read_text())
    return keeper, Process(**said["init"]), said["port"]


def main(arguments: list[str]) -> None:
    """Stand, tell where, and wait for an end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parent", type=int)
    options = parser.parse_args(arguments)
    ends = select.poll()
    if options.parent:
        ends.register(os.pidfd_open(options.parent), select.POLLIN)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    namespaces = create(None, options.folder / "logs" / "init.log", end_with_me=True)
    init = os.pidfd_open(namespaces.init.pid)
    ends.register(init, select.POLLIN)
    with Path(f"/proc/{namespaces.init.pid}/ns/net").open("rb") as network:
        # for this thread and those that it starts: the listener stays where it was made
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    threading.Thread(target=forward, args=(listener, CONTROL, API_PORT), daemon=True).start()
    told = {
        "init": {"pid": namespaces.init.pid, "start_ticks": namespaces.init.start_ticks},
        "port": listener.getsockname()[1],
    }
    unfinished = options.folder / f".{_FILE}"
    unfinished.write_text(json.dumps(told))
    unfinished.replace(options.folder / _FILE)
    ends.poll()
    signal.pidfd_send_signal(init, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
