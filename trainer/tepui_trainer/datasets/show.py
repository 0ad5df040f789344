"""A dataset's card for a person, and the check that its shards are the ones it describes."""

import hashlib
from collections import Counter

from tepui_spec.dataset import DatasetCard
from tepui_trainer.failures import DataError
from tepui_trainer.reader.parquet_source import read_card
from tepui_trainer.reader.storage import Folder


def card_of(uri: str) -> DatasetCard:
    """The card of a dataset. Raises `DataError` if there is none."""
    folder = Folder(uri)
    if not folder.exists():
        hint = "; `tepui data quickstart` makes the quickstart's data" if "quickstart" in uri else ""
        raise DataError(f"{uri}: there is no such dataset{hint}")
    card = read_card(folder)
    if card is None:
        raise DataError(f"{uri}: there is no card.json: not a dataset that Tepui prepared, or never finished")
    return card


def verify(uri: str, card: DatasetCard) -> None:
    """Compares every shard with its SHA-256 in the card. Raises `DataError` naming the first that differs."""
    folder = Folder(uri)
    for split in card.splits.values():
        for shard in split.shards:
            if hashlib.sha256(folder.read(shard.name)).hexdigest() != shard.sha256:
                raise DataError(f"{folder.uri_of(shard.name)}: not the shard that the card describes (SHA-256)")


def card_text(uri: str, card: DatasetCard) -> str:
    """The card in a dozen lines; attributions are counted by licence."""
    names = " ".join(card.class_names)
    lines = [
        f"{card.name}  {uri}",
        f"  {card.description}",
        f"  {len(card.class_names)} classes: {names if len(names) <= 200 else names[:197] + '...'}",
        f"  images: {card.image_size_px or 'various'} px, {'grey' if card.channels == 1 else 'RGB'}",
    ]
    for name, split in card.splits.items():
        size_mb = sum(shard.size_bytes for shard in split.shards) / 1e6
        lines.append(
            f"  {name}: {split.images:,} images, {min(split.images_per_class)} to {max(split.images_per_class)} "
            f"a class, {len(split.shards)} shards, {size_mb:.1f} MB"
        )
    sources_of = Counter(attribution.licence for attribution in card.attributions)
    for licence, count in sorted(sources_of.items()):
        first = next(a.source for a in card.attributions if a.licence == licence)
        lines.append(f"  {licence}: {first}" + (f" and {count - 1} more" if count > 1 else ""))
    lines.append(f"  made by {card.recipe}; {card.content_hash}")
    return "\n".join(lines)
