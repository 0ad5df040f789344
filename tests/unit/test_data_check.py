"""What is told of a study's data before anything runs: everything at once, by field and value."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders import experiment, experiment_dict
from data_builders import image_folder, images
from digit_data import digits, write_digits
from tepui_operator.data_check import DataCheck, check_data
from tepui_operator.estimate import upstream_size
from tepui_operator.payloads import Site
from tepui_operator.running import run_file
from tepui_operator.study import Study
from tepui_spec.cli import main
from tepui_spec.dataset import CARD_NAME, DatasetCard
from tepui_spec.yaml_text import to_yaml

SPEC: dict[str, Any] = {
    "upstream": {"data": {"uri": "data/up", "testSplit": "test"}, "imageSize": 8},
    "evaluation": {"tasks": ["near"], "dataRoot": "data", "shots": [1, 5]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study's file: upstream digits and one task, 19 to 21 images a class."""
    folder = tmp_path_factory.mktemp("study")
    write_digits(folder / "data/up", {"train": digits(0, 300, 5), "test": digits(300, 400, 5)}, 5)
    write_digits(folder / "data/near", {"train": digits(0, 200), "test": digits(200, 300)})
    return folder


def checked(folder: Path, **changes: dict[str, Any]) -> DataCheck:
    """The data of a study with these fields changed in its sections."""
    spec = {name: section | changes.get(name, {}) for name, section in SPEC.items()}
    return check_data(experiment(**spec).spec, Site(folder))


def told(folder: Path, **changes: dict[str, Any]) -> list[str]:
    """The problems as text."""
    return [str(problem) for problem in checked(folder, **changes).problems]


def copied(folder: Path, tmp_path: Path, name: str) -> Path:
    """A dataset in a test's own folder, with the others beside it."""
    for dataset in ("up", "near"):
        (tmp_path / "data" / dataset).mkdir(parents=True)
        for file in (folder / "data" / dataset).iterdir():
            (tmp_path / "data" / dataset / file.name).write_bytes(file.read_bytes())
    return tmp_path / "data" / name


def test_sound_data_are_known_by_their_hash(folder: Path) -> None:
    """Nothing to say, and the content hash of each."""
    found = checked(folder)
    assert (found.problems, found.notes) == ((), ())
    cards = {name: json.loads((folder / "data" / name / CARD_NAME).read_text()) for name in ("up", "near")}
    assert found.content_hashes == {
        "upstream": cards["up"]["content_hash"],
        "near": cards["near"]["content_hash"],
    }


def test_everything_is_told_at_once(folder: Path) -> None:
    """Misspelt tasks with the nearest names, splits and shots: each by field and value."""
    problems = told(
        folder,
        upstream={"data": {"uri": "data/upp"}},
        evaluation={"tasks": ["nearr", "near"], "shots": [50, 100]},
    )
    assert problems == [
        f"spec.upstream.data.uri: data/upp: there is no folder {folder}/data/upp",
        f"spec.evaluation.tasks[0]: nearr: there is no folder {folder}/data/nearr; did you mean near? "
        "tasks there: near, up",
        "spec.evaluation.shots: [50, 100]: task near allows none of them: class 'digit 1' has 19 images in split train",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upstream": {"data": {"uri": "data/up"}}}, "spec.upstream.data.testSplit: validation: "),
        (
            {"upstream": {"data": {"uri": "data/up", "trainSplit": "all", "testSplit": "test"}}},
            "spec.upstream.data.trainSplit: all: ",
        ),
        (
            {"evaluation": {"datasets": [{"name": "near", "data": {"uri": "data/near", "testSplit": "val"}}]}},
            "spec.evaluation.datasets[0].data.testSplit: val: ",
        ),
    ],
)
def test_splits_that_are_not_there(folder: Path, changes: dict[str, Any], expected: str) -> None:
    """The field, the split, and those that there are."""
    (problem,) = told(folder, **changes)
    assert problem.startswith(expected)
    assert problem.endswith("; there are test, train")


def test_a_root_that_is_not_there_is_told_once(folder: Path) -> None:
    """Not once for each of its tasks."""
    assert told(folder, evaluation={"tasks": ["a", "b"], "dataRoot": "elsewhere"}) == [
        f"spec.evaluation.dataRoot: elsewhere: there is no folder {folder}/elsewhere"
    ]


def test_other_data_than_those_asked_for(folder: Path) -> None:
    """A pinned hash that is not the card's."""
    asked = "sha256:" + "0" * 64
    (problem,) = told(folder, upstream={"data": {"uri": "data/up", "testSplit": "test", "contentHash": asked}})
    assert problem.startswith(f"spec.upstream.data.contentHash: {asked}: {folder}/data/up holds sha256:")


@pytest.mark.parametrize("damage", ["truncated", "missing", "card"])
def test_damage_that_needs_no_reading(folder: Path, damage: str, tmp_path: Path) -> None:
    """A shard of another size than the card's, one that is gone, a card that is none: the file is named."""
    data = copied(folder, tmp_path, "near")
    shard = next(data.glob("train-*.parquet"))
    path = data / CARD_NAME if damage == "card" else shard
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    (problem,) = told(tmp_path)
    assert problem.startswith("spec.evaluation.tasks[0]: ")
    assert str(path) in problem
    assert {"truncated": "and not the card's", "missing": "not in the folder", "card": "not a dataset's card"}[
        damage
    ] in problem


def test_what_is_left_out_or_enlarged_is_a_note(folder: Path) -> None:
    """Some of the shots, and images smaller than the study's, stop nothing."""
    found = checked(folder, upstream={"imageSize": 16}, evaluation={"shots": [5, 50]})
    assert found.problems == ()
    assert found.notes == (
        "near: 50 shots are left out, because class 'digit 1' has 19 images in split train",
        "images of 8 px are enlarged to upstream.imageSize, 16 px: upstream, near",
    )


def test_data_elsewhere_are_left_to_the_pods(folder: Path) -> None:
    """URIs that are not local are neither opened nor complained of."""
    found = checked(
        folder,
        upstream={"data": {"uri": "s3://bucket/up"}},
        evaluation={"dataRoot": "gs://bucket", "shots": [10_000]},
    )
    assert found == DataCheck((), (), {})


def test_folders_of_images_are_counted(tmp_path: Path) -> None:
    """Without a card the folders tell splits and classes, as the reader would see them: links count, empty ones not."""
    image_folder(tmp_path / "elsewhere", "train", images(12))
    image_folder(tmp_path / "pets", "test", images(6))
    (tmp_path / "pets/train").symlink_to(tmp_path / "elsewhere/train")
    (tmp_path / "pets/test/none").mkdir()
    data = {"uri": "pets", "format": "imagefolder"}
    near = {"datasets": [{"name": "near", "data": data}], "shots": [4]}
    upstream = {"data": {**data, "testSplit": "test"}}
    assert told(tmp_path, upstream=upstream, evaluation=near) == []
    (problem,) = told(tmp_path, upstream=upstream, evaluation=near | {"shots": [5]})
    assert problem.startswith("spec.evaluation.shots: [5]: task near allows none of them: class 'class0' has 4 images")
    (problem,) = told(tmp_path, upstream={"data": {**data, "testSplit": "val"}}, evaluation=near)
    assert (
        problem == f"spec.upstream.data.testSplit: val: {tmp_path}/pets: there is no split val; there are test, train"
    )


@pytest.mark.parametrize(
    ("form", "names", "sound"),
    [
        ("parquet", ["train-00000-of-00001.parquet", "test.parquet"], True),
        ("parquet", ["data/train-0.parquet", "data/test/0.parquet"], True),
        ("webdataset", ["train-0.tar", "test/0.tar"], True),
        ("webdataset", ["train-0.tar", "val-0.tar"], False),
        ("parquet", ["train-0.tar", "test-0.tar"], False),
    ],
)
def test_shards_without_a_card(form: str, names: list[str], *, sound: bool, tmp_path: Path) -> None:
    """Where only the names of shards are known, these tell the splits."""
    for name in names:
        (tmp_path / "real" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "real" / name).write_bytes(b"")
    (tmp_path / "near").mkdir()
    for entry in (tmp_path / "real").iterdir():
        (tmp_path / "near" / entry.name).symlink_to(entry)
    data = {"uri": "near", "format": form}
    problems = told(
        tmp_path,
        upstream={"data": {"uri": "s3://elsewhere"}},
        evaluation={"datasets": [{"name": "near", "data": data}]},
    )
    assert (problems == []) is sound, problems


def test_plan_and_run_refuse_by_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan is printed all the same; a run starts nothing and leaves nothing."""
    file = folder / "study.yaml"
    wrong = {**SPEC["evaluation"], "tasks": ["nearr"]}
    file.write_text(to_yaml(experiment_dict(**{**SPEC, "evaluation": wrong, "storage": {"uri": str(tmp_path / "r")}})))
    assert main(["plan", str(file)]) == 2
    printed = capsys.readouterr()
    assert "4 trials" in printed.out
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "nearr" in text)
    assert printed.err.startswith(f"{file}:{line}: spec.evaluation.tasks[0]: nearr: there is no folder")
    with pytest.raises(ValueError, match="did you mean near"):
        run_file(file)
    assert not (tmp_path / "r").exists()


def test_upstream_size_is_the_cards(folder: Path) -> None:
    """Images of the training split and classes, for the plan's estimates."""
    size = upstream_size(Site(folder), Study.of(experiment(**SPEC), lambda _: 1.0))
    card = DatasetCard.model_validate_json((folder / "data/up" / CARD_NAME).read_bytes())
    assert size is not None
    assert (size.train_images, size.num_classes) == (card.splits["train"].images, 5)
