"""The learning rate as a pure function of the step."""

import math

from tepui_spec.recipes import Recipe


def warmup_steps(recipe: Recipe, total_steps: int) -> int:
    """Steps of linear warm-up: at most the recipe's steps and at most its share of all steps."""
    return min(recipe.warmup_steps, round(recipe.warmup_fraction * total_steps))


def learning_rate(recipe: Recipe, step: int, total_steps: int) -> float:
    """Learning rate of the body at optimizer step `step`, 0 <= step < total_steps.

    Warm-up over W steps is linear, lr_peak * (step + 1) / W, so that no step is wasted at zero. Then, with p the
    share of the remaining steps that are done: constant 1, linear 1 - p, cosine (1 + cos(pi p)) / 2 (all of "An
    Image is Worth 16x16 Words", arXiv 2010.11929, and big_vision); rsqrt sqrt(W / step) from the end of warm-up,
    and over the last `cooldown_fraction` of all steps times a linear decay to zero ("Scaling Vision Transformers",
    arXiv 2106.04560, section 3.5).

    Raises:
        ValueError: for a step outside [0, total_steps).
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step is {step}; it must lie in [0, {total_steps})")
    warmup = warmup_steps(recipe, total_steps)
    if step < warmup:
        return recipe.lr_peak * (step + 1) / warmup
    return recipe.lr_peak * _decay(recipe, step, warmup, total_steps)


def _decay(recipe: Recipe, step: int, warmup: int, total_steps: int) -> float:
    done = (step - warmup) / (total_steps - warmup)
    if recipe.schedule == "constant":
        return 1.0
    if recipe.schedule == "linear":
        return 1.0 - done
    if recipe.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    timescale = max(warmup, 1)
    cooldown = recipe.cooldown_fraction * total_steps
    left = min(1.0, (total_steps - step) / cooldown) if cooldown > 0 else 1.0
    return math.sqrt(timescale / max(step, timescale)) * left
