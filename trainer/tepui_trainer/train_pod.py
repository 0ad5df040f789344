"""The training pod: one process trains in place, several are started by torchrun (entry point `tepui.pods: train`)."""

import sys

from tepui_spec.outcome import PodReport
from tepui_spec.trial import TrainTask
from tepui_trainer.runtime import PodContext, run_pod


def main() -> int:
    """Do the TrainTask of this pod's environment; returns the exit code (`tepui_spec.outcome.EXIT_CODES`)."""
    return run_pod(TrainTask, _work)


def _work(task: TrainTask, context: PodContext) -> PodReport:
    placement = task.placement
    if placement.nodes * (placement.gpus_per_node or placement.processes_per_node) > 1:
        from tepui_trainer.launch import launch

        return launch(task, context)
    from tepui_trainer.trial import train_trial

    return train_trial(task, context)


if __name__ == "__main__":
    sys.exit(main())
