"""Logged models: a trial's weights as MLflow's Models tab shows them, linked to the run and to the data set.

A model is a folder of safetensors and JSON with MLflow's own description file; no object of ours is pickled, and no
flavour of MLflow is loaded (importing its PyTorch flavour takes five seconds and 350 MB).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning.tracking.experiment import DIGEST_LENGTH
from tuning.tracking.record import StudyRecord
from tuning.tracking.run import RunWriter

_REFUSED = re.compile(r"[^\w\- ]+")


def log_model(
    client: Any,
    experiment_id: str,
    run: RunWriter,
    name: str,
    folder: Path,
    metrics: Mapping[str, float],
    record: StudyRecord,
) -> str:
    """Returns the id of the logged model, made of the folder's files unless the run already has it."""
    from mlflow.entities import LoggedModelOutput

    legal = _REFUSED.sub("_", name)
    noted = f"model.{legal}"
    if noted in run.tags:
        return run.tags[noted]
    tags = {"study": record.name, "data_digest": record.data.digest}
    model = client.create_logged_model(
        experiment_id, legal, source_run_id=run.run_id, tags=tags, params=run.parameters, model_type="pamfn"
    )
    try:
        _upload(client, model, folder)
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step=0)])
    data = {"dataset_name": record.data.name, "dataset_digest": record.data.digest[:DIGEST_LENGTH]}
    for key, value in metrics.items():
        client.log_metric(run.run_id, key, value, step=0, model_id=model.model_id, synchronous=True, **data)
    run.update({}, {noted: str(model.model_id)})
    return str(model.model_id)


def _upload(client: Any, model: Any, folder: Path) -> None:
    from mlflow.models import Model

    client.log_model_artifacts(model.model_id, str(folder))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    description = Model(
        artifact_path=model.artifact_location,
        run_id=model.source_run_id,
        model_id=model.model_id,
        model_uuid=model.model_id,
        flavors={"pamfn": {"files": files}},
    )
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "MLmodel"
        description.save(str(path))
        client.log_model_artifact(model.model_id, str(path))
