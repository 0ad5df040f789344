"""Kubeconfig files: who talks to which API server, with the certificates inside the file."""

import base64
import json
from pathlib import Path

from tepui_testbed.pki import Authority, Pair


def write_kubeconfig(path: Path, server: str, authority: Authority, client: Pair, *, name: str) -> Path:
    """Write a kubeconfig of one cluster and one user (JSON is YAML); returns its path."""
    cluster = {"server": server, "certificate-authority-data": _inline(authority.file)}
    user = {"client-certificate-data": _inline(client.certificate), "client-key-data": _inline(client.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": client.certificate.stem, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": client.certificate.stem}}],
        "current-context": name,
    }
    path.write_text(json.dumps(content, indent=1))
    path.chmod(0o600)
    return path


def _inline(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
