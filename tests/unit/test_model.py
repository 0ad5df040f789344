"""Models of timm by name, with arguments, classes and image size."""

from typing import Any

import pytest
import torch

from tepui_spec.experiment import CustomModel
from tepui_spec.outcome import Outcome
from tepui_trainer.failures import classify
from tepui_trainer.model import build_model, classifiers, set_head_bias

VIT = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
MIXER = {"patch_size": 8, "embed_dim": 16, "num_blocks": 1}
RESNET = {"layers": [1, 1, 1], "channels": [16, 32, 64], "stem_chs": 16}


def build(timm: str, image_size: int = 32, **args: Any) -> torch.nn.Module:
    """A model of 5 classes."""
    return build_model(CustomModel(name="m", timm=timm, args=args), num_classes=5, image_size=image_size)


@pytest.mark.parametrize(
    ("timm", "args"),
    [
        ("vit_tiny_patch16_224", VIT),
        ("mixer_s16_224", MIXER),
        ("mixer_b16_224", MIXER),
        ("resnetv2_18", RESNET),
        ("resnet18", {}),
        ("efficientnet_lite0", {}),
        ("ese_vovnet19b_slim", {}),
        ("caformer_s18", {"depths": [1, 1, 1, 1], "dims": [32, 32, 64, 64]}),
    ],
)
@pytest.mark.parametrize("image_size", [32, 64])
def test_logits_of_the_asked_size(timm: str, args: dict[str, Any], image_size: int) -> None:
    """Models of several families take the trial's images and give logits of its classes."""
    logits_BC = build(timm, image_size, **args).eval()(torch.zeros(2, 3, image_size, image_size))
    assert logits_BC.shape == (2, 5)


def test_arguments_that_timm_fixes_can_be_changed() -> None:
    """timm's Mixer functions fix width and depth; a custom Mixer has its own, and keeps the rest of its variant's."""
    model: Any = build("mixer_b16_224", embed_dim=24, num_blocks=2)
    assert (model.embed_dim, len(model.blocks)) == (24, 2)
    assert model.stem.patch_size == (16, 16)
    plain: Any = build("mixer_s16_224")
    assert (plain.embed_dim, len(plain.blocks)) == (512, 8)


def test_same_seed_same_weights() -> None:
    """Initial weights are a function of torch's seed."""
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(torch.cat([p.detach().flatten() for p in build("vit_tiny_patch16_224", **VIT).parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize(
    ("timm", "args", "words"),
    [
        ("vit_tiny_patch17_224", {}, "nearest: vit_tiny_patch16_224"),
        ("zzzzzzzz", {}, "'zzzzzzzz' is not a timm"),
        ("resnet18", {"widht": 2}, "args.widht is not an argument of timm's resnet18"),
        ("mixer_s16_224", {"patch_size": 8, "widht": 2}, "args.widht is not an argument"),
        ("vit_tiny_patch16_224", {"embed_dim": 65}, "divisible by num_heads"),
        ("vit_tiny_patch16_224", {"depth": -1}, "cannot be built with args {'depth': -1} for images of 32 px"),
        ("vit_tiny_patch16_224", {"embed_dim": "wide"}, "cannot be built"),
        ("mixer_s16_224", {"patch_size": 64}, "cannot be built"),
        ("resnet18", {"num_classes": 3}, "args.num_classes cannot be set: it follows from the upstream data"),
        ("resnet18", {"pretrained": True}, "args.pretrained cannot be set"),
        ("vit_tiny_patch16_224", {"img_size": 64}, "upstream.imageSize"),
        ("ese_vovnet19b_slim", {"widht": 2}, "args.widht is not an argument of timm's ese_vovnet19b_slim"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_mistakes_are_named(timm: str, args: dict[str, Any], words: str) -> None:
    """A wrong name or argument is a ValueError that says which."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the words are checked below
        build(timm, **args)
    assert words in str(caught.value)


def test_timm_is_left_as_it_was() -> None:
    """Building a custom Mixer changes nothing for models that are built after it."""
    import timm

    build("mixer_s16_224", **MIXER)
    with pytest.raises(ValueError, match="cannot be built"):
        build("mixer_s16_224", patch_size=64)
    model: Any = timm.create_model("mixer_s16_224", num_classes=2)
    assert model.embed_dim == 512


def test_head_bias() -> None:
    """The head's bias takes the recipe's value, and a model without one refuses it."""
    model = build("vit_tiny_patch16_224", **VIT)
    set_head_bias(model, -10.0)
    head: Any
    (head,) = classifiers(model)
    assert (head.bias == -10).all()
    head.bias = None
    set_head_bias(model, 0.0)
    with pytest.raises(ValueError, match=r"headBias is -10"):
        set_head_bias(model, -10.0)


@pytest.mark.parametrize(
    ("timm", "args", "heads"),
    [
        ("deit_tiny_distilled_patch16_224", VIT, 2),
        ("samvit_base_patch16", VIT | {"window_size": 0, "global_attn_indexes": [0]}, 1),
        ("repvit_m0_9", {}, 2),
    ],
)
def test_heads_that_are_wrapped_or_several(timm: str, args: dict[str, Any], heads: int) -> None:
    """Every linear layer that gives logits is the head, however timm wraps it."""
    found = classifiers(build(timm, **args))
    assert len(found) == heads
    assert all(layer.out_features == 5 for layer in found if isinstance(layer, torch.nn.Linear))
    assert all(layer.bias is not None for layer in found)


def test_a_model_beyond_the_memory_is_no_mistake_in_its_arguments() -> None:
    """What does not fit into memory keeps its class: a larger pod would do."""
    with pytest.raises(RuntimeError) as caught:
        build_model(CustomModel(name="m", timm="vit_tiny_patch16_224", args=VIT), num_classes=10**14, image_size=32)
    assert classify(caught.value) is Outcome.OUT_OF_MEMORY
