"""Parquet shards: `{split}-*.parquet` (or `{split}/*.parquet`) with a column of encoded images and one of labels.

Reads Tepui's own datasets (with a card), and those of the Hugging Face Hub, whose image column is a struct with
`bytes` and whose class names stand in the schema's metadata.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from tepui_spec.dataset import CARD_NAME, DatasetCard
from tepui_trainer.failures import DataError
from tepui_trainer.reader.source import Blocks, IntArray, listing_hash
from tepui_trainer.reader.storage import Folder, faults_of, split_shards

OPEN_THREADS = 16
REPAIR = "copy it again, or make the dataset anew"


def read_card(folder: Folder) -> DatasetCard | None:
    """The folder's card, None if it has none. Raises `DataError` if it does not parse."""
    if not folder.exists(CARD_NAME):
        return None
    try:
        return DatasetCard.model_validate_json(folder.read(CARD_NAME))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        reason = f"{place}: {fault['msg']}" if place else fault["msg"]
        raise DataError(f"{folder.uri_of(CARD_NAME)}: not a dataset card: {reason}; {REPAIR}") from error


class ParquetSource:
    """One split of Parquet shards; a block is a row group. Page checksums are verified wherever there are any."""

    def __init__(self, folder: Folder, split: str, *, image_column: str = "image", label_column: str = "label") -> None:
        self._folder = folder
        self._image_column = image_column
        self._label_column = label_column
        self.uri = folder.uri
        self.card = read_card(folder)
        self._shards = self._carded_shards(split) if self.card else split_shards(folder, split, ".parquet")
        with ThreadPoolExecutor(OPEN_THREADS) as pool:
            self._metadata: list[pq.FileMetaData] = list(pool.map(self._read_metadata, self._shards))
            labels = list(pool.map(self._read_labels, self._shards, self._metadata))
        self.labels_N: IntArray = np.concatenate(labels)
        self.class_names = self._class_names()
        if len(self.labels_N) == 0:
            raise DataError(f"{self.uri}: split {split!r} has no rows")
        if self.labels_N.min() < 0 or self.labels_N.max() >= len(self.class_names):
            raise DataError(
                f"{self.uri}: column {label_column!r} holds labels from {self.labels_N.min()} to "
                f"{self.labels_N.max()}; with {len(self.class_names)} classes they must lie in "
                f"[0, {len(self.class_names) - 1}]"
            )

    def _carded_shards(self, split: str) -> list[str]:
        card = self.card
        assert card is not None
        if split not in card.splits:
            raise DataError(f"{self.uri}: there is no split {split!r}; there are {sorted(card.splits)}")
        sizes = self._folder.files
        for shard in card.splits[split].shards:
            if shard.name not in sizes:
                raise DataError(
                    f"{self._folder.uri_of(shard.name)}: the shard is in the card but not in the folder; {REPAIR}"
                )
            if sizes[shard.name] != shard.size_bytes:
                raise DataError(
                    f"{self._folder.uri_of(shard.name)}: truncated or replaced: {sizes[shard.name]} bytes, "
                    f"the card says {shard.size_bytes}; {REPAIR}"
                )
        return [shard.name for shard in card.splits[split].shards]

    def _read_metadata(self, shard: str) -> pq.FileMetaData:
        with faults_of(self._folder.uri_of(shard)), self._folder.open(shard) as file:
            metadata = pq.read_metadata(file)
        self._check_columns(self._folder.uri_of(shard), metadata.schema.to_arrow_schema())
        return metadata

    def _check_columns(self, uri: str, schema: pa.Schema) -> None:
        missing = {self._image_column, self._label_column} - set(schema.names)
        if missing:
            raise DataError(
                f"{uri}: no column {sorted(missing)[0]!r}; the columns are {schema.names}, and must be named "
                f"{self._image_column!r} and {self._label_column!r}"
            )
        kind = schema.field(self._image_column).type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise DataError(f"{uri}: column {self._image_column!r} must hold the bytes of encoded images, not {kind}")

    def _open(self, file: Any, metadata: pq.FileMetaData) -> pq.ParquetFile:
        return pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)

    def _read_labels(self, shard: str, metadata: pq.FileMetaData) -> IntArray:
        uri = self._folder.uri_of(shard)
        with faults_of(uri), self._folder.open(shard) as file:
            column = self._open(file, metadata).read([self._label_column]).column(0)
        if not pa.types.is_integer(column.type) or column.null_count:
            raise DataError(
                f"{uri}: column {self._label_column!r} must hold integers without nulls, not {column.type} "
                f"with {column.null_count} nulls"
            )
        # to_numpy would import pandas, which takes a second
        return np.asarray(np.from_dlpack(column.cast(pa.int64()).combine_chunks()), dtype=np.int64)

    def _class_names(self) -> tuple[str, ...]:
        if self.card:
            return self.card.class_names
        features = (self._metadata[0].metadata or {}).get(b"huggingface")
        if features:
            described = json.loads(features)["info"]["features"].get(self._label_column, {})
            if described.get("names"):
                return tuple(described["names"])
        return tuple(str(label) for label in range(int(self.labels_N.max(initial=0)) + 1))

    @cached_property
    def content_hash(self) -> str:
        """See `Source`."""
        if self.card:
            return self.card.content_hash
        return listing_hash(self._folder, self._shards, self.labels_N)

    @cached_property
    def _row_groups(self) -> list[tuple[int, int]]:
        return [
            (shard, group) for shard, metadata in enumerate(self._metadata) for group in range(metadata.num_row_groups)
        ]

    @cached_property
    def blocks(self) -> Blocks:
        """See `Source`."""
        groups = [self._metadata[shard].row_group(group) for shard, group in self._row_groups]
        return Blocks(
            np.array([group.num_rows for group in groups], dtype=np.int64),
            np.array([group.total_byte_size for group in groups], dtype=np.int64),
        )

    def read_block(self, block: int) -> Sequence[bytes]:
        """See `Source`. A null image reads as empty bytes, which count as corrupt."""
        shard, group = self._row_groups[block]
        name = self._shards[shard]
        with faults_of(self._folder.uri_of(name)), self._folder.open(name) as file:
            table = self._open(file, self._metadata[shard]).read_row_group(group, columns=[self._image_column])
        column = table.column(0)
        if pa.types.is_struct(column.type):
            column = pc.struct_field(column, "bytes")
        return [image if image is not None else b"" for image in column.to_pylist()]

    def place(self, sample: int) -> str:
        """See `Source`."""
        ends = np.cumsum([metadata.num_rows for metadata in self._metadata])
        shard = int(np.searchsorted(ends, sample, side="right"))
        return f"{self._folder.uri_of(self._shards[shard])} row {sample - ends[shard] + self._metadata[shard].num_rows}"
