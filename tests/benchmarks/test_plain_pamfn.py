"""The plain network that speed is measured against is PAMFN: same scores, same gradients, same parameters as ours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from benchmark_scripts import load
from torch import Tensor

from pamfn.architectures import outline
from pamfn.model.network import PAMFN
from pamfn.recipe import recipe
from pamfn.replicas.cut import cut
from pamfn.replicas.segments import Segments

PLAIN = load("plain_pamfn")
TRAINING = load("plain_training")
WORKLOAD = load("workload")
WIDTHS = {"rgb": 6, "flow": 5, "audio": 4}
UNDROPPED = {"feature_dropout": 0.0, "embedding_dropout": 0.0, "attention_dropout": 0.0}
SMALL = recipe(width=8, fusion_nets=3, **UNDROPPED)


def ours_and_plain(settings=SMALL) -> tuple[PAMFN, torch.nn.Module]:
    """Returns our network of two replicas and the plain one with the weights of the second, statistics not fresh."""
    network = PAMFN(settings, WIDTHS, [1, 2])
    network.fix(["rgb", "flow"])
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if "norm" in name:
                tensor.uniform_(0.5, 1.5, generator=draws)
    plain = PLAIN.PlainPAMFN(settings, WIDTHS)
    plain.load_state_dict(plain_state(plain, cut(network, 1)))
    return network, plain


def plain_state(plain: torch.nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a cut replica's state by the plain network's names and in its shapes."""
    return {
        name: value if name.endswith("num_batches_tracked") else source(name, state).reshape(value.shape)
        for name, value in plain.state_dict().items()
    }


def source(name: str, state: Mapping[str, Tensor]) -> Tensor:
    words = name.split(".")
    if "nets" in words:
        net = words.index("nets")
        own = words[net + 2 :]
        return state[".".join([*words[:net], *([] if own[0] == "refine" else ["mix"]), *own])][int(words[net + 1])]
    if words[2:3] in (["msfd"], ["cmfd"]):
        words.insert(3, "attention")
    if words[3:4] in (["projections"], ["norms"]):
        words.insert(3, "mix")
    return state[".".join(words)]


def clips(videos: int, steps: int) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(4)
    return {name: torch.rand(videos, steps, width, generator=draws) for name, width in WIDTHS.items()}


@pytest.mark.parametrize("stages", [2, 3, 4])
@pytest.mark.parametrize("steps", [16, 23])
def test_it_scores_as_ours_does(stages: int, steps: int) -> None:
    ours, plain = ours_and_plain(recipe(width=8, fusion_nets=3, stages=stages))
    x = clips(5, steps)
    with torch.no_grad():
        both = {name: torch.stack([of, of]) for name, of in x.items()}
        expected = ours.eval()(both, Segments(steps), None).score_RB[1]
        torch.testing.assert_close(plain.eval()(x), expected, atol=1e-5, rtol=0)
    assert expected.std() > 1e-4


def test_it_has_the_gradients_and_batch_statistics_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, 0.5))  # ours draws no noise below
    ours, plain = (network.double() for network in ours_and_plain())
    x, targets = clips(5, 16), torch.linspace(0.2, 0.8, 5, dtype=torch.float64)
    x = {name: of.double() for name, of in x.items()}
    both = {name: torch.stack([of, of]) for name, of in x.items()}
    (ours.train()(both, Segments(16), None).score_RB[1] - targets).square().mean().backward()
    torch.nn.functional.mse_loss(plain.train()(x), targets).backward()
    statistics = plain_state(plain, cut(ours, 1))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    gradients = plain_state(plain, cut(ours, 1))
    for name, parameter in plain.named_parameters():
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(grad, gradients[name], atol=1e-12, rtol=1e-6, msg=name)
    used = ("policy.logits", "nets.0.hidden", "nets.2.refine.conv1")
    assert all(gradients[f"stages.2.afm.{of}.weight"].abs().max() > 1e-5 for of in used)
    for name, value in plain.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, statistics[name], atol=1e-12, rtol=1e-6)


def test_it_has_as_many_parameters_as_ours_and_trains_the_same() -> None:
    settings = recipe()
    widths = {"rgb": 1024, "flow": 1024, "audio": 768}
    with torch.device("meta"):
        plain = PLAIN.PlainPAMFN(settings, widths)
    ours = outline(settings, widths)
    ours.fix(["rgb", "flow"])
    for branch in ours.branches.values():
        branch.head.requires_grad_(False)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters())
    assert trained(plain) == trained(ours)


def trained(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_it_refuses_settings_that_it_is_not_written_for() -> None:
    with pytest.raises(ValueError, match="cmfd_heads=2, query_layers=2: .* paper's settings"):
        PLAIN.PlainPAMFN(recipe(width=8, cmfd_heads=2, query_layers=2), WIDTHS)


def epochs(kind: str, count: int) -> list[list[float]]:
    """Returns the losses of each epoch of two plain networks."""
    torch.manual_seed(0)
    work = WORKLOAD.Workload.of("tiny", 16, width=8, fusion_nets=2, batch_size=8, lr=3e-3, **UNDROPPED)
    networks = [PLAIN.PlainPAMFN(work.settings, work.widths) for _ in range(2)]
    batches = TRAINING.Batches(work.bank("cpu"), work.targets("cpu"), 16, work.settings)
    contestant = getattr(TRAINING, kind)(networks, batches, work.settings)
    return [contestant.epoch() for _ in range(count)]


@pytest.mark.parametrize("kind", ["Loop", "Vmapped"])
def test_plain_training_learns(kind: str) -> None:
    losses = np.array(epochs(kind, 25))
    assert losses.shape == (25, 2)
    assert (losses[-3:].mean(0) < 0.5 * losses[0]).all()


def test_a_vmapped_step_is_the_loop_s() -> None:
    settings = recipe(width=8, fusion_nets=1, batch_size=8, clip=16, **UNDROPPED)
    work = WORKLOAD.Workload.of("tiny", 8)
    torch.manual_seed(0)
    networks = [PLAIN.PlainPAMFN(settings, work.widths) for _ in range(2)]
    batches = TRAINING.Batches(work.bank("cpu"), work.targets("cpu"), 8, settings)
    vmapped = TRAINING.Vmapped(networks, batches, settings)
    before = {name: value.clone() for name, value in vmapped._buffers.items()}
    fixed = [(torch.arange(8)[None], torch.zeros(1, 8, dtype=torch.long))]
    batches.order = lambda: fixed[0]
    together, alone = vmapped.epoch(), TRAINING.Loop(networks, batches, settings).epoch()
    assert together == pytest.approx(alone, rel=1e-5)
    for name, value in vmapped._buffers.items():
        expected = torch.stack([network.get_buffer(name) for network in networks])
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)
    assert any(not torch.equal(value, vmapped._buffers[name]) for name, value in before.items())
