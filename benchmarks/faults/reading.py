"""``python -m benchmarks.faults.reading URI NAME``: all that MLflow holds of a study's runs, as one line of JSON.

It runs on a machine of the network, which alone reaches the server.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mlflow import MlflowClient

METRIC = "val_spearman"


def runs_of(uri: str, name: str) -> dict[str, Any]:
    """Returns each run with its kind, trial, state, reason and the points of its curve, in the order of their steps."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
    return {
        "runs": [
            {
                "kind": run.data.tags.get("kind"),
                "trial": run.data.tags.get("trial_id"),
                "status": run.info.status,
                "reason": run.data.tags.get("status_reason", ""),
                "points": sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, METRIC)),
            }
            for run in runs
        ]
    }


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(runs_of(*sys.argv[1:3]))}\n")
