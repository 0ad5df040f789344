"""A folder of image files: `{split}/{class}/{file}`, as torchvision's ImageFolder reads it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from tepui_trainer.failures import DataError
from tepui_trainer.reader.source import Blocks, IntArray, listing_hash
from tepui_trainer.reader.storage import Folder

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})


class FolderSource:
    """One split of a folder of images; a block is a file.

    Classes are the folders found in any split, sorted: a class that one split lacks does not shift the labels of the
    others.
    """

    card = None

    def __init__(self, folder: Folder, split: str) -> None:
        self._folder = folder
        self.uri = folder.uri
        images = [name for name in folder.files if _is_image(name)]
        self._files = [name for name in images if name.split("/")[0] == split]
        if not self._files:
            splits = sorted({name.split("/")[0] for name in images})
            raise DataError(
                f"{self.uri}: no images {split}/CLASS/FILE; "
                + (f"there are splits {splits[:10]}" if splits else "there are no images SPLIT/CLASS/FILE at all")
            )
        self.class_names = tuple(sorted({name.split("/")[1] for name in images}))
        label_of = {name: label for label, name in enumerate(self.class_names)}
        self.labels_N: IntArray = np.array([label_of[name.split("/")[1]] for name in self._files], dtype=np.int64)

    @cached_property
    def content_hash(self) -> str:
        """See `Source`."""
        return listing_hash(self._folder, self._files, self.labels_N)

    @cached_property
    def blocks(self) -> Blocks:
        """See `Source`."""
        sizes = [self._folder.files[name] for name in self._files]
        return Blocks(np.ones(len(sizes), dtype=np.int64), np.array(sizes, dtype=np.int64))

    def read_block(self, block: int) -> Sequence[bytes]:
        """See `Source`."""
        return [self._folder.read(self._files[block])]

    def place(self, sample: int) -> str:
        """See `Source`."""
        return self._folder.uri_of(self._files[sample])


def _is_image(name: str) -> bool:
    return name.count("/") >= 2 and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
