"""Support vector regression on features averaged over time: the regressor of C3D+SVR (CVPRW 2017, Table I)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.options import Between

ITERATIONS = 5_000_000
"""Most steps of the solver, 3 to 15 s for 400 videos on a CPU. Where features outnumber videos, a thousand suffice."""


class SupportVectors:
    r"""Support vector regression on features averaged over time, of any backbone.

    score(x) = sum_i a_i k(z_i, z) + b, where z is x standardised by the training videos' mean and deviation, z_i are
    the support vectors, and k is exp(-g |z_i - z|^2) or the dot product. The paper of PAMFN takes the row from others
    and names neither kernel nor C: both are options.

    Args:
        inputs: Width of each stream it reads, by name.
        kernel: ``rbf`` or ``linear``.
        c: Weight of errors against flatness.
        epsilon: Errors up to this cost nothing; scores span [0, 1].
        gamma: g of ``rbf`` in multiples of 1 / (features x their variance), scikit-learn's ``scale``.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        kernel: Literal["rbf", "linear"] = "rbf",
        c: Annotated[float, Between(1e-4, 1e4)] = 1.0,
        epsilon: Annotated[float, Between(0, 0.5)] = 0.01,
        gamma: Annotated[float, Between(1e-3, 1e3)] = 1.0,
    ) -> None:
        self.inputs = dict(inputs)
        self.kernel, self.c, self.epsilon, self.gamma = kernel, c, epsilon, gamma

    def pooled(self, x: Mapping[str, NDArray[Any]], lengths_V: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the features averaged over each video's segments, streams side by side: (V, sum of inputs).

        Args:
            x: Features of each stream by name, (V, T, inputs); what lies beyond a video's end is not read.
            lengths_V: Segments of each video.

        Raises:
            ValueError: If a stream has another shape, or a video no segment or more than there are.
        """
        lengths = [int(length) for length in lengths_V]
        for stream, width in self.inputs.items():
            if x[stream].ndim != 3 or x[stream].shape[::2] != (len(lengths), width):
                raise ValueError(f"{stream}: shape {x[stream].shape}, expected ({len(lengths)}, T, {width})")
            if bad := [length for length in lengths if not 1 <= length <= x[stream].shape[1]]:
                raise ValueError(f"lengths: {bad[0]} is outside 1 to {x[stream].shape[1]}, the segments of {stream}")
        means = [
            np.stack([x_TI[:n].mean(0, dtype=np.float64) for x_TI, n in zip(x[stream], lengths, strict=True)])
            for stream in self.inputs
        ]
        return np.concatenate(means, axis=1)

    def fit(self, x_VD: NDArray[Any], target_V: NDArray[Any]) -> dict[str, Tensor]:
        """Fits the machine.

        A feature that is the same in all training videos is only centred.

        Args:
            x_VD: What `pooled` returns of the training videos.
            target_V: Their targets in [0, 1].

        Returns:
            ``mean`` and ``scale`` (D,), ``vectors`` (N, D), ``coefficients`` (N,), ``intercept`` () and, with ``rbf``,
            ``gamma`` (), in float64. N may be 0: then all scores are the intercept.

        Raises:
            ValueError: If the solver does not come to an end, as with a large C and few features.
        """
        x_VD = np.asarray(x_VD, dtype=np.float64)
        mean_D, deviation_D = x_VD.mean(0), x_VD.std(0)
        scale_D = np.where(deviation_D > 1e-6, deviation_D, 1.0)
        z_VD = (x_VD - mean_D) / scale_D
        gamma = self.gamma / (z_VD.shape[1] * (z_VD.var() or 1.0))
        machine = self._solved(z_VD, target_V, gamma)
        state = {
            "mean": mean_D,
            "scale": scale_D,
            "vectors": z_VD[machine.support_],
            "coefficients": machine.dual_coef_[0],
            "intercept": machine.intercept_[0],
            **({"gamma": gamma} if self.kernel == "rbf" else {}),
        }
        return {name: torch.tensor(values, dtype=torch.float64) for name, values in state.items()}

    def _solved(self, z_VD: NDArray[np.float64], target_V: NDArray[Any], gamma: float) -> Any:
        from sklearn.exceptions import ConvergenceWarning  # scikit-learn takes longer to import than all else here
        from sklearn.svm import SVR

        machine = SVR(kernel=self.kernel, C=self.c, epsilon=self.epsilon, gamma=gamma, max_iter=ITERATIONS)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # an error here
            machine.fit(z_VD, target_V)
        if machine.fit_status_:
            raise ValueError(
                f"c: {self.c:g} is not solved on {len(z_VD)} videos in {ITERATIONS:,} iterations of the {self.kernel} "
                "kernel; take a smaller c or a larger epsilon"
            )
        return machine

    @staticmethod
    def predict(state: Mapping[str, Tensor], x_VD: NDArray[Any]) -> NDArray[np.float64]:
        """Returns scores clipped to [0, 1], (V,), by the kernel's formula; a state without ``gamma`` is linear.

        Args:
            state: What `fit` returned.
            x_VD: What `pooled` returns of the videos.
        """
        of = {name: tensor.double().cpu() for name, tensor in state.items()}
        z_VD = (torch.as_tensor(x_VD, dtype=torch.float64) - of["mean"]) / of["scale"]
        like_VN = z_VD @ of["vectors"].T
        if "gamma" in of:
            squares_VN = (z_VD**2).sum(1, keepdim=True) + (of["vectors"] ** 2).sum(1) - 2 * like_VN
            like_VN = torch.exp(-of["gamma"] * squares_VN)
        scores: NDArray[np.float64] = (like_VN @ of["coefficients"] + of["intercept"]).clamp(0, 1).numpy()
        return scores
