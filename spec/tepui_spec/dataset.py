"""The dataset card: what stands beside the shards of a prepared dataset and says what is in them.

A dataset is a folder (any URI that fsspec opens) with `card.json` and, for each split, shards named
`{split}-00000-of-000NN.parquet`. The card is written last: a folder without one was never finished.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

CARD_NAME = "card.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ContentHash = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
SplitName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardCard(_Frozen):
    """One Parquet file of a split."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+\.parquet$", description="File name, relative to the card.")
    rows: int = Field(ge=1, description="Images in the shard.")
    size_bytes: int = Field(ge=1, description="Size of the file; another size means a truncated shard.")
    sha256: Sha256 = Field(description="SHA-256 of the file, hexadecimal.")


class SplitCard(_Frozen):
    """One split: how many images, of which classes, in which files."""

    images: int = Field(ge=1, description="Images in the split.")
    images_per_class: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        description="Images of each class, in the order of `class_names`."
    )
    shards: tuple[ShardCard, ...] = Field(min_length=1, description="The split's files, in reading order.")

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if sum(self.images_per_class) != self.images:
            raise ValueError(f"images_per_class adds up to {sum(self.images_per_class)}, images is {self.images}")
        if sum(shard.rows for shard in self.shards) != self.images:
            raise ValueError(f"shards hold {sum(shard.rows for shard in self.shards)} rows, images is {self.images}")
        return self


class Attribution(_Frozen):
    """Where images come from and under which licence."""

    source: str = Field(min_length=1, description="Package with version, or URL, or citation.")
    licence: str = Field(min_length=1, description="SPDX expression where there is one, otherwise in words.")


class DatasetCard(_Frozen):
    """Everything that is known about a prepared dataset without opening a shard."""

    schema_version: Literal[1] = Field(default=1, description="Version of this card's layout.")
    name: str = Field(min_length=1, max_length=63, description="Short name, as in `evaluation.tasks`.")
    description: str = Field(min_length=1, description="What the images show and how the splits were made.")
    recipe: str = Field(min_length=1, description="What made the dataset, with its version and settings.")
    attributions: tuple[Attribution, ...] = Field(min_length=1, description="Every source with its licence.")
    class_names: tuple[str, ...] = Field(min_length=2, description="Class names; a label is an index into them.")
    image_size_px: int | None = Field(
        ge=1, description="Side of the square images if all have the same, otherwise null."
    )
    channels: Literal[1, 3] = Field(description="1: grey, 3: RGB.")
    splits: dict[SplitName, SplitCard] = Field(min_length=1, description="The splits by name.")
    content_hash: ContentHash = Field(
        description="SHA-256 over class names and, by split and in order, labels and decoded pixels; "
        "independent of compression, number of shards and place."
    )

    @model_validator(mode="after")
    def _classes_agree(self) -> Self:
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("class_names holds a name twice")
        for name, split in self.splits.items():
            if len(split.images_per_class) != len(self.class_names):
                raise ValueError(
                    f"splits.{name}.images_per_class has {len(split.images_per_class)} entries "
                    f"for {len(self.class_names)} classes"
                )
        return self

    @property
    def licences(self) -> tuple[str, ...]:
        """The distinct licences, sorted."""
        return tuple(sorted({attribution.licence for attribution in self.attributions}))
