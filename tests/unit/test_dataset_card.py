"""The dataset card: what it refuses, and that it survives JSON."""

from typing import Any

import pytest
from pydantic import ValidationError

from tepui_spec.dataset import Attribution, DatasetCard


def card_dict(**changes: Any) -> dict[str, Any]:
    """A valid card as plain data."""
    shard = {"name": "train-00000-of-00001.parquet", "rows": 5, "size_bytes": 100, "sha256": "0" * 64}
    return {
        "name": "noise",
        "description": "Noise.",
        "recipe": "tests 1",
        "attributions": [{"source": "tests", "licence": "CC0-1.0"}],
        "class_names": ["a", "b"],
        "image_size_px": 8,
        "channels": 1,
        "splits": {"train": {"images": 5, "images_per_class": [3, 2], "shards": [shard]}},
        "content_hash": "sha256:" + "0" * 64,
    } | changes


def split(**changes: Any) -> dict[str, Any]:
    """The card's only split with changes."""
    return {"splits": {"train": card_dict()["splits"]["train"] | changes}}


def test_card_survives_json() -> None:
    """What is written is what is read."""
    card = DatasetCard.model_validate(card_dict())
    assert DatasetCard.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (split(images_per_class=[3, 3]), "adds up to 6, images is 5"),
        (split(images=4, images_per_class=[2, 2]), "shards hold 5 rows, images is 4"),
        (split(images_per_class=[5]), "has 1 entries for 2 classes"),
        ({"class_names": ["a", "a"]}, "holds a name twice"),
        ({"class_names": ["a"]}, "at least 2 items"),
        ({"content_hash": "0" * 64}, "should match pattern"),
        ({"attributions": []}, "at least 1 item"),
        ({"channels": 2}, "Input should be 1 or 3"),
        ({"colour": "grey"}, "Extra inputs are not permitted"),
    ],
)
def test_card_refuses_what_does_not_agree(changes: dict[str, Any], message: str) -> None:
    """Counts, names and hashes that contradict one another are refused with the numbers."""
    with pytest.raises(ValidationError, match=message):
        DatasetCard.model_validate(card_dict(**changes))


def test_licences_are_distinct_and_sorted() -> None:
    """115 fonts of two licences are two licences."""
    attributions = [Attribution(source=str(i), licence=name) for i, name in enumerate(("OFL-1.1", "MIT", "OFL-1.1"))]
    assert DatasetCard.model_validate(card_dict(attributions=attributions)).licences == ("MIT", "OFL-1.1")
