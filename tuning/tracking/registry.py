"""MLflow's registered models: the newest winner is the ``champion``, the one before it the ``previous``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tuning.tracking.run import RunWriter

CHAMPION, PREVIOUS = "champion", "previous"
SHOWN = "mlflow.modelVersions"
MODEL = "logged_model"  # the tag of a version that says which model it is


def register(client: Any, run: RunWriter, model_id: str, names: Sequence[str], description: str) -> None:
    """Makes a logged model the champion of registered models, once.

    What was done is noted on the run: a study that is resumed after another has found a better champion, or after
    somebody has chosen one by hand, leaves it.

    Args:
        client: The client.
        run: The run that the model comes from.
        model_id: The model.
        names: The registered models; they are made if they are not there. Letters, digits, dots, dashes, underscores.
        description: What the version says of itself, in Markdown.
    """
    for name in names:
        noted = f"registered.{name}"
        if run.tags.get(noted, "").startswith(f"{model_id}/"):
            continue
        found = client.search_registered_models(f"name = '{name}'")
        aliases = dict(found[0].aliases) if found else {}
        if not found:
            client.create_registered_model(name, tags={"kind": "pamfn"})
        versions = client.search_model_versions(f"name = '{name}'")
        there = [version for version in versions if version.tags.get(MODEL) == model_id]
        version = there[0] if there else _version(client, run, name, model_id, description)
        former = aliases.get(CHAMPION)
        if former is not None and str(former) != str(version.version):
            client.set_registered_model_alias(name, PREVIOUS, str(former))
        client.set_registered_model_alias(name, CHAMPION, str(version.version))
        _show(client, model_id, name, int(version.version))
        run.update({}, {noted: f"{model_id}/{version.version}"})


def _show(client: Any, model_id: str, name: str, version: int) -> None:
    """Has the model's page name a version of it, as MLflow's own functions do."""
    mine = {"name": name, "version": version}
    shown = json.loads(client.get_logged_model(model_id).tags.get(SHOWN, "[]"))
    if mine not in shown:
        client.set_logged_model_tags(model_id, {SHOWN: json.dumps([*shown, mine])})


def _version(client: Any, run: RunWriter, name: str, model_id: str, description: str) -> Any:
    """Makes a version; its source is the folder itself, since MLflow looks up a model's id where no client says."""
    tags: dict[str, str] = {key: run.tags[key] for key in ("study", "trial_id", "data_digest") if key in run.tags}
    source = client.get_logged_model(model_id).artifact_location
    return client.create_model_version(
        name, source, run_id=run.run_id, tags={**tags, MODEL: model_id}, description=description, model_id=model_id
    )
