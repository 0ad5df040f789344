"""Characters of fonts as 32-pixel images: light on dark, one affine change each.

V variants of a character, S = 32 pixels
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

import fontpkg
import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from tepui_spec.dataset import Attribution
from tepui_trainer.datasets.packaged import QUICKSTART_EXTRA, installed, source
from tepui_trainer.reader.random_bits import sample_uniforms

SIZE_PX = 32
OVERSAMPLING = 2  # drawn at twice the size: bilinear sampling then averages 2 x 2 pixels
CANVAS_PX = 96
CAP_HEIGHT_PX = 17.0 * OVERSAMPLING
BASELINE_PX = CANVAS_PX / 2 + 7.0 * OVERSAMPLING
LARGEST_PX = 28.0 * OVERSAMPLING
FACES = ((400, "normal"), (700, "normal"), (400, "italic"), (300, "normal"))  # weight and style
DRAWS = 9


@dataclass(frozen=True)
class Face:
    """One weight and style of a family: a font file and, for a variable one, its place on the weight axis."""

    path: Path
    weight: int | None

    def font(self, size_px: float) -> ImageFont.FreeTypeFont:
        """The face as Pillow draws it, at a size in pixels per em."""
        # the other layout engine needs a system library: the same packages must give the same pixels
        font = ImageFont.truetype(self.path, size_px, layout_engine=ImageFont.Layout.BASIC)
        if self.weight is not None:
            font.set_variation_by_axes([self._on(axis) for axis in font.get_variation_axes()])
        return font

    def cap_size_px(self) -> float:
        """The size that gives a capital H the same height in every font."""
        _, top, _, bottom = self.font(100.0).getbbox("H", anchor="ls")
        if bottom <= top:
            raise ValueError(f"{self.path.name} does not draw an H")
        return 100.0 * CAP_HEIGHT_PX / (bottom - top)

    def _on(self, axis: ImageFont.Axis) -> float:
        if axis["name"] != b"Weight" or self.weight is None:
            return axis["default"] or 0
        return min(max(self.weight, axis["minimum"] or 0), axis["maximum"] or 1000)


@dataclass(frozen=True)
class Family:
    """A font family from an installed `fontpkg-*` package."""

    package: str
    slug: str

    @property
    def attribution(self) -> Attribution:
        """The package with its version and its licence."""
        licence = installed(self.package).metadata["License-Expression"]
        return Attribution(source=source(self.package), licence=licence)

    @cached_property
    def faces(self) -> tuple[Face, ...]:
        """Up to four distinct faces: regular, bold, italic, light, as far as the family has them."""
        files = fontpkg.family(self.slug).files
        faces: list[Face] = []
        for weight, style in FACES:
            candidates = [file for file in files if file.style == style]
            variable = [file for file in candidates if file.variable]
            if variable:
                faces.append(Face(variable[0].path, weight))
            elif candidates:
                nearest = min(candidates, key=lambda file: (abs(file.weight - weight), file.weight))
                faces.append(Face(nearest.path, None))
        return tuple(dict.fromkeys(faces))

    @cached_property
    def characters(self) -> frozenset[str]:
        """The characters that every face of the family maps to a glyph."""
        maps = [_code_points(face.path) for face in self.faces]
        return frozenset(map(chr, frozenset.intersection(*maps)))


def _code_points(path: Path) -> frozenset[int]:
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


def families() -> tuple[Family, ...]:
    """The families that Tepui's `quickstart` extra names, by slug; others that are installed change nothing."""
    required = metadata.requires("tepui") or []
    extra = [
        line.partition(";")[0].strip()
        for line in required
        if f'extra == "{QUICKSTART_EXTRA}"' in line.replace("'", '"')
    ]
    packages = sorted(name for name in extra if name.startswith("fontpkg-"))
    for package in packages:
        installed(package)
    return tuple(Family(package, package.removeprefix("fontpkg-")) for package in packages)


def rendered(family: Family, characters: str, variants: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Each character that the family has, by its index, with its images (V, S, S).

    Left out are characters that a face draws blank or exactly like an earlier one (a font of capitals, an `l` that
    is an `I`): their labels would be noise. Variants go round the faces; each is a function of family, character and
    its number alone.
    """
    glyphs = [_distinct_glyphs(face, [c for c in characters if c in family.characters]) for face in family.faces]
    for index, character in enumerate(characters):
        drawn = [glyphs_of_face[character] for glyphs_of_face in glyphs if character in glyphs_of_face]
        if not drawn:
            continue
        uniforms_VD = sample_uniforms(np.arange(variants), DRAWS, "glyph", family.slug, ord(character))
        yield index, np.stack([_changed(drawn[v % len(drawn)], uniforms_VD[v]) for v in range(variants)])


def _distinct_glyphs(face: Face, characters: list[str]) -> dict[str, Image.Image]:
    size_px = face.cap_size_px()
    font = face.font(size_px)
    seen: set[bytes] = set()
    glyphs = {}
    for character in characters:
        glyph = _drawn(face, font, character)
        pixels = glyph.tobytes()
        if glyph.getbbox() is not None and pixels not in seen:
            seen.add(pixels)
            glyphs[character] = glyph
    return glyphs


def _drawn(face: Face, font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """The glyph on the canvas, centred sideways, on a common baseline, made to fit where it is too large."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    largest = max(right - left, bottom - top)
    if largest > LARGEST_PX:
        font = face.font(font.size * LARGEST_PX / largest)
        left, top, right, bottom = font.getbbox(character, anchor="ls")
    margin = (CANVAS_PX - LARGEST_PX) / 2
    lowered = max(0.0, margin - (BASELINE_PX + top))
    raised = max(0.0, BASELINE_PX + bottom - (CANVAS_PX - margin))
    origin = (round(CANVAS_PX / 2 - (left + right) / 2), round(BASELINE_PX + lowered - raised))
    canvas = Image.new("L", (CANVAS_PX, CANVAS_PX))
    ImageDraw.Draw(canvas).text(origin, character, fill=255, font=font, anchor="ls")
    return canvas


def _changed(glyph: Image.Image, uniforms_D: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """(S, S): turned by up to 12 degrees, sheared, scaled, moved by up to 2.5 pixels, with a contrast of its own."""
    signed = 2.0 * uniforms_D - 1.0
    angle, shear = np.deg2rad(12.0) * signed[0], 0.2 * signed[1]
    scale_x, scale_y = np.exp(0.13 * signed[2:4])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = OVERSAMPLING * turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([1.0 / scale_x, 1.0 / scale_y])
    centre_out = SIZE_PX / 2 + 2.5 * signed[4:6]
    offset = CANVAS_PX / 2 - matrix @ centre_out
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    image = glyph.transform((SIZE_PX, SIZE_PX), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    ink, ground = 255.0 - 95.0 * uniforms_D[6], 60.0 * uniforms_D[7]
    pixels: npt.NDArray[np.uint8] = np.rint(ground + (ink - ground) / 255.0 * np.asarray(image)).astype(np.uint8)
    return pixels
