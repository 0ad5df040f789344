"""What the operator's benchmarks share: a fresh cluster of simulated nodes, programs in its network, the studies."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "cluster")]

from builders import experiment_dict  # noqa: E402
from cluster_objects import REMOTE  # noqa: E402
from operators import definition  # noqa: E402
from tepui_testbed.cluster import Cluster  # noqa: E402
from tepui_testbed.lifecycle import down, reserved_name, up  # noqa: E402
from tepui_testbed.waiting import wait_until  # noqa: E402

NAMESPACE = "bench"
PARALLELISM = 200
"""Training Jobs, and as many evaluation Jobs, at a time: more than the control plane of two cores works off in 2 s."""
_SIMULATED_NODES = 8
_SEEDS = 20
_FOLDER, _KUBECONFIG = "TEPUI_BENCH_FOLDER", "KUBECONFIG"

Json = dict[str, Any]


@contextmanager
def fresh_cluster() -> Iterator[Cluster]:
    """A control plane with simulated nodes and an empty namespace; nothing of it stays."""
    with reserved_name("bench") as name:
        try:
            cluster = up(name, nodes=0, kwok=_SIMULATED_NODES, parent=os.getpid())
            definition(cluster)
            wait_until(
                lambda: cluster.kubectl_result("get", "exps", "-A").returncode == 0, "studies are not served", 30
            )
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            yield cluster
        finally:
            down(name)


def inside(cluster: Cluster, program: str, *arguments: str) -> Json:
    """Run a program of this folder in the cluster's network, so that no forwarder is in the way; the JSON it prints."""
    command = [sys.executable, str(Path(__file__).with_name(program)), *arguments]
    environment = {**os.environ, _FOLDER: str(cluster.folder), _KUBECONFIG: str(cluster.inner_kubeconfig)}
    done = subprocess.run(cluster.inside(command), env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: Json = json.loads(done.stdout)
    return found


def cluster_from_inside() -> Cluster:
    """The cluster, for a program that `inside` runs."""
    return Cluster(Path(os.environ[_KUBECONFIG]), Path(os.environ[_FOLDER]))


def study(name: str, trials: int, **spec: Any) -> Json:
    """A study of so many one-pod trials, an even number."""
    seeds = next(n for n in range(min(_SEEDS, trials), 0, -1) if trials % n == 0)
    epochs = [1 + number / 100 for number in range(trials // seeds)]
    sweep = {"grid": {"model": ["tiny"], "epochs": epochs, "seed": list(range(seeds))}}
    made = experiment_dict(name, **{**REMOTE, "sweep": sweep, "parallelism": PARALLELISM, **spec})
    made["metadata"]["namespace"] = NAMESPACE
    return made
