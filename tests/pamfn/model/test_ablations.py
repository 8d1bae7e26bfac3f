"""What an ablation is made of, what it says, and what is refused (Sec. IV-F)."""

from __future__ import annotations

import pytest
import torch
from ablation_cases import ABLATIONS, CASES, LENGTHS, SMALL, D, K, M, made_of
from small_networks import WIDTHS, batch, network, videos

from pamfn.catalogue import MODELS
from pamfn.model.network import PAMFN
from pamfn.model.outline import forward_flops, parameters_by_part, shapes_by_stage, training_flops
from pamfn.recipe import recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

# --- What it is made of ---


@pytest.mark.parametrize("case", CASES)
def test_an_ablation_has_as_many_parameters_as_its_parts(case):
    settings, count = CASES[case]
    made = PAMFN(recipe(**SMALL, **settings), WIDTHS, [1])
    assert sum(p.numel() for p in made.parameters()) - sum(p.numel() for p in made.branches.parameters()) == count


@pytest.mark.parametrize("case", ABLATIONS)
def test_what_an_ablation_keeps_starts_as_in_the_full_network(case):
    full = dict(PAMFN(recipe(**SMALL), WIDTHS, [1]).named_parameters())
    own = dict(PAMFN(recipe(**SMALL, **ABLATIONS[case]), WIDTHS, [1]).named_parameters())
    kept = [n for n in own if n in full and own[n].shape == full[n].shape and not _beside_another_shape(n, own, full)]
    assert len(kept) > len(own) / 2
    for name in kept:
        assert torch.equal(own[name], full[name]), name


def _beside_another_shape(name: str, own: dict[str, torch.Tensor], full: dict[str, torch.Tensor]) -> bool:
    """Returns whether it is a bias whose bound depends on a weight of other inputs."""
    weight = name.removesuffix("bias") + "weight"
    return weight in own and weight in full and own[weight].shape != full[weight].shape


def test_without_fusion_nets_there_is_no_axis_and_without_a_policy_no_temperature():
    for settings, axis, tau in (({"cmfd": "none"}, False, False), ({"policy": "free"}, True, False), ({}, True, True)):
        made = PAMFN(recipe(**SMALL, **settings), WIDTHS, [1, 2])
        assert (made.fusion_axis is not None, made.tau_R is not None) == (axis, tau)
        assert any("afm" in name for name, _ in made.named_modules()) is axis
        assert any(name == "tau" or "policy" in name for name, _ in made.named_parameters()) is tau


def test_a_network_that_fuses_nothing_is_refused():
    with pytest.raises(ValueError, match="msfd, cmfd: both are 'none', and nothing would be fused; keep one of them"):
        PAMFN(recipe(**SMALL, msfd="none", cmfd="none"), WIDTHS, [1])


# --- What it says ---


@pytest.mark.parametrize("case", CASES)
def test_an_ablation_says_only_what_it_has_decided_and_weighed(case):
    settings, _ = CASES[case]
    output = made_of(settings).eval()(*batch(videos(made_of(settings), LENGTHS)), None)
    stages = settings.get("fusing_stages", 3)
    decides = settings.get("cmfd") != "none" and settings.get("policy") != "free"
    assert len(output.decisions) == (stages if decides else 0)
    assert len(output.attention) == (0 if settings.get("msfd") == "none" else stages)
    for weights in output.attention:
        assert weights.shape[:4] == (2, 1, M, 6)
        torch.testing.assert_close(weights.sum(2), torch.ones_like(weights.sum(2)))


def test_weighted_fusion_gives_every_step_of_every_video_the_same_weights():
    made = made_of({"msfd": "weighted"}).eval()
    for weights in made(*batch(videos(made, LENGTHS)), None).attention:
        assert torch.equal(weights, weights[..., :1, :1].expand_as(weights))
    fresh = PAMFN(recipe(**SMALL, msfd="weighted"), WIDTHS, [1, 2]).eval()
    x, segments = batch(videos(made, LENGTHS))
    for weights in fresh({name: of.float() for name, of in x.items()}, segments, None).attention:
        torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))


@pytest.mark.parametrize("case", ABLATIONS)
def test_neither_order_nor_company_nor_padding_changes_a_score(case):
    made = made_of(ABLATIONS[case]).eval()
    of = videos(made, LENGTHS)
    together = made(*batch(of), None).score_RB
    reversed_order = made(*batch([row[::-1] for row in of], steps=40), None).score_RB
    torch.testing.assert_close(reversed_order.flip(1), together, rtol=0, atol=1e-12)
    for video in range(6):  # by itself, and in replicas whose videos differ in length
        alone = made(*batch([[row[video]] for row in of]), None).score_RB
        torch.testing.assert_close(alone[:, 0], together[:, video], rtol=0, atol=1e-12)
    assert together.std(dim=1).min() > 1e-3


@pytest.mark.parametrize("case", ["without CMFD", "both weighted", "unranked", "free", "first stage"])
def test_an_ablation_classifies_segments_as_well(case):
    settings = recipe("highlights", **SMALL, **ABLATIONS[case])
    made = network(settings)
    output = made.train()(*batch(videos(made, LENGTHS)), Noise([1, 2], [0, 0]))
    assert output.logits_RBT.shape == (2, 6, 21)
    assert output.score_RB.shape == (2, 6)


def test_replicas_of_a_smaller_k_have_their_own_fusion_nets_on_and_no_others():
    settings = recipe(**SMALL, policy="free", cmfd="weighted")
    made = network(settings, seeds=(1, 2), fusion_nets=[1, 3]).eval()
    seen = []
    made.stages[0].cmfd.register_forward_hook(lambda _module, _inputs, output: seen.append(output[1]))
    made(*batch(videos(made, LENGTHS)), None)
    (weights_R1KBT,) = seen
    logits = made.stages[0].cmfd.logits
    expected = torch.stack([torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), torch.softmax(logits[1:], 0)])
    torch.testing.assert_close(weights_R1KBT[:, 0, :, 0, 0], expected)


@pytest.mark.parametrize("policy", ["ranked", "unranked"])
def test_weights_of_fusion_nets_follow_the_decision(policy):
    settings = recipe(**SMALL, policy=policy, cmfd="weighted")
    made = network(settings, seeds=(1, 2), fusion_nets=[2, 4]).train()
    seen = []
    made.stages[0].cmfd.register_forward_hook(lambda _module, _inputs, output: seen.append(output[1]))
    output = made(*batch(videos(made, LENGTHS)), Noise([3, 4], [8, 8]))
    weights_RKBT, decision_RBT = seen[0][:, 0], output.decisions[0]
    rank_K11 = torch.arange(1, 5)[:, None, None]
    on = rank_K11 <= decision_RBT[:, None] if policy == "ranked" else rank_K11 == decision_RBT[:, None]
    assert torch.equal(weights_RKBT > 0, on)
    torch.testing.assert_close(weights_RKBT.sum(1), torch.ones_like(weights_RKBT.sum(1)))
    assert decision_RBT[0].max() == 2
    assert decision_RBT[1].max() == 4


def test_segments_that_all_count_need_no_lengths():
    made = made_of({"policy": "free", "msfd": "weighted"}).eval()
    x, segments = batch(videos(made, [[12, 12], [12, 12]]))
    assert torch.equal(made(x, Segments(12), None).score_RB, made(x, segments, None).score_RB)


# --- In outline ---


@pytest.mark.parametrize("model", [model.name for model in MODELS if model.name.startswith("pamfn")])
def test_an_outline_tells_shapes_and_flops_of_every_ablation(model):
    settings = recipe(**SMALL, model=model)
    sketch = PAMFN(settings, WIDTHS, [0]).to("meta")
    parts = parameters_by_part(sketch)
    assert sum(parts.values()) == sum(p.numel() for p in PAMFN(settings, WIDTHS, [0]).parameters())
    embedding, stages = shapes_by_stage(sketch, WIDTHS, 21)
    assert embedding == (21, D)
    assert [stage.branch for stage in stages] == [(10, D), (5, D), (1, D)]
    for i, stage in enumerate(stages):
        fuses = i < (settings.fusing_stages or 3)
        nets, decided = fuses and settings.has_fusion_nets, fuses and settings.has_policy
        steps = stage.branch[0]
        assert stage.fused == ((K, steps, D) if nets else ())
        assert stage.mask == ((steps, K) if decided else ())
        assert stage.state == (steps, D * (1 + (fuses and settings.msfd != "none") + nets))
    full = PAMFN(recipe(**SMALL), WIDTHS, [0]).to("meta")
    ablated = model not in ("pamfn", "pamfn-one-stage")
    fixed = [] if settings.phases == "one" else ["rgb", "flow"]
    for flops in (
        lambda of: forward_flops(of, WIDTHS, 21),
        lambda of: training_flops(of, WIDTHS, 21, videos=2, fixed=fixed),
    ):
        assert (0 < flops(sketch) < flops(full)) if ablated else flops(sketch) == flops(full)
