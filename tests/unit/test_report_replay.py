"""A study, or one point of it, from the report's own YAML."""

import yaml

from builders import experiment
from tepui_evaluator.report_replay import point_yaml, study_yaml
from tepui_spec.expand import expand
from tepui_spec.experiment import Experiment


def test_replay_of_a_point_is_the_same_trial() -> None:
    """The YAML of one point expands to one trial with the hash of the original; so does that of the whole study."""
    sweep = {"grid": {"model": ["tiny"], "dataFraction": [0.3, 1.0], "epochs": [1, 2.5], "headLrScale": [0.5, 1]}}
    original = experiment(sweep=sweep)
    trials = expand(original.spec)
    read = yaml.safe_load
    whole = expand(Experiment.model_validate(read(study_yaml(original))).spec)
    assert [t.hash for t in whole] == [t.hash for t in trials]
    for trial in trials:
        factors = trial.factors.model_dump(exclude_none=True)
        again = expand(Experiment.model_validate(read(point_yaml(original, factors))).spec)
        assert [t.hash for t in again] == [trial.hash]


def test_relative_paths_say_where_the_file_belongs() -> None:
    """The YAML of a study with relative paths works beside the study's own file, and says so; others need no word."""
    assert study_yaml(experiment()).startswith("# data/fonts and the like are taken from this file's folder: save it")
    elsewhere = {
        "upstream": {"data": {"uri": "s3://data/fonts"}},
        "evaluation": {"tasks": ["mnist"], "dataRoot": "/data"},
        "storage": {"uri": "s3://results"},
    }
    assert study_yaml(experiment(**elsewhere)).startswith("apiVersion")
