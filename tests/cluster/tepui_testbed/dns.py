"""Names of Services and pods: CoreDNS beside the control plane, where every pod reaches it."""

from typing import Any

from tepui_testbed.credentials import Credentials
from tepui_testbed.layout import Layout
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.network import CONTROL, DOMAIN
from tepui_testbed.processes import Process

_USER = "system:coredns"
# no cache: a pod that waits for its peers' names must not be told an old "no"
_COREFILE = """\
{domain}:53 in-addr.arpa:53 {{
    bind {address}
    errors
    kubernetes {domain} in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
}}
.:53 {{
    bind {address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def start_dns(where: Namespaces, layout: Layout, credentials: Credentials) -> Process:
    """Start CoreDNS; needs the `roles` applied."""
    kubeconfig = credentials.kubeconfig("coredns", _USER)
    corefile = layout.folder / "Corefile"
    corefile.write_text(_COREFILE.format(address=CONTROL, domain=DOMAIN, kubeconfig=kubeconfig))
    return layout.start(where, "coredns", ["-conf", str(corefile)])


def roles() -> list[dict[str, Any]]:
    """What CoreDNS may read."""
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    metadata = {"name": _USER}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _USER},
            "subjects": [{"apiGroup": group, "kind": "User", "name": _USER}],
        },
    ]
