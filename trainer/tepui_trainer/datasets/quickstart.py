"""The quickstart's datasets: one upstream task and five downstream tasks at different distances from it."""

from collections.abc import Callable
from dataclasses import dataclass

from tepui_spec.dataset import DatasetCard
from tepui_trainer.datasets.digits import digits8x8, mnist
from tepui_trainer.datasets.faces import faces
from tepui_trainer.datasets.fonts import fonts, greek
from tepui_trainer.datasets.recipe import Recipe
from tepui_trainer.datasets.shards import write_dataset
from tepui_trainer.datasets.textures import textures
from tepui_trainer.failures import DataError
from tepui_trainer.reader.parquet_source import read_card
from tepui_trainer.reader.storage import Folder

RECIPES: tuple[Callable[[], Recipe], ...] = (fonts, greek, mnist, digits8x8, textures, faces)


@dataclass(frozen=True)
class Made:
    """A dataset that is there now, and whether it had to be written."""

    uri: str
    card: DatasetCard
    written: bool


def make_quickstart(out_uri: str, report: Callable[[Made], None], *, again: bool = False) -> None:
    """Makes what is missing or out of date below `out_uri`, one folder each; reports each when it is there.

    Raises:
        ValueError: if a package that carries the images is not installed.
    """
    for recipe_of in RECIPES:
        recipe = recipe_of()
        uri = f"{out_uri.rstrip('/')}/{recipe.name}"
        card = None if again else _up_to_date(uri, recipe)
        report(Made(uri, card or write_dataset(uri, recipe), card is None))


def _up_to_date(uri: str, recipe: Recipe) -> DatasetCard | None:
    """The folder's card if the same recipe made it from the same packages and no shard has changed its size."""
    folder = Folder(uri)
    if not folder.exists():
        return None
    try:
        card = read_card(folder)
    except DataError:
        return None  # made by another version of Tepui, or damaged: written again
    if card is None or (card.recipe, card.attributions) != (recipe.version, recipe.attributions):
        return None
    sizes = folder.files
    shards = [shard for split in card.splits.values() for shard in split.shards]
    return card if all(sizes.get(shard.name) == shard.size_bytes for shard in shards) else None
