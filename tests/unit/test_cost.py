"""Cost by arithmetic against timm and torch themselves."""

from typing import Any

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from tepui_spec.cost import (
    ModelCost,
    flops_of_examples,
    gpu_bytes,
    model_cost,
    training_flops,
    training_steps,
)
from tepui_spec.experiment import CustomModel
from tepui_spec.timm_knowledge import construction, model_names
from tepui_spec.trial import TrialConfig
from tepui_trainer.model import build_model
from tepui_trainer.timm_tables import arguments_table
from tepui_trainer.timm_tables import model_names as timm_model_names

CLASSES = 17

MODELS: list[tuple[str, int, dict[str, Any]]] = [
    ("vit_tiny_patch16_224", 224, {}),
    ("vit_tiny_patch16_224", 32, {"patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}),
    ("vit_tiny_patch16_224", 50, {"mlp_ratio": 3.5, "qkv_bias": False, "class_token": False, "global_pool": "avg"}),
    ("vit_small_patch16_224", 96, {"depth": 2, "init_values": 1e-5, "qk_norm": True, "reg_tokens": 4}),
    ("vit_giant_patch14_224", 224, {"embed_dim": 4096, "depth": 50, "num_heads": 32}),  # 10 billion parameters
    ("vit_base_patch16_siglip_224", 224, {"depth": 2}),
    ("vit_base_patch16_clip_224", 224, {"depth": 2}),
    ("vit_medium_patch16_reg4_gap_256", 256, {}),
    ("vit_giant_patch14_dinov2", 224, {"depth": 2}),
    ("vit_wee_patch16_reg1_gap_256", 256, {}),
    ("aimv2_large_patch14_224", 224, {"depth": 2}),
    ("deit_tiny_distilled_patch16_224", 224, {}),
    ("deit3_small_patch16_224", 224, {}),
    ("mixer_s16_224", 224, {}),
    ("mixer_s16_224", 32, {"patch_size": 8, "embed_dim": 48, "num_blocks": 3, "mlp_ratio": [1.5, 3.0]}),
    ("gmixer_24_224", 224, {}),
    ("resnet18", 32, {}),
    ("resnet18", 33, {"layers": [1, 1, 2, 1], "channels": [16, 32, 48, 64], "stem_type": "deep", "stem_width": 8}),
    ("resnet50", 224, {}),
    ("resnext50_32x4d", 224, {}),
    ("wide_resnet50_2", 64, {}),
    ("resnet50d", 65, {}),
    ("resnet26t", 64, {"avg_down": False}),
    ("seresnet50", 64, {}),
    ("ecaresnet26t", 64, {}),
    ("resnet50_gn", 64, {}),
    ("resnetv2_50x1_bit", 224, {}),
    ("resnetv2_50x3_bit", 64, {}),
    ("resnetv2_50x1_bit", 40, {"layers": [1, 2], "channels": [128, 256], "stem_chs": 32}),
    ("resnetv2_18d", 64, {}),
    ("resnetv2_50t", 64, {}),
]


def model(timm_name: str, args: dict[str, Any]) -> CustomModel:
    return CustomModel(name="m", timm=timm_name, args=args)


def cost_of(timm_name: str, size: int, args: dict[str, Any]) -> ModelCost:
    cost = model_cost(model(timm_name, args), image_size=size, num_classes=CLASSES)
    assert cost is not None
    return cost


def on_meta(timm_name: str, size: int, args: dict[str, Any]) -> torch.nn.Module:
    """The trainer's own model, without memory or arithmetic."""
    with torch.device("meta"):
        return build_model(model(timm_name, args), num_classes=CLASSES, image_size=size)


@pytest.mark.parametrize(("timm_name", "size", "args"), MODELS)
def test_parameters_equal_timms_and_flops_torchs(timm_name: str, size: int, args: dict[str, Any]) -> None:
    """Parameters to the last one; operations as torch's counter counts them, to 2%."""
    cost, module = cost_of(timm_name, size, args), on_meta(timm_name, size, args)
    assert cost.parameters == sum(p.numel() for p in module.parameters())
    with FlopCounterMode(display=False) as counter:
        module.eval()(torch.empty(1, 3, size, size, device="meta"))
    assert cost.forward_flops == pytest.approx(counter.get_total_flops(), rel=0.02)


KEPT: list[tuple[str, int, dict[str, Any]]] = [
    ("vit_tiny_patch16_224", 32, {"patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}),
    ("vit_base_patch16_siglip_224", 64, {"depth": 2}),
    ("vit_giant_patch14_dinov2", 56, {"depth": 1}),
    ("deit_tiny_distilled_patch16_224", 64, {}),
    ("mixer_s16_224", 64, {}),
    ("resnet18", 64, {}),
    ("resnet50d", 64, {}),
    ("seresnet50", 64, {}),
    ("resnetv2_50", 64, {}),
    ("resnetv2_50x1_bit", 32, {}),
]


def kept_bytes(module: torch.nn.Module, images: int, size: int, precision: str) -> int:
    """Bytes that autograd saves in one forward pass, each storage once, parameters left out."""
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in parameters:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    with autocast, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module.train()(torch.randn(images, 3, size, size))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


PRECISIONS = [(*case, precision) for case in KEPT for precision in ("fp32", "bf16")]


@pytest.mark.parametrize(
    ("timm_name", "size", "args", "precision"),
    # autocast leaves group norms in bf16 on a CPU, which it does not on a GPU
    [case for case in PRECISIONS if not ("bit" in case[0] and case[3] == "bf16")],
)
def test_activation_bytes_are_what_autograd_keeps(
    timm_name: str, size: int, args: dict[str, Any], precision: str
) -> None:
    """Within 5% of the real saved tensors, per image (what does not grow with the batch cancels out)."""
    cost = cost_of(timm_name, size, args)
    module = build_model(model(timm_name, args), num_classes=CLASSES, image_size=size)
    per_image = (kept_bytes(module, 6, size, precision) - kept_bytes(module, 2, size, precision)) / 4
    assert cost.activation_bytes_in("bf16" if precision == "bf16" else "fp32") == pytest.approx(per_image, rel=0.05)


@pytest.mark.parametrize(
    ("timm_name", "args"),
    [
        ("convnext_tiny", {}),
        ("swin_tiny_patch4_window7_224", {}),
        ("resnetaa50", {}),
        ("gmlp_s16_224", {}),
        ("vit_small_r26_s32_224", {}),
        ("vit_tiny_patch16_224", {"attn_layer": "diff"}),
        ("vit_tiny_patch16_224", {"embed_dim": "wide"}),
        ("vit_tiny_patch16_224", {"patch_size": 512}),
        ("resnet18", {"block_args": {"attn_layer": "cbam"}}),
        ("resnet18", {"layers": [1, 1, 1]}),
        ("resnetv2_50x1_bit", {"stem_chs": 24}),
    ],
)
def test_what_is_not_known_costs_none(timm_name: str, args: dict[str, Any]) -> None:
    """Another family, or an argument whose effect is not known, is never a guess."""
    assert model_cost(model(timm_name, args), image_size=224, num_classes=CLASSES) is None


def config(**changes: Any) -> TrialConfig:
    base = {
        "model": {"name": "m", "timm": "resnet18"},
        "recipe": {"name": "own", "batchSize": 100, "epochs": 3},
        "data": {"uri": "data"},
        "imageSize": 32,
    }
    return TrialConfig.model_validate(base | changes)


def test_training_flops_are_three_forward_passes_for_every_image_seen() -> None:
    """Of the chosen share, in whole steps, and at least one."""
    forward = cost_of("resnet18", 32, {}).forward_flops
    assert training_steps(config(dataFraction=0.1), train_images=10_000) == 30
    assert training_flops(config(dataFraction=0.1), train_images=10_000, num_classes=CLASSES) == 3 * forward * 3000
    assert training_flops(config(), train_images=1, num_classes=CLASSES) == 3 * forward * 100
    assert flops_of_examples(config(), examples=7, num_classes=CLASSES) == 3 * forward * 7
    unknown = config(model={"name": "m", "timm": "convnext_tiny"})
    assert training_flops(unknown, train_images=10, num_classes=CLASSES) is None


def test_gpu_bytes_by_zero_stage() -> None:
    """What each stage divides over 4 GPUs, in bytes per parameter: AdamW has 8 of state."""
    cost = ModelCost(parameters=1000, forward_flops=0, activation_bytes=50, activation_bytes_bf16=30)

    def per_parameter(stage: int, **changes: Any) -> tuple[float, float, float]:
        setting: dict[str, Any] = {"optimizer": "adamw", "precision": "fp32", "world_size": 4, "micro_batch_size": 8}
        got = gpu_bytes(cost, zero_stage=stage, **(setting | changes))
        assert got.total == got.weights + got.gradients + got.optimizer + got.activations
        return got.weights / 1000, got.gradients / 1000, got.optimizer / 1000

    assert per_parameter(0) == (4, 4, 8)
    assert per_parameter(1) == (4, 5, 3)
    assert per_parameter(2) == (4, 2, 3)
    assert per_parameter(3) == (1, 2, 3)
    assert per_parameter(0, precision="bf16") == (6, 4, 8)
    assert per_parameter(0, optimizer="sgd") == (4, 4, 4)
    assert (
        gpu_bytes(cost, optimizer="sgd", precision="bf16", zero_stage=0, world_size=1, micro_batch_size=8).activations
        == 8 * 30
    )


def test_tables_are_those_of_the_installed_timm() -> None:
    """`python -m tepui_trainer.timm_tables` would change nothing."""
    assert model_names() == set(timm_model_names().split()) == set(timm.list_models())
    from importlib.resources import files

    assert files("tepui_spec").joinpath("timm_arguments.json").read_text() == arguments_table()
    assert construction("convnext_tiny") is None
