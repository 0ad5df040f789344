"""What the parts of a cluster know each other by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tepui_testbed import pki
from tepui_testbed.kubeconfig import write_kubeconfig
from tepui_testbed.network import API_PORT, CONTROL

API_INSIDE = f"https://{CONTROL}:{API_PORT}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Authorities and keys, as files in a folder; clients' own are made as they are asked for."""

    folder: Path
    authority: pki.Authority
    front_proxy: pki.Authority
    service_accounts: pki.Pair

    @classmethod
    def new(cls, folder: Path) -> "Credentials":
        """New keys for a new cluster."""
        return cls(
            folder,
            pki.authority(folder, "tepui-testbed"),
            pki.authority(folder, "tepui-testbed-front-proxy"),
            pki.signing_keys(folder),
        )

    def kubeconfig(self, name: str, user: str, groups: Sequence[str] = (), server: str = API_INSIDE) -> Path:
        """A kubeconfig for a client of its own."""
        client = self.authority.issue(name, user, groups)
        return write_kubeconfig(self.folder / f"{name}.kubeconfig", server, self.authority, client, name=name)
