"""Features of timm's models: what the head sees, and every block in the same pass."""

from typing import Any

import pytest
import timm
import torch
from timm.models.mlp_mixer import MlpMixer
from torch import nn

from tepui_evaluator.features import extract

BLOCKS = {"vit": 3, "mixer": 2, "resnet": 5, "resnetv2": 5}


def _model(family: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module
    if family == "vit":
        size = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
        model = timm.create_model("vit_tiny_patch16_224", num_classes=7, **size)
    elif family == "mixer":
        model = MlpMixer(num_classes=7, img_size=32, patch_size=8, embed_dim=24, num_blocks=2)
    elif family == "resnet":
        model = timm.create_model("resnet18", num_classes=7, layers=(1, 1, 1, 1), channels=(4, 8, 8, 16))
    else:
        model = timm.create_model("resnetv2_50x1_bit", num_classes=7, channels=(128,) * 4, stem_chs=32)
    return model.eval()


def _images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", BLOCKS)
def test_pooled_features_are_what_the_head_sees(family: str) -> None:
    """The model's own classifier, applied to `pooled`, gives the model's output."""
    model, images = _model(family), _images(5)
    pooled = extract(model, [images[:3], images[3:]])["pooled"]
    classifier = model.get_classifier()  # type: ignore[operator]
    with torch.inference_mode():
        convolution = isinstance(classifier, nn.Conv2d)
        logits = classifier(pooled[:, :, None, None] if convolution else pooled).flatten(1)
        torch.testing.assert_close(logits, model(images))


@pytest.mark.parametrize("family", BLOCKS)
def test_all_layers_come_from_one_pass(family: str) -> None:
    """`all` adds one vector per block and image, and leaves `pooled` as it is with `last`."""
    model, images = _model(family), _images(5)
    passes: list[int] = []
    layers = extract(model, _counted(images, passes), "all")
    assert passes == [5]
    torch.testing.assert_close(layers["pooled"], extract(model, [images])["pooled"])
    assert list(layers)[1:] == [f"block-{i:02d}" for i in range(BLOCKS[family])]
    assert all(features.shape[0] == 5 and features.dim() == 2 for features in layers.values())
    assert all(features.std(dim=0).max() > 0 for features in layers.values())


def test_block_features_leave_the_class_token_out() -> None:
    """A ViT block's features are the mean of its patch tokens."""
    model, images = _model("vit"), _images(2)
    seen: list[torch.Tensor] = []
    model.blocks[1].register_forward_hook(lambda _module, _inputs, output: seen.append(output))  # type: ignore
    features = extract(model, [images], "all")["block-01"]
    torch.testing.assert_close(features, seen[0][:, 1:].mean(dim=1))


def test_model_without_known_blocks_is_refused() -> None:
    """`all` for a model whose blocks timm cannot list names the field and the model."""

    class Opaque(nn.Linear):
        """A model that has a head and no list of blocks."""

    with pytest.raises(ValueError, match=r"evaluation\.layers: 'all'.*Opaque"):
        extract(Opaque(2, 2).eval(), [_images(1)], "all")


def _counted(images: torch.Tensor, passes: list[int]) -> list[torch.Tensor]:
    class Counted(list[torch.Tensor]):
        def __iter__(self) -> Any:
            for batch in super().__iter__():
                passes.append(len(batch))
                yield batch

    return Counted([images])
