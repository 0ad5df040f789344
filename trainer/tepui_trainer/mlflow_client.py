"""MLflow's client, configured to give up soon. Importing it takes 4 to 6 s of CPU: only where runs are sent.

The embedded engine's fork server preloads this module. Nothing here opens a database or a connection.
"""

import logging
import os
import warnings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would call home at import
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # the spool retries; MLflow's seven took 248 s
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # the sending thread waits, nobody waits for it
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what MLflow itself uses
    import mlflow.store.artifact.local_artifact_repo
    import mlflow.store.tracking.rest_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Param, Run, RunTag
    from mlflow.exceptions import MlflowException

__all__ = ["Experiment", "Metric", "MlflowClient", "MlflowException", "Param", "Run", "RunTag"]

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)
