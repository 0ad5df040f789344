"""From records of Jobs and pods to what the planner may know of them. Pure.

A Job that succeeded in training or evaluation says all by that. One that failed, and an analysis, is told by its pods:
until they have been asked for (`needs_pods`) it counts as still at work, because what the watch of Jobs says and what
pods left behind come by different ways.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from tepui_operator.cluster.projection import JobRecord, PodRecord
from tepui_operator.observed import ObservedJob, outcome_of_gang
from tepui_operator.standing import MESSAGE_LIMIT
from tepui_spec.outcome import Outcome, PodReport, from_exit_code

_SIGNALLED = {137: "SIGKILL", 143: "SIGTERM", 134: "SIGABRT", 139: "SIGSEGV", 135: "SIGBUS"}


def needs_pods(job: JobRecord) -> bool:
    """Whether only its pods can tell how it ended."""
    return job.end == "Failed" or (job.end == "Complete" and job.stage == "analyse")


def observed_job(job: JobRecord, pods: Collection[PodRecord] | None = None) -> ObservedJob:
    """The Job as the planner sees it; `pods` are those of its pods that ended, None where they were not asked for."""
    end = _ending(job, pods)
    report = end.report if end is not None else None
    return ObservedJob(
        name=job.name,
        stage=job.stage,
        trial=job.trial,
        attempt=job.attempt,
        history=job.history,
        suspended=job.suspended,
        queued=job.queued,
        started_at=job.began_at or (None if job.waiting else job.started_at),
        held_before_s=job.held_s,
        ended_at=job.ended_at if end is not None else None,
        outcome=end.outcome if end is not None else None,
        message=end.message if end is not None else "",
        final=job.final,
        covers=job.covers,
        laws=report.laws if report is not None else (),
        report=report.report if report is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a Job or pod ended."""

    outcome: Outcome
    message: str = ""
    report: PodReport | None = None


def _ending(job: JobRecord, pods: Collection[PodRecord] | None) -> Ending | None:
    if job.end is None or (pods is None and needs_pods(job)):
        return None
    if not needs_pods(job):
        return Ending(Outcome.SUCCEEDED)
    if job.end == "Complete":
        told = [end for end in map(pod_ending, pods or ()) if end.report is not None]
        return told[0] if told else Ending(Outcome.LOST, "its pod is gone, and the laws that it told with it")
    return _failure(job, pods or ())


def _failure(job: JobRecord, pods: Iterable[PodRecord]) -> Ending:
    """The most telling end among its pods; a pod's success is no reason for a failure."""
    ends = [pod_ending(pod) for pod in sorted(pods, key=lambda pod: pod.index)]
    ends = [end for end in ends if end.outcome is not Outcome.SUCCEEDED]
    if not ends:
        return Ending(Outcome.LOST, f"no pod is left to tell why ({job.reason})"[:MESSAGE_LIMIT])
    outcome = outcome_of_gang(end.outcome for end in ends)
    return next(end for end in ends if end.outcome is outcome)


def pod_ending(pod: PodRecord) -> Ending:
    """How a pod ended, from its exit code, its last words and what the kubelet says."""
    outcome = _outcome(pod)
    try:
        report = PodReport.model_validate_json(pod.message)
    except ValidationError:  # it had no time for them, or the kubelet put the end of its log there
        report = None
    if report is not None and report.outcome is outcome:
        return Ending(outcome, report.message, report)
    return Ending(outcome, _last_words(pod, "" if report is not None else pod.message))


def _outcome(pod: PodRecord) -> Outcome:
    if pod.phase == "Succeeded":
        return Outcome.SUCCEEDED
    if pod.reason == "OOMKilled":
        return Outcome.OUT_OF_MEMORY
    if pod.exit_code is not None and pod.reason != "ContainerStatusUnknown":  # its node came back without it
        outcome = from_exit_code(pod.exit_code)
        if outcome is not Outcome.CRASHED or not pod.disrupted:
            return outcome
    return Outcome.PREEMPTED if pod.disrupted or pod.reason == "Evicted" else Outcome.LOST


def _last_words(pod: PodRecord, message: str) -> str:
    """`exit code 1 on node-3: last line`, where it left no report."""
    if pod.exit_code is None:
        how = pod.reason or "its pod failed"
    else:
        signal = _SIGNALLED.get(pod.exit_code)
        reason = pod.reason if pod.reason not in ("", "Error", "Completed") else ""
        how = " ".join(filter(None, (reason, f"exit code {pod.exit_code}", f"({signal})" if signal else "")))
    where = f" on {pod.node}" if pod.node else ""
    lines = message.strip().splitlines()
    return f"{how}{where}{f': {lines[-1].strip()}' if lines else ''}"[:MESSAGE_LIMIT]
