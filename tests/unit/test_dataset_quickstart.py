"""The quickstart's datasets, made from the installed packages: complete, disjoint, deterministic, learnable."""

import json
import os
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tepui_spec.dataset import DatasetCard
from tepui_trainer.data import Dataset, open_dataset, sequential
from tepui_trainer.datasets.fonts import GREEK_TEST_FAMILIES, GREEK_TRAIN_FAMILIES, LATIN, VALIDATION_FAMILIES
from tepui_trainer.datasets.glyphs import families, rendered
from tepui_trainer.datasets.packaged import installed
from tepui_trainer.datasets.quickstart import Made, make_quickstart

Matrix = npt.NDArray[np.floating]
DOWNSTREAM = ("greek", "mnist", "digits8x8", "textures", "faces")
LARGEST_SHOTS = 25
HASHES_OF_SMALL_ONES = """
import json
from tepui_trainer.datasets.faces import faces
from tepui_trainer.datasets.fonts import greek
from tepui_trainer.datasets.shards import content_hash
from tepui_trainer.datasets.textures import textures
recipes = [greek(), textures(), faces()]
splits = [{n: i.shuffled(r.name, n) for n, i in r.draw().items()} for r in recipes]
print(json.dumps([content_hash(r.class_names, s) for r, s in zip(recipes, splits)]))
"""


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six datasets, made once."""
    folder = tmp_path_factory.mktemp("quickstart")
    make_quickstart(str(folder), lambda _: None)
    return folder


def card(folder: Path, name: str) -> DatasetCard:
    """The card of one of them."""
    return DatasetCard.model_validate_json((folder / name / "card.json").read_bytes())


def opened(folder: Path, name: str, split: str) -> Dataset:
    """One split at its own size."""
    return open_dataset(str(folder / name), split=split, image_size_px=32)


def spectra(images_ND: Matrix) -> Matrix:
    """Log amplitudes over the frequencies: where in a patch something lies does not matter."""
    amplitudes = np.abs(np.fft.rfft2(images_ND.reshape(-1, 32, 32))).reshape(len(images_ND), -1)
    return np.asarray(np.log1p(amplitudes))


def pixels(dataset: Dataset) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """All images as rows (N, 1024), and their labels."""
    (batch,) = sequential(dataset, batch_size=len(dataset), channels=1)
    return batch.images_BCHW.flatten(1).numpy(), batch.labels_B.numpy()


def test_upstream_is_large_enough_to_be_divided(quickstart: Path) -> None:
    """At least 62 classes and 20,000 images to train on, 2,000 to validate, every class with its share."""
    fonts = card(quickstart, "fonts")
    assert fonts.class_names == tuple(LATIN)
    assert len(fonts.class_names) >= 62
    assert fonts.splits["train"].images > 20_000
    assert fonts.splits["validation"].images > 2_000
    assert min(fonts.splits["train"].images_per_class) > 300


def test_validation_families_are_never_trained_on() -> None:
    """Every validation family is installed, and the Greek task takes its letters from no other."""
    slugs = {family.slug for family in families()}
    assert slugs > VALIDATION_FAMILIES
    assert len(VALIDATION_FAMILIES) == 24
    assert set(GREEK_TRAIN_FAMILIES).isdisjoint(GREEK_TEST_FAMILIES)
    assert {*GREEK_TRAIN_FAMILIES, *GREEK_TEST_FAMILIES} <= VALIDATION_FAMILIES


@pytest.mark.parametrize("name", DOWNSTREAM)
def test_downstream_tasks_allow_the_largest_support_sets(quickstart: Path, name: str) -> None:
    """25 images of every class to draw from, and some hundred images to test on."""
    splits = card(quickstart, name).splits
    assert min(splits["train"].images_per_class) >= LARGEST_SHOTS
    assert 100 <= splits["test"].images <= 1500


@pytest.mark.parametrize("name", ["fonts", *DOWNSTREAM])
def test_no_test_image_is_trained_on(quickstart: Path, name: str) -> None:
    """No image of one split is in the other, pixel for pixel."""
    train, test = card(quickstart, name).splits
    seen = {image.tobytes() for image in pixels(opened(quickstart, name, train))[0]}
    assert not seen & {image.tobytes() for image in pixels(opened(quickstart, name, test))[0]}


@pytest.mark.parametrize("name", DOWNSTREAM)
def test_labels_belong_to_their_images(quickstart: Path, name: str) -> None:
    """Ridge regression on bare pixels (textures: on spectra) does far better than chance on the test split."""
    images_ND, labels_N = pixels(opened(quickstart, name, "train"))
    test_MD, test_labels_M = pixels(opened(quickstart, name, "test"))
    if name == "textures":
        images_ND, test_MD = spectra(images_ND), spectra(test_MD)
    num_classes = len(card(quickstart, name).class_names)
    targets_NC = 2.0 * np.eye(num_classes)[labels_N] - 1.0
    kernel_NN = images_ND @ images_ND.T + 300.0 * np.eye(len(images_ND))
    scores_MC = test_MD @ (images_ND.T @ np.linalg.solve(kernel_NN, targets_NC))
    error = float((scores_MC.argmax(1) != test_labels_M).mean())
    assert error < 0.75 * (1 - 1 / num_classes), error


def test_every_source_has_a_licence(quickstart: Path) -> None:
    """Fonts are under the OFL or Apache licence; every other card states its own."""
    assert card(quickstart, "fonts").licences == ("Apache-2.0", "OFL-1.1")
    assert len(card(quickstart, "fonts").attributions) == len(families())
    assert card(quickstart, "greek").licences == ("OFL-1.1",)
    assert card(quickstart, "mnist").licences == ("CC-BY-SA-3.0",)
    assert card(quickstart, "digits8x8").licences == ("CC-BY-4.0",)


def test_same_packages_give_the_same_hash(quickstart: Path) -> None:
    """Another process with another hash seed draws the same pixels."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", HASHES_OF_SMALL_ONES], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [card(quickstart, name).content_hash for name in ("greek", "textures", "faces")]


def test_what_is_up_to_date_stays(quickstart: Path) -> None:
    """A second run writes only what is damaged or of another recipe."""
    shard = quickstart / "faces" / "test-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    path = quickstart / "textures" / "card.json"
    path.write_text(path.read_text().replace("datasets.textures 1", "datasets.textures 0"))
    made: list[Made] = []
    make_quickstart(str(quickstart), made.append)
    assert [m.card.name for m in made if m.written] == ["textures", "faces"]
    assert len(opened(quickstart, "faces", "test")) == 140


@pytest.mark.parametrize(("slug", "left_out"), [("bungee", string.ascii_lowercase), ("oxygen", "%€§"), ("lato", "")])
def test_what_a_font_cannot_tell_apart_is_left_out(slug: str, left_out: str) -> None:
    """Bungee draws small letters as its capitals, Oxygen lacks three signs, Lato draws all characters."""
    (family,) = [family for family in families() if family.slug == slug]
    drawn = {LATIN[index] for index, _ in rendered(family, LATIN, 1)}
    assert drawn == set(LATIN) - set(left_out)


def test_missing_package_says_what_to_install() -> None:
    """A font package that is not there is named with the extra that brings it."""
    with pytest.raises(ValueError, match=r"package fontpkg-nowhere, which is not installed: pip install 'tepui\[quick"):
        installed("fontpkg-nowhere")
