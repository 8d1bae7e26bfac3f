"""Networks of plain torch as rows of a batched program: R of one kind, each called alone with weights of its own.

A model that is written for one network, with torch's own layers, trains, scores, rests and is saved as a stacked one
does: its weights are rows, and only the forward pass goes through them one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from pamfn.baselines.scored import Scored
from pamfn.model.branches import Standardise
from pamfn.model.output import Output
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments
from pamfn.seeding import derive


class StreamReader(nn.Module):
    """One stream of the data as networks read it.

    Args:
        modality: Its name.
        rows: Replicas R.
        inputs: Width of its features.
        standardise: Whether to standardise them with the training fold's statistics.
    """

    def __init__(self, modality: str, rows: int, inputs: int, *, standardise: bool) -> None:
        super().__init__()
        self.modality = modality
        self.standardise = Standardise(rows, inputs) if standardise else None

    def forward(self, x_RBTI: Tensor, segments: Segments) -> Tensor:
        """Maps (R, B, T, inputs) to the same shape."""
        return x_RBTI if self.standardise is None else self.standardise(x_RBTI, segments)


class Alone(nn.Module):
    """R networks of one kind, over the replica axis.

    Dropout, and whatever else a network draws in training, comes from torch's generator, seeded for each replica and
    step: a replica draws the same numbers in any company. In training a network reads clips, whose padding counts as
    segments; in evaluation it reads videos of one length at a time, so that padding and neighbours change no score.

    Args:
        build: Makes one network. It maps features by stream, (B, T, inputs), to a `Scored`.
        widths: Width of each stream that it reads.
        seeds: Seed of each replica's initial weights.
        standardise: Whether to standardise features with the training fold's statistics.
    """

    def __init__(
        self, build: Callable[[], nn.Module], widths: Mapping[str, int], seeds: Sequence[int], *, standardise: bool
    ) -> None:
        super().__init__()
        made = [_built(build, seed) for seed in seeds]
        self.branches = nn.ModuleDict()  # none that are pretrained
        self.readers = nn.ModuleDict(
            {name: StreamReader(name, len(seeds), width, standardise=standardise) for name, width in widths.items()}
        )
        self.networks = copy.deepcopy(made[0])
        self._caller = (made[0],)  # in a tuple, so that its tensors are no parameters of this module
        self._places = _stack(self.networks, made)
        self._drops_counts()

    def fix(self, modalities: Sequence[str]) -> None:
        """Does nothing: there are no branches to fix."""

    def forward(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> Output:
        """Scores videos; the arguments are those of `pamfn.model.network.PAMFN`."""
        read = {name: cast("StreamReader", reader)(x[name], segments) for name, reader in self.readers.items()}
        real_RB = segments.real_RB
        scores, penalties = [], []
        for row in range(len(next(iter(read.values())))):
            real_B = None if real_RB is None else real_RB[row]
            mine = {name: of[row] for name, of in read.items()}
            with self._as(row), _drawing(noise, row, next(iter(mine.values())).device, on=self.training):
                scored = self._trained(mine, real_B) if self.training else self._evaluated(mine, real_B)
            scores.append(scored.score_B)
            penalties.append(scored.score_B.new_zeros(()) if scored.penalty is None else scored.penalty)
        return Output(torch.stack(scores), penalty_R=torch.stack(penalties))

    def _trained(self, x: Mapping[str, Tensor], real_B: Tensor | None) -> Scored:
        """Scores the clips that are there; places without a video score 0."""
        (network,) = self._caller
        if real_B is None:
            return _scored(network, x)
        (there,) = (real_B > 0).nonzero(as_tuple=True)
        if not len(there):
            return Scored(real_B.new_zeros(len(real_B), dtype=torch.float32))
        scored = _scored(network, {name: of[there] for name, of in x.items()})
        score_B = scored.score_B.new_zeros(len(real_B)).index_put((there,), scored.score_B)
        return Scored(score_B, scored.penalty)

    def _evaluated(self, x: Mapping[str, Tensor], real_B: Tensor | None) -> Scored:
        """Scores videos in groups of one length."""
        (network,) = self._caller
        if real_B is None:
            return _scored(network, x)
        score_B = torch.zeros(len(real_B), device=real_B.device)
        for length in sorted({*real_B.tolist()}):
            (alike,) = (real_B == length).nonzero(as_tuple=True)
            if length:
                score_B[alike] = _scored(network, {name: of[alike, :length] for name, of in x.items()}).score_B
        return Scored(score_B)

    @contextmanager
    def _as(self, row: int) -> Iterator[None]:
        """Has the one network that is called use the tensors of a replica."""
        (network,) = self._caller
        for called, held, name in self._places:
            of = held._parameters if name in held._parameters else held._buffers
            stacked = of[name]
            assert stacked is not None
            mine: dict[str, Any] = called._parameters if name in called._parameters else called._buffers
            mine[name] = stacked[row]
        for module in network.modules():
            if isinstance(module, nn.RNNBase):  # keeps a list of its weights beside them
                module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
        yield

    def train(self, mode: bool = True) -> Alone:
        """Sets training or evaluation, also of the network that is called."""
        super().train(mode)
        self._caller[0].train(mode)
        return self

    def _drops_counts(self) -> None:
        """Takes out the counts of batches that batch norms keep and, with a momentum, do not use."""
        for module in (*self.networks.modules(), *self._caller[0].modules()):
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.num_batches_tracked = None
        self._places = [place for place in self._places if place[2] != "num_batches_tracked"]


def _built(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Returns a network whose initial weights depend on its seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights") % 2**63)
        return build()


def _stack(held: nn.Module, networks: Sequence[nn.Module]) -> list[tuple[nn.Module, nn.Module, str]]:
    """Puts the tensors of networks side by side into one of their shape.

    Returns:
        Of every tensor, the module of the first network that uses it, the module that holds it stacked, and its name.
    """
    places = []
    for prefix, module in held.named_modules():
        others = [network.get_submodule(prefix) for network in networks]
        for name, parameter in list(module.named_parameters(recurse=False)):
            stacked = torch.stack([getattr(other, name).detach() for other in others])
            module._parameters[name] = nn.Parameter(stacked, requires_grad=parameter.requires_grad)
            places.append((others[0], module, name))
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.dtype.is_floating_point or name == "num_batches_tracked":
                module._buffers[name] = torch.stack([getattr(other, name) for other in others])
                places.append((others[0], module, name))
    return places


def _scored(network: nn.Module, x: Mapping[str, Tensor]) -> Scored:
    scored = network(x)
    assert isinstance(scored, Scored)
    return scored


def _drawing(noise: Noise | None, row: int, device: torch.device, *, on: bool) -> Any:
    """Has torch's generators draw a replica's numbers of this step, and puts them back afterwards."""
    if noise is None or not on:
        return nullcontext()
    return _seeded(noise.seed_of(row), device)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
