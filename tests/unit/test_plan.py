"""Decisions of the planner, one by one; what holds for all sequences is in tests/property."""

from dataclasses import replace
from typing import Any

import pytest

from builders import experiment
from tepui_operator.observed import History, Observed, ObservedJob, outcome_of_gang
from tepui_operator.plan import Plan, plan
from tepui_operator.study import Policy, Study
from tepui_spec.outcome import Outcome
from tepui_spec.status import ExperimentStatus

NOW = 1_000_000.0


def study_of(*, policy: Policy | None = None, **spec: Any) -> Study:
    """Four trials: epochs 1 and 2, seeds 0 and 1."""
    return Study.of(experiment(**spec), lambda trial: trial.config.recipe.epochs, policy)


def job(
    study: Study, index: int, stage: str = "train", outcome: Outcome | None = None, attempt: int = 0
) -> ObservedJob:
    """A Job of one trial that began a minute ago, ended now or not at all."""
    trial = study.trials[index]
    return ObservedJob(
        name=f"study-{trial.hash}-{stage[0]}{attempt}",
        stage=stage,  # type: ignore[arg-type]
        trial=trial.hash,
        attempt=attempt,
        started_at=NOW - 60,
        ended_at=NOW if outcome is not None else None,
        outcome=outcome,
        message=f"it was {outcome}",
    )


def planned(study: Study, *jobs: ObservedJob, status: ExperimentStatus | None = None, now: float = NOW) -> Plan:
    """The plan for these Jobs."""
    return plan(study, Observed(jobs, status or ExperimentStatus()), now)


def names(made: Plan) -> list[tuple[str, int | None, int]]:
    """Stage, trial and attempt of what is created, in order."""
    return [(c.stage, c.trial.index if c.trial is not None else None, c.attempt) for c in made.create]


def test_cheapest_trials_come_first() -> None:
    """Submission goes by cost; the last few go from the dearest, so that it does not end alone."""
    sweep = {"grid": {"model": ["tiny"], "epochs": [8, 1, 4, 2, 3, 5]}}
    study = study_of(sweep=sweep, parallelism=1)
    assert [trial.config.recipe.epochs for trial in study.order] == [1, 2, 3, 4, 8, 5]


def test_the_window_is_filled_and_no_more() -> None:
    """With nothing there, as many training Jobs as `parallelism` are created."""
    assert names(planned(study_of(parallelism=3))) == [("train", 0, 0), ("train", 1, 0), ("train", 3, 0)]


def test_evaluation_follows_training() -> None:
    """A trained trial is evaluated, and its place in the window goes to the next trial."""
    study = study_of(parallelism=1)
    assert names(planned(study, job(study, 0, outcome=Outcome.SUCCEEDED))) == [("evaluate", 0, 0), ("train", 1, 0)]


def test_hours_go_with_the_trial() -> None:
    """An evaluation Job carries what training held, so that the training Job may go."""
    study = study_of(pods={"cpus": 2})
    (evaluation, *_) = planned(study, job(study, 0, outcome=Outcome.SUCCEEDED)).create
    assert evaluation.history.hours == pytest.approx(2 * 60 / 3600)


@pytest.mark.parametrize("outcome", [Outcome.CONFIGURATION, Outcome.CHECKPOINT, Outcome.DATA, Outcome.DIVERGED])
def test_hopeless_failures_are_not_retried(outcome: Outcome) -> None:
    """These classes have no retries unless the user grants them; the status tells of them."""
    study = study_of(parallelism=1)
    made = planned(study, job(study, 0, outcome=outcome))
    assert names(made) == [("train", 1, 0)]
    (failure,) = made.status.failures
    assert (failure.index, failure.outcome, failure.attempts) == (0, outcome, 1)
    assert failure.message == f"it was {outcome}"
    assert made.status.failed_trials == "0"


def test_a_crash_is_retried_at_once_and_once() -> None:
    """The default: one more attempt, with the first one's end in its history."""
    study = study_of(parallelism=1)
    (again,) = planned(study, job(study, 0, outcome=Outcome.CRASHED)).create
    assert (again.attempt, again.history.ends) == (1, {Outcome.CRASHED: 1})
    second = replace(job(study, 0, outcome=Outcome.CRASHED, attempt=1), history=again.history)
    assert planned(study, second).status.failed_trials == "0"


def test_a_failing_store_is_given_time() -> None:
    """A storage failure is retried after 10 s, then 20 s; the plan says when to look again."""
    study = study_of(parallelism=1)
    failed = job(study, 0, outcome=Outcome.STORAGE)
    made = planned(study, failed)
    assert made.wake_at == NOW + 10
    assert ("train", 0, 1) not in names(made)
    assert ("train", 0, 1) in names(planned(study, failed, now=NOW + 10))
    second = replace(failed, attempt=1, history=History({Outcome.STORAGE: 1}))
    assert planned(study, second).wake_at == NOW + 20


def test_evaluation_has_retries_of_its_own() -> None:
    """What training spent is not counted against evaluation."""
    study = study_of(parallelism=1)
    trained = replace(job(study, 0, outcome=Outcome.SUCCEEDED, attempt=1), history=History({Outcome.CRASHED: 1}))
    (evaluation, *_) = planned(study, trained).create
    assert evaluation.history.ends == {}
    failed = job(study, 0, "evaluate", Outcome.CRASHED)
    assert ("evaluate", 0, 1) in names(planned(study, failed))


@pytest.mark.parametrize("outcome", [Outcome.CONFIGURATION, Outcome.DATA])
def test_trials_that_fail_alike_end_the_study(outcome: Outcome) -> None:
    """Three trials that fail for one reason, and none that completed: no fourth is tried, and the status says why."""
    study = study_of(parallelism=1)
    two = [job(study, index, outcome=outcome) for index in (0, 1)]
    assert names(planned(study, *two)) == [("train", 3, 0)]
    made = planned(study, *two, job(study, 3, outcome=outcome))
    assert (names(made), made.status.phase) == ([], "Failed")
    (condition,) = made.status.conditions
    assert condition.reason == "FailedAlike"
    assert f"3 trials failed alike and none completed, so no more were started: {outcome} in train" in condition.message
    assert f"it was {outcome}" in condition.message


def test_what_fails_alike_waits_for_pods_at_work() -> None:
    """A trial that is still at work may complete, and then the others may too."""
    study = study_of(parallelism=2)
    failed = [job(study, index, "evaluate", Outcome.DATA) for index in (0, 1, 3)]
    made = planned(study, *failed, job(study, 2, "evaluate"))
    assert (names(made), made.finished) == ([], False)
    study = study_of(parallelism=2, sweep={"grid": {"model": ["tiny"], "seed": [0, 1, 2, 3, 4]}})
    failed = [job(study, index, "evaluate", Outcome.DATA) for index in (0, 1, 2)]
    done = job(study, 3, "evaluate", Outcome.SUCCEEDED)
    assert names(planned(study, *failed, done)) == [("train", 4, 0)]


@pytest.mark.parametrize(
    "difference",
    [{"message": "another"}, {"outcome": Outcome.DIVERGED}, {"stage": "evaluate"}],
    ids=["message", "class", "stage"],
)
def test_other_failures_say_nothing_of_the_rest(difference: dict[str, Any]) -> None:
    """Two trials alike and one that failed in another way: the study goes on."""
    study = study_of(parallelism=1)
    other = replace(job(study, 3, outcome=Outcome.DATA), **difference)
    two = [job(study, index, outcome=Outcome.DATA) for index in (0, 1)]
    assert names(planned(study, *two, other)) == [("train", 2, 0)]


def test_one_model_that_cannot_be_built_ends_no_study_of_several() -> None:
    """The same words of one model's trials are no reason to leave out another's; those of two models are."""
    grid = {"grid": {"model": ["tiny", "vit_tiny_patch16_224"], "seed": [0, 1, 2, 3]}}
    study = study_of(parallelism=1, sweep=grid)
    failed = [job(study, index, outcome=Outcome.CONFIGURATION) for index in range(4)]
    made = planned(study, *failed)
    assert made.create[0].trial is not None
    assert made.create[0].trial.config.model.name == "vit_tiny_patch16_224"
    assert planned(study, *failed, job(study, 4, outcome=Outcome.CONFIGURATION)).finished


def all_done(study: Study, outcome: Outcome = Outcome.SUCCEEDED) -> list[ObservedJob]:
    """Evaluation Jobs of all trials."""
    return [job(study, index, "evaluate", outcome) for index in range(len(study.trials))]


def analysis(*, final: bool, covers: int, number: int = 1, outcome: Outcome | None = None) -> ObservedJob:
    """An analysis Job."""
    return ObservedJob(
        name=f"study-analysis-{number}",
        stage="analyse",
        trial=None,
        attempt=number,
        started_at=NOW - 60,
        ended_at=NOW if outcome is not None else None,
        outcome=outcome,
        final=final,
        covers=covers,
        report="report.html",
    )


def test_the_final_analysis_comes_last_and_ends_the_study() -> None:
    """All trials evaluated: analysis; analysis succeeded: Complete, with its report."""
    study = study_of()
    made = planned(study, *all_done(study))
    assert names(made) == [("analyse", None, 1)]
    assert made.create[0].final
    assert not made.finished
    made = planned(study, *all_done(study), analysis(final=True, covers=4, outcome=Outcome.SUCCEEDED))
    assert made.finished
    assert (made.status.phase, made.status.report) == ("Complete", "report.html")
    assert made.status.condition("Complete").reason == "AllTrialsCompleted"  # type: ignore[union-attr]


def test_a_failed_final_analysis_fails_the_study() -> None:
    """With its retries spent there is no answer: Failed, with the analysis' own words."""
    study = study_of(retries={"crashed": 0})
    made = planned(study, *all_done(study), analysis(final=True, covers=4, outcome=Outcome.CRASHED))
    assert made.status.phase == "Failed"
    assert made.status.condition("Failed").reason == "AnalysisFailed"  # type: ignore[union-attr]


def test_without_a_completed_trial_there_is_nothing_to_analyse() -> None:
    """All trials failed: Failed, and no analysis Job."""
    study = study_of()
    made = planned(study, *(job(study, index, outcome=Outcome.DIVERGED) for index in range(4)))
    assert (made.create, made.status.phase) == ((), "Failed")
    assert made.status.failures_by_class == {Outcome.DIVERGED: 4}


def test_interim_analyses_come_at_their_shares() -> None:
    """At half of the trials one interim look is taken; it is not repeated, and never two at a time."""
    study = study_of(policy=Policy((0.5,), interim_min_trials=4), parallelism=1)
    half = all_done(study)[:2]
    made = planned(study, *half)
    assert names(made)[0] == ("analyse", None, 1)
    assert not made.create[0].final
    running = analysis(final=False, covers=2)
    assert "analyse" not in {stage for stage, _, _ in names(planned(study, *all_done(study), running))}
    done = analysis(final=False, covers=2, outcome=Outcome.SUCCEEDED)
    assert "analyse" not in {stage for stage, _, _ in names(planned(study, *half, done))}
    assert names(planned(study, *all_done(study), done)) == [("analyse", None, 2)]


def test_a_budget_spent_by_an_interim_analysis_is_spent() -> None:
    """Its core-hours count at once: the study is concluded in the same turn, not at a next one that nothing brings."""
    policy = Policy((0.25,), interim_min_trials=4)
    study = study_of(policy=policy, budget={"gpuHours": 1.5 * 60 / 3600}, parallelism=1)
    completed = job(study, 0, "evaluate", Outcome.SUCCEEDED)
    at_work = planned(study, completed, analysis(final=False, covers=1))
    assert names(at_work) == []
    assert at_work.status.gpu_hours == pytest.approx(2 * 60 / 3600, abs=1e-6)
    made = planned(study, completed, analysis(final=False, covers=1, outcome=Outcome.SUCCEEDED))
    assert names(made) == [("analyse", None, 2)]
    assert made.create[0].final


def test_more_trials_after_a_raised_budget_are_analysed_anew() -> None:
    """A study that ended with its budget goes on when it is raised, and its final analysis is repeated."""
    study = study_of(budget={"gpuHours": 0.01}, parallelism=1)
    spent = [job(study, 0, "evaluate", Outcome.SUCCEEDED)]
    ended = analysis(final=True, covers=1, outcome=Outcome.SUCCEEDED)
    made = planned(study, *spent, ended)
    assert made.status.condition("Complete").reason == "BudgetSpent"  # type: ignore[union-attr]
    raised = study_of(budget={"gpuHours": 1}, parallelism=1)
    made = planned(raised, *spent, ended, status=made.status)
    assert names(made) == [("train", 1, 0)]
    assert made.status.phase == "Running"
    assert made.status.condition("Complete").status == "False"  # type: ignore[union-attr]


def test_a_resumed_study_resumes_its_jobs() -> None:
    """Suspended Jobs go on when the study does; one in a queue only if the study had been suspended."""
    study = study_of(parallelism=1)
    held = replace(job(study, 0), suspended=True)
    assert planned(study, held).resume == (held.name,)
    waiting = replace(held, queued=True)
    assert planned(study, waiting).resume == ()
    assert planned(study, waiting, status=ExperimentStatus(phase="Suspended")).resume == (held.name,)


def test_a_suspended_study_takes_its_jobs_out_of_their_queue() -> None:
    """Those that wait there would start otherwise; said once, and again of one that started all the same."""
    study = study_of(parallelism=2, suspend=True)
    waiting = replace(job(study, 0), queued=True, suspended=True)
    made = planned(study, waiting, replace(job(study, 1), queued=True))
    assert set(made.suspend) == {waiting.name, job(study, 1).name}
    assert planned(study, waiting, status=made.status).suspend == ()
    assert planned(study, replace(waiting, suspended=False), status=made.status).suspend == (waiting.name,)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.SUCCEEDED, Outcome.SUCCEEDED], Outcome.SUCCEEDED),
        ([Outcome.PREEMPTED, Outcome.PEER_LOST], Outcome.PEER_LOST),
        ([Outcome.PREEMPTED, Outcome.DIVERGED, Outcome.PEER_LOST], Outcome.DIVERGED),
        ([Outcome.SUCCEEDED, Outcome.PREEMPTED], Outcome.PREEMPTED),
        ([Outcome.LOST, Outcome.PEER_LOST], Outcome.LOST),
    ],
)
def test_a_gang_ends_with_its_cause(outcomes: list[Outcome], expected: Outcome) -> None:
    """Of several pods' ends, the one that says most counts."""
    assert outcome_of_gang(outcomes) is expected
