"""From what an API server sends to slim frozen records: what `observe` needs, a thirtieth of the memory. Pure.

Nothing here raises, whatever is in an object: labels and annotations are anybody's to write. An object that is not ours
to look at gives None.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any, Literal

from pydantic import ValidationError

from tepui_operator.manifests import (
    ANNOTATION_ANALYSIS,
    ANNOTATION_HISTORY,
    LABEL_ATTEMPT,
    LABEL_QUEUE,
    LABEL_STAGE,
    LABEL_TRIAL,
)
from tepui_operator.observed import History
from tepui_spec.experiment import KIND
from tepui_spec.outcome import Outcome
from tepui_spec.status import ExperimentStatus, Stage

Json = dict[str, Any]

NO_HISTORY = History()
_STAGES: dict[str, Stage] = {"train": "train", "evaluate": "evaluate", "analyse": "analyse"}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A Job that an ExperimentSpec owns."""

    namespace: str
    name: str
    uid: str
    owner: str
    """UID of the ExperimentSpec."""
    study: str
    """Its name."""
    stage: Stage
    trial: str | None
    attempt: int
    history: History = NO_HISTORY
    final: bool = False
    covers: int = 0
    queued: bool = False
    suspended: bool = False
    created_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    end: Literal["Complete", "Failed"] | None = None
    reason: str = ""
    """Why it failed, as the Job controller says it."""
    waiting: bool = False
    """It should have pods, and none is ready."""
    deleting: bool = False
    began_at: float | None = None
    """When its pods were first seen ready, by this process: `started_at` counts from when they were wanted."""
    held_s: float = 0.0
    """How long its pods held resources before it was last suspended, as far as this process saw it."""

    @property
    def waiting_since(self) -> float:
        """Since when it may have pods, or a place in its queue."""
        return self.started_at or self.created_at or 0.0


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod of a Job, with how it ended or why it does not begin."""

    name: str
    job: str
    index: int
    """Its place in a gang."""
    phase: str
    node: str = ""
    exit_code: int | None = None
    reason: str = ""
    """OOMKilled, Evicted, ImagePullBackOff, Unschedulable, ..."""
    message: str = ""
    """What its container left, or what keeps it from beginning."""
    disrupted: bool = False
    """Evicted, preempted or drained (DisruptionTarget)."""


@dataclass(frozen=True, slots=True)
class SpecRecord:
    """An ExperimentSpec."""

    namespace: str
    name: str
    uid: str
    version: str
    generation: int
    deleting: bool = False
    document: Json = field(default_factory=dict, repr=False)
    """apiVersion, kind, metadata and spec, as `Experiment` reads them."""
    status: Json = field(default_factory=dict, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return (self.namespace, self.name)


def job_record(raw: Json) -> JobRecord | None:
    """The record of a Job; None where no ExperimentSpec controls it or its labels are not ours."""
    metadata, spec, status = _map(raw.get("metadata")), _map(raw.get("spec")), _map(raw.get("status"))
    labels, annotations = _map(metadata.get("labels")), _map(metadata.get("annotations"))
    owner = _controller(metadata)
    stage = _STAGES.get(_text(labels.get(LABEL_STAGE)))
    attempt = _text(labels.get(LABEL_ATTEMPT))
    trial = _text(labels.get(LABEL_TRIAL)) or None
    if owner is None or stage is None or not attempt.isdecimal() or (trial is None) != (stage == "analyse"):
        return None
    end, reason, since = _end(status)
    analysis = _parsed(_text(annotations.get(ANNOTATION_ANALYSIS))) if stage == "analyse" else {}
    return JobRecord(
        namespace=intern(_text(metadata.get("namespace"))),
        name=_text(metadata.get("name")),
        uid=_text(metadata.get("uid")),
        owner=intern(_text(owner.get("uid"))),
        study=intern(_text(owner.get("name"))),
        stage=stage,
        trial=intern(trial) if trial is not None else None,
        attempt=int(attempt[:9]),
        history=_history(annotations),
        final=analysis.get("final") is True,
        covers=_count(analysis.get("covers")),
        queued=LABEL_QUEUE in labels,
        suspended=spec.get("suspend") is True,
        created_at=_time(metadata.get("creationTimestamp")),
        started_at=_time(status.get("startTime")),
        ended_at=(_time(status.get("completionTime")) or since) if end is not None else None,
        end=end,
        reason=reason,
        waiting=end is None and _count(status.get("ready")) == 0,
        deleting=metadata.get("deletionTimestamp") is not None,
    )


def pod_record(raw: Json) -> PodRecord:
    """The record of a pod."""
    metadata, status = _map(raw.get("metadata")), _map(raw.get("status"))
    labels, annotations = _map(metadata.get("labels")), _map(metadata.get("annotations"))
    state = _map(_map(next(iter(_list(status.get("containerStatuses"))), None)).get("state"))
    ended, held = _map(state.get("terminated")), _map(state.get("waiting"))
    unplaced = _condition(status, "PodScheduled", "False")
    index = _text(annotations.get("batch.kubernetes.io/job-completion-index"))
    code = ended.get("exitCode")
    why = ended or held or unplaced
    return PodRecord(
        name=_text(metadata.get("name")),
        job=_text(labels.get("batch.kubernetes.io/job-name")),
        index=int(index[:9]) if index.isdecimal() else 0,
        phase=_text(status.get("phase")),
        node=_text(_map(raw.get("spec")).get("nodeName")),
        exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
        reason=_text(status.get("reason")) or _text(why.get("reason")),
        message=_text(why.get("message")) or _text(status.get("message")),
        disrupted=bool(_condition(status, "DisruptionTarget", "True")),
    )


def spec_record(raw: Json) -> SpecRecord | None:
    """The record of an ExperimentSpec. Annotations stay behind: kubectl keeps a copy of the whole object in one."""
    metadata = _map(raw.get("metadata"))
    name, namespace = _text(metadata.get("name")), _text(metadata.get("namespace"))
    if not name or not namespace:
        return None
    identity = {"name": name, "namespace": namespace, "labels": _map(metadata.get("labels"))}
    return SpecRecord(
        namespace=intern(namespace),
        name=name,
        uid=intern(_text(metadata.get("uid"))),
        version=_text(metadata.get("resourceVersion")),
        generation=_count(metadata.get("generation")),
        deleting=metadata.get("deletionTimestamp") is not None,
        document={
            "apiVersion": raw.get("apiVersion"),
            "kind": raw.get("kind"),
            "metadata": identity,
            "spec": _map(raw.get("spec")),
        },
        status=_map(raw.get("status")),
    )


def status_of(record: SpecRecord) -> ExperimentStatus:
    """The status as written, without the fields that another version of the operator wrote otherwise."""
    kept = dict(record.status)
    for _ in range(len(kept) + 1):
        try:
            return ExperimentStatus.model_validate(kept)
        except ValidationError as error:
            for wrong in error.errors(include_url=False, include_context=False, include_input=False):
                kept.pop(str(wrong["loc"][0]), None)
    return ExperimentStatus()


def _controller(metadata: Json) -> Json | None:
    for reference in _list(metadata.get("ownerReferences")):
        owner = _map(reference)
        if owner.get("kind") == KIND and owner.get("controller") is True:
            return owner
    return None


def _end(status: Json) -> tuple[Literal["Complete", "Failed"] | None, str, float | None]:
    if found := _condition(status, "Complete", "True"):
        return "Complete", "", _time(found.get("lastTransitionTime")) or 0.0
    if found := _condition(status, "Failed", "True"):
        why = f"{_text(found.get('reason'))}: {_text(found.get('message'))}"
        return "Failed", why, _time(found.get("lastTransitionTime")) or 0.0
    return None, "", None


def _condition(status: Json, kind: str, value: str) -> Json:
    """The condition of that type if it has that value; empty otherwise."""
    for condition in map(_map, _list(status.get("conditions"))):
        if condition.get("type") == kind and condition.get("status") == value:
            return condition
    return {}


def _history(annotations: Json) -> History:
    text = annotations.get(ANNOTATION_HISTORY)
    return NO_HISTORY if text is None else _parsed_history(_text(text))


@lru_cache(maxsize=4096)
def _parsed_history(text: str) -> History:
    """Each Job comes by half a dozen times before it has ended."""
    told = _parsed(text)
    known = set(Outcome)
    ends = {Outcome(end): _count(n) for end, n in _map(told.get("ends")).items() if end in known}
    hours = told.get("hours")
    return History(ends, min(float(hours), 1e12) if isinstance(hours, int | float) and hours > 0 else 0.0)


def _parsed(text: str) -> Json:
    try:
        return _map(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _time(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _map(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
