"""etcd, API server, controller-manager and scheduler: their flags, and the order in which they start."""

from pathlib import Path

from tepui_testbed.api import ready
from tepui_testbed.credentials import Credentials
from tepui_testbed.layout import Layout
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.network import API_PORT, CONTROL, DOMAIN, KUBERNETES_SERVICE, PODS, SERVICES
from tepui_testbed.processes import Process
from tepui_testbed.waiting import wait_until

_ETCD = "http://127.0.0.1:2379"
_READY_S = 180
_CLIENT_RATE = ("--kube-api-qps=300", "--kube-api-burst=600")
"""At the default rates 1,000 simulated pods take four times as long."""


def start_control_plane(
    where: Namespaces, layout: Layout, credentials: Credentials, admin: Path, *, node_grace_s: int
) -> dict[str, Process]:
    """Start all four; returns when the API server is ready. Raises TestbedError when one of them does not stand.

    `admin` is a kubeconfig that reaches the API server from outside. Nodes that are silent for `node_grace_s` are
    not ready.
    """
    started = {
        "etcd": layout.start(where, "etcd", _etcd(layout.folder)),
        "kube-apiserver": layout.start(where, "kube-apiserver", _api_server(credentials)),
    }

    def standing() -> bool:
        for name, process in started.items():
            layout.see_alive(name, process)
        return ready(admin)

    wait_until(standing, f"the API server is ready ({layout.logs})", _READY_S)
    # only now: the controller-manager exits where the bootstrap roles are not there yet
    for name, flags in (
        ("kube-controller-manager", _controllers(credentials, node_grace_s)),
        ("kube-scheduler", _scheduler(credentials)),
    ):
        started[name] = layout.start(where, name, flags)
    return started


def _etcd(folder: Path) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={8 * 2**30}",
        "--log-level=warn",
    ]


def _api_server(credentials: Credentials) -> list[str]:
    hosts = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"]
    serving = credentials.authority.issue(
        "apiserver", "kube-apiserver", hosts=[*hosts, "localhost", "127.0.0.1", KUBERNETES_SERVICE, CONTROL]
    )
    to_kubelets = credentials.authority.issue("apiserver-to-kubelets", "kube-apiserver", ["system:masters"])
    to_extensions = credentials.front_proxy.issue("front-proxy", "front-proxy")
    return [
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={CONTROL}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing",  # webhooks are reached at their pods: no kube-proxy is beside the API server
        f"--client-ca-file={credentials.authority.file}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={credentials.authority.file}",
        f"--kubelet-client-certificate={to_kubelets.certificate}",
        f"--kubelet-client-key={to_kubelets.key}",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={credentials.service_accounts.certificate}",
        f"--service-account-signing-key-file={credentials.service_accounts.key}",
        f"--requestheader-client-ca-file={credentials.front_proxy.file}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={to_extensions.certificate}",
        f"--proxy-client-key-file={to_extensions.key}",
    ]


def _controllers(credentials: Credentials, node_grace_s: int) -> list[str]:
    kubeconfig = credentials.kubeconfig("controller-manager", "system:kube-controller-manager")
    return [
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={credentials.service_accounts.key}",
        f"--root-ca-file={credentials.authority.file}",
        f"--cluster-cidr={PODS}",
        f"--node-monitor-grace-period={node_grace_s}s",
        *_CLIENT_RATE,
    ]


def _scheduler(credentials: Credentials) -> list[str]:
    kubeconfig = credentials.kubeconfig("scheduler", "system:kube-scheduler")
    return [f"--kubeconfig={kubeconfig}", "--leader-elect=false", *_CLIENT_RATE]
