"""Built images into the stores of a cluster's nodes."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tepui_testbed.cluster import Cluster
from tepui_testbed.containerd_store import ContainerdStore
from tepui_testbed.node_files import CONTAINERD_SOCKET
from tepui_testbed.oci_layout import BuiltImage


def load(cluster: Cluster, images: Iterable[BuiltImage], nodes: Iterable[int] | None = None) -> None:
    """Put images into the stores of nodes (all of them); pods ask for them by `BuiltImage.reference`.

    An image of the same name and other content leaves the store. Raises TestbedError with containerd's words.
    """
    wanted = list(images)
    state = cluster.state
    stores = [
        ContainerdStore(CONTAINERD_SOCKET, state.nodes[number].enter)
        for number in (state.nodes if nodes is None else nodes)
    ]

    def fill(store: ContainerdStore) -> None:
        for image in wanted:
            store.take(image)

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, stores))
