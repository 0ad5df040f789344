"""The one status write of a look at a study: what is said at once, and what can wait for more to be said with it. Pure.

A status is replaced as a whole, so that nothing of an older one stays, and only at the resourceVersion that it was made
from: a replica that was deposed without knowing it cannot put an old one over a new one.
"""

from tepui_operator.cluster.api import Json
from tepui_spec.status import ExperimentStatus

EVERY_S = 2.0
"""Between two writes of one study that are in no hurry."""
HOURS_EVERY_S = 120.0
"""Between two writes that only say how long pods have held their resources."""


def urgent(before: ExperimentStatus, after: ExperimentStatus) -> bool:
    """Whether something changed that people and programs wait for."""
    return (
        before.phase != after.phase
        or before.conditions != after.conditions
        or before.observed_generation != after.observed_generation
        or before.analysis != after.analysis
    )


def changed(before: ExperimentStatus, after: ExperimentStatus) -> bool:
    """Whether anything changed but the hours, which always do. Lists of trials change with their counts."""
    same = {"gpu_hours": 0.0, "settled_gpu_hours": 0.0, "completed_trials": "", "failed_trials": ""}
    return before.model_copy(update=same) != after.model_copy(update=same)


def patch(status: ExperimentStatus, version: str) -> list[Json]:
    """The JSON patch that replaces the status of the object that has this resourceVersion."""
    shown = status.model_copy(update={"gpu_hours": round(status.gpu_hours, 3)})  # a column of `kubectl get` as it is
    value = shown.model_dump(mode="json", by_alias=True, exclude_none=True)
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/status", "value": value},
    ]
