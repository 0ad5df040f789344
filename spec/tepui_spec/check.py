"""What must hold between the fields of a spec and the world it names: pure, and by field."""

from tepui_spec.errors import Problem
from tepui_spec.experiment import Experiment


def check(experiment: Experiment) -> list[Problem]:
    """Everything wrong with a spec whose fields are each valid."""
    del experiment
    return []
