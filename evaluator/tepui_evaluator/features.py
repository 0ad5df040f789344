"""Features of a frozen backbone, one forward pass over the images for all layers.

    B images of a batch, N in all, D_l features of layer l, H' x W' places of an intermediate feature map

Layers: `pooled` is what the head sees (timm's forward_features, then forward_head without its classifier).
`block-00`, `block-01`, ... are timm's intermediates in their order: every block of a ViT or Mixer; the stem and then
every stage of a ResNet. Each is averaged over the places of its map; class and register tokens are left out.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

Layers = Literal["last", "all"]
POOLED = "pooled"


def extract(model: nn.Module, batches: Iterable[torch.Tensor], layers: Layers = "last") -> dict[str, torch.Tensor]:
    """float32 features (N, D_l) by layer of batches (B, channels, S, S), on the model's device.

    The model must be in eval mode. Raises ValueError for `layers="all"` of a model whose blocks timm does not know.
    """
    if layers == "all" and not hasattr(model, "forward_intermediates"):
        raise ValueError(
            f"evaluation.layers: 'all' needs a model whose blocks timm can list, and {type(model).__name__} has no "
            f"forward_intermediates; use 'last', or a ViT, Mixer or ResNet"
        )
    device = next(model.parameters()).device
    parts: dict[str, list[torch.Tensor]] = {}
    with torch.inference_mode():
        for images_BCHW in batches:
            for layer, features_BD in _of_batch(model, images_BCHW.to(device), layers).items():
                parts.setdefault(layer, []).append(features_BD.float())
        return {layer: torch.cat(features) for layer, features in parts.items()}


def _of_batch(model: nn.Module, images_BCHW: torch.Tensor, layers: Layers) -> dict[str, torch.Tensor]:
    if layers == "last":
        return {POOLED: model.forward_head(model.forward_features(images_BCHW), pre_logits=True)}  # type: ignore[operator]
    final, maps = model.forward_intermediates(images_BCHW, output_fmt="NCHW")  # type: ignore[operator]
    features = {POOLED: model.forward_head(final, pre_logits=True)}  # type: ignore[operator]
    for index, map_BDHW in enumerate(maps):
        features[f"block-{index:02d}"] = map_BDHW.mean(dim=(2, 3))
    return features
