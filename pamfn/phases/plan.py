"""How one phase trains one replica: the part of a recipe that the training loop reads."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from pamfn.replicas.optimizer import Rate, learning_rate


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of one phase for one replica.

    Args:
        epochs: Full budget.
        batch_size: Videos a batch.
        clip: Segments a clip.
        padding: ``zero`` (padding counts as segments, as in the paper) or ``mask``.
        target: ``scaled`` or ``quantile``.
        optimizer: ``adamw`` or ``sgd``.
        lr: Learning rate of the first epoch.
        lr_floor: Rate at the end of a cosine schedule.
        schedule: ``cosine`` or ``constant``.
        weight_decay: Weight decay.
        momentum: Momentum of SGD.
        head_lr_scale: Learning rate of the head, relative to the rest.
        clip_norm: Largest gradient norm; None for no clipping.
        evaluation_noise: Whether scoring draws Gumbel noise, as the release does.
    """

    epochs: int
    batch_size: int
    clip: int
    padding: str
    target: str
    optimizer: str
    lr: float
    lr_floor: float
    schedule: str
    weight_decay: float
    momentum: float = 0.9
    head_lr_scale: float = 1.0
    clip_norm: float | None = None
    evaluation_noise: bool = False

    @property
    def shared(self) -> Hashable:
        """What all replicas of one batched program must agree in; the rest may differ between its rows."""
        return self.batch_size, self.clip, self.padding, self.optimizer, self.evaluation_noise

    def rate(self, epoch: int) -> Rate:
        """Returns how far a step of an epoch, counted from 0, goes."""
        lr = learning_rate(epoch, peak=self.lr, floor=self.lr_floor, epochs=self.epochs, schedule=self.schedule)
        return Rate(lr, self.weight_decay, self.head_lr_scale, self.momentum, self.clip_norm)
