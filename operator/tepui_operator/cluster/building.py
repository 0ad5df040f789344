"""From an ExperimentSpec of the API server to a study that can be planned. Pure."""

from tepui_operator.cluster.projection import SpecRecord
from tepui_operator.effort import efforts
from tepui_operator.payloads import Site
from tepui_operator.study import Study
from tepui_operator.tasks import check_tasks
from tepui_spec.expand import expand
from tepui_spec.source import experiment_of


def build(record: SpecRecord, site: Site) -> Study:
    """The study. Raises ValueError, naming field and value, for all that the API server could not see itself.

    Of 15,000 trials this takes seconds of CPU: call it in a thread.
    """
    experiment = experiment_of(record.document)
    if experiment.spec.pods.image is None:
        raise ValueError(
            "spec.pods.image: missing: on a cluster give the image of the study's pods by digest, such as "
            "registry.example/tepui@sha256:..."
        )
    trials = expand(experiment.spec)
    study = Study.of(experiment, efforts(trials), trials=trials)
    check_tasks(study, site)
    return study
