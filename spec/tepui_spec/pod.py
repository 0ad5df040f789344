"""The `tepui-pod` command: what every container of a study runs. Stages come from the entry points `tepui.pods`."""

import sys
from collections.abc import Callable
from importlib.metadata import entry_points


def stage_main(stage: str) -> Callable[[], int]:
    """The function that does a stage's work in this process and returns its exit code (outcome.EXIT_CODES).

    Raises ValueError for a stage that no installed part offers.
    """
    known = {entry.name: entry for entry in entry_points(group="tepui.pods")}
    if stage not in known:
        raise ValueError(
            f"stage {stage!r} is not known; one of {', '.join(sorted(known)) or 'none: no part is installed'}"
        )
    loaded: Callable[[], int] = known[stage].load()
    return loaded


def main() -> int:
    """`tepui-pod STAGE`: the payload is in the environment (trial.TASK_VARIABLE)."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: tepui-pod STAGE")
    return stage_main(sys.argv[1])()


if __name__ == "__main__":
    sys.exit(main())
