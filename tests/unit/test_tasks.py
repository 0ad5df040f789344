"""A downstream task's data: only what is needed is read, corrupt images are replaced, small classes are reported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from digit_data import digits, write_digits, write_plain
from tepui_evaluator.fewshot import few_shot
from tepui_evaluator.measure import Checkpoint, measure
from tepui_evaluator.support import support_order
from tepui_evaluator.tasks import open_task, task_features
from tepui_spec.experiment import Data, Evaluation
from tepui_trainer.failures import DataError, Diverged


class Pixels(nn.Module):
    """A backbone whose features are the pixels of the first channel, so that few-shot errors are known."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.images = 0

    def forward_features(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 1, H, W)."""
        self.images += len(images_BCHW)
        return images_BCHW[:, :1] * self.scale

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Pixels (B, H * W)."""
        assert pre_logits
        return features.flatten(1)


def _data(folder: Path) -> Data:
    return Data(uri=str(folder))


def test_rows_are_those_of_raw_pixels(tmp_path: Path) -> None:
    """Rows hold, for every seed and shots, the error of a fit on the images of that support set, in split order."""
    train, test = digits(0, 600), digits(600, 900)
    write_plain(tmp_path, "train", train)
    write_plain(tmp_path, "test", test)
    evaluation = Evaluation(tasks=("digits",), data_root=str(tmp_path), shots=(5, 1), support_seeds=2)
    model = Pixels()
    rows, skipped = measure(
        model, Checkpoint("t", 7, 0.4, 100), open_task("digits", str(tmp_path), _data(tmp_path), 8), evaluation
    )
    assert skipped is None
    assert [(r.seed, r.shots) for r in rows] == [(0, 1), (0, 5), (1, 1), (1, 5)]
    assert model.images < 300 + 2 * 5 * 10 + 1  # the union of the support sets and the test split, each once
    for row in rows:
        support = support_order(train.labels_N, row.seed).take(row.shots)
        expected = few_shot(
            torch.from_numpy(train.images_NSS[support].reshape(len(support), 64).astype(np.float64)),
            torch.from_numpy(train.labels_N[support]),
            torch.from_numpy(test.images_NSS.reshape(-1, 64).astype(np.float64)),
            torch.from_numpy(test.labels_N),
            num_classes=10,
        )
        assert row.error == pytest.approx(expected.error, abs=1.5 / 300)
        assert (row.n_support, row.n_test, row.num_classes) == (10 * row.shots, 300, 10)
        assert (row.trial, row.step, row.upstream_error, row.layer) == ("t", 7, 0.4, "pooled")


def test_corrupt_support_image_is_replaced_and_counted(tmp_path: Path) -> None:
    """A support image that cannot be decoded gives its place to the next of its class, also if that is corrupt too."""
    train = digits(0, 600)
    order = support_order(train.labels_N, 0)
    of_three = order.samples_N[(train.labels_N[order.samples_N] == 3)]
    write_plain(tmp_path, "train", train, broken=of_three[:2])
    write_plain(tmp_path, "test", digits(600, 900))
    task = open_task("digits", str(tmp_path), _data(tmp_path), 8)
    features = task_features(Pixels(), task, shots=(1,), support_seeds=1, layers="last")
    expected = set(order.take(1).tolist()) - {int(of_three[0])} | {int(of_three[2])}
    assert set(features.orders[0].take(1).tolist()) == expected
    assert bool((features.row_N[sorted(expected)] >= 0).all())
    assert task.corrupt_images == 2
    slot = int(features.row_N[of_three[2]])
    pixels = torch.from_numpy(train.images_NSS[of_three[2]].reshape(64).astype(np.float32)) / 127.5 - 1
    torch.testing.assert_close(features.support_nD["pooled"][slot], pixels)


def test_corrupt_test_image_is_left_out(tmp_path: Path) -> None:
    """The number of test images is that of the readable ones, and labels stay with their images."""
    test = digits(600, 900)
    write_plain(tmp_path, "train", digits(0, 600))
    write_plain(tmp_path, "test", test, broken=np.array([0, 17]))
    task = open_task("digits", str(tmp_path), _data(tmp_path), 8)
    features = task_features(Pixels(), task, shots=(1,), support_seeds=1, layers="last")
    assert features.test_labels_M.tolist() == np.delete(test.labels_N, [0, 17]).tolist()
    assert len(features.test_MD["pooled"]) == 298


def test_shots_beyond_the_smallest_class_are_left_out_and_said_so(tmp_path: Path) -> None:
    """Shots that one class cannot fill are named together with the class and what it has."""
    train = digits(0, 100)
    smallest = int(np.bincount(train.labels_N).min())
    write_digits(tmp_path, {"train": train, "test": digits(100, 200)})
    task = open_task("digits", str(tmp_path), _data(tmp_path), 8)
    features = task_features(Pixels(), task, shots=(50, 1, 5), support_seeds=1, layers="last")
    assert features.shots == (1, 5)
    assert features.skipped is not None
    assert "digits: 50 shots left out" in features.skipped
    assert f"has {smallest} readable images in split train" in features.skipped


def test_no_possible_shots_is_the_users_mistake(tmp_path: Path) -> None:
    """With more shots than any support set can have, the message names field, task, class and count."""
    write_digits(tmp_path, {"train": digits(0, 60), "test": digits(100, 200)})
    task = open_task("digits", str(tmp_path), _data(tmp_path), 8)
    with pytest.raises(ValueError, match=r"evaluation\.shots: task digits allows none of 25, 100 shots: class 'digit"):
        task_features(Pixels(), task, shots=(25, 100), support_seeds=1, layers="last")


def test_other_data_than_the_spec_says_are_refused(tmp_path: Path) -> None:
    """A task's contentHash holds."""
    card = write_digits(tmp_path, {"train": digits(0, 60), "test": digits(100, 200)})
    open_task("digits", str(tmp_path), Data(uri=str(tmp_path), content_hash=card.content_hash), 8)
    with pytest.raises(DataError, match="contentHash"):
        open_task("digits", str(tmp_path), Data(uri=str(tmp_path), content_hash="sha256:" + "0" * 64), 8)


def test_features_that_are_not_finite_end_the_trial(tmp_path: Path) -> None:
    """A checkpoint whose features overflow has its own failure class, and no rows."""
    write_digits(tmp_path, {"train": digits(0, 60), "test": digits(100, 200)})
    model = Pixels()
    model.scale.data.fill_(float("inf"))
    task = open_task("digits", str(tmp_path), _data(tmp_path), 8)
    with pytest.raises(Diverged, match="digits"):
        task_features(model, task, shots=(1,), support_seeds=1, layers="last")
