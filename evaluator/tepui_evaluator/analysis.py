"""The analysis of a study: from its rows to points, laws and report, written beside the study."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tepui_evaluator.law_rows import LawRow, law_row
from tepui_evaluator.laws import band, fit_laws
from tepui_evaluator.layer_laws import layer_laws
from tepui_evaluator.report_data import Provenance, ReportData, law_grid
from tepui_evaluator.report_replay import study_yaml
from tepui_evaluator.report_view import HEADLINE_LAYER
from tepui_evaluator.sampled import sampled_errors
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import (
    PointRow,
    groups_of,
    point_table,
    points_of,
    report_points,
    shown,
    varied_factors,
)
from tepui_spec import layout
from tepui_spec.base import Section
from tepui_spec.experiment import Experiment
from tepui_spec.law import Band, ByValue, Law, Sampled
from tepui_spec.results import CurveRow, TrialRow
from tepui_trainer.rows import from_table, write_rows
from tepui_trainer.storage import Storage

_PACKAGES = ("tepui", "torch", "timm", "deepspeed", "mlflow-skinny", "mlflow", "numpy", "scipy", "pyarrow")


@dataclass(frozen=True, eq=False)
class Fitted:
    """The laws of a table of points."""

    laws: tuple[Law, ...]
    """Of what the head sees, by task and shots."""
    bands: tuple[Band | None, ...]
    """Of each law, for the picture."""
    layer_laws: tuple[Law, ...]
    """Of earlier layers, by task, shots and layer."""
    law_rows: tuple[LawRow, ...]
    """All of them as rows."""
    sampled: tuple[Sampled, ...]
    """Fit and prediction error by the number of models sampled, by task at its largest number of shots."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the rows of a study say."""

    trials: pa.Table
    curves: pa.Table
    points: pa.Table
    fitted: Fitted
    task_hashes: dict[str, str]
    """Content hash by task."""


def analyse(store: Store, *, confidence: float) -> Analysis:
    """Fit every task and number of shots that has points. Too few points give laws without numbers that say so.

    Raises ValueError naming a damaged file, and TransientError.
    """
    trials, evaluations = store.table("trials"), store.table("evaluations")
    points = point_table(trials, evaluations)
    pairs = zip(evaluations["task"].to_pylist(), evaluations["task_content_hash"].to_pylist(), strict=True)
    return Analysis(trials, store.table("curves"), points, fit_points(points, confidence=confidence), dict(pairs))


def fit_points(points: pa.Table, *, confidence: float) -> Fitted:
    """The laws of points (PointRow): what the head sees at every number of shots, earlier layers at the largest."""
    laws: list[Law] = []
    bands: list[Band | None] = []
    law_rows: list[LawRow] = []
    groups = groups_of(shown(points))
    for (task, shots, layer, protocol), rows in groups.items():
        if layer != HEADLINE_LAYER:
            continue
        group = points_of(rows)
        for law in fit_laws(group, confidence=confidence, by={"task": task, "shots": shots}):
            laws.append(law)
            bands.append(None if law.e_ir is None else band(group, law, law_grid(law)))
            law_rows.append(law_row(law, layer=layer, protocol=protocol))
    largest = {task: rows for (task, _, layer, _), rows in groups.items() if layer == HEADLINE_LAYER}
    sampled = [s for task, rows in largest.items() for s in sampled_errors(points_of(rows), by=_by(task, rows))]
    layered = layer_laws(groups, confidence=confidence)
    law_rows += [law_row(law, layer=str(law.by["layer"]), protocol=protocol) for protocol, law in layered]
    return Fitted(tuple(laws), tuple(bands), tuple(law for _, law in layered), tuple(law_rows), tuple(sampled))


def _by(task: str, rows: Sequence[PointRow]) -> dict[str, ByValue]:
    return {"task": task, "shots": rows[0].shots}


def write_tables(storage: Storage, study: str, analysis: Analysis) -> None:
    """Write a study's points and laws. Raises what `Storage.write` raises."""
    sink = io.BytesIO()
    pq.write_table(analysis.points, sink, compression="zstd", write_page_checksum=True)
    storage.write(points_path(study), sink.getvalue())
    write_rows(storage, laws_path(study), analysis.fitted.law_rows, LawRow)


def write_experiment(storage: Storage, experiment: Experiment) -> None:
    """Write the study as applied. Raises what `Storage.write` raises."""
    folder = layout.study_dir(experiment.metadata.name)
    storage.write(f"{folder}/experiment.yaml", study_yaml(experiment).encode())


class Standing(Section):
    """How a study stood when it was last analysed: what rows do not say."""

    final: bool = False
    failures: tuple[str, ...] = ()
    """Failed trials, a sentence each."""


def write_standing(storage: Storage, study: str, standing: Standing) -> None:
    """Keep it for reports that are made anew. Raises what `Storage.write` raises."""
    storage.write(_standing_path(study), standing.model_dump_json().encode())


def read_standing(storage: Storage, study: str) -> Standing:
    """As last written; nothing is known where there is none. Raises what `Storage.read` raises."""
    path = _standing_path(study)
    return Standing.model_validate_json(storage.read(path)) if storage.exists(path) else Standing()


def _standing_path(study: str) -> str:
    return f"{layout.study_dir(study)}/standing.json"


def report_data(
    store: Store, study: str, analysis: Analysis, *, final: bool = True, failures: Sequence[str] = ()
) -> ReportData:
    """What the report shows of the store's experiment; without one, of all that the rows hold."""
    trials = tuple(from_table(analysis.trials, TrialRow))
    factors = {t.hash: t.factors.model_dump(mode="json", exclude_none=True) for t in store.planned}
    return ReportData(
        study=study,
        experiment=store.experiment,
        trials=trials,
        curves=tuple(from_table(analysis.curves, CurveRow)),
        points=report_points(from_table(shown(analysis.points), PointRow), factors or varied_factors(trials)),
        laws=analysis.fitted.laws,
        bands=analysis.fitted.bands,
        layer_laws=analysis.fitted.layer_laws,
        sampled=analysis.fitted.sampled,
        failures=tuple(failures),
        planned_trials=len(store.planned) or None,
        interim=not final,
        provenance=provenance(analysis, _storage_of(store)),
    )


def laws_path(study: str) -> str:
    """The laws of a study (LawRow)."""
    return f"{layout.study_dir(study)}/laws.parquet"


def points_path(study: str) -> str:
    """The points of a study (study_points.PointRow)."""
    return f"{layout.study_dir(study)}/points.parquet"


def stored_experiment(storage: Storage) -> Experiment:
    """The experiment of the one study in a storage. Raises ValueError where there is none, or more than one."""
    paths = [path for path in storage.list("studies") if path.endswith("/experiment.yaml")]
    if len(paths) != 1:
        studies = ", ".join(path.split("/")[1] for path in paths) or "none"
        raise ValueError(f"{storage.uri()} holds the studies: {studies}; name the YAML file of the one that is meant")
    # as it was applied: what a later version checks beyond the fields' types is no longer the question
    return Experiment.model_validate(yaml.safe_load(storage.read(paths[0])))


def provenance(analysis: Analysis, storage: str) -> Provenance:
    """Hashes of the data behind the rows, and the versions of this analysis."""
    upstream = dict.fromkeys(analysis.trials["upstream_content_hash"].to_pylist())
    hashes = {"upstream" if len(upstream) == 1 else f"upstream {i}": h for i, h in enumerate(upstream)}
    return Provenance(packages=packages(), hashes=hashes | analysis.task_hashes, storage=storage)


def packages() -> dict[str, str]:
    """Versions of what made the report, by package; those that are not installed are left out."""
    return {name: number for name in _PACKAGES if (number := _version(name)) is not None}


def _storage_of(store: Store) -> str:
    """As the user wrote it, else where the rows were read."""
    if store.experiment is None:
        return store.storage.uri()
    storage = store.experiment.spec.storage
    claim = storage.persistent_volume_claim
    return storage.uri or (f"PersistentVolumeClaim {claim.claim_name}/{claim.path}" if claim else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
