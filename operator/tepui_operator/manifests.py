"""From a child to the Kubernetes objects that it is: a Job, for a gang over several nodes a headless Service. Pure.

The embedded engine reads the same manifests: requests, environment, command and completions of the Job.
"""

import json
from dataclasses import dataclass

from tepui_operator.child import Child
from tepui_operator.payloads import Site
from tepui_operator.pod_template import TASK_FOLDER, Manifest, pod_template
from tepui_operator.resources import PodResources, resources
from tepui_operator.study import Study
from tepui_operator.tasks import TASK_FILE, fits_variable, task_text
from tepui_spec.experiment import API_VERSION, KIND
from tepui_spec.trial import TASK_FILE_VARIABLE, TASK_VARIABLE

LABEL_STUDY = "tepui.dev/study"
LABEL_STAGE = "tepui.dev/stage"
LABEL_TRIAL = "tepui.dev/trial"
LABEL_ATTEMPT = "tepui.dev/attempt"
ANNOTATION_HISTORY = "tepui.dev/history"
"""How earlier attempts ended and how long they held resources (observed.History), as JSON."""
ANNOTATION_ANALYSIS = "tepui.dev/analysis"
"""For an analysis: whether it is final and how many trials it covers, as JSON."""
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
LABEL_PRIORITY = "kueue.x-k8s.io/priority-class"

DEFAULT_TTL_S = 86_400
"""Tens of thousands of finished Jobs must not stay in the API server for ever; logs of failed pods stay for a day."""
SHORTEST_TTL_S = 3600
"""A Job outlives its end by this much at least, so that its outcome is seen even after the operator was down."""
MASTER_PORT = 29500


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that a child belongs to and goes with: the study, or for a gang's Service its Job."""

    name: str
    uid: str
    api_version: str = API_VERSION
    kind: str = KIND


def objects(study: Study, child: Child, site: Site, owner: Owner | None = None) -> tuple[Manifest, ...]:
    """The objects of one child in the order of creation, the Job last. Raises ValueError as `task_text` does."""
    asked = resources(study.experiment.spec.pods, child.stage)
    task = task_text(study, child, site)
    before = () if fits_variable(task) else (_config_map(study, child, task, owner),)
    services = (service(study, child, owner),) if asked.pods > 1 else ()
    return (*before, *services, _job(study, child, task, owner))


def _job(study: Study, child: Child, task: str, owner: Owner | None) -> Manifest:
    """The `batch/v1` Job of one child: one attempt, no retry of its own.

    An evicted pod (DisruptionTarget) is replaced without a failure; any other end of a pod ends the Job, and the
    planner decides on the next attempt by the class of failure.
    """
    spec = study.experiment.spec
    asked = resources(spec.pods, child.stage)
    told = {TASK_VARIABLE: task} if fits_variable(task) else {TASK_FILE_VARIABLE: f"{TASK_FOLDER}/{TASK_FILE}"}
    template = pod_template(
        study.experiment,
        child.stage,
        asked,
        {**told, **_gang_variables(child, asked)},
        task_map=None if fits_variable(task) else child.name,
    )
    template["metadata"] = {"labels": _labels(study, child), **template.get("metadata", {})}
    if asked.pods > 1:
        template["spec"]["subdomain"] = child.name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**_metadata(study, child, owner), "labels": _labels(study, child) | _queue_labels(study)},
        "spec": {
            "backoffLimit": 0,
            "completionMode": "Indexed" if asked.pods > 1 else "NonIndexed",
            "completions": asked.pods,
            "parallelism": asked.pods,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            **({"suspend": True} if spec.pods.queue is not None else {}),
            "ttlSecondsAfterFinished": _ttl_s(study),
            "template": template,
        },
    }


def _metadata(study: Study, child: Child, owner: Owner | None) -> Manifest:
    annotations = {}
    if child.history.ends or child.history.hours:
        annotations[ANNOTATION_HISTORY] = json.dumps(
            {"ends": dict(sorted(child.history.ends.items())), "hours": round(child.history.hours, 6)}
        )
    if child.trial is None:
        annotations[ANNOTATION_ANALYSIS] = json.dumps({"final": child.final, "covers": child.covers})
    return {
        "name": child.name,
        "namespace": study.experiment.metadata.namespace,
        **({"annotations": annotations} if annotations else {}),
        **({"ownerReferences": [_owner_reference(owner)]} if owner is not None else {}),
    }


def _owner_reference(owner: Owner) -> Manifest:
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _labels(study: Study, child: Child) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "tepui",
        "app.kubernetes.io/component": child.stage,
        "app.kubernetes.io/managed-by": "tepui",
        LABEL_STUDY: study.name,
        LABEL_STAGE: child.stage,
        LABEL_ATTEMPT: str(child.attempt),
        **({LABEL_TRIAL: child.trial.hash} if child.trial is not None else {}),
    }


def _queue_labels(study: Study) -> dict[str, str]:
    pods = study.experiment.spec.pods
    if pods.queue is None:
        return {}
    return {LABEL_QUEUE: pods.queue, **({LABEL_PRIORITY: pods.priority_class} if pods.priority_class else {})}


def _ttl_s(study: Study) -> int:
    ttl_s = study.experiment.spec.ttl_seconds_after_finished
    return DEFAULT_TTL_S if ttl_s is None else max(ttl_s, SHORTEST_TTL_S)


def _gang_variables(child: Child, asked: PodResources) -> dict[str, str]:
    """Where the processes of a gang meet. JOB_COMPLETION_INDEX, its rank, comes from Kubernetes."""
    if asked.pods == 1:
        return {}
    return {"MASTER_ADDR": f"{child.name}-0.{child.name}", "MASTER_PORT": str(MASTER_PORT)}


def _config_map(study: Study, child: Child, task: str, owner: Owner | None) -> Manifest:
    """A task that is too long for a variable. It goes with the study."""
    metadata = _metadata(study, child, owner)
    metadata.pop("annotations", None)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "labels": _labels(study, child)},
        "immutable": True,
        "data": {TASK_FILE: task},
    }


def service(study: Study, child: Child, owner: Owner | None) -> Manifest:
    """Names for the pods of a gang, known before they are ready: they wait for each other."""
    metadata = _metadata(study, child, owner)
    metadata.pop("annotations", None)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**metadata, "labels": _labels(study, child)},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": child.name},
        },
    }
