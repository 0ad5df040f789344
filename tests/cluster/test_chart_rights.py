"""The roles of the chart suffice for the real operator, and give it no more than it uses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart_release import DEFINITION, Release, Right
from chart_rendered import IMAGE
from cluster_objects import REMOTE
from operators import Operator, study
from tepui_spec.crd import custom_resource_definition
from tepui_spec.expand import expand
from tepui_spec.experiment import Experiment
from tepui_testbed.cluster import Cluster
from tepui_testbed.kwok import ending

AFTER_A_CONFLICT = {("get", "jobs"), ("get", "services"), ("get", "experimentspecs")}
"""Asked only where another wrote at the same moment: a create or a status that met a conflict."""
LONG_TASKS = {("create", "configmaps"), ("get", "configmaps")}
"""Only of studies whose tasks are too long for a variable (test_operator_life.py has one)."""
WATCHES = {("watch", "jobs"), ("watch", "experimentspecs")}
"""Counted when they end; nothing would move without them."""


@pytest.fixture
def release(kwok_cluster: Cluster, kwok_namespace: str) -> Iterator[Release]:
    """A release; the definition is not its own."""
    kwok_cluster.apply(custom_resource_definition())
    kwok_cluster.wait("condition=Established", f"crd/{DEFINITION}")
    release = Release(kwok_cluster, kwok_namespace)
    yield release
    release.uninstall()


def values(**more: object) -> dict[str, object]:
    """One replica's worth: the operator itself runs as a process of the test."""
    return {**IMAGE, "crd": {"install": False}, **more}


def test_a_study_completes_under_the_rights_of_one_namespace(release: Release, tmp_path: Path) -> None:
    """With a failure, a retry, a suspension; nothing is refused, and all rights but those named above are used."""
    namespace, cluster = release.namespace, release.cluster
    release.install(values(watch={"namespaces": [namespace]}, kueue={"enabled": False}))
    document = study(namespace, pods={**REMOTE["pods"], "nodes": 2})
    failing, endless = (trial.hash for trial in expand(Experiment.model_validate(document).spec)[:2])
    first = {"tepui.dev/stage": "train", "tepui.dev/attempt": "0"}
    cluster.apply(
        ending(f"{namespace}-failing", namespace, first | {"tepui.dev/trial": failing}, exit_code=1, message="bang"),
        ending(f"{namespace}-endless", namespace, first | {"tepui.dev/trial": endless}, run_for_ms=3_600_000),
    )
    with release.operator(tmp_path) as operator:
        cluster.apply(document)
        here = ("--namespace", namespace)
        cluster.wait("create", f"job/study-{failing}-t1", *here)
        cluster.wait("jsonpath={.status.active}=2", f"job/study-{endless}-t0", *here)
        cluster.apply(suspended(document, True))
        cluster.wait("condition=Suspended", f"job/study-{endless}-t0", *here)
        cluster.kubectl("delete", "stage", f"{namespace}-endless", f"{namespace}-failing")
        cluster.apply(suspended(document, False))
        cluster.wait("condition=Complete", "experimentspec/study", *here, timeout_s=180)
        assert operator.metric('tepui_api_request_seconds_count{code="403"') == 0
        unused = {right for right in release.rights(namespace) if not times_used(operator, right)}
    assert unused <= AFTER_A_CONFLICT | LONG_TASKS | WATCHES


def suspended(document: dict[str, Any], suspend: bool) -> dict[str, Any]:
    """The same study, suspended or not."""
    return {**document, "spec": {**document["spec"], "suspend": suspend}}


def times_used(operator: Operator, right: Right) -> float:
    """How often the operator asked for this, by its own metrics: they know no names of objects."""
    verb, resource = right[0], right[1].removesuffix("/tepui")
    return operator.metric(f'tepui_api_request_seconds_count{{verb="{verb}",resource="{resource}"')


RIGHTS = {
    *(("get", "experimentspecs"), ("list", "experimentspecs"), ("watch", "experimentspecs")),
    ("patch", "experimentspecs/status"),
    *(("get", "jobs"), ("list", "jobs"), ("watch", "jobs"), ("create", "jobs"), ("patch", "jobs")),
    *(("list", "pods"), ("get", "services"), ("create", "services"), ("create", "events")),
    *(("list", "workloads"), ("patch", "workloads")),
    *LONG_TASKS,
}
LEASE = {("create", "leases"), ("get", "leases/tepui"), ("update", "leases/tepui")}


def test_the_operator_may_do_this_and_nothing_else(release: Release) -> None:
    """As the API server tells it: no Secret, no spec, no pod of its own making, no other identity, nowhere."""
    release.install(values())
    assert release.rights(release.namespace) == RIGHTS | LEASE
    assert release.rights("kube-system") == RIGHTS
    for namespace in (release.namespace, "kube-system"):
        assert not release.may("get", "secrets", namespace)
        assert not release.may("list", "secrets", namespace)


def test_a_namespaced_operator_may_do_nothing_elsewhere(release: Release) -> None:
    """Its own namespaces are the only ones; without Kueue it knows nothing of Workloads."""
    release.install(values(watch={"namespaces": [release.namespace]}, kueue={"enabled": False}))
    workloads = {(verb, resource) for verb, resource in RIGHTS if resource == "workloads"}
    assert release.rights(release.namespace) == RIGHTS - workloads | LEASE
    assert release.rights("default") == set()


def test_users_of_a_namespace_have_studies_there(release: Release) -> None:
    """Who has the built-in role `edit` writes specs, who has `view` reads them, and no user writes a status."""
    release.install(values())
    namespace, cluster = release.namespace, release.cluster
    for role in ("view", "edit"):
        cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "-n", namespace)
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    for role, expected in (("view", verbs[:3]), ("edit", verbs), ("nobody", ())):
        assert tuple(verb for verb in verbs if release.may(verb, "experimentspecs", namespace, role)) == expected
        assert not release.may("patch", "experimentspecs", namespace, role, subresource="status")
