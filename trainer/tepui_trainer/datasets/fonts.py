"""The quickstart's upstream task, and the nearest downstream one: characters of real fonts."""

import numpy as np

from tepui_trainer.datasets.glyphs import Family, families, rendered
from tepui_trainer.datasets.recipe import LabelledImages, Recipe

# Without what only size, or nothing, tells apart in many fonts (c C, o O 0, l I 1, ...): such pairs would put a floor
# under the upstream error, and the laws are about what happens as it falls towards zero.
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghmnqrt23456789!?&@#$%+=*€£¥§©ßæøñéäåç¿«{"
# without the letters that Latin has too (Α Β Ε ... ν ο), or nearly (κ ι χ υ ς)
GREEK = "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπσφψω"
TRAIN_VARIANTS, VALIDATION_VARIANTS = 4, 2
GREEK_TRAIN_VARIANTS, GREEK_TEST_VARIANTS = 8, 8

# Families that no model is trained on, of every kind: upright, slab, display, monospaced, handwritten.
# Those that have Greek letters give the Greek task: its support set and its test set have no family in common.
GREEK_TRAIN_FAMILIES = ("cardo", "inter", "noto-serif", "open-sans", "press-start-2p", "roboto")
GREEK_TEST_FAMILIES = ("comfortaa", "eb-garamond", "fira-sans", "jetbrains-mono", "news-cycle", "vollkorn")
OTHER_VALIDATION_FAMILIES = (
    "abril-fatface",
    "bebas-neue",
    "caveat",
    "kalam",
    "lobster",
    "montserrat",
    "orbitron",
    "permanent-marker",
    "playfair-display",
    "rajdhani",
    "space-mono",
    "zilla-slab",
)
VALIDATION_FAMILIES = frozenset(GREEK_TRAIN_FAMILIES + GREEK_TEST_FAMILIES + OTHER_VALIDATION_FAMILIES)


def fonts() -> Recipe:
    """72 characters in 115 families, 24 of them kept for validation."""
    every = families()
    validation = [family for family in every if family.slug in VALIDATION_FAMILIES]
    train = [family for family in every if family.slug not in VALIDATION_FAMILIES]
    return Recipe(
        name="fonts",
        version="tepui_trainer.datasets.fonts 3",
        description=f"Latin letters, digits and signs ({len(LATIN)} classes) in {len(every)} open font families, "
        f"light on dark, each image turned, sheared, scaled and moved a little. Split by family: the "
        f"{len(validation)} validation families are never trained on. Characters that a font lacks, or draws "
        f"exactly like another, are left out.",
        attributions=tuple(family.attribution for family in every),
        class_names=tuple(LATIN),
        draw=lambda: {
            "train": _images(train, LATIN, TRAIN_VARIANTS),
            "validation": _images(validation, LATIN, VALIDATION_VARIANTS),
        },
    )


def greek() -> Recipe:
    """Greek letters in validation families: an alphabet and typefaces that the upstream model has not seen."""
    by_slug = {family.slug: family for family in families()}
    train = [by_slug[slug] for slug in GREEK_TRAIN_FAMILIES]
    test = [by_slug[slug] for slug in GREEK_TEST_FAMILIES]
    return Recipe(
        name="greek",
        version="tepui_trainer.datasets.greek 2",
        description=f"Greek letters that Latin lacks ({len(GREEK)} classes), drawn as the fonts are, in families that "
        f"the upstream task keeps for validation. Split by family: {len(train)} for train, {len(test)} for test.",
        attributions=tuple(family.attribution for family in train + test),
        class_names=tuple(GREEK),
        draw=lambda: {
            "train": _images(train, GREEK, GREEK_TRAIN_VARIANTS),
            "test": _images(test, GREEK, GREEK_TEST_VARIANTS),
        },
    )


def _images(of_families: list[Family], characters: str, variants: int) -> LabelledImages:
    images, labels = [], []
    for family in of_families:
        for label, images_VSS in rendered(family, characters, variants):
            images.append(images_VSS)
            labels.append(np.full(len(images_VSS), label, dtype=np.int64))
    return LabelledImages(np.concatenate(images), np.concatenate(labels))
