"""Finding and making what a study needs in MLflow: its experiment, its runs by tag, its data set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tuning.tracking.location import TrackingError, artifact_folder, first_line
from tuning.tracking.record import DataRecord

if TYPE_CHECKING:
    from tuning.tracking.run import RunWriter

DIGEST_LENGTH = 36  # the most that MLflow keeps of a data set's digest; the tag data_digest has all of it

KIND = "custom_model_development"  # opens MLflow's pages for training instead of those for language models


def open_experiment(client: Any, uri: str, name: str, storage: str) -> str:
    """Returns the id of the experiment of this name, made if it is not there.

    Raises:
        TrackingError: If the experiment was deleted, or MLflow refuses it.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            folder = artifact_folder(uri, storage)
            return str(client.create_experiment(name, artifact_location=folder, tags={"mlflow.experimentKind": KIND}))
    except (MlflowException, SQLAlchemyError) as error:
        raise TrackingError(f"experiment {name!r} at {uri}: {first_line(error)}") from error
    if experiment.lifecycle_stage == "deleted":
        way_out = f"give another --name, or `mlflow experiments restore -x {experiment.experiment_id}`"
        raise TrackingError(f"experiment {name!r} at {uri}: was deleted in MLflow; {way_out}")
    return str(experiment.experiment_id)


def newest_study_run(client: Any, experiment_id: str) -> Any | None:
    """Returns the run of the newest study in an experiment, or None."""
    runs = client.search_runs(
        [experiment_id], "tags.kind = 'study'", max_results=1, order_by=["attributes.start_time DESC"]
    )
    return runs[0] if runs else None


def find_runs(client: Any, experiment_id: str, study_run: str, trial_id: str | None = None) -> list[Any]:
    """Returns the trials' runs of a study, oldest first, or those of one trial."""
    query, found, token = f"tags.kind = 'trial' and tags.study_run = '{study_run}'", [], None
    query += "" if trial_id is None else f" and tags.trial_id = '{trial_id}'"
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += list(page)
        token = page.token
        if not token:
            return found


def take_over_models(client: Any, experiment_id: str, run: RunWriter) -> None:
    """Notes on a run the models that were made of it though nobody said so; half of a model is removed."""
    for model in client.search_logged_models([experiment_id], filter_string=f"source_run_id = '{run.run_id}'"):
        if model.status == "READY":
            run.note({}, {f"model.{model.name}": str(model.model_id)}, 0)
        else:
            client.delete_logged_model(model.model_id)
    run.flush()


def dataset_input(data: DataRecord) -> Any:
    """Returns a data set as an input of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=data.name,
        digest=data.digest[:DIGEST_LENGTH],
        source_type="local" if "://" not in data.location else data.location.split("://")[0],
        source=json.dumps({"uri": data.location}),
        profile=json.dumps(dict(data.profile)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
