"""How a cluster starts: control plane, simulated nodes, real nodes, in this order."""

from pathlib import Path

from tepui_testbed import dns, kwok, node
from tepui_testbed.build import build
from tepui_testbed.cluster import Cluster
from tepui_testbed.control_plane import start_control_plane
from tepui_testbed.credentials import Credentials
from tepui_testbed.debian import CLUSTER_PACKAGES, install_packages, missing_packages
from tepui_testbed.images import PAUSE, pause_image
from tepui_testbed.keeper import start_keeper
from tepui_testbed.kueue import PROGRAMS as KUEUE
from tepui_testbed.kueue import install_kueue
from tepui_testbed.layout import Layout
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.network import connect_control
from tepui_testbed.state import Shape, State
from tepui_testbed.versions import binaries
from tepui_testbed.waiting import TestbedError

_CONTROL = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_SIMULATION = ("kwok", "kwok-stages")
_NODE = ("containerd", "containerd-shim-runc-v2", "ctr", "coredns", "kubelet", "kube-proxy", "pause")
_ADMINISTRATOR = ("kubernetes-admin", ["system:masters"])
_NODES_READY_S = 120

_GRACE_S = 20
"""A node that is silent for so long is not ready."""
_SIMULATED_GRACE_S, _SIMULATED_LEASE_S = 900, 200
"""Where all nodes are simulated: long leases cost little, and with the usual grace their nodes would flap."""
_MIXED_LEASE_S = 40


def start(folder: Path, shape: Shape, parent: int | None) -> Cluster:
    """Start a cluster in an empty folder; it ends with the process `parent`.

    Raises TestbedError where a part does not stand, CalledProcessError where one cannot be built, RuntimeError where
    Debian's packages cannot be installed.
    """
    build(
        [
            *_CONTROL,
            *(_SIMULATION if shape.kwok else ()),
            *(_NODE if shape.nodes else ()),
            *(KUEUE if shape.kueue else ()),
        ]
    )
    install_packages(missing_packages(CLUSTER_PACKAGES))
    layout = Layout(binaries(), folder)
    layout.logs.mkdir(parents=True)
    keeper, init, port = start_keeper(folder, parent)
    state = State(shape, keeper, Namespaces(init), port)
    state.write(folder)
    connect_control(state.control)
    credentials = Credentials.new(folder / "pki")
    credentials.kubeconfig("inner", *_ADMINISTRATOR)
    admin = credentials.kubeconfig("admin", *_ADMINISTRATOR, server=f"https://127.0.0.1:{port}")
    (folder / "kubeconfig").symlink_to(admin)
    state.daemons |= start_control_plane(
        state.control, layout, credentials, admin, node_grace_s=_GRACE_S if shape.nodes else _SIMULATED_GRACE_S
    )
    state.write(folder)
    cluster = Cluster(folder / "kubeconfig", folder)
    if shape.kwok:
        _simulate(cluster, state, layout, credentials)
    if shape.nodes:
        _add_nodes(cluster, state, layout, credentials)
    if shape.kueue:
        install_kueue(cluster)
    state.started = True
    state.write(folder)
    return cluster


def _simulate(cluster: Cluster, state: State, layout: Layout, credentials: Credentials) -> None:
    cluster.apply(kwok.stage_definition())
    cluster.wait("condition=Established", "crd/stages.kwok.x-k8s.io")
    cluster.apply(*kwok.default_stages(build(["kwok-stages"])["kwok-stages"]))
    lease_s = _MIXED_LEASE_S if state.shape.nodes else _SIMULATED_LEASE_S
    state.daemons["kwok"] = kwok.start_kwok(state.control, layout, credentials, lease_s)
    state.write(layout.folder)
    cluster.add_simulated_nodes(range(1, state.shape.kwok + 1))


def _add_nodes(cluster: Cluster, state: State, layout: Layout, credentials: Credentials) -> None:
    cluster.apply(*dns.roles())
    state.daemons["coredns"] = dns.start_dns(state.control, layout, credentials)
    numbers = range(1, state.shape.nodes + 1)
    for number in numbers:
        files = cluster.node_files(number)
        files.write(credentials, PAUSE)
        node.power_on(state, layout, files)
    cluster.import_image(pause_image())
    for number in numbers:
        node.start_kubelet(state, layout, cluster.node_files(number))
    try:
        for number in numbers:  # one by one: kubectl waits for the creation of a single object only
            cluster.wait("create", f"node/{cluster.node_files(number).name}", timeout_s=_NODES_READY_S)
        cluster.wait("condition=Ready", "node", "--all", timeout_s=_NODES_READY_S)
    except TestbedError:
        for name, process in state.daemons.items():
            layout.see_alive(name, process)  # the last words of one that has ended say more
        raise
