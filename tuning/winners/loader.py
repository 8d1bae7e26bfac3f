"""How MLflow loads one of this project's models; this file is logged with the model, beside the package ``pamfn``.

It needs that package and MLflow, and nothing that trains. The model itself is safetensors and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from pamfn.serving import RequestError, ServedModel

NETWORKS = "networks"


class Refused(MlflowException):  # type: ignore[misc]  # MLflow has no types
    """A request that cannot be answered; the server's answer is what is wrong, not the request and no stack."""

    def __init__(self, faults: str) -> None:
        super().__init__(faults, error_code=BAD_REQUEST)
        self._faults = faults

    def serialize_as_json(self) -> str:
        """Returns the body of the answer; the server has put the whole request before ``message`` by now."""
        return json.dumps({"error_code": self.error_code, "message": self._faults})


class Model:
    """The model as MLflow calls it.

    Args:
        served: What answers.
    """

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Returns a data frame with one answer a row; see `pamfn.serving.model.ServedModel.answer`.

        Args:
            model_input: A data frame with a clip a row; see `pamfn.serving.asked`.
            params: ``details`` as false leaves out how the scores came about.

        Raises:
            Refused: If a row cannot be answered.
        """
        import pandas as pd

        rows = [{n: v for n, v in row.items() if _is_given(v)} for row in model_input.to_dict(orient="records")]
        try:
            answers = self._served.answer(rows, details=bool((params or {}).get("details", True)))
        except RequestError as error:
            raise Refused(str(error)) from error
        return pd.DataFrame(answers)


def _is_given(value: Any) -> bool:
    """Tells whether a cell was filled; a data frame fills the others with None or NaN."""
    return value is not None and not (isinstance(value, float) and value != value)


def _load_pyfunc(path: str) -> Model:
    """Returns the model of a folder; MLflow calls this."""
    return Model(ServedModel.load(Path(path) / NETWORKS))
