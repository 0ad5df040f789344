"""What a checkpoint says of itself: its files with sizes and SHA-256, and all of a run that is not a tensor."""

import hashlib
from typing import Literal, Self

from pydantic import Field

from tepui_spec import layout
from tepui_spec.base import Section
from tepui_spec.experiment import CustomModel
from tepui_spec.results import CurveRow

MANIFEST_NAME = "manifest.json"
MODEL_NAME = "model.safetensors"


class File(Section):
    """One file of a checkpoint."""

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, content: bytes) -> Self:
        """The entry for a file with this content."""
        return cls(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


class ModelCard(Section):
    """What a model is built from, so that a checkpoint is enough to build it again."""

    model: CustomModel
    num_classes: int = Field(ge=2)
    image_size: int = Field(ge=1)
    class_names: tuple[str, ...]


class RunState(Section):
    """A run between two steps. Random numbers need no state: every draw is a function of (seed, place in the run)."""

    step: int = Field(ge=0, description="Optimizer steps done; the next sample is step * batch size.")
    curve: tuple[CurveRow, ...] = Field((), description="Points recorded so far.")
    loss_sums: tuple[float, ...] = Field(description="By rank: sum of losses since the last point, float64.")
    loss_steps: int = Field(ge=0, description="Steps behind that sum.")
    corrupt_samples: tuple[int, ...] = Field((), description="Training images found corrupt, by index in the split.")


class Manifest(Section):
    """The last file of a checkpoint to be written: without it there is no checkpoint."""

    version: Literal[1] = 1
    trial: str
    step: int = Field(ge=0)
    total_steps: int = Field(ge=1)
    final: bool = Field(description="The finished model: weights only.")
    card: ModelCard
    data_content_hash: str = Field(description="Content hash of the upstream data that was read.")
    world_size: int = Field(ge=1)
    zero_stage: int = Field(ge=0, le=3)
    files: dict[str, File]
    state: RunState


class Finished(Section):
    """Written last of all: the trial's rows stand, and need not be computed again for the same data."""

    version: Literal[1] = 1
    trial: str
    step: int = Field(description="Of the final checkpoint.")
    data_content_hash: str = Field(description="Content hash of the upstream data that was read.")
    upstream_error: float = Field(ge=0, le=1)
    upstream_n: int = Field(ge=1)


def step_dir(trial: str, step: int) -> str:
    """Folder of the checkpoint after `step` optimizer steps."""
    return f"{layout.checkpoints_dir(trial)}/step-{step:08d}"


def step_of(path: str) -> int | None:
    """The step of a checkpoint's file, None for a path that is none."""
    folder = path.rsplit("/", 2)[-2] if path.count("/") >= 2 else ""
    digits = folder.removeprefix("step-")
    return int(digits) if folder.startswith("step-") and digits.isdigit() else None
