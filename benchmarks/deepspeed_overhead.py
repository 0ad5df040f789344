"""What DeepSpeed's engine costs a tiny model: CPU time of a step beside the same step in plain torch.

    python benchmarks/deepspeed_overhead.py [--steps 200] [--batch-size 128]

One process, one thread, ZeRO stage 0, fp32, gradients clipped to norm 1. CPU time, not wall time, so that other work
on the machine does not count. Takes about two minutes.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DS_ACCELERATOR"] = "cpu"

import torch

from tepui_spec.experiment import CustomModel
from tepui_spec.recipes import Recipe
from tepui_spec.trial import Placement
from tepui_trainer.engine import Engine, EngineConfig
from tepui_trainer.gang import joined
from tepui_trainer.losses import losses
from tepui_trainer.model import build_model
from tepui_trainer.optimizer import build_optimizer

CLASSES, IMAGE_SIZE, ROUNDS = 72, 32, 10
MODELS = (
    CustomModel(
        name="vit-48", timm="vit_tiny_patch16_224", args={"patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
    ),
    CustomModel(name="mixer-48", timm="mixer_s16_224", args={"patch_size": 8, "embed_dim": 48, "num_blocks": 3}),
    CustomModel(
        name="resnet-16", timm="resnetv2_18", args={"layers": [1, 1, 1], "channels": [16, 32, 64], "stem_chs": 16}
    ),
)


def milliseconds(step: Callable[[], object], steps: int) -> float:
    """CPU time of a step: the mean of `steps` of them."""
    start = time.process_time()
    for _ in range(steps):
        step()
    return 1e3 * (time.process_time() - start) / steps


def main() -> None:
    """Print a line for each model: the least of ROUNDS means, the two kinds of step taking turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(name="bench", batch_size=arguments.batch_size)
    images_BCHW = torch.randn(arguments.batch_size, 3, IMAGE_SIZE, IMAGE_SIZE)
    labels_B = torch.randint(0, CLASSES, (arguments.batch_size,))
    with joined("cpu") as gang:
        for card in MODELS:
            start = time.process_time()
            engine = Engine(_model(card), recipe, EngineConfig.of(recipe, Placement(), "fp32"), gang)
            made_s = time.process_time() - start
            plain = _plain_step(_model(card), recipe, images_BCHW, labels_B)
            ours = _engine_step(engine, images_BCHW, labels_B)
            times = [
                (milliseconds(ours, arguments.steps // ROUNDS), milliseconds(plain, arguments.steps // ROUNDS))
                for _ in range(ROUNDS + 1)
            ][1:]
            ours_ms, plain_ms = (min(column) for column in zip(*times, strict=True))
            print(
                f"{card.name:10} {sum(p.numel() for p in engine.module.parameters()):8,} parameters  "
                f"engine {ours_ms:6.2f} ms  plain {plain_ms:6.2f} ms  ratio {ours_ms / plain_ms:.3f}  "
                f"engine made in {made_s:.2f} s"
            )


def _model(card: CustomModel) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(card, num_classes=CLASSES, image_size=IMAGE_SIZE).train()


def _engine_step(engine: Engine, images_BCHW: torch.Tensor, labels_B: torch.Tensor) -> Callable[[], object]:
    return lambda: engine.step(images_BCHW, labels_B, lr=1e-3, want_norm=False)


def _plain_step(
    model: torch.nn.Module, recipe: Recipe, images_BCHW: torch.Tensor, labels_B: torch.Tensor
) -> Callable[[], object]:
    optimizer = build_optimizer(model, recipe)

    def step() -> None:
        losses(model(images_BCHW), labels_B, recipe).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    main()
