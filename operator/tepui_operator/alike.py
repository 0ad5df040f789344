"""When trials fail for one reason that none of them can help: further ones would only fail the same way. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tepui_operator.study import Study
from tepui_spec.outcome import Outcome
from tepui_spec.status import Failure

ENOUGH = 3
"""Trials that must fail alike before no more are started."""
HOPELESS = frozenset({Outcome.CONFIGURATION, Outcome.DATA})
"""Classes that the same study meets again as long as nobody mends it."""


@dataclass(frozen=True, slots=True)
class CommonCause:
    """What failed trials have in common."""

    trials: int
    failure: Failure
    """The newest of them."""

    def __str__(self) -> str:
        """For the status: how many, how, and that it ends the study."""
        said = f"{self.failure.outcome} in {self.failure.stage}: {self.failure.message or 'no message'}"
        return f"{self.trials} trials failed alike and none completed, so no more were started: {said}"


def common_cause(study: Study, failures: Sequence[Failure]) -> CommonCause | None:
    """Why all trials would fail, if the newest failure and enough others say the same; for a study that completed none.

    All trials share their data, so three are enough. A configuration may be one model's alone: two models, where the
    study has two, must fail alike.
    """
    if not failures or failures[-1].outcome not in HOPELESS:
        return None
    newest = failures[-1]
    alike = [failure for failure in failures if _kind(failure) == _kind(newest)]
    if len(alike) < ENOUGH:
        return None
    if newest.outcome is Outcome.CONFIGURATION:
        models = {study.by_hash[failure.trial].config.model.name for failure in alike}
        if len(models) == 1 and any(trial.config.model.name not in models for trial in study.trials):
            return None
    return CommonCause(len(alike), newest)


def _kind(failure: Failure) -> tuple[str, Outcome, str]:
    return failure.stage, failure.outcome, failure.message.replace(failure.trial, "")
