"""Rows of many trials as tables and as points, from a real storage."""

from pathlib import Path

import numpy as np
import pytest

from builders import experiment
from study_rows import N_TEST, evaluation_row, trial_row, write_study
from tepui_evaluator.points import measurement_se
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import PointRow, groups_of, point_table, points_of
from tepui_spec import layout
from tepui_spec.experiment import Experiment
from tepui_trainer.rows import from_table, write_rows
from tepui_trainer.storage import Storage


@pytest.fixture
def study() -> Experiment:
    """Four trials, two tasks, two shots, three support seeds."""
    return experiment(evaluation={"tasks": ["mnist", "greek"], "dataRoot": "data", "shots": [1, 5], "supportSeeds": 3})


def test_tables_hold_the_rows_of_finished_trials(tmp_path: Path, study: Experiment) -> None:
    """A trial counts once its finished manifest is there, and its rows come back as they were written."""
    storage = Storage(str(tmp_path))
    write_study(storage, study, trials=3)
    storage.remove(layout.finished(Store(storage, study).planned[1].hash))
    store = Store(storage, study)
    expected = sorted(store.planned[i].hash for i in (0, 2))
    assert list(store.finished) == expected
    assert store.table("trials")["trial"].to_pylist() == expected
    assert store.table("curves").num_rows == 2 * 2
    assert store.table("evaluations").num_rows == 2 * 2 * 2 * 3


def test_storage_without_results_gives_empty_tables(tmp_path: Path, study: Experiment) -> None:
    """An interim analysis before the first trial has finished sees tables without rows, not an error."""
    store = Store(Storage(str(tmp_path)), study)
    assert [store.table(name).num_rows for name in ("trials", "curves", "evaluations")] == [0, 0, 0]
    assert point_table(store.table("trials"), store.table("evaluations")).num_rows == 0


def test_other_studies_and_settings_are_left_out(tmp_path: Path, study: Experiment) -> None:
    """A study sees its own trials and its own evaluation settings; without an experiment all rows are seen."""
    storage = Storage(str(tmp_path))
    write_study(storage, study)
    evaluation = {"tasks": ["mnist"], "dataRoot": "data", "shots": [1, 5], "supportSeeds": 3, "l2": "fixed"}
    other = experiment(evaluation=evaluation, sweep={"grid": {"model": ["tiny"], "epochs": [1, 9], "seed": [0]}})
    write_study(storage, other)
    assert Store(storage, study).table("evaluations").num_rows == 4 * 2 * 2 * 3
    assert set(Store(storage, other).table("evaluations")["protocol"].to_pylist()) == {"few-shot-ridge/1:fixed"}
    assert len(Store(storage).finished) == 5
    assert Store(storage).table("evaluations").num_rows == 4 * 2 * 2 * 3 + 2 * 2 * 3


def test_rows_of_one_key_are_one_row(tmp_path: Path, study: Experiment) -> None:
    """Rows that two settings measured under the same key are counted once."""
    storage = Storage(str(tmp_path))
    write_study(storage, study)
    evaluation = {"tasks": ["mnist", "greek"], "dataRoot": "data", "shots": [1, 5, 10], "supportSeeds": 3}
    more = experiment(evaluation=evaluation)
    write_study(storage, more)
    table = Store(storage).table("evaluations")
    assert table.num_rows == 4 * 2 * 3 * 3
    assert table.group_by(["trial", "task", "shots", "seed"]).aggregate([]).num_rows == table.num_rows


def test_truncated_file_is_refused_by_name(tmp_path: Path, study: Experiment) -> None:
    """A damaged file is named, not averaged in."""
    storage = Storage(str(tmp_path))
    write_study(storage, study)
    store = Store(storage, study)
    path = store.paths("evaluations")[2]
    storage.write(path, storage.read(path)[:-20])
    with pytest.raises(ValueError, match=path.rsplit("/", 1)[1]):
        store.table("evaluations")


def test_point_is_the_mean_over_seeds_with_its_standard_error(tmp_path: Path, study: Experiment) -> None:
    """Mean, support-seed spread and standard error of a point are those computed by hand from its rows."""
    storage = Storage(str(tmp_path))
    trial, other = Store(storage, study).planned[:2]
    errors = ((0.20, 0.26, 0.23), (0.5, 0.5, 0.56))
    for one, values in zip((trial, other), errors, strict=True):
        measured = [evaluation_row(one, "mnist", 5, seed, e, upstream_error=0.4) for seed, e in enumerate(values)]
        write_rows(storage, layout.evaluation_rows(one.hash, "mnist", "0" * 12), measured)
        write_rows(storage, layout.trial_rows(one.hash), [trial_row(one, 0.4)])
        storage.write(layout.finished(one.hash), b"{}")
    store = Store(storage)
    rows = from_table(point_table(store.table("trials"), store.table("evaluations")), PointRow)
    row = next(row for row in rows if row.trial == trial.hash)
    assert row.error == pytest.approx(0.23)
    assert row.support_sd == pytest.approx(np.std(errors[0], ddof=1))
    pooled = np.mean([np.var(values, ddof=1) for values in errors])
    smoothed = (0.23 * N_TEST + 2) / (N_TEST + 4)
    binomial = smoothed * (1 - smoothed) / (N_TEST + 4)
    assert row.binomial_se == pytest.approx(np.sqrt(binomial))
    assert row.error_se == pytest.approx(np.sqrt(binomial + pooled / 3))
    assert row.upstream_error_se == pytest.approx(measurement_se(np.array([0.4]), np.array([2000.0]))[0])
    assert (row.model, row.epochs, row.support_seeds) == ("tiny", trial.config.recipe.epochs, 3)


def test_one_support_seed_leaves_the_binomial_part(tmp_path: Path) -> None:
    """With a single support seed its spread is unknown: null, and the standard error is the binomial one."""
    one_seed = experiment(evaluation={"tasks": ["mnist"], "dataRoot": "data", "shots": [5], "supportSeeds": 1})
    storage = Storage(str(tmp_path))
    write_study(storage, one_seed)
    store = Store(storage, one_seed)
    for row in from_table(point_table(store.table("trials"), store.table("evaluations")), PointRow):
        assert row.support_sd is None
        assert row.error_se == row.binomial_se


def test_points_of_one_architecture_and_recipe_are_one_group(tmp_path: Path, study: Experiment) -> None:
    """Trials that differ in epochs and seed only are not independent; the fit is told so."""
    storage = Storage(str(tmp_path))
    write_study(storage, study)
    store = Store(storage, study)
    groups = groups_of(point_table(store.table("trials"), store.table("evaluations")))
    assert [key[:2] for key in groups] == [("greek", 1), ("greek", 5), ("mnist", 1), ("mnist", 5)]
    points = points_of(groups["mnist", 5, "pooled", "few-shot-ridge/1:loo"])
    assert (points.n, points.groups) == (4, 1)
    assert points.y_se is not None
    assert bool((points.y_se > 0).all())
