"""ExperimentStatus: what a user reads back. Its size does not grow with the number of trials beyond index ranges."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from tepui_spec.base import Section
from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome

Phase = Literal["Pending", "Running", "Suspended", "Complete", "Failed"]
ConditionType = Literal["Complete", "Failed", "Suspended", "Stalled"]
Stage = Literal["train", "evaluate", "analyse"]

RECENT_FAILURES = 20
"""Failed trials that are told one by one; all are counted by class."""
MAX_LAWS = 200

Indexes = Annotated[
    str,
    Field(
        max_length=131_072,
        pattern=r"^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$",
        description="Positions of trials in the sweep, as ranges: 0-411,413 (the style of Indexed Jobs).",
    ),
]


class Condition(Section):
    """As in a batch/v1 Job; beside its types, Stalled: on a cluster, something that a person must mend holds it up."""

    type: ConditionType = Field(description="What holds or does not.")
    status: Literal["True", "False"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=64, description="One word in CamelCase, for programs.")
    message: str = Field("", max_length=2000, description="A sentence, for people.")
    last_transition_time: str = Field(description="When `status` last changed, RFC 3339.")


class TrialCounts(Section):
    """How many trials stand where. The parts add up to the total."""

    total: int = Field(0, ge=0, description="Trials of the sweep.")
    waiting: int = Field(0, ge=0, description="No attempt at work: not begun, or between two attempts.")
    training: int = Field(0, ge=0, description="A training Job exists and has not ended.")
    evaluating: int = Field(0, ge=0, description="Trained; evaluation has not ended.")
    completed: int = Field(0, ge=0, description="Trained and evaluated.")
    failed: int = Field(0, ge=0, description="Ended for good without a result.")


class Failure(Section):
    """A trial that ended for good without a result."""

    trial: str = Field(description="The trial's hash.")
    index: int = Field(ge=0, description="Its position in the sweep.")
    stage: Stage = Field(description="What ended.")
    outcome: Outcome
    attempts: int = Field(ge=1, description="Attempts at that stage.")
    job: str = Field(description="The last attempt's Job.")
    message: str = Field("", max_length=500, description="The last attempt's last words.")


class AnalysisState(Section):
    """The newest analysis that ended."""

    number: int = Field(0, ge=0, description="Analyses so far.")
    final: bool = Field(False, description="False: an interim look while trials still ran.")
    trials: int = Field(0, ge=0, description="Completed trials that it covers.")
    outcome: Outcome | None = None
    message: str = Field("", max_length=500, description="Its last words.")


class ExperimentStatus(Section):
    """Everything that is known of a study beside its rows."""

    observed_generation: int = Field(0, ge=0, description="The metadata.generation that this status belongs to.")
    phase: Phase = Field("Pending", description="Where the study stands, in a word; the conditions say why.")
    conditions: tuple[Condition, ...] = Field((), max_length=8, description="What holds of the study, and why.")
    trials: TrialCounts = Field(default_factory=TrialCounts)
    completed_trials: Indexes = ""
    failed_trials: Indexes = ""
    failures: tuple[Failure, ...] = Field((), max_length=RECENT_FAILURES, description="The most recent ones.")
    failures_by_class: dict[Outcome, int] = Field(default_factory=dict, description="Failed trials by class.")
    laws: tuple[Headline, ...] = Field((), max_length=MAX_LAWS, description="Headline laws of the newest analysis.")
    headline: str = Field("", max_length=64, description="e_IR of the law to look at first, with its interval.")
    headline_of: str = Field("", max_length=128, description="Task, shots and kind of that law.")
    report: str | None = Field(None, description="Where the newest HTML report is.")
    analysis: AnalysisState = Field(default_factory=AnalysisState)
    gpu_hours: float = Field(0, ge=0, description="Held by pods so far (studies without GPUs: core-hours).")
    settled_gpu_hours: float = Field(0, ge=0, description="The part of it held by trials that have ended.")
    start_time: str | None = Field(None, description="RFC 3339.")
    completion_time: str | None = Field(None, description="RFC 3339.")

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type, if it was ever set."""
        return next((c for c in self.conditions if c.type == kind), None)

    def holds(self, kind: ConditionType) -> bool:
        """Whether that condition is True."""
        found = self.condition(kind)
        return found is not None and found.status == "True"


def format_indexes(indexes: Iterable[int]) -> str:
    """Indexes as ascending ranges: {0, 1, 2, 5} gives "0-2,5"."""
    parts: list[str] = []
    first = last = -2
    for index in [*sorted(set(indexes)), -1]:
        if index == last + 1:
            last = index
            continue
        if first >= 0:
            parts.append(str(first) if first == last else f"{first}-{last}")
        first = last = index
    return ",".join(parts)


def parse_indexes(text: str) -> frozenset[int]:
    """The inverse of `format_indexes`; raises ValueError where the text is not of that form."""
    indexes: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        indexes.update(range(int(first), int(last or first) + 1))
    return frozenset(indexes)


def rfc3339(time_s: float) -> str:
    """Seconds since the epoch as UTC text, whole seconds, as Kubernetes writes times."""
    return datetime.fromtimestamp(int(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
