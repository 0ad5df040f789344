"""The cluster's network: a bridge in the control plane's namespace, a link to each node, a route to each node's pods.

Addresses are the same in every cluster: each has networks of its own.
"""

from tepui_testbed.namespaces import Namespaces, checked

CONTROL = "172.30.0.1"
API_PORT = 6443
SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
PODS = "10.244.0.0/16"
DOMAIN = "cluster.local"


def node_address(number: int) -> str:
    """Address of a node; numbers count from 1."""
    return f"172.30.0.{10 + number}"


def node_pods(number: int) -> str:
    """Addresses of a node's pods."""
    return f"10.244.{number}.0/24"


def connect_control(control: Namespaces) -> None:
    """The bridge that the nodes are plugged into."""
    _ip(
        control,
        "link set lo up",
        "link add nodes type bridge",
        f"address add {CONTROL}/24 dev nodes",
        "link set nodes up",
    )
    _forward(control)


def connect_node(control: Namespaces, node: Namespaces, number: int, nodes: int) -> None:
    """Plug a node into the bridge, and teach it and the control plane where pods are."""
    link = f"node{number}"
    _ip(
        control,
        f"link add {link} type veth peer name eth0 netns {node.init.pid}",
        f"link set {link} master nodes up",
        f"route replace {node_pods(number)} via {node_address(number)}",
    )
    _ip(
        node,
        "link set lo up",
        f"address add {node_address(number)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {CONTROL}",
        *(
            f"route add {node_pods(other)} via {node_address(other)}"
            for other in range(1, nodes + 1)
            if other != number
        ),
    )
    _forward(node)


def _ip(where: Namespaces, *commands: str) -> None:
    """`ip` in the network namespace only, so that the pid of another node's namespace means what it means outside."""
    for command in commands:
        checked(where.enter_network(["ip", *command.split()]))


def _forward(where: Namespaces) -> None:
    checked(where.enter(["sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"]))
