"""One checkpoint on one task: features once, then a fit for every support seed, number of shots and layer."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tepui_evaluator.fewshot import few_shot
from tepui_evaluator.protocol import protocol_of
from tepui_evaluator.tasks import DownstreamTask, TaskFeatures, task_features
from tepui_spec.experiment import Evaluation
from tepui_spec.results import EvaluationRow


@dataclass(frozen=True)
class Checkpoint:
    """Which model is measured, and how good it is upstream."""

    trial: str
    step: int
    upstream_error: float
    upstream_n: int


def measure(
    model: nn.Module, checkpoint: Checkpoint, task: DownstreamTask, evaluation: Evaluation
) -> tuple[list[EvaluationRow], str | None]:
    """All rows of a checkpoint on a task, and a sentence on shots that were left out. Raises as `task_features`."""
    features = task_features(
        model, task, shots=evaluation.shots, support_seeds=evaluation.support_seeds, layers=evaluation.layers
    )
    rows = [
        _row(checkpoint, task, evaluation, features, shots=shots, seed=seed, layer=layer)
        for layer in features.test_MD
        for seed in range(evaluation.support_seeds)
        for shots in features.shots
    ]
    return rows, features.skipped


def _row(
    checkpoint: Checkpoint,
    task: DownstreamTask,
    evaluation: Evaluation,
    features: TaskFeatures,
    *,
    shots: int,
    seed: int,
    layer: str,
) -> EvaluationRow:
    support = features.orders[seed].take(shots)
    test_MD = features.test_MD[layer]
    result = few_shot(
        features.support_nD[layer][torch.from_numpy(features.row_N[support])],
        torch.from_numpy(task.train.labels_N[support]).to(test_MD.device),
        test_MD,
        features.test_labels_M.to(test_MD.device),
        num_classes=task.num_classes,
        l2=evaluation.l2,
    )
    n_test = len(test_MD)
    return EvaluationRow(
        trial=checkpoint.trial,
        step=checkpoint.step,
        protocol=protocol_of(evaluation),
        task=task.name,
        shots=shots,
        seed=seed,
        layer=layer,
        error=result.error,
        n_test=n_test,
        error_se=float(np.sqrt(result.error * (1.0 - result.error) / n_test)),
        l2=result.l2,
        n_support=len(support),
        num_classes=task.num_classes,
        corrupt_images=task.corrupt_images,
        task_content_hash=task.content_hash,
        upstream_error=checkpoint.upstream_error,
        upstream_n=checkpoint.upstream_n,
    )
