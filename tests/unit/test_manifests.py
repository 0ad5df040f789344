"""The Kubernetes objects of a study's children, against golden files that a person has read.

`TEPUI_UPDATE_GOLDEN=1 pytest tests/unit/test_manifests.py` writes them anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from builders import experiment
from tepui_operator.child import Child
from tepui_operator.manifests import Owner, objects
from tepui_operator.observed import History
from tepui_operator.payloads import Site
from tepui_operator.study import Study
from tepui_spec.outcome import Outcome
from tepui_spec.trial import TASK_FILE_VARIABLE, TASK_VARIABLE, AnalyseTask, EvaluateTask, TrainTask

GOLDEN = Path(__file__).parent.parent / "golden" / "manifests"
OWNER = Owner("study", "11111111-2222-3333-4444-555555555555")
IMAGE = "registry.invalid/tepui@sha256:" + "0" * 64
CLUSTER: dict[str, Any] = {
    "upstream": {"data": {"uri": "s3://data/fonts"}, "imageSize": 32},
    "evaluation": {"tasks": ["mnist"], "dataRoot": "s3://data"},
}
GPU_GANG: dict[str, Any] = {
    **CLUSTER,
    "pods": {
        "image": IMAGE,
        "nodes": 2,
        "gpusPerNode": 8,
        "cpus": 96,
        "memory": "768Gi",
        "sharedMemory": "64Gi",
        "nodeSelector": {"gpu": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "queue": "vision",
        "priorityClass": "batch",
        "topology": "cloud.provider.com/rack",
        "storageSecret": "s3-credentials",
    },
    "training": {"recipe": "vit-small", "deepspeed": {"zeroStage": 1}, "microBatchSize": 8},
    "storage": {"persistentVolumeClaim": {"claimName": "results", "path": "vision"}},
    "tracking": {"mlflow": {"uri": "http://mlflow:5000", "tokenSecret": {"name": "mlflow"}}},
    "ttlSecondsAfterFinished": 60,
}
CPU: dict[str, Any] = {
    **CLUSTER,
    "pods": {"image": IMAGE, "cpus": 2, "priorityClass": "low"},
    "storage": {"uri": "s3://results/study"},
}


def study_of(spec: dict[str, Any]) -> Study:
    """A study whose trials cost the same."""
    return Study.of(experiment(**spec), lambda _: 1.0)


def children(study: Study) -> dict[str, Child]:
    """One child of each stage, the training a third attempt."""
    trial = study.trials[0]
    history = History({Outcome.LOST: 1, Outcome.CRASHED: 1}, hours=1.5)
    return {
        "train": Child("study", "train", trial, 2, history),
        "evaluate": Child("study", "evaluate", trial, 0, History(hours=2.25)),
        "analyse": Child("study", "analyse", None, 1, final=True, covers=4, failures=("Trial x failed.",)),
    }


def as_golden(study: Study, made: tuple[dict[str, Any], ...]) -> Any:
    """The objects without what is tested elsewhere: the trial's hash, and the payload that pods read."""
    text = json.dumps(made).replace(study.trials[0].hash, "0123456789ab")
    plain = json.loads(text)
    for variable in plain[-1]["spec"]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == TASK_VARIABLE:
            variable["value"] = "{...}"
    return plain


@pytest.mark.parametrize("stage", ["train", "evaluate", "analyse"])
@pytest.mark.parametrize(("name", "spec"), [("cpu", CPU), ("gpu-gang", GPU_GANG)])
def test_objects_are_those_of_the_golden_file(name: str, spec: dict[str, Any], stage: str) -> None:
    """Every field of every object is as in the file."""
    study = study_of(spec)
    made = as_golden(study, objects(study, children(study)[stage], Site(), OWNER))
    path = GOLDEN / f"{name}-{stage}.json"
    if os.environ.get("TEPUI_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made, indent=2) + "\n")
    assert made == json.loads(path.read_text())


def job(study: Study, child: Child, site: Site) -> dict[str, Any]:
    """The Job of a child."""
    return objects(study, child, site)[-1]


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The pod spec of a Job."""
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def task_of(manifest: dict[str, Any]) -> str:
    """The payload of a Job's pods."""
    text: str = next(v["value"] for v in pod_of(manifest)["containers"][0]["env"] if v["name"] == TASK_VARIABLE)
    return text


@pytest.mark.parametrize("spec", [CPU, GPU_GANG])
@pytest.mark.parametrize("stage", ["train", "evaluate", "analyse"])
def test_pods_pass_pod_security_restricted(spec: dict[str, Any], stage: str) -> None:
    """What the restricted profile asks of a pod holds, and no service-account token is mounted."""
    study = study_of(spec)
    pod = pod_of(job(study, children(study)[stage], Site()))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert all(set(volume) & {"emptyDir", "persistentVolumeClaim", "configMap"} for volume in pod["volumes"])
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_payloads_are_what_pods_read() -> None:
    """Each stage's variable holds its own payload, and the trial's hash names its configuration."""
    study = study_of(CPU)
    texts = {stage: task_of(job(study, child, Site())) for stage, child in children(study).items()}
    train = TrainTask.model_validate_json(texts["train"])
    assert (train.trial, train.attempt, train.config) == (study.trials[0].hash, 2, study.trials[0].config)
    assert train.factors == {"model": "tiny", "epochs": 1.0, "seed": 0}
    assert EvaluateTask.model_validate_json(texts["evaluate"]).task_uris == {"mnist": "s3://data/mnist"}
    analyse = AnalyseTask.model_validate_json(texts["analyse"])
    assert (analyse.experiment, analyse.final, analyse.failures) == (study.experiment, True, ("Trial x failed.",))


def test_a_task_too_long_for_a_variable_is_a_file() -> None:
    """The analysis of a list sweep of thousands: a ConfigMap made before the Job, mounted where its pods look."""
    trials = [{"model": "tiny", "seed": seed, "epochs": 2} for seed in range(4000)]
    study = study_of({**CPU, "sweep": {"list": trials}})
    config_map, made = objects(study, Child("study", "analyse", None, 1, final=True, covers=4000), Site(), OWNER)
    text = config_map["data"]["task.json"]
    assert AnalyseTask.model_validate_json(text).experiment == study.experiment
    assert config_map["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    pod = pod_of(made)
    variables = {v["name"]: v["value"] for v in pod["containers"][0]["env"]}
    assert TASK_VARIABLE not in variables
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "task")
    assert variables[TASK_FILE_VARIABLE] == f"{mount['mountPath']}/task.json"
    assert {"name": "task", "configMap": {"name": config_map["metadata"]["name"]}} in pod["volumes"]


def test_names_fit_kubernetes() -> None:
    """With the longest study name and 1024 nodes, the pods' host names are DNS labels of at most 63 characters."""
    made = experiment("s" * 40, **{**CLUSTER, "pods": {"nodes": 1024}})
    study = Study.of(made, lambda _: 1.0)
    name = Child(study.name, "train", study.trials[0], 99).name
    assert len(f"{name}-1023") <= 63


def test_paths_are_taken_from_the_folder_of_the_file() -> None:
    """Here a path without a scheme is made absolute; a URI with one stays; the trial's hash takes it as written."""
    here = Study.of(experiment(upstream={"data": {"uri": "../fonts"}, "imageSize": 32}), lambda _: 1.0)
    site = Site(Path("/somewhere/study"), default_mlflow_uri="sqlite:////somewhere/study/results/mlflow.db")
    task = TrainTask.model_validate_json(task_of(job(here, Child("study", "train", here.trials[0], 0), site)))
    assert task.data_uri == "/somewhere/fonts"
    assert task.config.data.uri == "../fonts"
    assert task.destination.storage_uri == "/somewhere/study/results"
    assert task.destination.mlflow is not None
    assert task.destination.mlflow.uri == "sqlite:////somewhere/study/results/mlflow.db"
