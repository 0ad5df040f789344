"""What a machine must allow for a cluster on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tepui_testbed.debian import CLUSTER_PACKAGES, missing_packages
from tepui_testbed.namespaces import UNSHARE

CNI_PLUGINS = Path("/usr/lib/cni")


def unavailable() -> str | None:
    """Why there can be no cluster on this machine, in a sentence; None where there can be one."""
    if sys.platform != "linux":
        return f"it needs Linux, this is {sys.platform}"
    if os.geteuid() != 0:
        return f"it needs root for namespaces, mounts and networks; this is user {os.geteuid()}"
    if (missing := missing_packages(CLUSTER_PACKAGES)) and shutil.which("apt-get") is None:
        return f"it needs Debian's packages {', '.join(missing)}, and there is no apt-get"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return (
            f"it needs network, mount and PID namespaces; the kernel or the container refuses: {tried.stderr.strip()}"
        )
    return None
