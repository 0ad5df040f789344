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
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import PointRow, groups_of, point_table, points_of, report_point
from tepui_spec import layout
from tepui_spec.base import Section
from tepui_spec.experiment import Experiment
from tepui_spec.law import Band, Law
from tepui_spec.results import CurveRow, TrialRow
from tepui_trainer.rows import from_table, write_rows
from tepui_trainer.storage import Storage

_PACKAGES = ("tepui", "torch", "timm", "deepspeed", "mlflow-skinny", "mlflow", "numpy", "scipy", "pyarrow")


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the rows of a study say."""

    trials: pa.Table
    curves: pa.Table
    points: pa.Table
    laws: tuple[Law, ...]
    """Of what the head sees, by task and shots."""
    bands: tuple[Band | None, ...]
    """Of each law, for the picture."""
    layer_laws: tuple[Law, ...]
    """Of earlier layers, by task, shots and layer."""
    law_rows: tuple[LawRow, ...]
    task_hashes: dict[str, str]
    """Content hash by task."""


def analyse(store: Store, *, confidence: float) -> Analysis:
    """Fit every task and number of shots that has points. Too few points give laws without numbers that say so.

    Raises ValueError naming a damaged file, and TransientError.
    """
    trials, evaluations = store.table("trials"), store.table("evaluations")
    points = point_table(trials, evaluations)
    laws: list[Law] = []
    bands: list[Band | None] = []
    law_rows: list[LawRow] = []
    groups = groups_of(points)
    for (task, shots, layer, protocol), rows in groups.items():
        if layer != HEADLINE_LAYER:
            continue
        group = points_of(rows)
        for law in fit_laws(group, confidence=confidence, by={"task": task, "shots": shots}):
            laws.append(law)
            bands.append(None if law.e_ir is None else band(group, law, law_grid(law)))
            law_rows.append(law_row(law, layer=layer, protocol=protocol))
    layered = layer_laws(groups, confidence=confidence)
    law_rows += [law_row(law, layer=str(law.by["layer"]), protocol=protocol) for protocol, law in layered]
    pairs = zip(evaluations["task"].to_pylist(), evaluations["task_content_hash"].to_pylist(), strict=True)
    return Analysis(
        trials=trials,
        curves=store.table("curves"),
        points=points,
        laws=tuple(laws),
        bands=tuple(bands),
        layer_laws=tuple(law for _, law in layered),
        law_rows=tuple(law_rows),
        task_hashes=dict(pairs),
    )


def write_tables(storage: Storage, experiment: Experiment, analysis: Analysis) -> None:
    """Write the study as applied, its points and its laws. Raises what `Storage.write` raises."""
    folder = layout.study_dir(experiment.metadata.name)
    storage.write(f"{folder}/experiment.yaml", study_yaml(experiment).encode())
    sink = io.BytesIO()
    pq.write_table(analysis.points, sink, compression="zstd", write_page_checksum=True)
    storage.write(points_path(experiment.metadata.name), sink.getvalue())
    write_rows(storage, laws_path(experiment.metadata.name), analysis.law_rows, LawRow)


class Standing(Section):
    """How a study stood when it was last analysed: what rows do not say."""

    final: bool = False
    failures: tuple[str, ...] = ()
    """Failed trials, a sentence each."""


def write_standing(storage: Storage, experiment: Experiment, standing: Standing) -> None:
    """Keep it for reports that are made anew. Raises what `Storage.write` raises."""
    storage.write(_standing_path(experiment), standing.model_dump_json().encode())


def read_standing(storage: Storage, experiment: Experiment) -> Standing:
    """As last written; nothing is known where there is none. Raises what `Storage.read` raises."""
    path = _standing_path(experiment)
    return Standing.model_validate_json(storage.read(path)) if storage.exists(path) else Standing()


def _standing_path(experiment: Experiment) -> str:
    return f"{layout.study_dir(experiment.metadata.name)}/standing.json"


def report_data(store: Store, analysis: Analysis, *, final: bool = True, failures: Sequence[str] = ()) -> ReportData:
    """What the report shows of the store's experiment."""
    assert store.experiment is not None
    experiment = store.experiment
    factors = {t.hash: t.factors.model_dump(mode="json", exclude_none=True) for t in store.planned}
    return ReportData(
        study=experiment.metadata.name,
        experiment=experiment,
        trials=tuple(from_table(analysis.trials, TrialRow)),
        curves=tuple(from_table(analysis.curves, CurveRow)),
        points=tuple(report_point(row, factors[row.trial]) for row in from_table(analysis.points, PointRow)),
        laws=analysis.laws,
        bands=analysis.bands,
        layer_laws=analysis.layer_laws,
        failures=tuple(failures),
        planned_trials=len(store.planned),
        interim=not final,
        provenance=_provenance(experiment, analysis),
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


def _provenance(experiment: Experiment, analysis: Analysis) -> Provenance:
    upstream = dict.fromkeys(analysis.trials["upstream_content_hash"].to_pylist())
    hashes = {"upstream" if len(upstream) == 1 else f"upstream {i}": h for i, h in enumerate(upstream)}
    storage = experiment.spec.storage
    claim = storage.persistent_volume_claim
    return Provenance(
        packages={name: number for name in _PACKAGES if (number := _version(name)) is not None},
        hashes=hashes | analysis.task_hashes,
        storage=storage.uri or (f"PersistentVolumeClaim {claim.claim_name}/{claim.path}" if claim else ""),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
