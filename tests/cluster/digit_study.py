"""Studies of tiny trials on 8x8 digits: a pod computes for seconds, so that the time goes into what befalls it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digit_data import digits, write_digits
from study_site import Manifest, Site
from tepui_spec import layout
from tepui_spec.expand import Trial, expand
from tepui_spec.source import experiment_of
from tepui_testbed.waiting import wait_until

LONG = 150
"""Epochs that take long enough for a trial to be met in the middle: some 10 s on a core."""
SOON_S = 600
"""Longer than any pod takes to begin and to train, on a loaded machine."""

_MODEL = {
    "name": "vit",
    "timm": "vit_tiny_patch16_224",
    "args": {"patch_size": 4, "embed_dim": 24, "depth": 1, "num_heads": 2},
}


def digit_study(site: Site, name: str, trials: Iterable[tuple[int, int]], **pods: Any) -> Manifest:
    """A study of (epochs, seed) trials, a checkpoint every half second; its data are written where there are none."""
    data = site.folder / "data"
    if not data.exists():
        write_digits(data / "up", {"train": digits(0, 1000, 8), "validation": digits(1000, 1300, 8)}, 8)
        write_digits(data / "ten", {"train": digits(0, 400), "test": digits(1300, 1797)})
    spec = {
        "upstream": {"data": {"uri": "/results/data/up"}, "imageSize": 8},
        "models": [_MODEL],
        "sweep": {"list": [{"model": "vit", "epochs": epochs, "seed": seed} for epochs, seed in trials]},
        "training": {"recipe": "vit-small", "precision": "fp32", "batchSize": 50, "checkpointEveryS": 0.5},
        "evaluation": {"tasks": ["ten"], "dataRoot": "/results/data", "shots": [1]},
        "tracking": {"enabled": False},
        "parallelism": 6,
        "pods": pods,
    }
    return site.study(spec, name)


def trials_of(study: Manifest) -> tuple[Trial, ...]:
    """The study's trials in the order of its sweep."""
    return expand(experiment_of(study).spec)


def is_finished(site: Site, study: str, trial: str) -> bool:
    """Whether a trial is trained, as the store has it."""
    return (site.folder / study / layout.finished(trial)).exists()


def has_checkpoint(site: Site, study: str, trial: str) -> bool:
    """Whether a trial could be resumed: trained in part, and that is in the store."""
    checkpoints = site.folder / study / layout.checkpoints_dir(trial)
    return not is_finished(site, study, trial) and any(checkpoints.glob("*/manifest.json"))


def met_in_the_middle(site: Site, study: str, where: str = "") -> tuple[str, str]:
    """Wait until a trial trains and has a checkpoint: its hash, and its pod. `where`: on that node."""

    def found() -> tuple[str, str] | None:
        selector = f"tepui.dev/study={study},tepui.dev/stage=train"
        for pod in site.cluster.get("pods", "-n", site.namespace, "-l", selector)["items"]:
            trial = pod["metadata"]["labels"]["tepui.dev/trial"]
            here = pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
            if here and where in ("", pod["spec"]["nodeName"]) and has_checkpoint(site, study, trial):
                return trial, str(pod["metadata"]["name"])
        return None

    return wait_until(found, f"a trial of {study} trains {where}", SOON_S)


def written(site: Site, study: str) -> dict[str, int]:
    """When each file of rows of the trials that are trained was written, in nanoseconds."""
    return {
        name: (site.folder / study / name).stat().st_mtime_ns
        for name in site.rows(study)
        if is_finished(site, study, Path(name).parts[1])
    }


def resumed(site: Site, job: str) -> bool:
    """Whether the last pod of a training Job says that it went on from a checkpoint."""
    return "resuming trial" in site.cluster.kubectl("logs", f"job/{job}", "-n", site.namespace)
