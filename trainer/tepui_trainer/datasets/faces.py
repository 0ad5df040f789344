"""Faces and backgrounds of the LFW subset that scikit-image carries."""

import numpy as np
from PIL import Image

from tepui_spec.dataset import Attribution
from tepui_trainer.datasets.packaged import packaged_file, source
from tepui_trainer.datasets.recipe import LabelledImages, Recipe

TRAIN_PER_CLASS = 30


def faces() -> Recipe:
    """100 faces and 100 patches without a face, enlarged from 25 to 32 pixels."""
    return Recipe(
        name="faces",
        version="tepui_trainer.datasets.faces 1",
        description=f"100 faces and 100 background patches of LFW, grey, 25 px enlarged to 32 px (bicubic). Split in "
        f"the order of the file, the first {TRAIN_PER_CLASS} of each class for train.",
        attributions=(
            Attribution(
                source="Labeled Faces in the Wild (Huang et al. 2012), lfw_subset.npy in " + source("scikit-image"),
                licence="none stated; published for research, carried by scikit-image (BSD-3-Clause)",
            ),
        ),
        class_names=("face", "background"),
        draw=_draw,
    )


def _draw() -> dict[str, LabelledImages]:
    grey_NSS = np.load(packaged_file("scikit-image", "skimage/data/lfw_subset.npy"), allow_pickle=False)
    small_NSS = np.rint(np.clip(grey_NSS, 0.0, 1.0) * 255.0).astype(np.uint8)
    images_NSS = np.stack(
        [np.asarray(Image.fromarray(small_SS).resize((32, 32), Image.Resampling.BICUBIC)) for small_SS in small_NSS]
    )
    labels_N = np.repeat(np.arange(2), len(images_NSS) // 2)
    train = np.arange(len(images_NSS)) % (len(images_NSS) // 2) < TRAIN_PER_CLASS
    return {
        "train": LabelledImages(images_NSS[train], labels_N[train]),
        "test": LabelledImages(images_NSS[~train], labels_N[~train]),
    }
