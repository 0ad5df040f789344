"""The side effects of a plan on a study's children: create, serve, suspend, resume. Each may be done twice.

A child is ours if its controller is our ExperimentSpec by UID; one of our name that is another's is never touched.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from tepui_operator.child import Child
from tepui_operator.cluster.api import Json
from tepui_operator.cluster.errors import ApiError, ConflictError, ForbiddenError, NotFoundError
from tepui_operator.cluster.paths import JOBS, WORKLOADS, path, resource_of
from tepui_operator.cluster.projection import JobRecord, SpecRecord, job_record
from tepui_operator.cluster.trouble import Trouble
from tepui_operator.cluster.writer import Writer
from tepui_operator.manifests import Owner, objects, service
from tepui_operator.payloads import Site
from tepui_operator.study import Study
from tepui_spec.errors import TransientError

_UIDS_AT_ONCE = 40
"""Of Jobs in one label selector, so that the URL stays short."""
_JOB_UID = "kueue.x-k8s.io/job-uid"
NO_RIGHTS = Trouble("NoKueue", "spec.pods.queue names a queue, and this operator is installed without Kueue's rights")
"""The chart's kueue.enabled is false."""


class ForeignError(Exception):
    """An object of a child's name belongs to another."""


@dataclass(frozen=True, slots=True)
class Created:
    """What became of the children of a plan."""

    jobs: tuple[JobRecord, ...]
    trouble: Trouble | None = None
    """Why one of them cannot be created, where another try would not help by itself."""
    later: TransientError | None = None
    """Why one of them should be tried again."""


async def create(writer: Writer, study: Study, children: Sequence[Child], site: Site, owner: SpecRecord) -> Created:
    """Create children at once, as many as the writer lets through."""
    tasks = [_create(writer, study, child, site, owner) for child in children]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    jobs: list[JobRecord] = []
    trouble, later = None, None
    for child, result in zip(children, done, strict=True):
        match result:
            case JobRecord():
                jobs.append(result)
            case TransientError():
                later = later or result
            case ForeignError():
                trouble = trouble or Trouble("NameTaken", str(result))
            case ApiError():
                trouble = trouble or Trouble("CreateRefused", f"Job {child.name}: {result}")
            case BaseException():
                raise result
    return Created(tuple(jobs), trouble, later)


async def _create(writer: Writer, study: Study, child: Child, site: Site, owner: SpecRecord) -> JobRecord:
    made: Json = {}
    for manifest in objects(study, child, site, Owner(owner.name, owner.uid)):
        if manifest["kind"] != "Service":
            made = await _create_object(writer, manifest, owner.namespace, owner.uid)
    record = job_record(made)
    if record is None:
        raise ForeignError(f"Job {child.name} is of this study and its labels were changed: delete it")
    return record


async def serve(writer: Writer, study: Study, job: JobRecord) -> None:
    """Names for the pods of a gang. They go with its Job, so they come after it: pods look for each other for minutes.

    Raises ForeignError where a Service of that name is another's.
    """
    assert job.trial is not None  # an analysis is one pod
    child = Child(study.name, job.stage, study.by_hash[job.trial], job.attempt)
    manifest = service(study, child, Owner(job.name, job.uid, "batch/v1", "Job"))
    await _create_object(writer, manifest, job.namespace, job.uid)


async def _create_object(writer: Writer, manifest: Json, namespace: str, owner_uid: str) -> Json:
    """The object as created, or as it was found where it is ours already."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    resource = resource_of(kind)
    try:
        return await writer.create(path(resource, namespace), manifest)
    except ConflictError as conflict:
        found = await writer.api.get(path(resource, namespace, name))
        if found is None or "deletionTimestamp" in found["metadata"]:
            raise TransientError(f"{kind} {name} is being deleted") from conflict
        references = found["metadata"].get("ownerReferences", [])
        if any(reference["uid"] == owner_uid and reference.get("controller") for reference in references):
            return found
        controller = manifest["metadata"]["ownerReferences"][0]
        if any(all(r.get(key) == controller[key] for key in ("kind", "name", "controller")) for r in references):
            raise TransientError(f"{kind} {name} is of a study of this name that was deleted, and goes") from conflict
        raise ForeignError(
            f"{kind} {name} exists and is not of this study: it is left alone; delete or rename it"
        ) from conflict


async def set_suspended(writer: Writer, jobs: Sequence[JobRecord], suspended: bool) -> Trouble | None:
    """Stop the pods of Jobs, or let them go on. A Job in a queue is Kueue's to start: it is told by its Workload.

    Returns why those in a queue cannot be told.
    """
    alone = [job for job in jobs if not job.queued]
    await asyncio.gather(*(_suspend(writer, job, suspended) for job in alone))
    queued = [job for job in jobs if job.queued]
    try:
        for first in range(0, len(queued), _UIDS_AT_ONCE):
            await _set_active(writer, queued[first : first + _UIDS_AT_ONCE], active=not suspended)
    except NotFoundError:  # a queue is named and there is no Kueue: nothing starts them anyway
        return None
    except ForbiddenError:
        return NO_RIGHTS
    return None


async def _suspend(writer: Writer, job: JobRecord, suspended: bool) -> None:
    await writer.patch(path(JOBS, job.namespace, job.name), {"spec": {"suspend": suspended}})


async def _set_active(writer: Writer, jobs: Sequence[JobRecord], *, active: bool) -> None:
    selector = f"{_JOB_UID} in ({','.join(job.uid for job in jobs)})"
    found = await writer.api.items(path(WORKLOADS, jobs[0].namespace), labelSelector=selector)
    changed = [w["metadata"]["name"] for w in found if w.get("spec", {}).get("active", True) is not active]
    patches = (writer.patch(path(WORKLOADS, jobs[0].namespace, name), {"spec": {"active": active}}) for name in changed)
    await asyncio.gather(*patches)


async def why_queued(writer: Writer, job: JobRecord) -> Trouble | None:
    """Why a Job that waits in its queue will wait for ever; None where it only waits for its turn."""
    try:
        found = await writer.api.items(path(WORKLOADS, job.namespace), labelSelector=f"{_JOB_UID}={job.uid}")
    except NotFoundError:
        return Trouble("NoKueue", "spec.pods.queue names a queue, and this cluster has no Kueue: leave it out")
    except ForbiddenError:
        return NO_RIGHTS
    for workload in found:
        for condition in workload.get("status", {}).get("conditions", []):
            if condition.get("type") == "QuotaReserved" and condition.get("reason") == "Inadmissible":
                return Trouble("Inadmissible", f"Job {job.name} is not admitted: {condition.get('message', '')}")
    return None
