"""One of the processes that torchrun starts for a trial (`python -m tepui_trainer.worker`, see `launch`)."""

import os
import sys
from pathlib import Path

from tepui_spec.outcome import PodReport
from tepui_spec.trial import PROGRESS_VARIABLE, TERMINATION_LOG_VARIABLE, TrainTask
from tepui_trainer.launch import REPORTS_VARIABLE, die_with_parent
from tepui_trainer.runtime import PodContext, run_pod
from tepui_trainer.trial import train_trial


def main() -> int:
    """Train as one rank; the report goes to the launcher, progress comes from the leader alone."""
    die_with_parent()
    reports, local_rank = Path(os.environ[REPORTS_VARIABLE]), os.environ["LOCAL_RANK"]
    environ = dict(os.environ) | {TERMINATION_LOG_VARIABLE: str(reports / f"{local_rank}.json")}
    if os.environ["RANK"] != "0":
        environ.pop(PROGRESS_VARIABLE, None)

    def work(task: TrainTask, context: PodContext) -> PodReport:
        # only here is SIGTERM a wish to stop: earlier it would end this process without a report
        (reports / f"{local_rank}.pid").write_text(str(os.getpid()))
        return train_trial(task, context)

    return run_pod(TrainTask, work, environ)


if __name__ == "__main__":
    sys.exit(main())
