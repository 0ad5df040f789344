"""Whether a study's data are there and can be what it asks for: told before anything runs, all of it at once.

Pods would find the same, one after another, and those of the tasks only after training. Data elsewhere than on this
machine are left to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tepui_operator.local_data import (
    card_of,
    class_sizes,
    dataset_names,
    fault_of_split,
    listed,
    local_folder,
)
from tepui_operator.payloads import Site
from tepui_spec.dataset import DatasetCard
from tepui_spec.errors import Problem
from tepui_spec.experiment import Data, ExperimentSpec
from tepui_spec.nearest import did_you_mean

Field = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was found of the data that lie on this machine."""

    problems: tuple[Problem, ...]
    """Why pods would fail."""
    notes: tuple[str, ...]
    """What pods would leave out, or do otherwise than one may think."""
    content_hashes: dict[str, str]
    """Of the data that have a card, by their name in the study."""


@dataclass(frozen=True, slots=True)
class _Dataset:
    """One dataset of a study, and where the study speaks of it."""

    name: str
    """Of the task; `upstream` for the upstream data."""
    data: Data
    named: Field
    """The field that names it."""
    section: Field | None
    """Its `Data`; None for a folder below `dataRoot`."""
    measured: str
    """The split to measure on."""
    shots: tuple[int, ...] = ()

    def field(self, name: str) -> Field:
        return self.named if self.section is None else (*self.section, name)


@dataclass(slots=True)
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    content_hashes: dict[str, str] = field(default_factory=dict)
    smaller: dict[int, list[str]] = field(default_factory=dict)
    """Data whose images are smaller than those of the study, by their side in pixels."""


def check_data(spec: ExperimentSpec, site: Site, *, upstream: bool = True) -> DataCheck:
    """Look at the upstream data (unless they are known to be elsewhere) and at every task's, where they are local."""
    found = _Findings()
    datasets = [*([_upstream(spec)] if upstream else []), *_tasks(spec)]
    root = spec.evaluation.data_root
    if root is not None and any(dataset.section is None for dataset in datasets):
        here = local_folder(site.absolute(root, "spec.evaluation.dataRoot"))
        if here is not None and not here.is_dir():
            found.problems.append(
                Problem(("spec", "evaluation", "dataRoot"), f"there is no folder {here}{_hint(here)}", root)
            )
            datasets = [dataset for dataset in datasets if dataset.section is not None]
    for dataset in datasets:
        folder = local_folder(site.absolute(dataset.data.uri, "data"))
        if folder is None:
            continue
        try:
            _look(found, spec, dataset, folder)
        except ValueError as error:  # of the card
            found.problems.append(Problem(dataset.field("uri"), str(error)))
        except OSError as error:
            found.problems.append(Problem(dataset.field("uri"), f"{error.filename}: {error.strerror}"))
    for size, names in found.smaller.items():
        found.notes.append(
            f"images of {size} px are enlarged to upstream.imageSize, {spec.upstream.image_size} px: {listed(names)}"
        )
    return DataCheck(tuple(found.problems), tuple(found.notes), found.content_hashes)


def _upstream(spec: ExperimentSpec) -> _Dataset:
    section: Field = ("spec", "upstream", "data")
    data = spec.upstream.data
    return _Dataset("upstream", data, (*section, "uri"), section, data.test_split or "validation")


def _tasks(spec: ExperimentSpec) -> Iterator[_Dataset]:
    sections = {dataset.name: i for i, dataset in enumerate(spec.evaluation.datasets)}
    for i, task in enumerate(spec.evaluation.tasks):
        data = spec.evaluation.data_of(task)
        section: Field | None = None
        if task in sections:
            section = ("spec", "evaluation", "datasets", sections[task], "data")
        named: Field = ("spec", "evaluation", "tasks", i) if section is None else (*section, "uri")
        yield _Dataset(task, data, named, section, data.test_split or "test", spec.evaluation.shots)


def _look(found: _Findings, spec: ExperimentSpec, dataset: _Dataset, folder: Path) -> None:
    if not folder.is_dir():
        found.problems.append(_missing(dataset, folder))
        return
    data, card = dataset.data, card_of(folder, dataset.data)
    sound = True
    for name, split in (("trainSplit", data.train_split), ("testSplit", dataset.measured)):
        if (fault := fault_of_split(folder, data, card, split)) is not None:
            where = "" if str(folder) in fault else f"{folder}: "
            found.problems.append(Problem(dataset.field(name), f"{where}{fault}", _shown(dataset, split)))
            sound = False
    if card is not None:
        found.content_hashes[dataset.name] = card.content_hash
        found.problems += _of_card(dataset, card, folder)
        if card.image_size_px is not None and card.image_size_px < spec.upstream.image_size:
            found.smaller.setdefault(card.image_size_px, []).append(dataset.name)
    if sound:
        _of_classes(found, dataset, class_sizes(folder, data, card, data.train_split, max(dataset.shots, default=1)))


def _missing(dataset: _Dataset, folder: Path) -> Problem:
    what = f"there is no folder {folder}"
    if dataset.section is None:
        names = dataset_names(folder.parent)
        what += f"; {did_you_mean(dataset.name, names)}tasks there: {listed(names) or 'none'}"
        return Problem(dataset.named, what, dataset.name)
    return Problem(dataset.field("uri"), f"{what}{_hint(folder)}", dataset.data.uri)


def _hint(folder: Path) -> str:
    return "; `tepui data quickstart` makes the quickstart's data" if "quickstart" in folder.parts else ""


def _of_card(dataset: _Dataset, card: DatasetCard, folder: Path) -> Iterator[Problem]:
    asked = dataset.data.content_hash
    if asked not in (None, card.content_hash):
        yield Problem(dataset.field("contentHash"), f"{folder} holds {card.content_hash}", asked)


def _of_classes(found: _Findings, dataset: _Dataset, sizes: dict[str, int] | None) -> None:
    if sizes is None:
        return
    if len(sizes) < 2:
        what = f"has {len(sizes)} classes in all; there must be at least 2 to tell apart"
        found.problems.append(Problem(dataset.named, what, _shown(dataset, dataset.data.uri)))
        return
    fewest = min(sizes, key=sizes.__getitem__)
    impossible = sorted(shots for shots in dataset.shots if shots > sizes[fewest])
    if not impossible:
        return
    told = ", ".join(map(str, impossible))
    why = f"class {fewest!r} has {sizes[fewest]} images in split {dataset.data.train_split}"
    if len(impossible) == len(dataset.shots):
        found.problems.append(
            Problem(("spec", "evaluation", "shots"), f"task {dataset.name} allows none of them: {why}", f"[{told}]")
        )
    else:
        found.notes.append(f"{dataset.name}: {told} shots are left out, because {why}")


def _shown(dataset: _Dataset, value: str) -> str:
    return dataset.name if dataset.section is None else value
