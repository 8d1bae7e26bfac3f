"""What a batched program trains: the shape of its networks, and what the training loop asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from pamfn.data.bank import Bank
from pamfn.phases.cache import FeatureCache, Standing
from pamfn.phases.objective import Objective, Scores
from pamfn.phases.plan import Plan
from pamfn.phases.replica import Replica
from pamfn.replicas.axis import FusionAxis


@dataclass(frozen=True, eq=False)
class Mould:
    """The shape of the networks of one program.

    Args:
        build: Makes a stacked network of one replica, whose weights mean nothing yet, with what is frozen frozen.
        bank: Features of the videos, in the network's modalities.
        leave: Prefixes of names that no training changes and that a replica's state leaves out.
        is_head: Tells the head's parameters by name.
        vital: Returns a number of each replica of a stacked network, (R,), that tells whether it can go on; None if
            there is none.
        verdict: Returns of such a number why its replica cannot go on; empty if it can. Asked at every milestone.
        room: Places for videos in a batch, at least: with as many for any company, a replica's numbers do not depend on
            who has the largest batch.
        stream: What the network calls the stream that it reads, where every replica reads one of its own; else empty.
        cache: Makes the maps of the fixed branches, where the network is built without them; None if it has them.
        recordable: Whether a step launches the same work for every batch, so that a GPU can replay it.
        objective: What the networks learn, and how they are judged.
    """

    build: Callable[[], nn.Module]
    bank: Bank
    leave: tuple[str, ...] = ()
    is_head: Callable[[str], bool] = field(default=lambda name: False)
    vital: Callable[[nn.Module], Tensor] | None = None
    verdict: Callable[[float], str] = field(default=lambda number: "")
    room: int = 0
    stream: str = ""
    cache: Callable[[], FeatureCache] | None = None
    recordable: bool = True
    objective: Objective = field(default_factory=Scores)

    def network(self) -> tuple[nn.Module, FusionAxis | None]:
        """Returns a network on the bank's device, and its FusionNet axis if it has one."""
        network = self.build().to(self.bank.device)
        axis = getattr(network, "fusion_axis", None)
        return network, axis if isinstance(axis, FusionAxis) else None


@dataclass(frozen=True, eq=False)
class Member:
    """A replica on its way into a program, where it starts or goes on.

    Args:
        replica: Its videos and its seed.
        plan: How it trains.
        weights: All tensors of its network by name, in plain shapes.
        moments: State of its optimiser; empty for a fresh one.
        steps: Steps that it has done.
        nets: Its FusionNets K; 1 for a network without them.
        standing: The fixed branches that it stands on, where the network is built without them.
        stream: The modality that it reads, where every replica reads one of its own.
    """

    replica: Replica
    plan: Plan
    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    nets: int = 1
    standing: Standing | None = None
    stream: str = ""
