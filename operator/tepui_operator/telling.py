"""What the engine tells its view: Jobs in people's words, and how much of the study is done."""

import time
from collections.abc import Iterable

from tepui_operator.effort import efforts
from tepui_operator.folder import EngineFolder
from tepui_operator.local_job import LocalJob
from tepui_operator.plan import Plan
from tepui_operator.study import Study
from tepui_operator.view import JobNews, Snapshot, View
from tepui_spec.expand import Trial
from tepui_spec.outcome import Outcome
from tepui_spec.status import Condition, ExperimentStatus, parse_indexes, rfc3339


class Teller:
    """Translates for one run of one study."""

    def __init__(self, study: Study, folder: EngineFolder, view: View) -> None:
        self._study, self._folder, self._view = study, folder, view
        self._effort = efforts(study.trials)
        self._total = sum(self._effort(trial) for trial in study.trials)
        self._began = time.monotonic()
        self._found: set[str] = set()
        """Trials whose training was found finished: they say nothing of the speed."""

    def started(self, job: LocalJob) -> None:
        """A Job's pods were started."""
        self._view.started(_news(job))

    def ended(self, job: LocalJob) -> None:
        """A Job ended."""
        if job.child.trial is not None and job.report is not None and job.report.reused:
            self._found.add(job.child.trial.hash)
        self._view.ended(_news(job))

    def changed(self, before: ExperimentStatus, after: ExperimentStatus) -> None:
        """Tell of the trials that were given up."""
        known = {failure.job for failure in before.failures}
        for failure in after.failures:
            if failure.job not in known:
                self._view.gave_up(failure, " ".join(map(str, self._folder.logs_of(failure.job))))

    def snapshot(self, status: ExperimentStatus, jobs: Iterable[LocalJob], *, ready: bool) -> Snapshot:
        """The study as it is now."""
        jobs = list(jobs)
        running = [job for job in jobs if job.running]
        done, found = self._work_done(status, jobs)
        elapsed_s = time.monotonic() - self._began
        left = self._total - done
        return Snapshot(
            study=self._study.name,
            status=status,
            running=tuple(_news(job) for job in running),
            share_done=done / self._total,
            elapsed_s=elapsed_s,
            left_s=left * elapsed_s / (done - found) if done > found and done > 0.02 * self._total else None,
            server_ready=ready,
        )

    def stopped(self, made: Plan, before: ExperimentStatus) -> ExperimentStatus:
        """The status after an interruption: nothing of the plan is carried out."""
        condition = Condition(
            type="Suspended",
            status="True",
            reason="Interrupted",
            message="the engine was stopped: run the same command to continue",
            last_transition_time=rfc3339(time.time()),
        )
        others = tuple(c for c in made.status.conditions if c.type != "Suspended")
        counts = made.status.trials
        return made.status.model_copy(
            update={
                "phase": "Suspended",
                "conditions": (*others, condition),
                "trials": counts.model_copy(update={"waiting": counts.waiting + counts.training, "training": 0}),
                "start_time": before.start_time,
            }
        )

    def _work_done(self, status: ExperimentStatus, jobs: list[LocalJob]) -> tuple[float, float]:
        """Effort of what is trained, running trials by their share of steps, and the part of it that was found."""
        ended = parse_indexes(status.completed_trials) | parse_indexes(status.failed_trials)
        shares = {trial.hash: 1.0 for trial in self._study.trials if trial.index in ended}
        for job in jobs:
            if job.child.trial is None or job.child.stage != "train":
                continue
            if job.outcome is Outcome.SUCCEEDED:
                shares[job.child.trial.hash] = 1.0
            elif job.running and (progress := job.progress()) is not None and progress.steps:
                shares[job.child.trial.hash] = progress.step / progress.steps
        by_hash = self._study.by_hash
        done = sum(share * self._effort(by_hash[trial]) for trial, share in shares.items())
        return done, sum(self._effort(by_hash[trial]) for trial in self._found)


def label(trial: Trial) -> str:
    """What the sweep set for a trial, in one line."""
    factors = trial.factors.model_dump(by_alias=True, exclude_none=True)
    model = factors.pop("model", trial.config.model.name)
    return " ".join([str(model), *(f"{name}={_short(value)}" for name, value in factors.items())])


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _news(job: LocalJob) -> JobNews:
    trial = job.child.trial
    return JobNews(
        name=job.name,
        stage=job.child.stage,
        label=label(trial) if trial is not None else ("final" if job.child.final else "interim"),
        attempt=job.child.attempt,
        log=str(job.log(job.telling_index)),
        started_at=job.started_at,
        ended_at=job.ended_at,
        outcome=job.outcome,
        message=job.message,
        reused=job.report is not None and job.report.reused,
        progress=job.progress() if job.running else None,
    )
