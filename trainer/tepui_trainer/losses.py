"""Training and validation losses, in float32 whatever the model computes in.

B images, C classes
"""

import torch
import torch.nn.functional as F

from tepui_spec.recipes import Recipe


def losses(logits_BC: torch.Tensor, labels_B: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """float32 (B,) losses in nats: cross-entropy, or binary cross-entropies summed over classes.

    The sum, not the mean, over classes is what the ViT recipes' learning rates belong to (big_vision's
    `sigmoid_xent`). `label_smoothing` applies to softmax.
    """
    logits_BC = logits_BC.float()
    if recipe.loss == "softmax":
        return F.cross_entropy(logits_BC, labels_B, reduction="none", label_smoothing=recipe.label_smoothing)
    targets_BC = F.one_hot(labels_B, logits_BC.shape[1]).to(logits_BC.dtype)
    return F.binary_cross_entropy_with_logits(logits_BC, targets_BC, reduction="none").sum(dim=1)
