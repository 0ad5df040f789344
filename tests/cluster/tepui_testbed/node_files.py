"""Configuration files of a real node: containerd, the pod network, kubelet and kube-proxy."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tepui_testbed.credentials import Credentials
from tepui_testbed.network import CONTROL, DOMAIN, PODS, node_address, node_pods
from tepui_testbed.requirements import CNI_PLUGINS
from tepui_testbed.template_store import new_store

GROUP = "tepui-testbed"
"""Control group over all nodes of all clusters."""
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

KERNEL_DEFAULTS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What kubelet wants to find under /proc/sys: a node shows it these, and the machine keeps its own settings."""

_LEASE_S = 8
"""kubelet renews its lease every quarter of this."""

_CONTAINERD = """\
version = 3
root = {store}
state = "/run/containerd"
oom_score = 0
[grpc]
  address = {socket}
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = {pause}
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = {restrict_oom_score_adj}
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [{cni_plugins}]
  conf_dir = {cni_configuration}
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """A node's name, number and files."""

    number: int
    folder: Path
    """Of this run: configuration and what its programs write."""
    store: Path
    """containerd's images, kept between runs."""
    cgroup: str
    """The group that its pods are under, "a/b"."""

    @property
    def name(self) -> str:
        """The node's name in the cluster."""
        return f"node-{self.number}"

    def write(self, credentials: Credentials, pause: str) -> None:
        """Write all of them."""
        for folder in ("cni", "sysctl", "lib/kubelet", "lib/cni", "log/pods"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        new_store(self.store)
        (self.folder / "containerd.toml").write_text(self._containerd(pause))
        (self.folder / "cni" / "pods.conflist").write_text(json.dumps(self._pod_network()))
        (self.folder / "resolv.conf").write_text("")
        client = credentials.kubeconfig(f"{self.name}-kubelet", f"system:node:{self.name}", ["system:nodes"])
        (self.folder / "kubelet.kubeconfig").symlink_to(client)
        (self.folder / "kubelet.json").write_text(json.dumps(self._kubelet(credentials)))
        (self.folder / "kube-proxy.json").write_text(json.dumps(self._kube_proxy(credentials)))
        for setting, value in KERNEL_DEFAULTS.items():
            (self.folder / "sysctl" / setting.replace("/", ".")).write_text(value)

    def _containerd(self, pause: str) -> str:
        return _CONTAINERD.format(
            store=json.dumps(str(self.store)),
            socket=json.dumps(CONTAINERD_SOCKET),
            pause=json.dumps(pause),
            restrict_oom_score_adj=json.dumps(not _may_lower_oom_score()),
            cni_plugins=json.dumps(str(CNI_PLUGINS)),
            cni_configuration=json.dumps(str(self.folder / "cni")),
        )

    def _pod_network(self) -> dict[str, Any]:
        """A link from the node to each pod: all traffic is routed, so Services work without bridge netfilter."""
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": node_pods(self.number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": addresses}]}

    def _kubelet(self, credentials: Credentials) -> dict[str, Any]:
        serving = credentials.authority.issue(
            f"{self.name}-serving", f"system:node:{self.name}", hosts=[self.name, node_address(self.number)]
        )
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(credentials.authority.file)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "protectKernelDefaults": True,
            "oomScoreAdj": 0,
            "clusterDomain": DOMAIN,
            "clusterDNS": [CONTROL],
            "resolvConf": str(self.folder / "resolv.conf"),
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "nodeLeaseDurationSeconds": _LEASE_S,
            "syncFrequency": "5s",  # how soon a changed Secret is seen in a volume: Kueue waits for its certificate
        }

    def _kube_proxy(self, credentials: Credentials) -> dict[str, Any]:
        kubeconfig = credentials.kubeconfig(f"{self.name}-kube-proxy", "system:kube-proxy")
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": PODS,
            "hostnameOverride": self.name,
            "oomScoreAdj": 0,
            # 0: leave what is the whole machine's
            "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }


def _may_lower_oom_score() -> bool:
    """Whether CAP_SYS_RESOURCE is here: without it runc cannot start what asks for a lower score."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return bool(effective >> 24 & 1)
