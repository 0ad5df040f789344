"""The training loop: steps, curve, checkpoints, and how they fit together when a run is cut anywhere."""

import hashlib
import logging
import math
import statistics
from collections.abc import Iterator

import torch

from tepui_spec.outcome import Progress
from tepui_spec.results import CurveRow
from tepui_spec.trial import TrainTask
from tepui_trainer import checkpoint, training_state
from tepui_trainer.data import Batch, Dataset, batches
from tepui_trainer.engine import Engine
from tepui_trainer.failures import DataError, Diverged, Preempted
from tepui_trainer.gang import Gang
from tepui_trainer.manifest import Manifest, ModelCard, RunState
from tepui_trainer.model import IN_CHANS
from tepui_trainer.runtime import PodContext
from tepui_trainer.schedule import learning_rate
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker
from tepui_trainer.trial_rows import curve_points
from tepui_trainer.upstream import Upstream, spread, total_steps
from tepui_trainer.validation import Validation, curve_images, validate
from tepui_trainer.watch import Watch

log = logging.getLogger(__name__)


def point_steps(steps: int, points: int) -> frozenset[int]:
    """The steps after which a curve is recorded: evenly spaced, the last one included."""
    return frozenset(max(1, round(k * steps / points)) for k in range(1, points + 1))


def seed_of(*parts: str | int) -> int:
    """A seed for torch that is a function of these names alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


class Run:
    """One attempt at a trial: the engine, and what of the run lies between two steps (`manifest.RunState`)."""

    def __init__(
        self,
        task: TrainTask,
        *,
        engine: Engine,
        upstream: Upstream,
        storage: Storage,
        context: PodContext,
        tracker: Tracker,
    ) -> None:
        self.task = task
        self.engine = engine
        self.gang: Gang = engine.gang
        self.upstream = upstream
        self.recipe = task.config.recipe
        self.total = total_steps(self.recipe, len(upstream.train))
        self.step = 0
        self.curve: list[CurveRow] = []
        self._storage = storage
        self._context = context
        self._tracker = tracker
        self._points = point_steps(self.total, task.curve_points)
        self._curve_set = spread(
            upstream.validation, curve_images(self.total * self.recipe.batch_size, len(self._points))
        )
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.gang.device)
        self._loss_steps = 0
        self._corrupt: frozenset[int] = frozenset()
        self._corrupt_validation: frozenset[int] = frozenset()

    def train(self) -> Validation:
        """All steps that are left, then the whole validation split. What a step adds up to is in `curve`.

        Raises:
            Preempted: told to stop; a checkpoint of the last step stands.
            Diverged: the loss or a weight is not finite; the last good checkpoint stands.
            DataError, PeerLost, TransientError.
        """
        self.engine.module.train()
        watch = Watch(self.gang, step=self.step, checkpoint_every_s=self.task.checkpoint_every_s)
        result: Validation | None = None
        for batch in self._batches():
            result = self._one_step(batch)
            if watch.due(self.step) and self.step < self.total:
                self._talk(watch)
        if result is None:
            result = validate(self.engine, self.upstream.validation, self.recipe)
        self._corrupt |= self._found_corrupt(self.upstream.train)
        self._corrupt_validation = self._found_corrupt(self.upstream.validation)
        return result

    def resume(self) -> None:
        """Continue from the newest intact checkpoint, if there is one.

        Raises CheckpointError, TransientError, and DataError if the checkpoint is of other data.
        """
        manifest = self._agreed_manifest()
        if manifest is None:
            return
        if manifest.data_content_hash != self.upstream.content_hash:
            raise DataError(changed_data(self.task, manifest.data_content_hash, self.upstream.content_hash))
        training_state.restore(self._storage, self.engine, manifest)
        state = manifest.state
        self.step, self.curve = state.step, list(state.curve)
        same_ranks = len(state.loss_sums) == self.gang.world_size
        self._loss_sum.fill_(state.loss_sums[self.gang.rank] if same_ranks else statistics.fmean(state.loss_sums))
        self._loss_steps = state.loss_steps
        self._corrupt = frozenset(state.corrupt_samples)
        if self.gang.is_leader:
            log.warning("resuming trial %s after step %d of %d", self.task.trial, self.step, self.total)

    def save(self, *, final: bool = False) -> None:
        """Write a checkpoint, and remove all but the last two; the final one holds weights only.

        Raises Diverged, PeerLost, TransientError.
        """
        training_state.save(self._storage, self.engine, self._manifest(final=final))
        if self.gang.is_leader and not final:
            newest = checkpoint.steps_with_manifest(self._storage, self.task.trial)
            checkpoint.prune(self._storage, self.task.trial, newest[: checkpoint.KEEP])

    @property
    def corrupt_images(self) -> int:
        """Different corrupt images met: in training over all attempts and ranks, and in validation."""
        return len(self._corrupt) + len(self._corrupt_validation)

    def _batches(self) -> Iterator[Batch]:
        batch_size = self.recipe.batch_size
        return batches(
            self.upstream.train,
            seed=self.task.config.seed,
            global_batch_size=batch_size,
            start_sample=self.step * batch_size,
            stop_sample=self.total * batch_size,
            rank=self.gang.rank,
            world_size=self.gang.world_size,
            augment=self.upstream.augment,
            channels=IN_CHANS,
        )

    def _one_step(self, batch: Batch) -> Validation | None:
        """Returns the validation of the whole split after the last step."""
        lr = learning_rate(self.recipe, self.step, self.total)
        is_point = self.step + 1 in self._points
        # dropout draws anew from a seed of its own at every step, so a resumed run needs no generator's state
        torch.manual_seed(seed_of("step", self.task.config.seed, self.step, self.gang.rank))
        taken = self.engine.step(batch.images_BCHW, batch.labels_B, lr=lr, want_norm=is_point)
        self._loss_sum += taken.loss
        self._loss_steps += 1
        self.step += 1
        if not is_point:
            return None
        return self._record_point(lr, None if taken.grad_norm is None else float(taken.grad_norm))

    def _record_point(self, lr: float, grad_norm: float | None) -> Validation:
        (loss_sum,) = self.gang.total([float(self._loss_sum)])
        train_loss = loss_sum / self.gang.world_size / self._loss_steps
        self._loss_sum.zero_()
        self._loss_steps = 0
        dataset = self.upstream.validation if self.step == self.total else self._curve_set
        validation = validate(self.engine, dataset, self.recipe)
        values = {
            "train_loss": train_loss,
            "lr": lr,
            **({} if grad_norm is None else {"grad_norm": grad_norm}),
            "validation_loss": validation.loss,
            "validation_error": validation.error,
        }
        if not all(map(math.isfinite, values.values())):
            self._diverge()
        self.curve += curve_points(self.task.trial, self.step, self.step * self.recipe.batch_size, values)
        self._tracker.metrics(values, self.step)
        self._tell(train_loss)
        return validation

    def _talk(self, watch: Watch) -> None:
        finite = bool(torch.isfinite(self._loss_sum))
        decision = watch.decide(self.step, stop_requested=self._context.stop_requested, loss_is_finite=finite)
        if decision.diverged:
            self._diverge()
        if decision.save or decision.stop:
            self.save()
            watch.saved()
        if decision.stop:
            raise Preempted(f"told to stop after step {self.step} of {self.total}; a checkpoint of it is saved")
        if self._loss_steps:
            self._tell(float(self._loss_sum) / self._loss_steps)

    def _diverge(self) -> None:
        raise Diverged(
            f"the training loss became NaN or infinite by step {self.step} of {self.total}, at lrPeak "
            f"{self.recipe.lr_peak:g}; a lower lrPeak, a longer warm-up or clipNorm may help"
        )

    def _tell(self, loss: float) -> None:
        if self.gang.is_leader:
            self._context.progress(Progress(stage="train", step=self.step, steps=self.total, loss=loss))

    def _agreed_manifest(self) -> Manifest | None:
        """The leader verifies checkpoints and chooses one; the others read its manifest."""
        if self.gang.is_leader:
            manifest = checkpoint.newest_intact(self._storage, self.task.trial)
            self.gang.largest([-1.0 if manifest is None else float(manifest.step)])
            return manifest
        (step,) = self.gang.largest([-1.0])
        return None if step < 0 else checkpoint.read_manifest(self._storage, self.task.trial, int(step))

    def _found_corrupt(self, dataset: Dataset) -> frozenset[int]:
        """Corrupt images that any rank has met in this attempt, by index in the split."""
        mine = ",".join(map(str, dataset.corrupt_samples.tolist())).encode()
        everyone = b",".join(part for part in self.gang.gathered_bytes(mine) if part)
        return frozenset(int(sample) for sample in everyone.split(b",") if sample)

    def _manifest(self, *, final: bool) -> Manifest:
        sums = [mine for (mine,) in self.gang.gathered([float(self._loss_sum)])]
        return Manifest(
            trial=self.task.trial,
            step=self.step,
            total_steps=self.total,
            final=final,
            card=ModelCard(
                model=self.task.config.model,
                num_classes=self.upstream.num_classes,
                image_size=self.task.config.image_size,
                class_names=self.upstream.train.class_names,
            ),
            data_content_hash=self.upstream.content_hash,
            world_size=self.gang.world_size,
            zero_stage=self.engine.config.zero_stage,
            files={},
            state=RunState(
                step=self.step,
                curve=tuple(self.curve),
                loss_sums=tuple(sums),
                loss_steps=self._loss_steps,
                corrupt_samples=tuple(sorted(self._corrupt | self._found_corrupt(self.upstream.train))),
            ),
        )


def changed_data(task: TrainTask, before: str, now: str) -> str:
    """What to say to a user whose data are not those that the trial was trained on."""
    return (
        f"trial {task.trial} was trained on data with {before}, and {task.data_uri} now holds {now}: pin "
        f"data.contentHash, which gives new trials their own names, or use another storage"
    )
