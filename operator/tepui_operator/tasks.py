"""A child's task as text, for an environment variable or, where Linux takes no variable of its length, a file. Pure."""

import json

from tepui_operator.child import Child
from tepui_operator.payloads import Site, payload
from tepui_operator.study import Study
from tepui_spec.status import RECENT_FAILURES, Stage
from tepui_spec.trial import TASK_VARIABLE

TASK_FILE = "task.json"
"""Name of the file, and of the key of a ConfigMap, with a task that is too long for a variable."""
MAX_VARIABLE_BYTES = 32 * 4096 - len(f"{TASK_VARIABLE}=") - 1
"""What is left of execve(2)'s limit for one variable (MAX_ARG_STRLEN) after its name and closing zero."""
MAX_TASK_BYTES = 2**20 - len(TASK_FILE)
"""What a ConfigMap may hold."""
_FAILURE_BYTES = 700
"""A failed trial's sentence in the task of an analysis: the message of `status` and what stands before it."""


def check_tasks(study: Study, site: Site) -> None:
    """Raise ValueError now where `task_text` would only when a pod's turn comes, the analysis's last of all."""
    first = {trial.config.model.name: trial for trial in reversed(study.trials)}
    stages: tuple[Stage, ...] = ("train", "evaluate")
    children = [Child(study.name, stage, trial, 0) for trial in first.values() for stage in stages]
    children.append(Child(study.name, "analyse", None, 1, failures=("x" * _FAILURE_BYTES,) * RECENT_FAILURES))
    for child in children:
        task_text(study, child, site)


def task_text(study: Study, child: Child, site: Site) -> str:
    """The task of one child as JSON.

    Raises ValueError for a relative path on a cluster, and where the text is longer than an object may be.
    """
    text = payload(study, child, site).model_dump_json(by_alias=True, exclude_none=True)
    if (size := len(text.encode())) <= MAX_TASK_BYTES:
        return text
    spec = study.experiment.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    largest = max(spec, key=lambda name: len(json.dumps(spec[name])))
    one = f"{'a' if child.stage == 'train' else 'an'} {child.stage} pod"
    raise ValueError(
        f"spec.{largest}: too long: {one} would be told {size:,} bytes of the study, and a Kubernetes object "
        f"holds {MAX_TASK_BYTES:,}; write it shorter"
    )


def fits_variable(task: str) -> bool:
    """Whether a pod can be told this in a variable; otherwise it is told in a file."""
    return len(task.encode()) <= MAX_VARIABLE_BYTES
