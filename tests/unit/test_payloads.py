"""What pods are told: URIs that they can open as they stand, in an environment variable that Linux takes."""

from pathlib import Path
from typing import Any

import pytest

from builders import experiment
from tepui_operator.child import Child
from tepui_operator.payloads import Site
from tepui_operator.study import Study
from tepui_operator.tasks import MAX_TASK_BYTES, check_tasks, task_text
from tepui_spec.experiment import Metadata
from tepui_spec.trial import AnalyseTask

HERE = Site(Path("/somewhere/study"))
CLUSTER = Site()
REMOTE: dict[str, Any] = {
    "upstream": {"data": {"uri": "s3://data/fonts"}, "imageSize": 32},
    "evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data"},
    "storage": {"uri": "s3://results"},
}


def study_of(**spec: Any) -> Study:
    """A study whose trials cost the same."""
    return Study.of(experiment(**spec), lambda _: 1.0)


@pytest.mark.parametrize(
    ("uri", "opened"),
    [
        ("../fonts", "/somewhere/fonts"),
        ("file://fonts", "file:///somewhere/study/fonts"),
        ("file:///srv/fonts", "file:///srv/fonts"),
        ("s3://bucket/fonts", "s3://bucket/fonts"),
        ("sqlite:///runs.db", "sqlite:////somewhere/study/runs.db"),
        ("~no-such-user/fonts", "/somewhere/study/~no-such-user/fonts"),
    ],
)
def test_on_one_machine_paths_are_taken_from_the_folder_of_the_file(uri: str, opened: str) -> None:
    """Whatever the scheme: pods run in other folders."""
    assert HERE.absolute(uri, "spec.storage.uri") == opened


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("spec.upstream.data.uri: ../fonts", {"upstream": {"data": {"uri": "../fonts"}, "imageSize": 32}}),
        ("spec.evaluation.dataRoot: data/mnist", {"evaluation": {"tasks": ["mnist"], "dataRoot": "data"}}),
        (
            "spec.evaluation.datasets: ~/dtd",
            {"evaluation": {"tasks": ["dtd"], "datasets": [{"name": "dtd", "data": {"uri": "~/dtd"}}]}},
        ),
        ("spec.storage.uri: file://results", {"storage": {"uri": "file://results"}}),
        ("spec.tracking.mlflow.uri: sqlite:///runs.db", {"tracking": {"mlflow": {"uri": "sqlite:///runs.db"}}}),
    ],
)
def test_on_a_cluster_a_relative_path_is_refused(field: str, changes: dict[str, Any]) -> None:
    """No pod there has the folder of the YAML file; the message names the field, the value and what works."""
    study = study_of(**{**REMOTE, **changes})
    check_tasks(study, HERE)
    with pytest.raises(ValueError, match=f"{field}: a relative path works on one machine only; on a cluster give"):
        check_tasks(study, CLUSTER)


def test_on_a_cluster_uris_and_absolute_paths_stand() -> None:
    """A path may be in a mounted volume."""
    check_tasks(study_of(**REMOTE), CLUSTER)
    assert CLUSTER.absolute("/results/data", "spec.upstream.data.uri") == "/results/data"


def test_what_no_object_can_hold_is_refused_before_anything_runs() -> None:
    """A ConfigMap holds 1 MiB: a longer task would be refused by the API server, the analysis's at the very end."""
    trials = [{"model": "tiny", "seed": seed, "epochs": 2, "lrPeak": 0.001, "batchSize": 64} for seed in range(15_000)]
    study = study_of(**REMOTE, sweep={"list": trials})
    with pytest.raises(ValueError, match=r"spec\.sweep: .* an analyse pod would be told [0-9,]+ bytes"):
        check_tasks(study, CLUSTER)
    check_tasks(study_of(**REMOTE, sweep={"list": trials[:3000]}), CLUSTER)


def test_a_models_arguments_count_too() -> None:
    """The task of a trial holds its model's arguments; the analysis holds those of all models."""
    models = [{"name": "m", "timm": "resnet18", "args": {"x": "y" * MAX_TASK_BYTES}}]
    study = study_of(**REMOTE, models=models, sweep={"grid": {"model": ["m"]}})
    with pytest.raises(ValueError, match=r"spec\.models: .* a train pod would be told"):
        task_text(study, Child("study", "train", study.trials[0], 0), CLUSTER)


def test_annotations_are_not_sent_to_pods() -> None:
    """kubectl keeps a copy of the whole object in one: with it, a study could be only half as long."""
    annotated = experiment(**REMOTE).model_copy(update={"metadata": Metadata(name="study", annotations={"a": "b"})})
    study = Study.of(annotated, lambda _: 1.0)
    text = task_text(study, Child("study", "analyse", None, 1), CLUSTER)
    assert AnalyseTask.model_validate_json(text).experiment == experiment(**REMOTE)
