"""Without pools every segment keeps its place, from the features to its own chance to be a highlight."""

from __future__ import annotations

import pytest
import torch
from highlight_cases import WIDTHS, small
from torch import Tensor, nn

from pamfn.architectures import build_network
from pamfn.model.branches import Branch
from pamfn.model.network import PAMFN
from pamfn.model.output import Output
from pamfn.phases.objective import Highlights
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

LENGTHS = (9, 4, 1, 7)


def built(seeds: tuple[int, ...] = (1, 2), **changes: object) -> PAMFN:
    """Returns a network whose norms have seen a batch, so that padding is not zero behind them."""
    network = build_network(small(**changes), WIDTHS, seeds)
    assert isinstance(network, PAMFN)
    network.train()(features(len(seeds), 6, 12, seed=5), Segments(12), Noise(list(seeds), [0] * len(seeds)))
    return network.eval()


def features(rows: int, videos: int, steps: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, videos, steps, width, generator=generator) for name, width in WIDTHS.items()}


def logits(output: Output) -> Tensor:
    assert output.logits_RBT is not None
    return output.logits_RBT


@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("head_layers", [1, 2])
def test_every_map_and_every_decision_keeps_the_time_steps(stages: int, head_layers: int) -> None:
    network, x = built(stages=stages, head_layers=head_layers), features(2, 3, 9)
    branch = network.branches["rgb"]
    assert isinstance(branch, Branch)
    assert [of.shape for of in branch.features(x["rgb"], Segments(9), None)] == [(2, 3, 9, 4)] * (stages + 1)
    output = network(x, Segments(9), None)
    assert logits(output).shape == (2, 3, 9)
    assert [decision.shape for decision in output.decisions] == [(2, 3, 9)] * stages
    assert logits(branch(x, Segments(9), None)).shape == (2, 3, 9)


def test_no_module_of_the_network_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> Tensor:
        raise AssertionError("pooled")

    network, x = built(), features(2, 3, 9)
    places = ("branches", "network", "blocks", "afm", "stage", "branch_set")
    for place, name in ((p, n) for p in places for n in ("pool_by_two", "pool_globally")):
        monkeypatch.setattr(f"pamfn.model.{place}.{name}", forbidden, raising=False)
    network.train()(x, Segments(9), Noise([1, 2], [0, 0]))


@pytest.mark.parametrize("phase1", [True, False])
def test_a_segment_is_judged_the_same_in_a_padded_batch_and_alone(phase1: bool) -> None:
    network: nn.Module = built()
    network = network.branches["rgb"] if phase1 else network
    x, lengths = features(2, len(LENGTHS), max(LENGTHS)), torch.tensor([LENGTHS, LENGTHS])
    zeroed = {n: v * (torch.arange(max(LENGTHS)) < lengths[..., None])[..., None] for n, v in x.items()}
    together = logits(network(zeroed, Segments(max(LENGTHS), lengths), None))
    score = network(zeroed, Segments(max(LENGTHS), lengths), None).score_RB
    for place, length in enumerate(LENGTHS):
        mine = {name: values[:, place : place + 1, :length] for name, values in zeroed.items()}
        alone = network(mine, Segments(length), None)
        torch.testing.assert_close(together[:, place, :length], logits(alone)[:, 0], rtol=0, atol=1e-5)
        torch.testing.assert_close(score[:, place], logits(alone)[:, 0].sigmoid().mean(-1), rtol=0, atol=1e-5)
        torch.testing.assert_close(score[:, place], alone.score_RB[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("stages", [2, 3])
def test_a_segment_sees_its_neighbours_as_far_as_the_convolutions_reach(stages: int) -> None:
    """Two convolutions of three segments a stage: 2 N segments to either side, and no segment beyond."""
    network, steps, reach = built(stages=stages), 2 * (2 * stages) + 5, 2 * stages
    x = {name: values.requires_grad_() for name, values in features(2, 1, steps).items()}
    middle = steps // 2
    logits(network(x, Segments(steps), None))[:, 0, middle].sum().backward()
    for values in x.values():
        assert values.grad is not None
        seen = values.grad[:, 0].abs().sum((0, 2)).nonzero().flatten().tolist()
        assert seen == list(range(middle - reach, middle + reach + 1))


def test_a_network_that_scores_videos_has_no_segments_to_tell() -> None:
    network = build_network(recipe("paper", width=4, fusion_nets=2, stages=2), WIDTHS, [1]).eval()
    output = network(features(1, 2, 6), Segments(6), None)
    assert output.logits_RBT is None
    with pytest.raises(ValueError, match="classifies no segments; build it with task highlights"):
        Highlights().said(output)


def test_the_papers_settings_for_highlights() -> None:
    settings = recipe("highlights")
    both = {"optimizer": "adamw", "lr": 5e-4, "epochs": 300}
    assert {name: getattr(settings, name) for name in both} == both
    assert {name: getattr(settings, f"phase1_{name}") for name in both} == both
    assert (settings.fusion_nets, settings.batch_size, settings.pools) == (10, 1, False)
    assert {**vars(settings), "options": ()}.keys() == vars(Recipe()).keys()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"task": "highlights"}, "padding: 'zero' is not for task highlights"),
        ({"batch_size": 1}, "batch_size: 1 is for task highlights"),
        ({"task": "highlight"}, "task: 'highlight' is not one of score, highlights; did you mean 'highlights'"),
        ({"task": "highlights", "padding": "mask", "model": "avg"}, "task: 'highlights' is not for avg"),
    ],
)
def test_settings_that_do_not_go_with_the_task_are_refused(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        recipe("paper", **changes)
