"""Names by content: stable over versions of the code, and changed by exactly what changes a result."""

from typing import Any

import pytest

from builders import experiment
from tepui_spec.expand import expand
from tepui_spec.experiment import CustomModel, Evaluation
from tepui_spec.naming import content_hash, family_of, task_hash, trial_hash
from tepui_spec.trial import TrialConfig

HASH = "sha256:" + "0" * 64


def config(**changes: Any) -> TrialConfig:
    base = {
        "model": {"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"embed_dim": 48}},
        "recipe": {"name": "own"},
        "data": {"uri": "data/fonts"},
        "imageSize": 32,
    }
    return TrialConfig.model_validate(base | changes)


def test_hashes_are_those_on_record() -> None:
    """A hash that changes with a release orphans every stored trial: such a change must be meant, and noted here."""
    assert content_hash({"b": [1, 2.5, None], "a": "é"}) == (
        "d764fee2563da33e3d57334755404e635da33c995824b0adfabc4b6e1af4f608"
    )
    assert trial_hash(config()) == "2f5e6fff6405"
    assert task_hash(evaluation(), "mnist", "few-shot-ridge/1") == "989f94928524"
    study = experiment(recipes=[{"name": "own"}], training={"recipe": "own"})
    assert [t.hash for t in expand(study.spec)] == ["d859949d38a5", "80cdab4a7cd4", "d0d6d77fce5a", "b04a4b944b03"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"embed_dim": 96}}},
        {"model": {"name": "tiny", "timm": "vit_small_patch16_224", "args": {"embed_dim": 48}}},
        {"recipe": {"name": "own", "lrPeak": 0.002}},
        {"data": {"uri": "data/letters"}},
        {"data": {"uri": "data/fonts", "trainSplit": "all"}},
        {"imageSize": 64},
        {"dataFraction": 0.5},
        {"seed": 1},
        {"precision": "fp32"},
    ],
)
def test_what_shapes_a_result_changes_the_name(changes: dict[str, Any]) -> None:
    """No two different trainings share a name."""
    assert trial_hash(config(**changes)) != trial_hash(config())


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "other", "timm": "vit_tiny_patch16_224", "args": {"embed_dim": 48}, "family": "x"}},
        {"model": {"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"embed_dim": 48}, "recipe": "x"}},
        {"recipe": {"name": "another"}},
        {"seed": 0, "dataFraction": 1},
    ],
)
def test_labels_and_written_out_defaults_do_not_change_the_name(changes: dict[str, Any]) -> None:
    """What only people see, or what held anyway, is not part of a trial."""
    assert trial_hash(config(**changes)) == trial_hash(config())


def test_with_a_content_hash_the_place_of_the_data_does_not_count() -> None:
    """Data that was moved is the same data."""
    here, there = ({"uri": uri, "contentHash": HASH} for uri in ("data/fonts", "s3://bucket/fonts"))
    assert trial_hash(config(data=here)) == trial_hash(config(data=there)) != trial_hash(config())


def test_whole_numbers_count_alike_however_they_are_written() -> None:
    """4.0 in a file is 4 after an API server: the trial must keep its name."""
    written, returned = ({"name": "m", "timm": "resnet18", "args": {"a": [v, {"b": v}]}} for v in (4.0, 4))
    assert trial_hash(config(model=written)) == trial_hash(config(model=returned))
    assert CustomModel.model_validate(written).args == {"a": [4, {"b": 4}]}
    assert isinstance(CustomModel.model_validate({"name": "m", "timm": "x", "args": {"a": 4.0}}).args["a"], int)


def evaluation(**changes: Any) -> Evaluation:
    return Evaluation.model_validate({"tasks": ["mnist", "dtd"], "dataRoot": "data"} | changes)


def test_another_task_does_not_rename_a_task_and_another_setting_does() -> None:
    """A study that adds a task keeps its rows; one that changes the protocol makes new ones."""
    name = task_hash(evaluation(), "mnist", "few-shot-ridge/1")
    assert task_hash(evaluation(tasks=["mnist"]), "mnist", "few-shot-ridge/1") == name
    assert task_hash(evaluation(), "mnist", "few-shot-ridge/2") != name
    assert task_hash(evaluation(supportSeeds=5), "mnist", "few-shot-ridge/1") != name
    assert task_hash(evaluation(), "dtd", "few-shot-ridge/1") != name


def test_families() -> None:
    """A model's family is the first part of its timm name."""
    assert [family_of(n) for n in ("vit_tiny_patch16_224", "resnet50", "resnetv2_50x1_bit")] == [
        "vit",
        "resnet50",
        "resnetv2",
    ]
