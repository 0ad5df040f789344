"""The chart rendered by the real helm, without a cluster."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tepui_testbed.build import build

CHART = Path(__file__).parents[2] / "charts" / "tepui"
IMAGE = {"image": {"repository": "registry.example/tepui-operator"}}
MLFLOW = {"enabled": True, "image": {"repository": "registry.example/tepui-study"}}


@cache
def helm_program() -> Path:
    """Helm, built once per machine."""
    return build(["helm"])["helm"]


def helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm without a cluster; the values go in as a file."""
    return subprocess.run(
        [helm_program(), *arguments, *(() if values is None else ("--values", "-"))],
        input=None if values is None else yaml.safe_dump(values),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )


def template(values: dict[str, Any], *arguments: str) -> str:
    """What `helm template` prints for these values, installed as `tepui` into `tepui-system`."""
    done = helm("template", "tepui", str(CHART), "--namespace", "tepui-system", *arguments, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [found for found in yaml.safe_load_all(template(values)) if found]
