"""What holds a study up on a cluster and a person must mend: a condition with a reason and a sentence. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from tepui_operator.cluster.projection import PodRecord
from tepui_operator.reckoning import with_condition
from tepui_spec.status import ExperimentStatus, rfc3339

MESSAGE_LIMIT = 2000
PATIENCE_S = 20.0
"""A pod may take this long to begin before anybody is told why it does not."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something does not go on."""

    reason: str
    """One word in CamelCase, for programs."""
    message: str

    @property
    def words(self) -> tuple[str, str]:
        """Reason and message as a condition holds them."""
        return self.reason[:64], self.message[:MESSAGE_LIMIT]


def with_trouble(status: ExperimentStatus, trouble: Trouble | None, now: float) -> ExperimentStatus:
    """The status with its Stalled condition as it is now."""
    stalled = with_condition(status, "Stalled", trouble.words if trouble is not None else None, now)
    others = tuple(c for c in status.conditions if c.type != "Stalled")
    return status.model_copy(update={"conditions": (*others, stalled) if stalled is not None else others})


def refused(status: ExperimentStatus, why: str, generation: int, now: float) -> ExperimentStatus:
    """The status of a study whose spec cannot be planned from.

    Before its first trial it has failed, until the spec is mended. After that what runs goes on and nothing follows.
    """
    trouble = Trouble("InvalidSpec", why)
    update: dict[str, object] = {"observed_generation": generation}
    if status.trials.total == 0:
        failed = with_condition(status, "Failed", trouble.words, now)
        others = tuple(c for c in status.conditions if c.type != "Failed")
        update |= {"phase": "Failed", "conditions": (*others, failed), "completion_time": rfc3339(now)}
        return status.model_copy(update=update)
    return with_trouble(status.model_copy(update=update), trouble, now)


_ON_THE_WAY = ("", "ContainerCreating", "PodInitializing")
"""What is said of pods that begin: an image of several GB takes its time."""


def why_waiting(job: str, pods: Iterable[PodRecord]) -> Trouble | None:
    """Why a Job that has been there for a while has no pod that is ready; None where they begin, or have just ended."""
    pods = list(pods)
    if not pods:
        return Trouble("NoPod", f"Job {job} gets no pod: `kubectl describe job {job}` says why")
    for pod in pods:
        if pod.phase not in ("Succeeded", "Failed") and pod.reason not in _ON_THE_WAY:
            return Trouble(pod.reason, f"pod {pod.name} does not begin: {pod.message}")
    return None
