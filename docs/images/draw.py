"""The pictures of the README, from the quickstart's results: `python docs/images/draw.py results/quickstart`."""

import sys
from pathlib import Path

from tepui_evaluator.analysis import analyse, report_data, stored_experiment
from tepui_evaluator.figure_law import law_figure
from tepui_evaluator.figures import to_svg
from tepui_evaluator.report_view import families, views
from tepui_evaluator.store import Store
from tepui_trainer.storage import Storage

TASK, SHOTS = "mnist", 1


def main(results: str) -> None:
    """Draw the law of one task and number of shots."""
    storage = Storage(results)
    experiment = stored_experiment(storage)
    store = Store(storage, experiment)
    data = report_data(store, experiment.metadata.name, analyse(store, confidence=experiment.spec.analysis.confidence))
    (view,) = (view for view in views(data) if (view.task, view.shots) == (TASK, SHOTS))
    picture = Path(__file__).with_name(f"law-{TASK}-{SHOTS}.svg")
    picture.write_text(to_svg(law_figure(view, families(data))))


if __name__ == "__main__":
    main(sys.argv[1])
