"""Parquet shards: what can be read, and what each kind of damage says."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders import ids, images, parquet_dataset, png
from tepui_trainer.data import DataError, batches, open_dataset, sequential


def shard(tmp_path: Path) -> Path:
    """The only train shard."""
    return tmp_path / "train-00000-of-00001.parquet"


def hub_table(num_images: int) -> pa.Table:
    """Images as the Hugging Face Hub stores them: a struct of bytes and path, class names in the metadata."""
    labelled = images(num_images)
    info = {"info": {"features": {"label": {"names": ["ant", "bee", "cow"], "_type": "ClassLabel"}}}}
    table = pa.table(
        {
            "image": [{"bytes": png(image_SS), "path": None} for image_SS in labelled.images_NSS],
            "label": labelled.labels_N,
        }
    )
    return table.replace_schema_metadata({"huggingface": json.dumps(info)})


def test_labels_and_counts_stand_before_any_image_is_read(tmp_path: Path) -> None:
    """Labels, names and counts per class are there after opening."""
    parquet_dataset(tmp_path, 10)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8)
    assert dataset.class_names == ("class0", "class1", "class2")
    assert dataset.images_per_class_C.tolist() == [4, 3, 3]
    assert sorted(dataset.labels_N.tolist()) == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_shards_of_the_hub(tmp_path: Path) -> None:
    """A dataset as the Hub has it: in `data/`, images in a struct, names in the schema, no card."""
    (tmp_path / "data").mkdir()
    table = hub_table(10)
    pq.write_table(table.slice(0, 6), tmp_path / "data" / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(6), tmp_path / "data" / "train-00001-of-00002.parquet")
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8)
    (batch,) = sequential(dataset, batch_size=16)
    assert ids(batch) == list(range(10))
    assert dataset.class_names == ("ant", "bee", "cow")
    assert dataset.content_hash.startswith("listing-sha256:")


def test_other_column_names(tmp_path: Path) -> None:
    """Columns are named by the user; a name that is not there is answered with those that are."""
    table = hub_table(4).rename_columns(["picture", "kind"])
    pq.write_table(table, tmp_path / "train.parquet")
    columns = {"image": "picture", "label": "kind"}
    assert len(open_dataset(str(tmp_path), split="train", image_size_px=8, columns=columns)) == 4
    with pytest.raises(DataError, match=r"train\.parquet: no column 'image'; the columns are \['picture', 'kind'\]"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], "must hold integers without nulls, not string"),
        ([0, None], "with 1 nulls"),
        ([0, -1], r"holds labels from -1 to 0; with 1 classes they must lie in \[0, 0\]"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: list[object], message: str) -> None:
    """Labels are class numbers; anything else is refused with the column and what it holds."""
    image = png(images(1).images_NSS[0])
    pq.write_table(pa.table({"image": [image, image], "label": labels}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=message):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


def test_missing_folder_and_split(tmp_path: Path) -> None:
    """A folder that is not there is named, a split that is not there is answered with those that are."""
    with pytest.raises(DataError, match=r"nowhere: there is no such dataset; check the URI"):
        open_dataset(f"{tmp_path}/nowhere", split="train", image_size_px=8)
    with pytest.raises(DataError, match=r"there is no such dataset; `tepui data quickstart` makes"):
        open_dataset(f"{tmp_path}/quickstart/fonts", split="train", image_size_px=8)
    parquet_dataset(tmp_path, 10)
    with pytest.raises(DataError, match=r"there is no split 'validation'; there are \['test', 'train'\]"):
        open_dataset(str(tmp_path), split="validation", image_size_px=8)
    (tmp_path / "card.json").unlink()
    with pytest.raises(DataError, match=r"no files validation-\*\.parquet .*; there are splits \['test', 'train'\]"):
        open_dataset(str(tmp_path), split="validation", image_size_px=8)


def test_unknown_scheme() -> None:
    """A URI that fsspec does not know names itself."""
    with pytest.raises(DataError, match="gopher://data: Protocol not known: gopher"):
        open_dataset("gopher://data", split="train", image_size_px=8)


def test_truncated_shard(tmp_path: Path) -> None:
    """A shard that lost its end is named, with the card and without."""
    parquet_dataset(tmp_path, 100)
    content = shard(tmp_path).read_bytes()
    shard(tmp_path).write_bytes(content[:-1000])
    size = len(content)
    with pytest.raises(DataError, match=rf"truncated or replaced: {size - 1000} bytes, the card says {size}"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)
    (tmp_path / "card.json").unlink()
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet: not a readable Parquet file"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


def test_flipped_bit_is_found(tmp_path: Path) -> None:
    """One flipped bit in the pages of the image column ends the reading, naming the shard: checksums are verified."""
    parquet_dataset(tmp_path, 100)
    content = bytearray(shard(tmp_path).read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    shard(tmp_path).write_bytes(content)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=8)
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet: damaged or truncated: .*CRC"):
        list(sequential(dataset, batch_size=50))


def test_lost_shard(tmp_path: Path) -> None:
    """A shard that the card knows and the folder lacks is named."""
    parquet_dataset(tmp_path, 10)
    shard(tmp_path).unlink()
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet: the shard is in the card but not in the"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


def test_card_that_is_none(tmp_path: Path) -> None:
    """A card that does not parse is named, not passed over."""
    parquet_dataset(tmp_path, 10)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(DataError, match=r"card\.json: not a dataset card"):
        open_dataset(str(tmp_path), split="train", image_size_px=8)


def test_grey_images_fill_the_channels_asked_for(tmp_path: Path) -> None:
    """A grey dataset gives one channel or three equal ones, values in [-1, 1]."""
    parquet_dataset(tmp_path, 10)
    dataset = open_dataset(str(tmp_path), split="train", image_size_px=16)
    arguments: Any = {"seed": 0, "global_batch_size": 4, "start_sample": 0, "stop_sample": 4}
    (grey,) = batches(dataset, **arguments, channels=1)
    (colour,) = batches(dataset, **arguments)
    assert (grey.images_BCHW.shape, colour.images_BCHW.shape) == ((4, 1, 16, 16), (4, 3, 16, 16))
    assert (colour.images_BCHW == grey.images_BCHW).all()
    assert -1.0 <= float(grey.images_BCHW.min()) < float(grey.images_BCHW.max()) <= 1.0
