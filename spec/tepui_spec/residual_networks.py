"""Layer by layer arithmetic of timm's residual networks: ResNet (with ResNeXt, squeeze-and-excitation) and ResNetV2."""

from dataclasses import dataclass
from math import floor, log2
from typing import Any

from tepui_spec.tally import Arguments, Tally, UnknownArchitectureError

_FREE = ("drop_rate", "drop_path_rate", "act_layer", "zero_init_last", "features_only")
_BATCH_NORMS = ("BatchNorm2d", "batchnorm2d", "batchnorm", "GroupNorm", "groupnorm")
_NORM_ACTS = ("GroupNormAct", "BatchNormAct2d")


def make_divisible(value: float, divisor: int = 8, round_limit: float = 0.9) -> int:
    """timm's rounding of channels to a multiple, never down by more than a share of 1 - round_limit."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < round_limit * value else rounded


def halved(side: int) -> int:
    """Side of the output of a convolution or pooling with stride 2 and padding to match."""
    return (side + 1) // 2


@dataclass
class _Trunk:
    """Where a convolutional network has come to: what it adds is counted in `tally`."""

    tally: Tally
    side: int
    chans: int

    def conv_norm(self, chans: int, kernel: int, *, stride: int = 1, groups: int = 1, kept_after: bool = True) -> None:
        """Convolution, norm and, in place, activation: kept are the norm's input and the activation's output."""
        self.side = halved(self.side) if stride == 2 else self.side
        self.tally.conv(self.side, self.chans, chans, kernel, groups=groups)
        self.tally.norm(chans)
        self.tally.keep(1 + kept_after, chans, self.side, self.side)
        self.chans = chans

    def max_pool(self) -> None:
        """3 by 3, stride 2: keeps its output, as the next layer's input, and where each maximum was."""
        self.side = halved(self.side)
        self.tally.keep(self.chans, self.side, self.side)
        self.tally.kept_indices += self.chans * self.side**2


def resnet(given: Arguments, image_size: int, num_classes: int, tally: Tally) -> None:
    """timm's ResNet with BasicBlocks or Bottlenecks."""
    kind = given.choice("block", "", ("BasicBlock", "Bottleneck"))
    expansion = 4 if kind == "Bottleneck" else 1
    given.choice("norm_layer", "BatchNorm2d", _BATCH_NORMS)
    given.choice("global_pool", "avg", ("avg", "max"))
    layers = given.wholes("layers", ())
    channels = given.wholes("channels", (64, 128, 256, 512))
    block = _ResidualBlock(
        kind=kind,
        groups=given.whole("cardinality", 1),
        base_width=given.whole("base_width", 64),
        reduce_first=given.whole("block_reduce_first", 1),
        down_kernel=given.whole("down_kernel_size", 1),
        avg_down=given.flag("avg_down", False),
        attention=_channel_attention(given.raw("block_args")),
    )
    if kind == "BasicBlock" and (block.groups != 1 or block.base_width != 64):
        raise UnknownArchitectureError("a BasicBlock with cardinality or base_width")
    if not len(layers) == len(channels) == 4:  # timm's forward pass names four stages
        raise UnknownArchitectureError(f"layers={layers} for channels={channels}")
    trunk = _Trunk(tally, image_size, 3)
    tally.keep(3, image_size, image_size)
    _resnet_stem(given, trunk)
    for stage, (planes, depth) in enumerate(zip(channels, layers, strict=False)):
        for position in range(depth):
            block.add(trunk, planes, planes * expansion, stride=2 if stage and position == 0 else 1)
    tally.linear(1, trunk.chans, num_classes)
    tally.keep(trunk.chans)
    given.finish(*_FREE)


def _resnet_stem(given: Arguments, trunk: _Trunk) -> None:
    kind, wide = given.choice("stem_type", "", ("", "deep", "deep_tiered")), given.whole("stem_width", 64)
    if kind:
        trunk.conv_norm(3 * (wide // 4) if kind == "deep_tiered" else wide, 3, stride=2)
        trunk.conv_norm(wide, 3)
        trunk.conv_norm(2 * wide, 3)
    else:
        trunk.conv_norm(64, 7, stride=2)  # timm does not use stem_width here
    if given.flag("replace_stem_pool", False):
        trunk.conv_norm(trunk.chans, 3, stride=2)
    else:
        trunk.max_pool()


def _channel_attention(block_args: Any) -> str:
    """ "", "se" or "eca"."""
    if not block_args:
        return ""
    kind = block_args.get("attn_layer") if isinstance(block_args, dict) and len(block_args) == 1 else None
    if kind not in ("se", "eca"):
        raise UnknownArchitectureError(f"block_args={block_args!r}")
    return str(kind)


@dataclass(frozen=True)
class _ResidualBlock:
    """timm's BasicBlock or Bottleneck."""

    kind: str
    groups: int
    base_width: int
    reduce_first: int
    down_kernel: int
    avg_down: bool
    attention: str

    def add(self, trunk: _Trunk, planes: int, chans_out: int, *, stride: int) -> None:
        """One block; where size or channels change, its shortcut is a convolution."""
        tally, chans_in = trunk.tally, trunk.chans
        side = halved(trunk.side) if stride == 2 else trunk.side
        if stride != 1 or chans_in != chans_out:
            kernel = 1 if self.avg_down or stride == 1 else self.down_kernel
            tally.conv(side, chans_in, chans_out, kernel)
            tally.norm(chans_out)
            tally.keep(chans_out, side, side)
            if self.avg_down and stride == 2:
                tally.keep(chans_in, side, side)
        if self.kind == "BasicBlock":
            trunk.conv_norm(planes // self.reduce_first, 3, stride=stride)
            trunk.conv_norm(chans_out, 3)
        else:
            wide = floor(planes * (self.base_width / 64)) * self.groups
            trunk.conv_norm(wide // self.reduce_first, 1)
            trunk.conv_norm(wide, 3, stride=stride, groups=self.groups)
            trunk.conv_norm(chans_out, 1)
        if self.attention:
            _attend(tally, self.attention, chans_out, side)


def _attend(tally: Tally, kind: str, chans: int, side: int) -> None:
    """Squeeze-and-excitation with a sixteenth of the channels, or timm's EcaModule."""
    if kind == "se":
        squeezed = make_divisible(chans / 16, 8, round_limit=0.0)
        tally.linear(1, chans, squeezed)
        tally.linear(1, squeezed, chans)
    else:
        steps = int(abs(log2(chans) + 1) / 2)
        kernel = max(steps if steps % 2 else steps + 1, 3)
        tally.weights(kernel)
        tally.multiply_adds += kernel * chans
    tally.keep(chans, side, side)


def resnetv2(given: Arguments, image_size: int, num_classes: int, tally: Tally) -> None:
    """timm's ResNetV2 with pre-activation: the networks of Big Transfer, and others."""
    grouped = given.choice("norm_layer", "GroupNormAct", _NORM_ACTS) == "GroupNormAct"
    given.choice("conv_layer", "StdConv2d", ("StdConv2d", "create_conv2d"))
    given.choice("global_pool", "avg", ("avg", "max"))
    if not given.flag("preact", True):
        raise UnknownArchitectureError("preact=False")
    wide = given.whole("width_factor", 1)
    basic, avg_down = given.flag("basic", False), given.flag("avg_down", False)
    ratio = given.number("bottle_ratio", 0.25)
    trunk = _Trunk(tally, image_size, 3)
    tally.keep(3, image_size, image_size)
    _resnetv2_stem(given, trunk, make_divisible(given.whole("stem_chs", 64) * wide))
    layers, channels = given.wholes("layers", ()), given.wholes("channels", (256, 512, 1024, 2048))
    if not layers or len(layers) > len(channels):
        raise UnknownArchitectureError(f"layers={layers} for channels={channels}")
    for stage, (chans, depth) in enumerate(zip(channels, layers, strict=False)):
        for position in range(depth):
            chans_out = make_divisible(chans * wide)
            stride = 2 if stage and position == 0 else 1
            shape = (make_divisible(chans_out * ratio), chans_out, stride)
            _pre_activation_block(trunk, *shape, first=position == 0, basic=basic, avg_down=avg_down, grouped=grouped)
    _norm_act(trunk, grouped=grouped)
    tally.linear(1, trunk.chans, num_classes)
    tally.keep(trunk.chans)
    given.finish(*_FREE)


def _resnetv2_stem(given: Arguments, trunk: _Trunk, chans: int) -> None:
    kind = given.choice("stem_type", "", ("", "fixed", "same", "deep", "deep_fixed", "deep_same", "tiered"))
    if kind.startswith(("deep", "tiered")):
        trunk.conv_norm(3 * chans // 8 if kind == "tiered" else chans // 2, 3, stride=2)
        trunk.conv_norm(chans // 2, 3)
        _conv(trunk, chans, 3)
    else:
        _conv(trunk, chans, 7, stride=2)
    side = trunk.side + 2 if "fixed" in kind else trunk.side  # kept padded
    trunk.tally.keep(chans, side, side)
    trunk.max_pool()


def _conv(trunk: _Trunk, chans: int, kernel: int, *, stride: int = 1) -> None:
    trunk.side = halved(trunk.side) if stride == 2 else trunk.side
    trunk.tally.conv(trunk.side, trunk.chans, chans, kernel)
    trunk.chans = chans


def _norm_act(trunk: _Trunk, *, grouped: bool) -> None:
    """Norm, then activation in place: its output is kept; its input is kept by whoever made it or adds it.

    Autocast runs a group norm in fp32, and the next convolution on a bf16 copy of its output.
    """
    numbers = trunk.chans * trunk.side**2
    trunk.tally.norm(trunk.chans)
    if grouped and trunk.chans % 32:
        raise UnknownArchitectureError(f"{trunk.chans} channels in 32 groups of a norm")
    if grouped:
        trunk.tally.keep_wide(numbers)
        trunk.tally.kept_copies += numbers
    else:
        trunk.tally.keep(numbers)


def _pre_activation_block(
    trunk: _Trunk,
    chans_mid: int,
    chans_out: int,
    stride: int,
    *,
    first: bool,
    basic: bool,
    avg_down: bool,
    grouped: bool,
) -> None:
    """PreActBasic or PreActBottleneck: norm, activation, convolution, two or three times."""
    tally, chans_in = trunk.tally, trunk.chans
    side = halved(trunk.side) if stride == 2 else trunk.side
    if first and (not basic or stride != 1 or chans_in != chans_out):
        tally.conv(side, chans_in, chans_out, 1)
        if avg_down and stride == 2:
            tally.keep(chans_in, side, side)
    bottleneck = ((chans_mid, 1, 1), (chans_mid, 3, stride), (chans_out, 1, 1))
    for chans, kernel, step in ((chans_mid, 3, stride), (chans_out, 3, 1)) if basic else bottleneck:
        _norm_act(trunk, grouped=grouped)
        _conv(trunk, chans, kernel, stride=step)
        keep = tally.keep_wide if grouped else tally.keep
        keep(trunk.chans, trunk.side, trunk.side)  # the next norm's input
