"""`kubectl apply` becomes a law: the quickstart on real nodes, from the chart's installation to MLflow's runs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from digit_data import digits, write_digits
from study_site import ROOT, Manifest, Site, chart_image, install, laws_of, rows_of, uninstall
from tepui_operator.pod_template import USER
from tepui_spec.status import ExperimentStatus
from tepui_testbed.cluster import Cluster
from tepui_testbed.containerfile import build_images

pytestmark = pytest.mark.timeout(2400)

TRIALS = 5
TASKS = ["mnist", "digits8x8"]


@pytest.fixture
def site(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Site]:
    """The chart with its own MLflow server, in one namespace."""
    runs = tmp_path / "runs"
    runs.mkdir()
    os.chown(runs, USER, USER)
    cluster.create(*Cluster.folder_claim(namespace, "runs", runs))
    server = {
        "enabled": True,
        "image": chart_image(build_images(["study"])["study"]),
        "workers": 1,
        "persistence": {"existingClaim": "runs"},
    }
    site = install(cluster, namespace, tmp_path, mlflow=server)
    yield site
    uninstall(site)
    cluster.kubectl("delete", "pv", f"{namespace}-runs", "--wait=false")


def quickstart(site: Site) -> Manifest:
    """examples/quickstart.yaml with fewer trials and tasks, its data and results on the volume."""
    spec = yaml.safe_load((ROOT / "examples" / "quickstart.yaml").read_text())["spec"]
    spec["upstream"]["data"]["uri"] = "/results/data/fonts"
    spec["sweep"]["random"]["count"] = TRIALS
    spec["evaluation"] |= {"dataRoot": "/results/data", "tasks": TASKS, "shots": [1, 5]}
    return site.study(spec, "quickstart")


@contextmanager
def watched(site: Site) -> Iterator[list[str]]:
    """What `kubectl get exps -w` prints meanwhile; complete at the end."""
    lines: list[str] = []
    command = ["kubectl", "get", "exps", "-w", "-n", site.namespace]
    with subprocess.Popen(command, env=site.cluster.environment, stdout=subprocess.PIPE, text=True) as watch:
        try:
            yield lines
        finally:
            watch.terminate()
            assert watch.stdout is not None
            lines += watch.stdout.read().splitlines()


@contextmanager
def forwarded(site: Site, service: str, port: int) -> Iterator[str]:
    """The address on this machine at which `kubectl port-forward` serves a Service of the cluster."""
    command = ["kubectl", "port-forward", f"service/{service}", f":{port}", "-n", site.namespace]
    with subprocess.Popen(command, env=site.cluster.environment, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found is not None
        try:
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forward.terminate()


def test_the_quickstart_becomes_laws(site: Site, tmp_path: Path) -> None:
    """The laws in `status` and every row are those of `tepui run` on the same file; MLflow shows each trial."""
    tepui = Path(sys.executable).with_name("tepui")
    subprocess.run([tepui, "data", "quickstart", "--out", str(site.folder / "data")], check=True)
    study = quickstart(site)
    file = tmp_path / "quickstart.yaml"
    file.write_text(yaml.safe_dump(study))
    with watched(site) as lines:
        site.cluster.kubectl("apply", "-f", str(file))
        status = site.complete("quickstart")
    done = [found[1] for line in lines if (found := re.match(r"quickstart +(?:Running|Complete) +(\d+)", line))]
    assert done[-1] == str(TRIALS), lines
    assert len(set(done)) > TRIALS / 2, lines

    local = site.run_locally(study)
    assert site.rows("quickstart") == rows_of(local)
    assert laws_of(site.folder / "quickstart", "quickstart") == laws_of(local, "quickstart")
    here = ExperimentStatus.model_validate_json((local / "studies/quickstart/status.json").read_text())
    assert status["laws"] == json.loads(here.model_dump_json(by_alias=True))["laws"]
    assert {law["task"] for law in status["laws"]} == set(TASKS)
    events = site.cluster.kubectl("describe", "exps", "quickstart", "-n", site.namespace)
    assert re.search(r"Normal\s+AllTrialsCompleted", events), events

    with forwarded(site, "tepui-mlflow", 5000) as address:
        _every_trial_is_a_run(address, site)


def _every_trial_is_a_run(address: str, site: Site) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    (experiment,) = [found for found in client.search_experiments() if found.name != "Default"]
    assert experiment.name == f"{site.namespace}/quickstart"
    runs = [run for run in client.search_runs([experiment.experiment_id]) if "tepui.trial" in run.data.tags]
    trials = [run for run in runs if {"model", "dataFraction", "epochs", "seed"} <= set(run.data.params)]
    assert len(trials) == TRIALS
    for run in trials:
        assert {"validation_error", "mnist/error_5_shot"} <= set(run.data.metrics), run.data.metrics
        assert client.get_metric_history(run.info.run_id, "train_loss")


def test_a_gang_over_two_nodes(site: Site) -> None:
    """Two pods on two nodes, meeting by name, come to the losses of one process."""
    data = site.folder / "data"
    write_digits(data / "up", {"train": digits(0, 1000, 8), "validation": digits(1000, 1300, 8)}, 8)
    write_digits(data / "ten", {"train": digits(0, 400), "test": digits(1300, 1797)})
    args = {"patch_size": 4, "embed_dim": 24, "depth": 1, "num_heads": 2}
    spec = {
        "upstream": {"data": {"uri": "/results/data/up"}, "imageSize": 8},
        "models": [{"name": "vit", "timm": "vit_tiny_patch16_224", "args": args}],
        "sweep": {"grid": {"model": ["vit"], "epochs": [4]}},
        "training": {"recipe": "vit-small", "precision": "fp32", "batchSize": 50},
        "evaluation": {"tasks": ["ten"], "dataRoot": "/results/data", "shots": [1]},
        "tracking": {"enabled": False},
    }
    site.cluster.create(site.study({**spec, "pods": {"nodes": 2, "cpus": 1.1}}, "gang"), site.study(spec, "single"))
    site.wait("jsonpath={.status.trials.evaluating}=1", "exps/gang")
    pods = site.cluster.get("pods", "-n", site.namespace, "-l", "tepui.dev/study=gang,tepui.dev/stage=train")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == 2
    losses = {name: _losses(site, name) for name in ("gang", "single")}
    assert losses["gang"] == pytest.approx(losses["single"], rel=1e-3)
    assert len(losses["gang"]) > 10


def _losses(site: Site, name: str) -> list[float]:
    site.complete(name)
    (curve,) = (site.folder / name / "trials").rglob("curve.parquet")
    rows = pq.read_table(curve, filters=[("metric", "=", "train_loss")])
    return [float(loss) for loss in rows["value"].to_pylist()]
