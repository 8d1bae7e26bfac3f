"""How one phase trains: the part of a recipe that the training loop reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of one phase; budgets and rates may differ between replicas.

    Args:
        epochs: Full budget of each replica.
        batch_size: Videos a batch.
        clip: Segments a clip.
        padding: ``zero`` (padding counts as segments, as in the paper) or ``mask``.
        target: ``scaled`` or ``quantile``.
        optimizer: ``adamw`` or ``sgd``.
        lr: Learning rate of each replica's first epoch.
        lr_floor: Rate at the end of a cosine schedule.
        schedule: ``cosine`` or ``constant``.
        weight_decay: Weight decay.
        momentum: Momentum of SGD.
        head_lr_scale: Learning rate of the head, relative to the rest.
        clip_norm: Largest gradient norm of a replica; None for no clipping.
        evaluation_noise: Whether scoring draws Gumbel noise, as the release does.
    """

    epochs: Sequence[int]
    batch_size: int
    clip: int
    padding: str
    target: str
    optimizer: str
    lr: Sequence[float]
    lr_floor: float
    schedule: str
    weight_decay: float
    momentum: float = 0.9
    head_lr_scale: float = 1.0
    clip_norm: float | None = None
    evaluation_noise: bool = False
