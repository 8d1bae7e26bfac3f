"""What of an ablation learns: everything that its score depends on, and nothing that no stage reads."""

from __future__ import annotations

import pytest
import torch
from ablation_cases import ABLATIONS, CASES, LENGTHS, made_of
from small_networks import batch, videos

from pamfn.model.network import PAMFN
from pamfn.presets import PRESETS
from pamfn.replicas.noise import Noise


def unlearnt(made: PAMFN) -> set[str]:
    """Returns the trained parameters that some steps, whose decisions differ, give no gradient in some row."""
    made.train()
    for step in range(4):
        made(*batch(videos(made, LENGTHS)), Noise([3, 4], [step, step])).score_RB.square().sum().backward()
    trained = {name: p for name, p in made.named_parameters() if p.requires_grad}
    return {name for name, p in trained.items() if p.grad is None or not p.grad.reshape(len(p), -1).any(1).all()}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("case", CASES)
def test_every_trained_parameter_learns_but_those_that_nothing_can_depend_on(case, preset):
    idle = unlearnt(made_of(CASES[case][0], preset))
    of_zeros = {f"stages.0.mixed.{layer}.weight" for layer in ("conv1", "shortcut")}
    assert of_zeros <= idle
    of_zeros |= {f"stages.0.mixed.{norm}.weight" for norm in ("norm1", "shortcut_norm")}  # if not but rounding
    for name in idle - of_zeros:
        hidden_by_a_norm = name.endswith(".bias") and any(
            part in name for part in ("linear", "conv", "projections", "trunks", "shortcut", "head.hidden")
        )
        the_same_for_all_tokens = name.endswith("attention.key.bias")
        assert hidden_by_a_norm or the_same_for_all_tokens, name


@pytest.mark.parametrize("case", ["unranked", "unranked, weighted"])
def test_the_policy_learns_though_a_softmax_over_one_score_has_no_slope(case):
    made = made_of(ABLATIONS[case]).train()
    made(*batch(videos(made, LENGTHS)), Noise([3, 4], [8, 8])).score_RB.sum().backward()
    assert made.tau.grad.abs().min() > 1e-9
    for stage in made.stages:
        assert stage.afm.policy.logits.weight.grad.flatten(1).abs().amax(1).min() > 1e-9


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({}, 3),
        ({"msfd": "none"}, 2),  # FusionNets read the stages before
        ({"cmfd": "none"}, 3),
        ({"fusing_stages": 1}, 1),
        ({"fusing_stages": 2}, 2),
        ({"fusing_stages": 1, "msfd": "none"}, 0),
    ],
)
def test_the_blocks_of_a_branch_that_no_stage_reads_are_not_trained_and_change_no_score(settings, read):
    made = made_of(settings).eval()
    audio = made.branches["audio"]
    assert [next(b.parameters()).requires_grad for b in audio.blocks] == [i < read for i in range(3)]
    x, segments = batch(videos(made, LENGTHS))
    scores = [made(x, segments, None).score_RB]
    for block in (*audio.blocks[read:], *audio.blocks[:read]):
        block.conv2.bias.data += 1
        scores.append(made(x, segments, None).score_RB)
    changed = [not torch.equal(now, before) for before, now in zip(scores, scores[1:], strict=False)]
    assert changed == [False] * (3 - read) + [True] * read
