"""A cluster that runs: where it is, kubectl on it, and what a test can do to its nodes."""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tepui_testbed import node
from tepui_testbed.images import import_image
from tepui_testbed.kwok import node as simulated_node
from tepui_testbed.layout import Layout
from tepui_testbed.node_files import CONTAINERD_SOCKET, GROUP, NodeFiles
from tepui_testbed.state import State, read_state
from tepui_testbed.versions import binaries, cache
from tepui_testbed.waiting import TestbedError

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster reached by a kubeconfig: ours, or (`folder` is None) somebody else's."""

    kubeconfig: Path
    folder: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """For programs that use the cluster: KUBECONFIG, and the cluster's own kubectl and helm on PATH."""
        path = f"{binaries()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises TestbedError with its words where it fails.

        To wait, use its own watches: `kubectl("wait", "--for=condition=Complete", "job/x", "--timeout=60s")`.
        """
        done = self.kubectl_result(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise TestbedError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_result(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """What came of a kubectl that may fail."""
        return subprocess.run(
            ["kubectl", *arguments], env=self.environment, input=stdin, capture_output=True, text=True, check=False
        )

    def apply(self, *manifests: Manifest) -> str:
        """Server-side apply; returns what kubectl says."""
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=_list(manifests))

    def create(self, *manifests: Manifest) -> str:
        """Create objects that must not be there yet."""
        return self.kubectl("create", "-f", "-", stdin=_list(manifests))

    def get(self, *arguments: str) -> Any:
        """An object, or a list of them, as kubectl gives it in JSON: `get("pod", "x", "-n", "y")`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def wait(self, condition: str, *what: str, timeout_s: float = 60) -> None:
        """Watch until a condition holds: `wait("condition=Complete", "job/x", "-n", "y")`."""
        self.kubectl("wait", f"--for={condition}", *what, f"--timeout={timeout_s:g}s")

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in the control plane's network: no forwarder is in the way.

        With `inner_kubeconfig`, for what is measured.
        """
        return self.state.control.enter_network(argv)

    @property
    def inner_kubeconfig(self) -> Path:
        """The administrator's kubeconfig for what runs `inside`."""
        return self._own / "pki" / "inner.kubeconfig"

    @property
    def state(self) -> State:
        """What of it runs now."""
        state = read_state(self._own)
        if state is None:
            raise TestbedError(f"no cluster runs in {self.folder}")
        return state

    def kill_node(self, number: int) -> None:
        """A power failure of a real node: all of it is gone at once, its pods are not told.

        It is NotReady some 20 s later; its pods are replaced once it has the taint `node.kubernetes.io/out-of-service`.
        """
        node.power_off(self.state, self._layout, self.node_files(number))

    def start_node(self, number: int) -> None:
        """Power is back: the node comes up with its images and without its pods."""
        state, files = self.state, self.node_files(number)
        node.power_on(state, self._layout, files)
        node.start_kubelet(state, self._layout, files)

    def stop_kubelet(self, number: int) -> None:
        """End a node's kubelet; its pods go on, and nobody hears of them."""
        node.stop_kubelet(self.state, self._layout, number)

    def start_kubelet(self, number: int) -> None:
        """Start it again."""
        node.start_kubelet(self.state, self._layout, self.node_files(number))

    def kill_container(self, pod: Manifest) -> None:
        """SIGKILL for the first process of a pod's only container; what follows is kubelet's to decide."""
        (container,) = pod["status"]["containerStatuses"]
        (node_of_pod,) = (
            self.state.nodes[number]
            for number in self.state.nodes
            if self.node_files(number).name == pod["spec"]["nodeName"]
        )
        node_of_pod.run(
            [
                *(str(binaries() / "ctr"), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"),
                *("tasks", "kill", "--signal=SIGKILL", container["containerID"].removeprefix("containerd://")),
            ]
        )

    def simulate_gpus(self, number: int, count: int) -> None:
        """Let a real node have GPUs that nothing stands behind: pods that ask for them are placed and run."""
        room = {"nvidia.com/gpu": str(count)}
        status = json.dumps({"status": {"capacity": room, "allocatable": room}})
        self.kubectl("patch", "node", self.node_files(number).name, "--subresource=status", "--patch", status)

    def import_image(self, archive: Path, nodes: Iterable[int] | None = None) -> None:
        """Put the images of an OCI archive into the stores of nodes (all of them), as far as they are not there."""
        state = self.state
        chosen = [state.nodes[number] for number in (state.nodes if nodes is None else nodes)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda where: import_image(where, self._layout.programs, archive), chosen))

    @staticmethod
    def folder_claim(namespace: str, name: str, folder: Path) -> list[Manifest]:
        """A PersistentVolume that is a folder of this machine, the same on every node, and the claim that takes it."""
        volume = f"{namespace}-{name}"
        common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        size = {"storage": "1Ti"}
        return [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": volume},
                "spec": {
                    **common,
                    "capacity": size,
                    "hostPath": {"path": str(folder.resolve()), "type": "Directory"},
                    "claimRef": {"namespace": namespace, "name": name},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {**common, "resources": {"requests": size}, "volumeName": volume},
            },
        ]

    def node_files(self, number: int) -> NodeFiles:
        """Where a real node's files are."""
        name = self._own.name
        return NodeFiles(
            number,
            self._own / "nodes" / str(number),
            cache() / "containerd" / f"{name}-{number}",
            f"{GROUP}/{name}/{number}",
        )

    def add_simulated_nodes(self, numbers: Iterable[int], **room: Any) -> None:
        """Add nodes that KWOK plays (`kwok.node`) and wait until they are ready."""
        nodes = [simulated_node(number, **room) for number in numbers]
        self.apply(*nodes)
        self.wait("condition=Ready", *(f"node/{node['metadata']['name']}" for node in nodes))

    @property
    def _layout(self) -> Layout:
        return Layout(binaries(), self._own)

    @property
    def _own(self) -> Path:
        if self.folder is None:
            raise TestbedError("the cluster of TEPUI_TEST_KUBECONFIG is not ours: its machines cannot be reached")
        return self.folder


def _list(manifests: Sequence[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
