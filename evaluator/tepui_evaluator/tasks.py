"""Downstream tasks: their data, and the features of the images that an evaluation needs and of no others.

N training images of the task, n of them in some support set, M intact test images, C classes, D features
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tepui_evaluator.features import Layers, extract
from tepui_evaluator.support import SupportOrder, possible_shots, support_order
from tepui_spec.experiment import Data
from tepui_trainer.data import Dataset, open_dataset, sequential
from tepui_trainer.failures import DataError, Diverged
from tepui_trainer.reader.source import hash_of_splits, same_labels

PIXELS_PER_BATCH = 2**22
MAX_BATCH = 256  # more is not faster on a CPU core at 32 px


@dataclass(frozen=True, eq=False)
class DownstreamTask:
    """A task's two splits: support sets are drawn from `train`, errors measured on `test`."""

    name: str
    train: Dataset
    test: Dataset
    train_split: str

    @property
    def num_classes(self) -> int:
        """C: the classes of the dataset."""
        return self.train.num_classes

    @property
    def content_hash(self) -> str:
        """What both splits hold."""
        return hash_of_splits(self.train.content_hash, self.test.content_hash)

    @property
    def corrupt_images(self) -> int:
        """Distinct unreadable images met so far."""
        return self.train.corrupt_images + self.test.corrupt_images


@dataclass(frozen=True, eq=False)
class TaskFeatures:
    """What one checkpoint makes of one task."""

    support_nD: dict[str, torch.Tensor]
    """Features by layer of all images in any support set."""
    row_N: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Row in `support_nD` of each training image; -1 where it is in no support set."""
    orders: tuple[SupportOrder, ...]
    """Of each support seed."""
    test_MD: dict[str, torch.Tensor]
    test_labels_M: torch.Tensor
    shots: tuple[int, ...]
    """Ascending: those that every class has images for."""
    skipped: str | None
    """Which shots were left out and why, in a sentence."""


def open_task(name: str, uri: str, data: Data, image_size: int) -> DownstreamTask:
    """Open both splits; reads labels, no images.

    Raises DataError naming the task where data are missing, unreadable, not what `contentHash` says, or where the
    splits have different classes; TransientError where the storage does not answer.
    """

    def opened(split: str) -> Dataset:
        return open_dataset(
            uri,
            split=split,
            image_size_px=image_size,
            format=data.format,
            max_corrupt_share=data.max_corrupt_share,
        )

    task = DownstreamTask(name, opened(data.train_split), opened(data.test_split or "test"), data.train_split)
    if not same_labels(task.train.class_names, task.test.class_names):
        raise DataError(
            f"task {name}: the splits {data.train_split} and {data.test_split or 'test'} of {uri} have different "
            f"classes, {task.train.num_classes} and {task.test.num_classes}"
        )
    if data.content_hash is not None and task.content_hash != data.content_hash:
        raise DataError(
            f"task {name}: {uri} holds {task.content_hash}, but the spec's contentHash is {data.content_hash}: bring "
            f"those data back, or change or leave out contentHash"
        )
    if task.num_classes < 2:
        raise DataError(
            f"task {name}: all labels in {uri} are the same; there must be at least 2 classes to tell apart"
        )
    return task


def task_features(
    model: nn.Module, task: DownstreamTask, *, shots: Sequence[int], support_seeds: int, layers: Layers
) -> TaskFeatures:
    """One pass over the test split and over the union of all support sets.

    A corrupt training image gives its place to the next of its class. Raises ValueError where no class sizes allow
    any of the shots, DataError where no test image is intact, Diverged where features are not finite.
    """
    labels_N = task.train.labels_N
    usable_N = np.ones(len(labels_N), dtype=np.bool_)
    row_N = np.full(len(labels_N), -1, dtype=np.int64)
    parts: list[dict[str, torch.Tensor]] = []
    while True:
        possible, skipped = _possible(task, shots, usable_N)
        orders = tuple(support_order(labels_N, seed, usable_N) for seed in range(support_seeds))
        wanted = np.unique(np.concatenate([order.take(possible[-1]) for order in orders]))
        new = wanted[row_N[wanted] < 0]
        if len(new) == 0:
            break
        features, positions = _pass(model, task.train.select(new), task.name, layers)
        usable_N[new] = False
        usable_N[new[positions]] = True
        row_N[new[positions]] = np.arange(len(positions)) + (row_N.max() + 1)
        parts.append(features)
    test_MD, seen = _pass(model, task.test, task.name, layers)
    if len(seen) == 0:
        raise DataError(f"task {task.name}: the test split of {task.test.uri} has no readable image")
    return TaskFeatures(
        support_nD={layer: torch.cat([part[layer] for part in parts if part]) for layer in test_MD},
        row_N=row_N,
        orders=orders,
        test_MD=test_MD,
        test_labels_M=torch.from_numpy(task.test.labels_N[seen]),
        shots=possible,
        skipped=skipped,
    )


def _possible(
    task: DownstreamTask, shots: Sequence[int], usable_N: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[tuple[int, ...], str | None]:
    images_C = np.bincount(task.train.labels_N[usable_N], minlength=task.num_classes)
    possible, impossible = possible_shots(shots, images_C)
    if not impossible:
        return possible, None
    smallest = int(images_C.argmin())
    where = (
        f"class {task.train.class_names[smallest]!r} has {int(images_C[smallest])} readable images "
        f"in split {task.train_split}"
    )
    listed = ", ".join(map(str, impossible))
    if not possible:
        raise ValueError(f"evaluation.shots: task {task.name} allows none of {listed} shots: {where}")
    return possible, f"{task.name}: {listed} shots left out, because {where}"


def _pass(
    model: nn.Module, dataset: Dataset, task: str, layers: Layers
) -> tuple[dict[str, torch.Tensor], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Features by layer of the intact images of a dataset, and the images' places in it."""
    positions: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = [np.empty(0, dtype=np.int64)]
    batch_size = min(MAX_BATCH, max(1, PIXELS_PER_BATCH // dataset.image_size_px**2))

    def images() -> Iterator[torch.Tensor]:
        for batch in sequential(dataset, batch_size=batch_size):
            if len(batch.images_BCHW):
                positions.append(batch.positions_B.numpy())
                yield batch.images_BCHW

    features = extract(model, images(), layers)
    for layer, features_BD in features.items():
        if not bool(torch.isfinite(features_BD).all()):
            raise Diverged(f"task {task}: features of layer {layer} are not finite; the checkpoint is of no use")
    return features, np.concatenate(positions)
