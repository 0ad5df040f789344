"""The cluster that the other tests stand on does what they need of it: on real nodes."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tepui_testbed.cluster import Cluster
from tepui_testbed.images import busybox_image
from tepui_testbed.waiting import TestbedError
from workloads import headless_service, job, pod_template, queues

_PORT = 9000
# each pod gives its index to one peer and takes that of the next: all end when all have heard each other
_RING = f"""
me=$JOB_COMPLETION_INDEX; next=$(( (me + 1) % 2 ))
echo "from $me" | nc -l -p {_PORT} &
until got=$(nc ring-$next.ring {_PORT} 2>/dev/null) && [ -n "$got" ]; do sleep 0.1; done
wait
echo "$me got: $got" | tee /dev/termination-log
"""


@pytest.fixture(scope="module", autouse=True)
def _busybox(cluster: Cluster) -> None:
    if cluster.folder is not None:
        cluster.import_image(busybox_image())


@pytest.fixture
def own(cluster: Cluster) -> Cluster:
    """The cluster, if its machines can be reached."""
    if cluster.folder is None:
        pytest.skip("the machines of the cluster of TEPUI_TEST_KUBECONFIG cannot be reached")
    return cluster


def terminated(cluster: Cluster, namespace: str, job_name: str) -> list[dict[str, Any]]:
    """How the containers of a Job's pods ended, by completion index where there is one."""
    pods = cluster.get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job_name}")["items"]
    pods.sort(key=lambda pod: pod["metadata"]["name"])
    return [pod["status"]["containerStatuses"][0]["state"]["terminated"] for pod in pods]


def test_a_job_completes_on_a_real_node(cluster: Cluster, namespace: str) -> None:
    """A Job runs, its log is readable, and its pod's termination message too."""
    cluster.apply(job(namespace, "hello", "echo hello; echo bye >/dev/termination-log"))
    cluster.wait("condition=Complete", "job/hello", "-n", namespace)
    assert cluster.kubectl("logs", "job/hello", "-n", namespace) == "hello\n"
    assert [end["message"] for end in terminated(cluster, namespace, "hello")] == ["bye\n"]


def test_a_failed_jobs_exit_code_is_readable(cluster: Cluster, namespace: str) -> None:
    """The Job fails at once, and its pod tells the exit code and the message."""
    cluster.apply(job(namespace, "bad", "echo diverged >/dev/termination-log; exit 42"))
    cluster.wait("condition=Failed", "job/bad", "-n", namespace)
    (end,) = terminated(cluster, namespace, "bad")
    assert (end["exitCode"], end["message"]) == (42, "diverged\n")


def test_out_of_memory_is_told(cluster: Cluster, namespace: str) -> None:
    """A pod over its memory limit is killed, and its status says why."""
    hungry = job(namespace, "hungry", "tail /dev/zero")
    hungry["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"memory": "16Mi"}
    cluster.apply(hungry)
    cluster.wait("condition=Failed", "job/hungry", "-n", namespace)
    (end,) = terminated(cluster, namespace, "hungry")
    assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137)


def test_simulated_gpus_place_a_pod(own: Cluster, namespace: str) -> None:
    """A Job that asks for two GPUs runs on the node that says it has them."""
    own.simulate_gpus(1, 2)
    greedy = job(namespace, "greedy", "true")
    greedy["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu": "2"}
    own.apply(greedy)
    own.wait("condition=Complete", "job/greedy", "-n", namespace)


def test_pods_on_two_nodes_find_each_other_by_name(cluster: Cluster, namespace: str) -> None:
    """An Indexed Job over a headless Service: each pod, on a node of its own, hears the next one."""
    ring = job(namespace, "ring", _RING, completions=2, parallelism=2, completionMode="Indexed")
    pod = ring["spec"]["template"]["spec"]
    pod["subdomain"] = "ring"
    selector = {"matchLabels": {"batch.kubernetes.io/job-name": "ring"}}
    pod["affinity"] = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
            ]
        }
    }
    cluster.apply(headless_service(namespace, "ring"), ring)
    cluster.wait("condition=Complete", "job/ring", "-n", namespace, timeout_s=90)
    messages = [end["message"] for end in terminated(cluster, namespace, "ring")]
    assert messages == ["0 got: from 1\n", "1 got: from 0\n"]


def test_pod_security_refuses_root(cluster: Cluster, namespace: str) -> None:
    """A pod that is not `restricted` is refused with the reason."""
    pod = pod_template("id")
    del pod["spec"]["securityContext"]
    refused = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": namespace}, **pod}
    with pytest.raises(TestbedError, match=r'violates PodSecurity "restricted:latest".*runAsNonRoot'):
        cluster.create(refused)


def test_a_folder_of_the_machine_is_a_volume(own: Cluster, namespace: str, tmp_path: Path) -> None:
    """A host-path PersistentVolume through a claim: a `restricted` pod writes what the test reads."""
    tmp_path.chmod(0o777)
    made = job(namespace, "write", "echo written >/data/file")
    pod = made["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    own.apply(*own.folder_claim(namespace, "data", tmp_path), made)
    own.wait("condition=Complete", "job/write", "-n", namespace)
    assert (tmp_path / "file").read_text() == "written\n"


@pytest.fixture
def running(cluster: Cluster, namespace: str) -> str:
    """A pod that runs for ever and answers on a port."""
    pod = pod_template(f"echo ready; while :; do echo pong | nc -l -p {_PORT}; done")
    metadata = {"name": "server", "namespace": namespace}
    cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **pod})
    cluster.wait("condition=Ready", "pod/server", "-n", namespace)
    return "server"


def test_exec_in_a_running_pod(cluster: Cluster, namespace: str, running: str) -> None:
    """A command runs in the pod, as the image's user."""
    assert cluster.kubectl("exec", running, "-n", namespace, "--", "id", "-u") == "65532\n"


@pytest.fixture
def forwarded(cluster: Cluster, namespace: str, running: str) -> Iterator[int]:
    """A port of this machine that leads to the pod."""
    argv = ["kubectl", "port-forward", f"pod/{running}", f":{_PORT}", "-n", namespace, "--address=127.0.0.1"]
    with subprocess.Popen(argv, env=cluster.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> 9000
        yield int(line.split(":")[1].split()[0])
        process.kill()


def test_a_port_is_forwarded(forwarded: int) -> None:
    """What listens in the pod answers here."""
    with socket.create_connection(("127.0.0.1", forwarded), timeout=20) as connection:
        assert connection.recv(5) == b"pong\n"


def test_kueue_holds_a_job_until_there_is_room(cluster: Cluster, namespace: str) -> None:
    """With a quota for one Job the second waits, suspended; it runs when the first is gone."""
    labels = {"kueue.x-k8s.io/queue-name": "main"}
    cluster.apply(*queues(namespace, cpu="10m"))
    cluster.wait("condition=Active", f"clusterqueue/{namespace}")
    first, second = job(namespace, "first", "sleep 3600"), job(namespace, "second", "true")
    for made in (first, second):
        made["metadata"]["labels"] = labels
        made["spec"]["suspend"] = True
    cluster.apply(first)
    cluster.wait("jsonpath={.status.active}=1", "job/first", "-n", namespace)
    cluster.apply(second)
    cluster.wait(
        "condition=QuotaReserved=False", "workload", "-l", uid_of(cluster, namespace, "second"), "-n", namespace
    )
    assert cluster.get("job", "second", "-n", namespace)["spec"]["suspend"] is True
    cluster.kubectl("delete", "job", "first", "-n", namespace)
    cluster.wait("condition=Complete", "job/second", "-n", namespace)


def uid_of(cluster: Cluster, namespace: str, job_name: str) -> str:
    """The label by which Kueue names a Job's Workload."""
    return f"kueue.x-k8s.io/job-uid={cluster.get('job', job_name, '-n', namespace)['metadata']['uid']}"


def on_node_2(namespace: str, name: str) -> dict[str, Any]:
    """A Job whose pod is node 2's, placed there without the scheduler."""
    made = job(namespace, name, "true")
    made["spec"]["template"]["spec"]["nodeName"] = "node-2"
    return made


def test_a_dead_node_is_noticed_and_comes_back(own: Cluster, namespace: str) -> None:
    """Power fails on a node: it is not ready; power is back: it runs pods again, with its images."""
    own.kill_node(2)
    own.wait("condition=Ready=Unknown", "node/node-2")
    own.start_node(2)
    own.wait("condition=Ready", "node/node-2")
    own.apply(on_node_2(namespace, "here"))
    own.wait("condition=Complete", "job/here", "-n", namespace)


def test_pods_wait_for_a_kubelet_that_was_stopped(own: Cluster, namespace: str) -> None:
    """Without its kubelet a node starts nothing; started again, it does."""
    kubelet = own.state.daemons["kubelet@2"]
    own.stop_kubelet(2)
    assert not kubelet.alive()
    own.apply(on_node_2(namespace, "here"))
    own.start_kubelet(2)
    own.wait("condition=Complete", "job/here", "-n", namespace)
