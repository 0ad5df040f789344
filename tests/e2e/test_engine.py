"""The embedded engine with real processes, real signals and real kills. What pods do is scripted (engine_stages)."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_bench import Bench, end_by_signal, gone
from engine_stages import STEPS

pytestmark = pytest.mark.e2e
DONE = "".join(f"{step}\n" for step in range(STEPS))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes studies in folders of their own, and ends their engines."""
    made: list[Bench] = []

    def make(**spec: Any) -> Bench:
        made.append(Bench(tmp_path / f"study-{len(made)}", **spec))
        return made[-1]

    yield make
    for study in made:
        study.close()


def test_a_study_runs_to_its_laws(bench: Callable[..., Bench]) -> None:
    """Every trial is trained and evaluated once, then analysed; the laws and where to look are printed."""
    study = bench()
    code, output = study.run()
    assert code == 0, output
    assert len(study.calls("begin")) == 4 + 4 + 1
    assert set(study.rows().values()) == {DONE}
    assert len(study.rows()) == 8
    assert "mnist  5      frontier  0.5 [0.4, unbounded]  1.5 [1.2, 2.5]  0.1 [0.05, 0.15]  4" in output
    assert f"Report: {study.storage}/report.html" in output
    assert f"mlflow ui --backend-store-uri sqlite:///{study.storage}/mlflow.db" in output
    status = study.status()
    assert (status.phase, status.completed_trials, status.trials.completed) == ("Complete", "0-3", 4)


def test_imports_are_paid_once(bench: Callable[..., Bench]) -> None:
    """All pods are forks of the one process that imported the stages, each in a process of its own."""
    study = bench()
    study.run()
    calls = study.calls("begin")
    assert len({call["imported_in"] for call in calls}) == 1
    assert len({call["pid"] for call in calls}) == len(calls)
    assert {call["running_threads"] for call in calls} == {1}


def test_a_second_run_repeats_nothing(bench: Callable[..., Bench]) -> None:
    """Running a finished study again finds the trained trials in the store."""
    study = bench()
    study.run()
    before = study.rows()
    code, output = study.run()
    assert code == 0
    assert len(study.calls("reused")) == 4
    assert "(found finished)" in output
    assert study.rows() == before


def test_pods_are_packed_by_their_requests(bench: Callable[..., Bench]) -> None:
    """With two cores and pods of one, two are at work together; a third does not start until one ends."""
    study = bench(parallelism=4)
    study.script({f"train-{seed}": {"gate": 3} for seed in range(4)})
    gates = {seed: study.gate(f"train-{seed}") for seed in range(4)}
    engine = study.start(cpus=2)
    gates[0].reached()
    gates[1].reached()
    assert {call["key"] for call in study.calls()} == {"train-0", "train-1"}
    gates[0].open()
    gates[3].reached()
    assert "train-2" not in {call["key"] for call in study.calls()}
    gates[1].open()
    gates[2].reached()
    gates[2].open()
    gates[3].open()
    engine.communicate()
    assert engine.returncode == 0


def test_a_pod_larger_than_the_machine_is_refused(bench: Callable[..., Bench]) -> None:
    """What cannot fit is said before anything runs, with the field, the value and what there is."""
    study = bench(pods={"cpus": 3})
    code, output = study.run(cpus=2)
    assert code == 2
    assert "spec.pods.cpus: 3: a train pod asks for 3 cores and this machine has 2" in output
    assert study.calls() == []


def test_kill_9_of_a_pod_resumes_it(bench: Callable[..., Bench]) -> None:
    """A pod killed in mid-work is a crash; its next attempt goes on from the checkpoint, to the same rows."""
    study = bench()
    study.script({"train-1": {"gate": 6}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    (victim,) = [call["pid"] for call in study.calls("begin") if call["key"] == "train-1"]
    os.kill(victim, signal.SIGKILL)
    output, _ = engine.communicate()
    assert engine.returncode == 0, output
    assert [c["step"] for c in study.calls("begin") if c["key"] == "train-1"] == [0, 6]
    assert set(study.rows().values()) == {DONE}
    assert "Crashed: signal 9" in output


def test_kill_9_of_the_engine_leaves_no_process(bench: Callable[..., Bench]) -> None:
    """When the engine is killed, its pods end, and so do processes that they started in sessions of their own."""
    study = bench()
    study.script({"train-3": {"gate": 4, "grandchild": True}})
    gate = study.gate("train-3")
    engine = study.start()
    gate.reached()
    processes = [call["pid"] for call in study.calls("begin") if call["key"] == "train-3"]
    processes += [call["child"] for call in study.calls("grandchild")]
    processes += [call["imported_in"] for call in study.calls("begin")][:1]
    assert len(processes) == 3
    engine.kill()
    for pid in processes:
        gone(pid)


def test_kill_9_of_the_engine_then_the_same_rows(bench: Callable[..., Bench]) -> None:
    """After kill -9 of the engine in mid-study, running again gives the rows of an undisturbed run."""
    undisturbed = bench()
    undisturbed.run()
    study = bench()
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    engine.kill()
    engine.wait()
    code, output = study.run()
    assert code == 0, output
    assert study.rows() == undisturbed.rows()
    assert [c["step"] for c in study.calls("begin") if c["key"] == "train-1"] == [0, 5]


def test_the_fork_server_killed_in_mid_study(bench: Callable[..., Bench]) -> None:
    """When the fork server dies its pods are lost, not failed: another server takes over and they resume."""
    study = bench(retries={"crashed": 0})
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    (server,) = {call["imported_in"] for call in study.calls("begin")}
    os.kill(server, signal.SIGKILL)
    output, _ = engine.communicate()
    assert engine.returncode == 0, output
    assert set(study.rows().values()) == {DONE}


def test_what_a_pod_leaves_behind_is_ended(bench: Callable[..., Bench]) -> None:
    """A process that a pod started in a session of its own ends with the pod, before the Job counts as ended."""
    study = bench()
    study.script({"train-2": {"grandchild": True}})
    code, _ = study.run()
    assert code == 0
    (left,) = [call["child"] for call in study.calls("grandchild")]
    assert not Path(f"/proc/{left}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_lets_pods_save(bench: Callable[..., Bench], number: signal.Signals) -> None:
    """Ctrl-C stops pods at a checkpoint and says how to go on; going on resumes from there and spends no retry."""
    study = bench(retries={"crashed": 0})
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    output = end_by_signal(engine, number)
    assert engine.returncode == 130
    assert "train-1" in {call["key"] for call in study.calls("stopped")}
    assert f"run the same command again:\n  tepui run {study.file}" in output
    status = study.status()
    assert status.phase == "Suspended"
    assert status.condition("Suspended").reason == "Interrupted"  # type: ignore[union-attr]
    code, output = study.run()
    assert code == 0, output
    assert [c["step"] for c in study.calls("begin") if c["key"] == "train-1"] == [0, 5]
    assert set(study.rows().values()) == {DONE}


def test_a_stop_signal_to_every_process_lets_pods_save(bench: Callable[..., Bench]) -> None:
    """A service manager signals all processes at once: supervisors and fork server wait for the pods."""
    study = bench(retries={"crashed": 0, "lost": 0})
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    (pod,) = [call for call in study.calls("begin") if call["key"] == "train-1"]
    supervisor = int(Path(f"/proc/{pod['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGTERM)
    os.kill(pod["imported_in"], signal.SIGTERM)
    output = end_by_signal(engine, signal.SIGTERM)
    assert engine.returncode == 130, output
    assert "train-1" in {call["key"] for call in study.calls("stopped")}


def test_an_analysis_that_ends_while_the_engine_stops_is_the_answer(bench: Callable[..., Bench]) -> None:
    """Interrupted in its last moments, a study that then has its laws is complete: nothing is left to continue."""
    study = bench()
    study.script({"analyse": {"gate": True, "deaf": True}})
    gate = study.gate("analyse")
    engine = study.start()
    gate.reached()
    engine.send_signal(signal.SIGINT)
    assert engine.stdout is not None
    for line in engine.stdout:
        if "stopping: " in line:
            break
    gate.open()
    output, _ = engine.communicate()
    assert engine.returncode == 0, output
    assert "Study study complete" in output
    assert (study.status().phase, study.status().holds("Suspended")) == ("Complete", False)


def test_a_second_signal_ends_pods_at_once(bench: Callable[..., Bench]) -> None:
    """Pods that do not listen to SIGTERM are killed when the user asks again; their checkpoints are kept."""
    study = bench()
    study.script({"train-1": {"gate": 5, "deaf": True}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    (victim,) = [call["pid"] for call in study.calls("begin") if call["key"] == "train-1"]
    engine.send_signal(signal.SIGINT)
    assert engine.stdout is not None
    for line in engine.stdout:
        if "stopping: " in line:
            break
    output = end_by_signal(engine, signal.SIGINT)
    assert engine.returncode == 130, output
    gone(victim)
    code, output = study.run()
    assert code == 0, output
    assert [c["step"] for c in study.calls("begin") if c["key"] == "train-1"] == [0, 5]


def test_what_cannot_be_preloaded_is_said(bench: Callable[..., Bench]) -> None:
    """When the imports that pods need fail, the engine ends and names the log that holds the reason."""
    study = bench()
    code, output = study.run(env={"TEPUI_TEST_PRELOAD": "no_such_module"})
    log = study.storage / "studies/study/logs/forkserver.log"
    assert code == 2
    why = "ModuleNotFoundError: No module named 'no_such_module'"
    assert f"tepui: what pods need could not be imported: {why}; log: {log}\n" in output
    assert why in log.read_text()


def test_on_a_terminal_the_study_is_drawn(bench: Callable[..., Bench]) -> None:
    """With a terminal for output, running pods are shown with their step and loss, and the laws stay at the end."""
    study = bench()
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    screen = study.start_on_terminal()
    gate.reached()
    screen.read_until("5/10")
    assert "0.2000" in screen.text
    gate.open()
    screen.read_until("Report: ")
    assert "4/4 trials completed" in screen.text


def test_one_engine_at_a_time(bench: Callable[..., Bench]) -> None:
    """A second engine on the same study is refused with the first one's process id; the first goes on unharmed."""
    study = bench()
    study.script({"train-1": {"gate": 5}})
    gate = study.gate("train-1")
    engine = study.start()
    gate.reached()
    code, output = study.run()
    assert code == 2
    assert f"study study is being run by process {engine.pid} on " in output
    gate.open()
    engine.communicate()
    assert engine.returncode == 0


def test_a_failed_trial_does_not_stop_the_others(bench: Callable[..., Bench]) -> None:
    """A diverged trial is given up after its retries; the rest completes, and the exit code and log tell of it."""
    study = bench(retries={"diverged": 1})
    study.script({"train-2": {"exit": [42]}})
    code, output = study.run()
    assert code == 1
    status = study.status()
    assert (status.phase, status.trials.completed, status.trials.failed) == ("Complete", 3, 1)
    assert status.failed_trials == "2"
    (failure,) = status.failures
    assert (failure.outcome, failure.attempts, failure.message) == ("Diverged", 2, "scripted Diverged")
    assert f"log: {study.storage}/studies/study/logs/{failure.job}.log" in output
    (final,) = [call for call in study.calls("begin") if call["key"] == "analyse"]
    assert "ended Diverged in train" in final["failures"][0]


def test_a_crash_without_a_report_shows_the_log(bench: Callable[..., Bench]) -> None:
    """A pod that ends without last words is told of by its exit code and the last line of its log."""
    study = bench(retries={"crashed": 0})
    study.script({"train-0": {"exit": [7]}})
    code, _ = study.run()
    assert code == 1
    assert study.status().failures[0].message == "exit code 7: the last line of the log"


def test_preemption_spends_no_retry(bench: Callable[..., Bench]) -> None:
    """Attempts that end preempted are followed by another, whatever the retries."""
    study = bench(retries={"crashed": 0})
    study.script({"train-0": {"exit": [44, 0]}, "evaluate-0": {"exit": [-15, 0]}})
    code, output = study.run()
    assert code == 0, output
    assert study.status().trials.completed == 4


def test_budget_is_kept_over_runs(bench: Callable[..., Bench]) -> None:
    """What earlier runs spent counts: with the budget gone no pod starts, the field is named, and the answer stays."""
    study = bench()
    study.run()
    before, calls = study.status(), study.calls()
    assert before.laws
    study.write_spec(
        sweep={"grid": {"model": ["tiny"], "seed": [0, 1, 2, 3]}},
        budget={"gpuHours": before.gpu_hours / 2},
    )
    code, output = study.run()
    assert code == 2
    assert "spec.budget.gpuHours: " in output
    assert "raise it to go on" in output
    assert (study.status(), study.calls()) == (before, calls)


def test_a_suspended_study_runs_nothing(bench: Callable[..., Bench]) -> None:
    """spec.suspend is answered with a sentence, and nothing else."""
    study = bench(suspend=True)
    code, output = study.run()
    assert code == 0
    assert "is suspended" in output
    assert study.calls() == []


def test_a_gang_meets_on_one_machine(bench: Callable[..., Bench]) -> None:
    """A trial of two nodes runs as two pods together, each with its index and the same meeting point."""
    study = bench(pods={"nodes": 2}, sweep={"grid": {"model": ["tiny"], "seed": [0]}})
    code, output = study.run()
    assert code == 0, output
    calls = [call for call in study.calls() if call["key"] == "train-0"]
    assert {call["rank"] for call in calls} == {"0", "1"}
    assert {call["master"] for call in calls} == {"127.0.0.1"}


def test_a_token_comes_from_the_environment(bench: Callable[..., Bench]) -> None:
    """The MLflow token is the engine's own environment variable; without it nothing runs."""
    tracking = {"mlflow": {"uri": "http://127.0.0.1:9", "tokenSecret": {"name": "mlflow"}}}
    study = bench(tracking=tracking)
    code, output = study.run()
    assert code == 2
    assert "MLFLOW_TRACKING_TOKEN, which is not set" in output
    code, output = study.run(env={"MLFLOW_TRACKING_TOKEN": "secret"})
    assert code == 0, output
    assert {call["token"] for call in study.calls()} == {"secret"}
