"""How a pod ends: classes of failure, their exit codes, and the message that it leaves (at most 4 KiB of JSON)."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from tepui_spec.base import Section
from tepui_spec.headline import Headline

MESSAGE_LIMIT_BYTES = 4096
"""What Kubernetes keeps of a termination message."""


class Outcome(StrEnum):
    """How a pod ended, as the operator sees it."""

    SUCCEEDED = "Succeeded"
    CONFIGURATION = "Configuration"
    DATA = "Data"
    DIVERGED = "Diverged"
    OUT_OF_MEMORY = "OutOfMemory"
    PREEMPTED = "Preempted"
    PEER_LOST = "PeerLost"
    STORAGE = "Storage"
    CHECKPOINT = "Checkpoint"
    CRASHED = "Crashed"
    LOST = "Lost"


EXIT_CODES: dict[Outcome, int] = {
    Outcome.SUCCEEDED: 0,
    Outcome.CONFIGURATION: 40,
    Outcome.DATA: 41,
    Outcome.DIVERGED: 42,
    Outcome.OUT_OF_MEMORY: 43,
    Outcome.PREEMPTED: 44,
    Outcome.PEER_LOST: 45,
    Outcome.STORAGE: 46,
    Outcome.CHECKPOINT: 47,
}
"""Codes that a pod chooses itself: away from the shell's (1, 2, 126 to 165), so that none is met by accident."""

FREE = frozenset({Outcome.PREEMPTED, Outcome.PEER_LOST})
"""Outcomes that never spend a retry: the trial did nothing wrong."""


def from_exit_code(code: int | None) -> Outcome:
    """The class of a pod's exit code; None means that no pod is left to tell.

    A negative code (killed by that signal) and 128 + signal count alike; SIGKILL is out of memory only where the
    kubelet says so, so here it is a crash.
    """
    if code is None:
        return Outcome.LOST
    for outcome, known in EXIT_CODES.items():
        if code == known:
            return outcome
    if code in (-15, 143):
        return Outcome.PREEMPTED
    return Outcome.CRASHED


class PodReport(Section):
    """What a pod says when it ends."""

    outcome: Outcome
    message: str = Field(
        "", max_length=1500, description="One or two sentences for the user: what happened and what to do."
    )
    trial: str | None = None
    reused: bool = Field(False, description="The work was found finished in the store; nothing was computed.")
    busy_cpu_s: float = Field(0, ge=0, description="CPU seconds used by the pod's processes.")
    laws: tuple[Headline, ...] = Field((), description="Headline laws (headline.headlines); analysis pods only.")
    report: str | None = Field(None, description="Where the HTML report is; analysis pods only.")


class Progress(Section):
    """A running pod's news, overwritten in place, for whoever watches on the same machine."""

    stage: Literal["train", "evaluate", "analyse"]
    step: int = Field(0, ge=0)
    steps: int = Field(0, ge=0)
    loss: float | None = None
    note: str = ""
