"""The data of a pre-training trial: its part of the training split, the validation split, the augmentation."""

from dataclasses import dataclass

import numpy as np

from tepui_spec.recipes import Recipe
from tepui_spec.trial import TrainTask
from tepui_trainer.data import Augment, Dataset, open_dataset
from tepui_trainer.failures import DataError
from tepui_trainer.reader.source import hash_of_splits, same_labels

VALIDATION_SPLIT = "validation"


@dataclass(frozen=True)
class Upstream:
    """What a trial trains on and is measured on."""

    train: Dataset
    validation: Dataset
    augment: Augment

    @property
    def content_hash(self) -> str:
        """Hash of the data that were read, of both splits."""
        return hash_of_splits(self.train.content_hash, self.validation.content_hash)

    @property
    def num_classes(self) -> int:
        """Classes of the training split."""
        return self.train.num_classes


def open_upstream(task: TrainTask) -> Upstream:
    """Opens both splits; reads labels and metadata, no images.

    Raises:
        DataError: for missing, unreadable or unexpected data.
        TransientError: if the storage does not answer.
    """
    config = task.config
    data = config.data
    train, validation = (
        open_dataset(
            task.data_uri,
            split=split,
            image_size_px=config.image_size,
            format=data.format,
            max_corrupt_share=data.max_corrupt_share,
        )
        for split in (data.train_split, data.test_split or VALIDATION_SPLIT)
    )
    held = hash_of_splits(train.content_hash, validation.content_hash)
    if data.content_hash not in (None, held):
        raise DataError(
            f"{task.data_uri} holds {held}, but data.contentHash asks for {data.content_hash}: bring "
            f"those data back, or change or leave out contentHash"
        )
    if not same_labels(train.class_names, validation.class_names):
        raise DataError(
            f"{task.data_uri}: splits {data.train_split} and {data.test_split or VALIDATION_SPLIT} have "
            f"different classes, {train.num_classes} and {validation.num_classes}"
        )
    if train.num_classes < 2:
        raise DataError(f"{task.data_uri}: all labels are the same; there must be at least 2 classes")
    return Upstream(train.subset(config.data_fraction), validation, augmentation(config.recipe, config.image_size))


def augmentation(recipe: Recipe, image_size: int) -> Augment:
    """What the recipe does to training images; a crop by padding shifts by up to an eighth of the image."""
    return Augment(crop=recipe.crop, pad_px=image_size // 8, flip=recipe.flip)


def total_steps(recipe: Recipe, train_images: int) -> int:
    """Optimizer steps of a trial: its epochs over its part of the training split, at least one."""
    return max(1, round(recipe.epochs * train_images / recipe.batch_size))


def spread(dataset: Dataset, images: int) -> Dataset:
    """At most `images` images, evenly spaced over the dataset, and always the same ones."""
    if images >= len(dataset):
        return dataset
    return dataset.select(np.linspace(0, len(dataset) - 1, images).round().astype(np.int64))
