"""What of a cluster runs, as a file in its folder: other processes find, use and end the cluster by it."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from tepui_testbed.namespaces import Namespaces
from tepui_testbed.processes import Process

_FILE = "cluster.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Shape:
    """What was asked for."""

    nodes: int = 2
    """Real nodes: containerd, kubelet and kube-proxy in namespaces of their own."""
    kwok: int = 0
    """Nodes that KWOK simulates."""
    kueue: bool = False

    def __str__(self) -> str:
        return f"{self.nodes} real and {self.kwok} simulated nodes, {'with' if self.kueue else 'without'} Kueue"


@dataclass(slots=True)
class State:
    """A cluster that was started: whole, in part, or gone since."""

    shape: Shape
    keeper: Process
    control: Namespaces
    port: int
    """127.0.0.1:port of this machine is its API server."""
    started: bool = False
    """Whether it was started to the end."""
    nodes: dict[int, Namespaces] = field(default_factory=dict)
    """Namespaces by the node's number, from 1; a node without power is missing."""
    daemons: dict[str, Process] = field(default_factory=dict)
    """By name; those of a node as "kubelet@1"."""

    def well(self) -> bool:
        """Whether it was started to the end, and all of that still runs."""
        numbers = range(1, self.shape.nodes + 1)
        processes = [self.keeper, self.control.init, *self.daemons.values()]
        processes += [node.init for node in self.nodes.values()]
        return (
            self.started
            and set(self.nodes) == set(numbers)
            and all(f"kubelet@{number}" in self.daemons for number in numbers)
            and all(process.alive() for process in processes)
        )

    def write(self, folder: Path) -> None:
        """Replace the file in one step."""
        unfinished = folder / f".{_FILE}"
        unfinished.write_text(json.dumps({"boot": _boot(), **dataclasses.asdict(self)}, indent=1))
        unfinished.replace(folder / _FILE)


def read_state(folder: Path) -> State | None:
    """The cluster of this folder; None where there is none, or none since the machine booted."""
    try:
        said = json.loads((folder / _FILE).read_text())
    except FileNotFoundError:
        return None
    if said["boot"] != _boot():
        return None
    return State(
        Shape(**said["shape"]),
        Process(**said["keeper"]),
        _namespaces(said["control"]),
        said["port"],
        said.get("started", False),
        {int(number): _namespaces(node) for number, node in said["nodes"].items()},
        {name: Process(**process) for name, process in said["daemons"].items()},
    )


def _namespaces(said: dict[str, dict[str, int]]) -> Namespaces:
    return Namespaces(Process(**said["init"]))


def _boot() -> str:
    return _BOOT.read_text().strip()
