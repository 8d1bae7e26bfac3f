"""What a process knows of the Ray job that it runs in, if it runs in one."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping

CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the command of a job


def in_a_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether this process is the command of a Ray job, whose code the nodes have from the job."""
    return bool(_config(environment).get("runtime_env", {}).get("working_dir"))


def resume_words(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the command that submits the study of this job once more; nothing outside a job of `tuning.submit`."""
    return shlex.split(_config(environment).get("metadata", {}).get("again", ""))


def _config(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    config: dict[str, dict[str, str]] = json.loads(environment.get(CONFIG) or "{}")
    return {key: value for key, value in config.items() if value}
