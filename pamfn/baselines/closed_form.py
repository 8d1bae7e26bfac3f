"""What a model offers that is fitted by a formula, not by steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor


class ClosedForm(Protocol):
    """A model that is fitted at once to whole videos. Its state is all that it has learned, as tensors by name."""

    def pooled(self, x: Mapping[str, NDArray[Any]], lengths_V: NDArray[Any]) -> NDArray[Any]:
        """Returns what the model reads of each video, (V, D).

        Args:
            x: Features of each stream by name, (V, T, inputs), padded at the end.
            lengths_V: Segments of each video that are there.
        """
        ...

    def fit(self, x_VD: NDArray[Any], target_V: NDArray[Any]) -> dict[str, Tensor]:
        """Returns the state that training videos give; their targets lie in [0, 1]."""
        ...

    def predict(self, state: Mapping[str, Tensor], x_VD: NDArray[Any]) -> NDArray[Any]:
        """Returns the scores of videos in [0, 1], (V,), computed from a state alone."""
        ...
