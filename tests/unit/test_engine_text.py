"""What the engine and its commands say: lines, tables and the live picture."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from builders import experiment, experiment_dict
from tepui_operator.estimate import UpstreamSize
from tepui_operator.folder import EngineFolder
from tepui_operator.local import RunResult
from tepui_operator.payloads import Site
from tepui_operator.plan_text import objects_text, plan_text
from tepui_operator.running import load_study
from tepui_operator.status_text import status_text
from tepui_operator.study import Study
from tepui_operator.summary import law_table, summary
from tepui_operator.text import digits, duration, si, size
from tepui_operator.view import JobNews, PlainView, Snapshot, describe_end, picture
from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome, Progress
from tepui_spec.status import ExperimentStatus, Failure, TrialCounts
from tepui_spec.yaml_text import to_yaml


def study_of(**spec: Any) -> Study:
    """A study whose trials cost the same."""
    return Study.of(experiment(**spec), lambda _: 1.0)


def law(**differing: Any) -> Headline:
    """A law that the data identify."""
    values: dict[str, Any] = {
        "task": "mnist",
        "shots": 5,
        "law": "frontier",
        "n": 24,
        "e_ir": (0.1, 0.05, 0.15),
        "k": (0.5, 0.4, 0.6),
        "alpha": (1.5, 1.2, 2.5),
        "identified": "yes",
    }
    return Headline(**(values | differing))


NEWS = JobNews("study-abc-t0", "train", "tiny epochs=1 seed=0", 0, "/logs/study-abc-t0.log", started_at=10.0)


@pytest.mark.parametrize(
    ("differing", "words"),
    [
        ({}, "0.5 [0.4, 0.6]  1.5 [1.2, 2.5]  0.1 [0.05, 0.15]  24\n"),
        ({"k": (0.5, 0.4, None)}, "0.5 [0.4, unbounded]"),
        (
            {"identified": "no", "e_ir": (0.1, 0.0, 0.291)},
            "not identified  not identified  not identified  24      0 to 0.291 all fit",
        ),
        ({"identified": "no", "e_ir": (0.1, None, None)}, "24      no interval for e_IR"),
        (
            {"identified": "at_most", "e_ir": (None, 0.0, 0.21)},
            "not identified  not identified  at most 0.210  24      e_IR may be 0",
        ),
        ({"identified": "weak", "e_ir": (None, 0.02, 0.21)}, "[0.02, 0.21]  24      wide or in doubt"),
        ({"identified": "weak", "alpha": (3.0, 1.0, None)}, "[0.05, 0.15]  24      alpha unbounded"),
    ],
)
def test_laws_are_told_with_intervals_or_as_not_identified(differing: dict[str, Any], words: str) -> None:
    """Every parameter has its interval, or the words that say there is none."""
    assert words in f"{law_table((law(**differing),), 0.95)}\n"


def test_the_end_of_a_run_names_report_runs_failures_and_logs(tmp_path: Path) -> None:
    """What a user does next stands in the last lines: report, MLflow, logs of failed trials."""
    folder = EngineFolder(tmp_path)
    folder.logs.mkdir()
    folder.log("study-abc-t1").write_text("")
    failure = Failure(
        trial="abc", index=3, stage="train", outcome=Outcome.DIVERGED, attempts=2, job="study-abc-t1", message="NaN"
    )
    status = ExperimentStatus(
        phase="Complete",
        trials=TrialCounts(total=4, completed=3, failed=1),
        failures=(failure,),
        laws=(law(),),
        report="/x/report.html",
    )
    site = Site(Path("/x"), default_mlflow_uri="sqlite:////x/mlflow.db")
    text = summary(study_of(), site, folder, RunResult(status, False, 75.0, 100.0), command="tepui run s.yaml")
    assert "Study study complete after 1m 15s" in text
    assert "abc  train  Diverged: NaN" in text
    assert f"log: {tmp_path}/logs/study-abc-t1.log" in text
    assert "Report: /x/report.html" in text
    assert "mlflow ui --backend-store-uri sqlite:////x/mlflow.db" in text


def test_an_interrupted_run_says_how_to_go_on() -> None:
    """The same command, in full."""
    status = ExperimentStatus(phase="Suspended", trials=TrialCounts(total=4, completed=1))
    folder = EngineFolder(Path("/nowhere"))
    text = summary(study_of(), Site(Path("/x")), folder, RunResult(status, True, 5.0, 1.0), command="tepui run s.yaml")
    assert "run the same command again:\n  tepui run s.yaml" in text


def test_a_failed_pod_is_told_with_reason_and_log() -> None:
    """One line has the trial, the class, the reason and the log."""
    ended = JobNews(
        "study-abc-t0", "train", "tiny seed=0", 0, "/logs/x.log", 10.0, 12.5, Outcome.OUT_OF_MEMORY, "batch too large"
    )
    assert describe_end(ended) == (
        "FAILED    train    tiny seed=0  [study-abc-t0] after 2.5s: OutOfMemory: batch too large; log: /logs/x.log"
    )


def test_plain_lines_have_a_time_and_come_once() -> None:
    """Progress is told when it changes, not with every snapshot."""
    stream = io.StringIO()
    view = PlainView(stream, clock=lambda: 0.0)
    view.started(NEWS)
    for completed in (0, 0, 1):
        status = ExperimentStatus(trials=TrialCounts(total=4, completed=completed, training=1, waiting=3 - completed))
        view.show(Snapshot("study", status))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "started   train    tiny epochs=1 seed=0  [study-abc-t0]" in lines[0]
    assert "1/4 trials completed; 1 in training, 0 in evaluation, 2 to come" in lines[1]


def test_the_live_picture_shows_running_pods() -> None:
    """Stage, trial, step and loss of each pod, how far the study is and how long it will take."""
    running = JobNews(
        "x", "train", "tiny seed=0", 1, "log", 10.0, progress=Progress(stage="train", step=5, steps=20, loss=1.25)
    )
    status = ExperimentStatus(trials=TrialCounts(total=4, completed=1, training=1, waiting=2))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(picture(Snapshot("study", status, (running,), share_done=0.3, elapsed_s=60, left_s=140)))
    text = console.export_text()
    assert "study  1/4 trials completed; 1 in training" in text
    assert "about 2m 20s left" in text
    assert "training  tiny seed=0 (attempt 2)  5/20  1.2500" in text


def test_a_plan_tells_work_memory_hours_and_objects(tmp_path: Path) -> None:
    """Exact parameters, memory against the GPU's, hours at the rate that is said, and every object."""
    vit = {"grid": {"model": ["vit_base_patch16_224"], "seed": [0, 1]}}
    spec: dict[str, Any] = {
        "sweep": vit,
        "upstream": {"data": {"uri": "s3://imagenet21k"}, "imageSize": 224},
        "training": {"recipe": "vit-21k", "deepspeed": {"zeroStage": 1}},
        "pods": {"nodes": 2, "gpusPerNode": 8, "cpus": 64, "gpuMemory": "16Gi"},
    }
    study = study_of(**spec)
    text = plan_text(study, tmp_path / "s.yaml", given=UpstreamSize(14_197_122, 21_841), flops_per_s=1e14)
    assert "2 trials" in text
    assert "103M" in text  # 85.8M of the body and 16.8M of the head
    assert "if each GPU sustains 100 TFLOP/s" in text
    assert "GPU-hours" in text
    assert "2 training Jobs (Indexed, 2 pods each) with 2 headless Services" in text
    assert "DOES NOT FIT" in text


def test_a_plan_without_the_data_says_what_it_lacks(tmp_path: Path) -> None:
    """Where the upstream card cannot be read, work and hours are not guessed."""
    text = plan_text(study_of(), tmp_path / "s.yaml")
    assert "give --images and --classes" in text
    assert "core-hours not known" in text


def test_too_many_at_a_time_is_told_by_the_option(tmp_path: Path) -> None:
    """The message is ours, with what is allowed, not pydantic's."""
    file = tmp_path / "s.yaml"
    file.write_text(to_yaml(experiment_dict()))
    with pytest.raises(ValueError, match="--parallelism: 2000: allowed: a whole number from 1 to 1000"):
        load_study(file, parallelism=2000)
    assert load_study(file, parallelism=3).experiment.spec.parallelism == 3


def test_objects_are_printed_for_every_trial() -> None:
    """A training and an evaluation Job each, and the analysis."""
    remote = {
        "upstream": {"data": {"uri": "s3://data/fonts"}},
        "evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data"},
        "storage": {"uri": "s3://results"},
    }
    assert objects_text(study_of(**remote)).count("---\n") == 4 + 4 + 1


def test_status_reads_as_text() -> None:
    """Counts and hours of the last status."""
    status = ExperimentStatus(
        phase="Running", trials=TrialCounts(total=4, completed=1, training=2, waiting=1), gpu_hours=0.5
    )
    text = status_text(study_of(), EngineFolder(Path("/nowhere")), status)
    assert "Study study: Running" in text
    assert "1/4 completed, 0 failed, 2 in training" in text
    assert "0.5 core-hours" in text


def test_numbers_read_well() -> None:
    """Three digits, a unit, no surprise at the borders."""
    assert [si(x) for x in (21_700, 5.72e6, 999, 1.3e21)] == ["21.7k", "5.72M", "999", "1.3e+21"]
    assert [si(x) for x in (999.7, 999_600, 9.999e8)] == ["1k", "1M", "1G"]
    assert si(1.25e14, "FLOP/s") == "125 TFLOP/s"
    assert [size(x) for x in (512, 1536, 2**30)] == ["512 B", "1.5 KiB", "1 GiB"]
    assert [size(x * 2**20) for x in (1010, 1023, 1023.9)] == ["1,010 MiB", "1,023 MiB", "1 GiB"]
    assert [digits(x) for x in (0.0123, 99.96, 12_345)] == ["0.0123", "100", "12,345"]
    assert [duration(x) for x in (4.2, 59.4, 59.6, 80, 11_100)] == ["4.2s", "59s", "1m 0s", "1m 20s", "3h 5m"]


def test_a_success_with_something_to_say_says_it() -> None:
    """Shots that a task cannot have are told when its evaluation ends, not in the pod's log alone."""
    note = "faces: 200 shots left out, because class 'face' has 30 readable images"
    ended = replace(NEWS, stage="evaluate", ended_at=12.0, outcome=Outcome.SUCCEEDED, message=note)
    assert describe_end(ended).endswith(f"in 2.0s: {note}")
