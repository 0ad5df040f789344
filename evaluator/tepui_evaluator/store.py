"""All rows of a study, or of a whole storage, as tables: checksums verified, one row a key."""

import fnmatch
from collections.abc import Iterable
from functools import cached_property

import pyarrow as pa

from tepui_evaluator.protocol import protocol_of
from tepui_spec import layout
from tepui_spec.expand import Trial, expand
from tepui_spec.experiment import Experiment
from tepui_spec.naming import task_hash
from tepui_spec.results import TABLES
from tepui_trainer.rows import read_table
from tepui_trainer.storage import Storage


class Store:
    """The result rows in a storage: with an experiment those of its trials and settings, without one all.

    Trials that have not finished have no rows here. The storage is listed once, when the first table is asked for.
    """

    def __init__(self, storage: Storage, experiment: Experiment | None = None) -> None:
        self.storage = storage
        self.experiment = experiment

    @cached_property
    def planned(self) -> tuple[Trial, ...]:
        """All trials of the experiment; none without one."""
        return () if self.experiment is None else expand(self.experiment.spec)

    @cached_property
    def finished(self) -> tuple[str, ...]:
        """Hashes of the finished trials, ascending."""
        present = {path.split("/")[1] for path in self._files if fnmatch.fnmatchcase(path, layout.finished("*"))}
        if self.experiment is not None:
            present &= {trial.hash for trial in self.planned}
        return tuple(sorted(present))

    def table(self, name: str) -> pa.Table:
        """The table `trials`, `curves` or `evaluations`, sorted by key; empty where nothing has finished.

        Raises ValueError naming a damaged file, and TransientError.
        """
        return read_table(self.storage, self.paths(name), TABLES[name])

    def paths(self, name: str) -> list[str]:
        """The files of a table, in the order in which later ones replace rows of earlier ones."""
        files = self._files
        if name == "evaluations":
            return sorted(path for trial in self.finished for path in self._evaluations_of(trial) if path in files)
        file_of = {"trials": layout.trial_rows, "curves": layout.curve_rows}[name]
        return [path for path in map(file_of, self.finished) if path in files]

    def evaluation_path(self, trial: str, task: str) -> str:
        """Where the rows of one trial on one task are, under the experiment's settings."""
        return layout.evaluation_rows(trial, task, self._task_hashes[task])

    @cached_property
    def _files(self) -> frozenset[str]:
        return frozenset(self.storage.list("trials"))

    def _evaluations_of(self, trial: str) -> Iterable[str]:
        if self.experiment is None:
            return self._evaluation_files.get(trial, ())
        return [self.evaluation_path(trial, task) for task in self._task_hashes]

    @cached_property
    def _evaluation_files(self) -> dict[str, list[str]]:
        files: dict[str, list[str]] = {}
        for path in sorted(self._files):
            if fnmatch.fnmatchcase(path, layout.evaluation_rows("*", "*", "*")):
                files.setdefault(path.split("/")[1], []).append(path)
        return files

    @cached_property
    def _task_hashes(self) -> dict[str, str]:
        """By task, the name that this experiment's settings give its rows."""
        assert self.experiment is not None
        evaluation = self.experiment.spec.evaluation
        return {name: task_hash(evaluation, name, protocol_of(evaluation)) for name in evaluation.tasks}
