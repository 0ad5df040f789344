"""Properties of the planner that hold for every sequence of outcomes: a small world applies its plans."""

from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import experiment
from tepui_operator.child import Child
from tepui_operator.observed import Observed, ObservedJob
from tepui_operator.plan import Plan, plan
from tepui_operator.retry import allowed
from tepui_operator.study import Policy, Study
from tepui_spec.experiment import Experiment
from tepui_spec.outcome import FREE, Outcome
from tepui_spec.status import ExperimentStatus, parse_indexes

FAILURES = [outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED]
OUTCOMES = st.lists(st.one_of(st.just(Outcome.SUCCEEDED), st.sampled_from(list(Outcome))), min_size=0, max_size=60)
POLICY = Policy(interim_shares=(0.25, 0.5), interim_min_trials=4)


def study_of(**spec: object) -> Study:
    """A study of 8 trials, cheapest first by epochs."""
    sweep = {"grid": {"model": ["tiny"], "epochs": [1, 2, 3, 4], "seed": [0, 1]}}
    made: Experiment = experiment(**{"sweep": sweep, **spec})
    return Study.of(made, lambda trial: trial.config.recipe.epochs, POLICY)


@dataclass
class World:
    """Jobs and a status, changed only by applying plans and by Jobs that end."""

    study: Study
    jobs: dict[str, ObservedJob] = field(default_factory=dict)
    status: ExperimentStatus = field(default_factory=ExperimentStatus)
    now: float = 1_000_000.0
    created: Counter[str] = field(default_factory=Counter)
    children: list[Child] = field(default_factory=list)

    def plan(self) -> Plan:
        return plan(self.study, Observed(tuple(self.jobs.values()), self.status), self.now)

    def apply(self, made: Plan, *, write_status: bool = True) -> None:
        for child in made.create:
            self.created[child.name] += 1
            self.children.append(child)
            self.jobs[child.name] = ObservedJob(
                name=child.name,
                stage=child.stage,
                trial=child.trial.hash if child.trial is not None else None,
                attempt=child.attempt,
                history=child.history,
                started_at=self.now,
                final=child.final,
                covers=child.covers,
            )
        if write_status:
            self.status = made.status

    def end(self, name: str, outcome: Outcome, after_s: float = 60.0) -> None:
        self.now += after_s
        self.jobs[name] = replace(self.jobs[name], outcome=outcome, ended_at=self.now)

    def running(self, stage: str) -> list[str]:
        return [job.name for job in self.jobs.values() if job.stage == stage and not job.ended]

    def step(self, outcome: Outcome, pick: int) -> Plan:
        """Plan, apply, and let one running Job end; without one, wait for what is due."""
        made = self.plan()
        self.apply(made)
        running = sorted(job.name for job in self.jobs.values() if not job.ended)
        if running:
            self.end(running[pick % len(running)], outcome)
        elif made.wake_at is not None:
            self.now = made.wake_at
        return made


def run_to_the_end(world: World, outcomes: list[Outcome], picks: list[int]) -> Plan:
    """Drive the world with the given outcomes and then with successes, until the study is finished."""
    for turn in range(2_000):
        outcome = outcomes[turn] if turn < len(outcomes) else Outcome.SUCCEEDED
        made = world.step(outcome, picks[turn % len(picks)])
        if made.finished:
            return made
    raise AssertionError(f"not finished: {world.status}")


PICKS = st.lists(st.integers(0, 100), min_size=1, max_size=20)


@given(OUTCOMES, PICKS, st.integers(1, 5))
def test_parallelism_is_never_exceeded(outcomes: list[Outcome], picks: list[int], parallelism: int) -> None:
    """At no time do more training Jobs, or more evaluation Jobs, than `parallelism` exist unfinished."""
    world = World(study_of(parallelism=parallelism))
    for turn in range(80):
        made = world.plan()
        world.apply(made)
        assert len(world.running("train")) <= parallelism
        assert len(world.running("evaluate")) <= parallelism
        assert len(world.running("analyse")) <= 1
        world.step(outcomes[turn] if turn < len(outcomes) else Outcome.SUCCEEDED, picks[turn % len(picks)])


@given(OUTCOMES, PICKS)
def test_every_sequence_of_outcomes_ends(outcomes: list[Outcome], picks: list[int]) -> None:
    """Any study ends: each trial completed or failed for good, and a final analysis of those that completed.

    Only where all that ran failed alike are there trials that were never begun.
    """
    world = World(study_of())
    made = run_to_the_end(world, outcomes, picks)
    completed, failed = (parse_indexes(t) for t in (made.status.completed_trials, made.status.failed_trials))
    reasons = {condition.reason for condition in made.status.conditions}
    assert len(completed) + len(failed) == 8 or (reasons == {"FailedAlike"} and not completed and len(failed) >= 3)
    assert not completed & failed
    if made.status.phase == "Complete":
        assert made.status.analysis.final
        assert made.status.analysis.trials == len(completed) > 0
    else:
        assert not completed or reasons == {"AnalysisFailed"}


@given(OUTCOMES, PICKS)
def test_nothing_is_created_twice(outcomes: list[Outcome], picks: list[int]) -> None:
    """No Job is created twice, and no stage of a trial again after it succeeded."""
    world = World(study_of())
    run_to_the_end(world, outcomes, picks)
    assert set(world.created.values()) == {1}
    for job in world.jobs.values():
        later = [o for o in world.jobs.values() if (o.trial, o.stage) == (job.trial, job.stage)]
        if job.outcome is Outcome.SUCCEEDED and job.trial is not None:
            assert max(o.attempt for o in later) == job.attempt


@given(OUTCOMES, PICKS)
def test_planning_again_adds_nothing(outcomes: list[Outcome], picks: list[int]) -> None:
    """Applying a plan makes it true: the next plan, with nothing else changed, creates nothing and says the same."""
    world = World(study_of())
    for turn, outcome in enumerate(outcomes):
        world.step(outcome, picks[turn % len(picks)])
        world.apply(world.plan())
        again = world.plan()
        assert again.create == ()
        assert again.status.trials == world.status.trials
        assert world.plan() == again


@given(OUTCOMES, PICKS)
def test_a_lost_status_changes_nothing_but_the_start(outcomes: list[Outcome], picks: list[int]) -> None:
    """While all Jobs exist, planning from an empty status decides the same children: Jobs are the state."""
    world = World(study_of())
    for turn, outcome in enumerate(outcomes):
        world.step(outcome, picks[turn % len(picks)])
        made = world.plan()
        forgetful = plan(world.study, Observed(tuple(world.jobs.values())), world.now)
        assert [child.name for child in forgetful.create] == [child.name for child in made.create]
        assert forgetful.status.completed_trials == made.status.completed_trials
        assert abs(forgetful.status.gpu_hours - made.status.gpu_hours) < 1e-4


@given(OUTCOMES, PICKS)
def test_jobs_of_settled_trials_may_go(outcomes: list[Outcome], picks: list[int]) -> None:
    """Deleting Jobs whose trials the status lists as settled, and all but the newest Job of the others, is free."""
    world = World(study_of())
    for turn, outcome in enumerate(outcomes):
        world.step(outcome, picks[turn % len(picks)])
        world.apply(world.plan())
        before = world.plan()
        settled = parse_indexes(world.status.completed_trials) | parse_indexes(world.status.failed_trials)
        by_hash = world.study.by_hash
        newest: dict[str | None, ObservedJob] = {}
        for job in sorted(world.jobs.values(), key=lambda j: (j.stage == "evaluate", j.attempt)):
            newest[job.trial] = job
        kept = [j for t, j in newest.items() if t is None or by_hash[t].index not in settled]
        after = plan(world.study, Observed(tuple(kept), world.status), world.now)
        assert [child.name for child in after.create] == [child.name for child in before.create]
        assert abs(after.status.gpu_hours - before.status.gpu_hours) < 1e-4


@given(st.lists(st.sampled_from(sorted(FREE)), max_size=40), PICKS)
def test_evictions_never_spend_a_retry(outcomes: list[Outcome], picks: list[int]) -> None:
    """However often pods are preempted, or lose a preempted peer, all trials complete."""
    world = World(study_of(retries={"crashed": 0, "lost": 0, "storage": 0}))
    made = run_to_the_end(world, list(outcomes), picks)
    assert made.status.phase == "Complete"
    assert made.status.trials.completed == 8


@given(OUTCOMES, PICKS, st.integers(0, 3))
def test_retries_are_spent_by_class(outcomes: list[Outcome], picks: list[int], crashed: int) -> None:
    """A stage of a trial never ends in one class more often than its retries plus one."""
    world = World(study_of(retries={"crashed": crashed}))
    run_to_the_end(world, outcomes, picks)
    ends = Counter((j.trial, j.stage, j.outcome) for j in world.jobs.values() if j.trial is not None)
    retries = world.study.experiment.spec.retries
    for (_, _, outcome), count in ends.items():
        if outcome not in {*FREE, Outcome.SUCCEEDED, None}:
            assert count <= allowed(retries, outcome) + 1


@given(OUTCOMES, PICKS, st.floats(0.001, 0.3))
def test_budget_stops_new_pods(outcomes: list[Outcome], picks: list[int], gpu_hours: float) -> None:
    """Once pods have held the budget, no pod of a trial starts; the study ends with an analysis of what it has."""
    world = World(study_of(budget={"gpuHours": gpu_hours}, parallelism=2))
    for turn in range(400):
        before = sum(job.held_s(world.now) for job in world.jobs.values()) / 3600
        made = world.plan()
        if before > gpu_hours + 1e-6:
            assert all(child.stage == "analyse" for child in made.create)
        if made.finished:
            break
        world.step(outcomes[turn] if turn < len(outcomes) else Outcome.SUCCEEDED, picks[turn % len(picks)])
    assert made.finished


@settings(max_examples=50)
@given(OUTCOMES, PICKS)
def test_suspending_stops_everything(outcomes: list[Outcome], picks: list[int]) -> None:
    """A suspended study creates nothing, and names every Job at work to be suspended."""
    world = World(study_of())
    for turn, outcome in enumerate(outcomes[:20]):
        world.step(outcome, picks[turn % len(picks)])
    suspended = study_of(suspend=True)
    made = plan(suspended, Observed(tuple(world.jobs.values()), world.status), world.now)
    assert made.create == ()
    assert set(made.suspend) == {job.name for job in world.jobs.values() if not job.ended}


@given(OUTCOMES, PICKS)
def test_sums_are_enough_to_plan_from(outcomes: list[Outcome], picks: list[int]) -> None:
    """Carrying the settled trials over as numbers decides what reading them from the status again decides."""
    world = World(study_of())
    carried: Plan | None = None
    for turn, outcome in enumerate(outcomes):
        if carried is not None:
            slim = Observed(tuple(world.jobs.values()), carried.sums, settled=carried.settled)
            assert plan(world.study, slim, world.now) == world.plan()
            assert plan(world.study, slim, world.now).status == world.plan().status
        carried = world.plan()
        world.step(outcome, picks[turn % len(picks)])
