"""Layer by layer arithmetic of timm's transformers and mixers: the classes whose cost is known.

Each function mirrors one class of timm (1.0) and takes the arguments that timm would give it; `residual_networks.py`
has the convolutional ones. An argument whose effect is not known here raises UnknownArchitectureError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tepui_spec.residual_networks import resnet, resnetv2
from tepui_spec.tally import Arguments, Tally, UnknownArchitectureError
from tepui_spec.timm_knowledge import construction

Count = Callable[[Arguments, int, int, Tally], None]

_LAYER_NORMS = ("LayerNorm", "layernorm")
_RMS_NORMS = ("RmsNorm", "rmsnorm")
_FREE = ("drop_rate", "drop_path_rate", "proj_drop_rate", "act_layer", "weight_init", "fix_init", "nlhb")
"""Arguments that change neither parameters nor multiplications; what dropout keeps is left out: off by default."""


def count(timm_name: str, given: dict[str, Any], *, image_size: int, num_classes: int) -> Tally:
    """The sums over all layers of a model for one square RGB image.

    Raises UnknownArchitectureError where the model's family, or one of its arguments, is not known.
    """
    built = construction(timm_name)
    if built is None:
        raise UnknownArchitectureError(timm_name)
    tally = Tally()
    arguments = built.arguments | {k: v for k, v in given.items() if v is not None}  # timm passes over None
    _COUNTS[built.family](Arguments(arguments), image_size, num_classes, tally)
    return tally


@dataclass(frozen=True)
class _Block:
    """Shape of a transformer's block."""

    wide: int
    heads: int
    mlp_ratio: float
    mlp: str
    qkv_bias: bool
    proj_bias: bool
    norm_bias: bool
    qk_norm: bool
    scale_attn_norm: bool
    scale_mlp_norm: bool
    layer_scale: bool

    def add(self, tokens: int, tally: Tally) -> None:
        """Pre-norm attention and MLP, each with its residual."""
        wide, head_wide = self.wide, self.wide // self.heads
        tally.norm(wide, bias=self.norm_bias)
        tally.linear(tokens, wide, 3 * wide, bias=self.qkv_bias)
        tally.keep_wide(tokens, wide)  # norm's input
        tally.keep(tokens, wide)  # linear's input
        tally.keep(tokens, 3 * wide)  # queries, keys and values
        if self.qk_norm:
            tally.norm(head_wide, bias=self.norm_bias)
            tally.norm(head_wide, bias=self.norm_bias)
            tally.keep(tokens, 2 * wide)
        tally.attention(tokens, tokens, wide, self.heads)
        if self.scale_attn_norm:
            tally.norm(wide, bias=self.norm_bias)
            tally.keep(tokens, wide)
        tally.linear(tokens, wide, wide, bias=self.proj_bias)
        tally.norm(wide, bias=self.norm_bias)
        tally.keep_wide(tokens, wide)
        hidden = int(wide * self.mlp_ratio)
        mlp(tally, self.mlp, tokens, wide, hidden, bias=self.proj_bias)
        if self.scale_mlp_norm:
            inner = hidden // 2 if self.mlp == "GluMlp" else hidden
            tally.norm(inner, bias=self.norm_bias)
            tally.keep(tokens, inner)
        if self.layer_scale:
            tally.weights(2, wide)
            tally.keep(2, tokens, wide)


def mlp(tally: Tally, kind: str, rows: int, wide: int, hidden: int, *, bias: bool = True) -> None:
    """timm's Mlp, SwiGLU (two separate input matrices) or GluMlp (one, half of its output a gate)."""
    tally.keep(rows, wide)
    if kind == "Mlp":
        tally.linear(rows, wide, hidden, bias=bias)
        tally.linear(rows, hidden, wide, bias=bias)
        tally.keep(2, rows, hidden)
    elif kind == "SwiGLU":
        tally.linear(rows, wide, hidden, bias=bias)
        tally.linear(rows, wide, hidden, bias=bias)
        tally.linear(rows, hidden, wide, bias=bias)
        tally.keep(4, rows, hidden)
    else:
        tally.linear(rows, wide, hidden, bias=bias)
        tally.linear(rows, hidden // 2, wide, bias=bias)
        tally.keep(2, rows, hidden)


def _transformer(given: Arguments, image_size: int, num_classes: int, tally: Tally, *, distilled: bool = False) -> None:
    """timm's VisionTransformer, and with `distilled` VisionTransformerDistilled."""
    wide, depth = given.whole("embed_dim", 768), given.whole("depth", 12)
    pre_norm = given.flag("pre_norm", False)
    prefix = given.flag("class_token", True) + given.whole("reg_tokens", 0, least=0) + distilled
    patches = _patches(given, image_size, wide, tally, bias=not pre_norm)
    overlap = not given.flag("no_embed_class", False) or distilled
    if given.choice("pos_embed", "learn", ("learn", "none", "")) == "learn":
        tally.weights(patches + overlap * prefix, wide)
    tally.weights(prefix, wide)
    tokens = patches + prefix
    block = _block(given, wide)
    if pre_norm:
        tally.norm(wide, bias=block.norm_bias)
        tally.keep_wide(tokens, wide)
    for _ in range(depth):
        block.add(tokens, tally)
    if given.flag("final_norm", True):  # before pooling or, with fc_norm, after it
        tally.norm(wide, bias=block.norm_bias)
        tally.keep_wide(tokens, wide)
    if given.choice("global_pool", "token", ("token", "avg", "max", "map")) == "map":
        _attention_pool(block, tokens if given.flag("pool_include_prefix", False) else patches, tally)
    for _ in range(1 + distilled):
        tally.linear(1, wide, num_classes)
        tally.keep(wide)
    given.finish(*_FREE, "fc_norm", "dynamic_img_size", "pool_include_prefix", "attn_drop_rate", "pos_drop_rate")


def _patches(given: Arguments, image_size: int, wide: int, tally: Tally, *, bias: bool = True) -> int:
    """The patch embedding; returns the number of patches."""
    patch_size = given.whole("patch_size", 16)
    side = image_size // patch_size
    if side == 0:
        raise UnknownArchitectureError(f"patch_size={patch_size} in an image of {image_size}")
    tally.conv(side, 3, wide, patch_size, bias=bias)
    tally.keep(3, image_size, image_size)
    norm = given.choice("embed_norm_layer", "", ("", *_LAYER_NORMS, *_RMS_NORMS))
    if norm:
        tally.norm(wide, bias=norm in _LAYER_NORMS)
        tally.keep_wide(side**2, wide)
    return side**2


def _block(given: Arguments, wide: int) -> _Block:
    heads = given.whole("num_heads", 12)
    if wide % heads:
        raise UnknownArchitectureError(f"embed_dim={wide} for num_heads={heads}")
    return _Block(
        wide=wide,
        heads=heads,
        mlp_ratio=given.number("mlp_ratio", 4.0),
        mlp=given.choice("mlp_layer", "Mlp", ("Mlp", "SwiGLU", "GluMlp")),
        qkv_bias=given.flag("qkv_bias", True),
        proj_bias=given.flag("proj_bias", True),
        norm_bias=given.choice("norm_layer", "LayerNorm", _LAYER_NORMS + _RMS_NORMS) in _LAYER_NORMS,
        qk_norm=given.flag("qk_norm", False),
        scale_attn_norm=given.flag("scale_attn_norm", False),
        scale_mlp_norm=given.flag("scale_mlp_norm", False),
        layer_scale=bool(given.raw("init_values")),
    )


def _attention_pool(block: _Block, keys: int, tally: Tally) -> None:
    """timm's AttentionPoolLatent: one learnt query over all tokens."""
    wide = block.wide
    tally.weights(wide)
    tally.linear(1, wide, wide)
    tally.linear(keys, wide, 2 * wide)
    tally.keep(keys, 3 * wide)
    tally.attention(1, keys, wide, block.heads)
    tally.linear(1, wide, wide)
    tally.norm(wide, bias=block.norm_bias)
    mlp(tally, "Mlp", 1, wide, int(wide * block.mlp_ratio))


def _mixer(given: Arguments, image_size: int, num_classes: int, tally: Tally) -> None:
    """timm's MlpMixer with MixerBlocks."""
    wide, depth = given.whole("embed_dim", 512), given.whole("num_blocks", 8)
    ratio = given.raw("mlp_ratio", (0.5, 4.0))
    ratios = tuple(ratio) if isinstance(ratio, list | tuple) else (ratio, ratio)
    if len(ratios) != 2 or not all(isinstance(r, int | float) and r > 0 for r in ratios):
        raise UnknownArchitectureError(f"mlp_ratio={ratio!r}")
    kind = given.choice("mlp_layer", "Mlp", ("Mlp", "GluMlp"))
    given.choice("block_layer", "MixerBlock", ("MixerBlock",))
    given.choice("norm_layer", "LayerNorm", _LAYER_NORMS)
    patches = _patches(given, image_size, wide, tally)
    norms_before = int(given.flag("stem_norm", False))
    for _ in range(norms_before + 2 * depth + 1):
        tally.norm(wide)
        tally.keep_wide(patches, wide)
    for _ in range(depth):
        mlp(tally, kind, wide, patches, int(ratios[0] * wide))
        mlp(tally, kind, patches, wide, int(ratios[1] * wide))
    tally.linear(1, wide, num_classes)
    tally.keep(wide)
    given.choice("global_pool", "avg", ("avg",))
    given.finish(*_FREE)


_COUNTS: dict[str, Count] = {
    "VisionTransformer": _transformer,
    "VisionTransformerDistilled": partial(_transformer, distilled=True),
    "MlpMixer": _mixer,
    "ResNet": resnet,
    "ResNetV2": resnetv2,
}
