"""Where things lie in a study's storage, as paths relative to its root.

trials/{trial}/checkpoints/step-00000120/manifest.json   a checkpoint; its manifest is written last
trials/{trial}/trial.parquet, curve.parquet              rows (results.TrialRow, results.CurveRow)
trials/{trial}/finished.json                             the trial is done; written last of all
trials/{trial}/evaluations/{task}-{hash}.parquet         rows (results.EvaluationRow) of one task
studies/{study}/experiment.yaml, laws.parquet            the study as applied; laws (law.Law)
studies/{study}/points.parquet, standing.json           what laws are fitted to; failures, for a report made anew
studies/{study}/report.html, figures/                    the answer
spool/{trial}-{stage}-{8 hex}.jsonl                      what MLflow has not been told yet, by one pod
"""


def checkpoints_dir(trial: str) -> str:
    """Folder of a trial's checkpoints."""
    return f"trials/{trial}/checkpoints"


def finished(trial: str) -> str:
    """The manifest that says a trial is done."""
    return f"trials/{trial}/finished.json"


def trial_rows(trial: str) -> str:
    """The trial's own row."""
    return f"trials/{trial}/trial.parquet"


def curve_rows(trial: str) -> str:
    """The trial's curves."""
    return f"trials/{trial}/curve.parquet"


def evaluation_rows(trial: str, task: str, task_hash: str) -> str:
    """Rows of one trial on one downstream task."""
    return f"trials/{trial}/evaluations/{task}-{task_hash}.parquet"


def study_dir(study: str) -> str:
    """Folder of what belongs to a study rather than to a trial."""
    return f"studies/{study}"


def figures_dir(study: str) -> str:
    """Folder of the static pictures beside a study's report."""
    return f"{study_dir(study)}/figures"


def spool(trial: str, pod: str) -> str:
    """Tracking events of one pod that MLflow has not confirmed; `pod` is its stage and 8 random hex digits."""
    return f"spool/{trial}-{pod}.jsonl"
