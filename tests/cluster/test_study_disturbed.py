"""A study with real training, and all that can befall it: operators killed, a pod deleted, a node lost for a while."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digit_study import (
    LONG,
    SOON_S,
    digit_study,
    has_checkpoint,
    is_finished,
    met_in_the_middle,
    resumed,
    written,
)
from operators import jobs_of
from study_site import Manifest, Site, install, rows_of, uninstall
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until

AWAY = "tepui.dev/test-away"
"""A taint of node 1 that keeps training on node 2."""
NO_POWER = "node.kubernetes.io/out-of-service"
pytestmark = pytest.mark.timeout(1800)
"""More than a dozen pods import torch: minutes on idle cores, and a multiple of that on busy ones."""

STUDY = "disturbed"
TRIALS = 6


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, with node 1 for operators only; both nodes are well again at the end, whatever happens."""
    if cluster.folder is None:
        pytest.skip("the machines of the cluster of TEPUI_TEST_KUBECONFIG cannot be reached")
    cluster.kubectl("taint", "node", "node-1", f"{AWAY}=yes:NoSchedule", "--overwrite")
    yield cluster
    if 2 not in cluster.state.nodes:
        cluster.start_node(2)
    cluster.start_kubelet(2)
    cluster.wait("condition=Ready", "node/node-2")
    cluster.kubectl_result("taint", "node", "node-1", f"{AWAY}-")
    cluster.kubectl_result("taint", "node", "node-2", f"{NO_POWER}-")


@pytest.fixture
def site(nodes: Cluster, namespace: str, tmp_path: Path) -> Iterator[Site]:
    """The chart with one operator, on node 1."""
    there = {
        "nodeSelector": {"kubernetes.io/hostname": "node-1"},
        "tolerations": [{"key": AWAY, "operator": "Exists"}],
    }
    site = install(nodes, namespace, tmp_path, replicas=1, operator=there)
    yield site
    uninstall(site)


def test_whatever_happens_the_rows_are_the_same(site: Site) -> None:
    """One study through all of it: the rows of `tepui run`, byte for byte; what was finished is not written again."""
    study = digit_study(site, STUDY, [(LONG, seed) for seed in range(TRIALS)])
    site.cluster.apply(study)
    finished: dict[str, int] = {}
    cut: list[str] = []
    for disturb in (an_operator_is_killed, the_leader_is_killed, a_pod_is_deleted, a_kubelet_stops, power_fails):
        cut += disturb(site)
        finished |= written(site, STUDY)
    status = site.complete(STUDY)

    assert status["trials"]["completed"] == TRIALS
    assert status.get("failures", []) == []
    assert finished.items() <= written(site, STUDY).items()
    assert [job for job in cut if not resumed(site, job)] == []
    assert site.rows(STUDY) == rows_of(site.run_locally(study))


def an_operator_is_killed(site: Site) -> list[str]:
    """SIGKILL of the only one, while the first trials begin: its container is started again."""
    site.wait("jsonpath={.status.trials.training}=" + str(TRIALS), f"exps/{STUDY}")
    (pod,) = operators(site)
    site.cluster.kill_container(pod)
    wait_until(lambda: restarts(site) == [1], "the operator runs again", SOON_S)
    return []


def the_leader_is_killed(site: Site) -> list[str]:
    """SIGKILL of the one of two replicas that leads: the other does."""
    site.cluster.kubectl("scale", "deployment", "tepui", "--replicas=2", "-n", site.namespace)
    site.cluster.kubectl("rollout", "status", "deployment", "tepui", "-n", site.namespace, f"--timeout={SOON_S}s")
    first = wait_until(lambda: leading(site), "a replica leads", SOON_S)
    site.cluster.kill_container(first)
    wait_until(lambda: leading(site, other_than=first), "the other leads", SOON_S)
    return []


def a_pod_is_deleted(site: Site) -> list[str]:
    """By hand, in the middle of training: the next attempt goes on from its checkpoint."""
    trial, pod = met_in_the_middle(site, STUDY)
    site.cluster.kubectl("delete", "pod", pod, "-n", site.namespace)
    following = f"{STUDY}-{trial}-t1"
    wait_until(lambda: following in jobs_of(site.cluster, site.namespace), "another attempt", SOON_S)
    return [following]


def a_kubelet_stops(site: Site) -> list[str]:
    """A trial ends while nobody hears of it: it is heard of later."""
    trial, pod = met_in_the_middle(site, STUDY, "node-2")
    job = pod.rpartition("-")[0]
    site.cluster.stop_kubelet(2)
    site.cluster.wait("condition=Ready=Unknown", "node/node-2")
    wait_until(lambda: is_finished(site, STUDY, trial), "the trial is trained", SOON_S)
    assert jobs_of(site.cluster, site.namespace)[job]["status"]["active"] == 1
    site.cluster.start_kubelet(2)
    site.wait("condition=Complete", f"job/{job}")
    return []


def power_fails(site: Site) -> list[str]:
    """A node is gone with its pods: the same Jobs go on from their checkpoints, on whichever node has room first."""
    trial, pod = met_in_the_middle(site, STUDY, "node-2")
    site.cluster.kill_node(2)
    assert has_checkpoint(site, STUDY, trial)
    site.cluster.wait("condition=Ready=Unknown", "node/node-2")
    site.cluster.kubectl("taint", "node", "node-1", f"{AWAY}-")
    site.cluster.kubectl("taint", "node", "node-2", f"{NO_POWER}=nodeshutdown:NoExecute")
    site.wait("delete", f"pod/{pod}")
    site.cluster.start_node(2)
    site.cluster.kubectl("taint", "node", "node-2", f"{NO_POWER}-")
    return [pod.rpartition("-")[0]]


def operators(site: Site) -> list[Manifest]:
    """The operator's pods."""
    found = site.cluster.get("pods", "-n", site.namespace, "-l", "app.kubernetes.io/component=operator")["items"]
    return list(found)


def restarts(site: Site) -> list[int]:
    """How often the containers of operators that are ready were started again."""
    containers = [pod["status"]["containerStatuses"][0] for pod in operators(site)]
    return [container["restartCount"] for container in containers if container["ready"]]


def leading(site: Site, other_than: Manifest | None = None) -> Manifest | None:
    """The operator's pod that holds the lease."""
    lease = site.cluster.get("lease", "tepui", "-n", site.namespace)
    holder = (lease["spec"].get("holderIdentity") or "").partition("_")[0]
    if other_than is not None and holder == other_than["metadata"]["name"]:
        return None
    return next((pod for pod in operators(site) if pod["metadata"]["name"] == holder), None)
