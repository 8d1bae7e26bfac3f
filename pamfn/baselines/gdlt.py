"""GDLT, Likert scoring with grades decoupled: learned grades look for themselves in a video, and vote on its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.baselines.scored import Scored
from pamfn.options import Between
from pamfn.replicas.segments import pad_time


class GradeDecoupling(nn.Module):
    r"""Scores a video by how strongly each of Q grades responds to it (Table I).

    A transformer without positions reads the embedded segments; Q learned queries, one a grade, read what it made of
    them. Grade q responds with :math:`r_q`, and the score is :math:`\sum_q w_q \sigma(r_q) / \sum_q \sigma(r_q)`
    over the grades' values :math:`w` from 0 to 1. In training the hardest-triplet loss pushes what different grades
    found apart, and pulls together what one grade found in different videos.

    With width 256 on 1024 features it has 3,163,396 parameters. The paper's 1.84M are 1,841,412 of them: what a counter
    finds that knows neither multi-head attention nor layer norms nor bare parameters, as the queries are.

    The paper says nothing of GDLT's settings: the options' defaults are its authors' for Rhythmic Gymnastics. For Fis-V
    they take a triplet weight of 0.5 and a dropout of 0.7.

    Args:
        inputs: Width of the stream that it reads, by name.
        width: Width D of the transformer; the first layer of the embedding is twice as wide.
        queries: Number Q of grades.
        heads: Attention heads; must divide ``width``.
        encoder_layers: Layers that read the segments.
        decoder_layers: Layers by which the grades read the video.
        feed_forward: Width of the transformer's hidden layers, relative to ``width``.
        dropout: Dropout of the transformer.
        triplet_weight: Weight of the hardest-triplet loss beside the mean squared error.
        margin: By how much the cosine distance to the nearest other grade must exceed that to the farthest of the same.

    Raises:
        ValueError: If ``heads`` does not divide ``width``, or there is not one stream.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int = 256,
        queries: Annotated[int, Between(2, 64)] = 4,
        heads: Annotated[int, Between(1, 64)] = 1,
        encoder_layers: Annotated[int, Between(1, 8)] = 1,
        decoder_layers: Annotated[int, Between(1, 8)] = 2,
        feed_forward: Annotated[int, Between(1, 8)] = 3,
        dropout: Annotated[float, Between(0.0, 0.95)] = 0.3,
        triplet_weight: Annotated[float, Between(0.0, 100.0)] = 1.0,
        margin: Annotated[float, Between(0.0, 2.0)] = 1.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads: {heads} does not divide width {width}; take a divisor of it, such as 1")
        if len(inputs) != 1:
            raise ValueError(f"inputs: GDLT reads one stream, not {', '.join(inputs) or 'none'}")
        ((self.stream, features),) = inputs.items()
        self.triplet_weight, self.margin = triplet_weight, margin
        self.embedding = nn.Sequential(
            nn.Conv1d(features, 2 * width, 1),
            nn.BatchNorm1d(2 * width),
            nn.ReLU(),
            nn.Conv1d(2 * width, width, 1),
            nn.BatchNorm1d(width),
        )
        hidden = feed_forward * width
        reads = nn.TransformerEncoderLayer(width, heads, hidden, dropout, batch_first=True)
        self.transformer = nn.Transformer(
            width,
            heads,
            custom_encoder=nn.TransformerEncoder(
                reads, encoder_layers, nn.LayerNorm(width), enable_nested_tensor=False
            ),
            num_decoder_layers=decoder_layers,
            dim_feedforward=hidden,
            dropout=dropout,
            batch_first=True,
        )
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.regressor = nn.Linear(width, queries)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos.

        Args:
            x: Segments by stream, (B, T, inputs). In training a clip of one segment is zero-padded to two, since batch
                norm knows no variance of one value.
        """
        x_BTI = pad_time(x[self.stream], 2) if self.training else x[self.stream]
        x_BTD = self.embedding(x_BTI.mT).mT
        grades_BQD = self.transformer(x_BTD, self.queries.expand(len(x_BTD), -1, -1))
        response_BQ = self.regressor(grades_BQD).diagonal(dim1=-2, dim2=-1)  # grade q is asked for its own response
        penalty = self.triplet_weight * hardest_triplet(grades_BQD, self.margin) if self.training else None
        return Scored(likert_score(response_BQ), penalty)


def likert_score(response_BQ: Tensor) -> Tensor:
    """Returns the mean of the grades' values, weighted by their responses; (B,), in (0, 1).

    A grade's weight is the sigmoid of its response relative to the sum of all; the logarithm keeps responses that are
    all far below 0 from dividing 0 by 0.
    """
    weight_BQ = functional.logsigmoid(response_BQ).softmax(-1)
    value_Q = torch.linspace(0, 1, response_BQ.shape[-1], dtype=response_BQ.dtype, device=response_BQ.device)
    return weight_BQ @ value_Q


def hardest_triplet(grades_BQD: Tensor, margin: float) -> Tensor:
    """Returns the triplet loss of what the grades found, with a grade's index as its class; a scalar.

    Each of the B x Q vectors is an anchor: the cosine distance to the farthest of its grade, less that to the nearest
    of another, plus the margin, counts where it is above 0. A lone video has none of its grade; that distance is 0.
    """
    videos, queries, _ = grades_BQD.shape
    unit_ND = functional.normalize(grades_BQD, dim=-1).flatten(0, 1)
    class_N = torch.arange(queries, device=grades_BQD.device).repeat(videos)
    same_NN = class_N == class_N[:, None]
    distance_NN = 1 - unit_ND @ unit_ND.T
    farthest_N = distance_NN.masked_fill(~same_NN, 0).amax(1).clamp(min=0)  # an anchor is 0 away from itself
    nearest_N = distance_NN.masked_fill(same_NN, torch.inf).amin(1)
    return functional.relu(farthest_N - nearest_N + margin).mean()
