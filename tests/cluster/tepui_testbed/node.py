"""A real node: its own machine in namespaces, with containerd, kubelet and kube-proxy."""

import signal
from pathlib import Path

from tepui_testbed.cgroups import make_groups, remove_groups
from tepui_testbed.layout import Layout
from tepui_testbed.namespaces import Namespaces, create
from tepui_testbed.network import connect_node, node_address
from tepui_testbed.node_files import CONTAINERD_SOCKET, KERNEL_DEFAULTS, NodeFiles
from tepui_testbed.processes import Process
from tepui_testbed.state import State
from tepui_testbed.waiting import wait_until

_CONTAINERD_S = 60
_GROUPS_GONE_S = 20


def power_on(state: State, layout: Layout, files: NodeFiles) -> None:
    """Make the node's machine, plug it in, and start containerd; with `start_kubelet` it becomes a node."""
    number = files.number
    where = create(state.control, layout.log(f"init@{number}"))
    state.nodes[number] = where
    state.write(layout.folder)
    connect_node(state.control, where, number, state.shape.nodes)
    make_groups(files.cgroup)
    _mount(where, files)
    state.daemons[f"containerd@{number}"] = _start_containerd(where, layout, files)
    state.write(layout.folder)


def power_off(state: State, layout: Layout, files: NodeFiles) -> None:
    """Kill PID 1 of the node: a power failure."""
    state.nodes.pop(files.number).init.end(signal.SIGKILL)
    for name in [name for name in state.daemons if name.endswith(f"@{files.number}")]:
        del state.daemons[name]
    state.write(layout.folder)
    # a kubelet that meets the groups of dead containers waits 3 s for each
    wait_until(lambda: remove_groups(files.cgroup), f"the control groups of {files.name} are gone", _GROUPS_GONE_S)


def start_kubelet(state: State, layout: Layout, files: NodeFiles) -> None:
    """Start kubelet and kube-proxy as far as they do not run: the machine becomes a node, Services work on it."""
    kubelet = [
        f"--config={files.folder / 'kubelet.json'}",
        f"--kubeconfig={files.folder / 'kubelet.kubeconfig'}",
        f"--hostname-override={files.name}",
        f"--node-ip={node_address(files.number)}",
    ]
    for program, flags in (("kubelet", kubelet), ("kube-proxy", [f"--config={files.folder / 'kube-proxy.json'}"])):
        name = f"{program}@{files.number}"
        if name not in state.daemons:
            state.daemons[name] = layout.start(state.nodes[files.number], program, flags, name)
    state.write(layout.folder)


def stop_kubelet(state: State, layout: Layout, number: int) -> None:
    """End kubelet; its pods go on."""
    state.daemons.pop(f"kubelet@{number}").end(signal.SIGTERM)
    state.write(layout.folder)


def _start_containerd(where: Namespaces, layout: Layout, files: NodeFiles) -> Process:
    name = f"containerd@{files.number}"
    containerd = layout.start(where, "containerd", ["--config", str(files.folder / "containerd.toml")], name)

    socket = Path(f"/proc/{where.init.pid}/root{CONTAINERD_SOCKET}")

    def serving() -> bool:
        layout.see_alive(name, containerd)
        return socket.exists()

    wait_until(serving, f"{name} serves ({layout.log(name)})", _CONTAINERD_S)
    return containerd


def _mount(where: Namespaces, files: NodeFiles) -> None:
    """Give the node its own /run, /var/lib and /var/log, and the kernel's settings as kubelet wants them."""
    for command in (
        ["hostname", files.name],
        ["mount", "--make-rshared", "/"],  # what kubelet mounts is seen by containers that ask for it
        ["mount", "-t", "tmpfs", "tmpfs", "/run"],
        ["mount", "--bind", str(files.folder / "lib"), "/var/lib"],
        ["mount", "--bind", str(files.folder / "log"), "/var/log"],
        *(
            ["mount", "--bind", str(files.folder / "sysctl" / setting.replace("/", ".")), f"/proc/sys/{setting}"]
            for setting in KERNEL_DEFAULTS
        ),
    ):
        where.run(command)
