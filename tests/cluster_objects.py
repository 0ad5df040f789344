"""Jobs, pods and studies as an API server sends them, for tests of the operator's pure parts."""

import json
from typing import Any

from builders import experiment_dict
from tepui_operator.child import Child
from tepui_operator.cluster.building import build
from tepui_operator.cluster.projection import JobRecord, SpecRecord, job_record, spec_record
from tepui_operator.manifests import Owner, objects
from tepui_operator.payloads import Site
from tepui_operator.study import Study

IMAGE = "registry.invalid/tepui@sha256:" + "0" * 64
UID = "11111111-2222-3333-4444-555555555555"
REMOTE: dict[str, Any] = {
    "upstream": {"data": {"uri": "s3://data/fonts"}, "imageSize": 32},
    "evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data"},
    "storage": {"uri": "s3://results"},
    "pods": {"image": IMAGE},
}
START, END = "2026-11-24T13:00:00Z", "2026-11-24T13:10:00Z"


def study_object(name: str = "study", namespace: str = "vision", **spec: Any) -> dict[str, Any]:
    """An ExperimentSpec of four trials that can run on a cluster."""
    made = experiment_dict(name, **{**REMOTE, **spec})
    made["metadata"] = {
        "name": name,
        "namespace": namespace,
        "uid": UID,
        "resourceVersion": "7",
        "generation": 1,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "managedFields": [],
    }
    return made


def study_record(**spec: Any) -> SpecRecord:
    """The record of such an object."""
    record = spec_record(study_object(**spec))
    assert record is not None
    return record


def built(**spec: Any) -> Study:
    """The study of such an object."""
    return build(study_record(**spec), Site())


def job_object(study: Study, child: Child, **status: Any) -> dict[str, Any]:
    """A child's Job with this status."""
    made = json.loads(json.dumps(objects(study, child, Site(), Owner(study.name, UID))[-1]))
    made["metadata"] |= {"uid": f"uid-{child.name}", "resourceVersion": "9"}
    made["status"] = status
    return dict(made)


def job(study: Study, child: Child, **status: Any) -> JobRecord:
    """Its record."""
    record = job_record(job_object(study, child, **status))
    assert record is not None
    return record


def complete() -> dict[str, Any]:
    """The status of a Job that succeeded."""
    return {
        "startTime": START,
        "completionTime": END,
        "succeeded": 1,
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": END}],
    }


def failed() -> dict[str, Any]:
    """The status of a Job that failed."""
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit",
        "lastTransitionTime": END,
    }
    return {"startTime": START, "failed": 1, "conditions": [condition]}


def pod_object(
    job_name: str, *, code: int | None = 0, message: str = "", reason: str = "", index: int | None = None, **status: Any
) -> dict[str, Any]:
    """A pod that ended with an exit code, or (None) without one."""
    terminated = {"exitCode": code, "message": message, "reason": reason or ("Error" if code else "Completed")}
    annotations = {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
    statuses = [] if code is None else [{"name": "pod", "state": {"terminated": terminated}}]
    return {
        "metadata": {
            "name": f"{job_name}-{index or 0}",
            "namespace": "vision",
            "labels": {"batch.kubernetes.io/job-name": job_name},
            "annotations": annotations,
        },
        "spec": {"nodeName": "node-3"},
        "status": {"phase": "Failed" if code != 0 else "Succeeded", "containerStatuses": statuses, **status},
    }
