"""How to get a study, or one point of it, again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from tepui_spec.experiment import Experiment
from tepui_spec.law import ByValue
from tepui_spec.sweep import Factors

_FACTORS = frozenset(to_camel(name) for name in Factors.model_fields)


def study_yaml(experiment: Experiment) -> str:
    """The experiment as a YAML file that `tepui run` takes: what the user wrote, without defaults."""
    return _where(experiment) + _yaml(_plain(experiment))


def point_yaml(experiment: Experiment, factors: Mapping[str, ByValue]) -> str:
    """The same study with one trial: the one that `factors` set. Its hash is the original's."""
    content = _plain(experiment)
    content["spec"]["sweep"] = {"list": [trial_factors(factors)]}
    return _where(experiment) + _yaml(content)


def trial_factors(factors: Mapping[str, ByValue]) -> dict[str, ByValue]:
    """The factors that a sweep can set, as they are written in a spec."""
    return {name: value for name, value in factors.items() if name in _FACTORS}


def _where(experiment: Experiment) -> str:
    """Where to run it. Relative paths stay as they are: without a `contentHash` they are part of a trial's hash."""
    spec = experiment.spec
    uris = (spec.upstream.data.uri, spec.evaluation.data_root, *(d.data.uri for d in spec.evaluation.datasets))
    relative = [uri for uri in (*uris, spec.storage.uri) if uri and "://" not in uri and not uri.startswith(("/", "~"))]
    if not relative:
        return ""
    return f"# {relative[0]} and the like are taken from this file's folder: save it beside the study's own file\n"


def _plain(experiment: Experiment) -> dict[str, Any]:
    content = experiment.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return {"apiVersion": experiment.api_version, "kind": experiment.kind, **content}


def _yaml(content: dict[str, Any]) -> str:
    # lists and mappings of scalars on one line, as people write them
    return str(yaml.safe_dump(content, default_flow_style=None, sort_keys=False, allow_unicode=True, width=100))
