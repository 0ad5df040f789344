"""Patches of the textures and photographs that scikit-image carries."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from tepui_spec.dataset import Attribution
from tepui_trainer.datasets.packaged import packaged_file, source
from tepui_trainer.datasets.recipe import LabelledImages, Recipe

PATCH_PX = 32
SIDE_PX = 512
# class, file, side of the central square that is taken and resized to 512 px, where it comes from, licence
IMAGES = (
    ("brick", "brick.png", 512, "CC0Textures, Bricks25", "CC0-1.0"),
    ("grass", "grass.png", 512, "Linolafett, Grass 01 (DeviantArt)", "CC0-1.0"),
    ("gravel", "gravel.png", 512, "CC0Textures, Gravel04", "CC0-1.0"),
    ("galaxies", "hubble_deep_field.jpg", 512, "NASA, Hubble eXtreme Deep Field", "public domain"),
    ("tissue", "ihc.png", 512, "CMMI, stained colonic glands", "no known copyright restrictions"),
    ("retina", "retina.jpg", 960, "Häggström 2014, fundus photograph", "CC0-1.0"),
)  # fmt: skip


def textures() -> Recipe:
    """Six textures, train and test patches from different halves of each image."""
    return Recipe(
        name="textures",
        version="tepui_trainer.datasets.textures 1",
        description="Grey 32 px patches, side by side without overlap, of six images of scikit-image; mean and "
        "contrast of each patch are normalised, so that brightness does not give the class away (as in Varma and "
        "Zisserman 2009). Train patches from the left half of each image, test patches from the right half.",
        attributions=tuple(
            Attribution(source=f"{origin}; {file} in {source('scikit-image')}", licence=licence)
            for _, file, _, origin, licence in IMAGES
        ),
        class_names=tuple(name for name, *_ in IMAGES),
        draw=_draw,
    )


def _draw() -> dict[str, LabelledImages]:
    patches = [_patches(file, side_px) for _, file, side_px, _, _ in IMAGES]
    labels_N = np.repeat(np.arange(len(patches)), [len(left_NSS) for left_NSS, _ in patches])
    return {
        "train": LabelledImages(np.concatenate([left_NSS for left_NSS, _ in patches]), labels_N),
        "test": LabelledImages(np.concatenate([right_NSS for _, right_NSS in patches]), labels_N),
    }


def _patches(file: str, side_px: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The patches of the left and of the right half, each (128, 32, 32)."""
    image = Image.open(packaged_file("scikit-image", f"skimage/data/{file}")).convert("L")
    left, top = (image.width - side_px) // 2, (image.height - side_px) // 2
    box = (left, top, left + side_px, top + side_px)
    square = np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX, box=box))
    count = SIDE_PX // PATCH_PX
    grid = square.reshape(count, PATCH_PX, count, PATCH_PX).transpose(2, 0, 1, 3)
    halves = _normalised(grid.reshape(2, -1, PATCH_PX, PATCH_PX))
    return halves[0], halves[1]


def _normalised(patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Every patch with mean 128 and standard deviation 48 (before clipping)."""
    mean = patches.mean(axis=(-2, -1), keepdims=True)
    deviation = patches.std(axis=(-2, -1), keepdims=True)
    scaled = 128.0 + 48.0 * (patches - mean) / np.maximum(deviation, 1.0)
    normalised: npt.NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return normalised
