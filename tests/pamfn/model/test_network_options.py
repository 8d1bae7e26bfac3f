"""Each difference between the paper and the release is an option of its own, and the release's counts are its own."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from small_networks import WIDTHS, batch, stir
from torch import nn

from pamfn.model.attention import OneQueryAttention
from pamfn.model.blocks import ResidualBlock
from pamfn.model.network import PAMFN, build_branch
from pamfn.model.output import Output
from pamfn.presets import PRESETS
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.noise import Noise

SMALL = {"width": 8, "fusion_nets": 3}
PUBLISHED = {"rgb": 1024, "flow": 1024, "audio": 768}
UNUSED = 3_840  # six norms of width 256 and the zero start of width 768, which the release holds and never uses

SHAPES: dict[str, dict[str, tuple[int, ...] | None]] = {
    # by option: parameters that the released value adds, takes away (None) or reshapes, for one stage
    "cmfd_sign": {},
    "policy_layers": {
        "afm.policy.hidden.weight": None,
        "afm.policy.hidden.bias": None,
        "afm.policy.logits.weight": (3, 1, 24),
    },
    "fusion_design": {
        **{f"afm.mix.{part}.{name}": None for part in ("hidden", "weights") for name in ("weight", "bias")},
        **{f"afm.mix.projections.{m}.{name}": None for m in range(3) for name in ("weight", "bias")},
        **{f"afm.mix.trunks.{m}.weight": (1, 8, 8) for m in range(3)},
        **{f"afm.mix.trunks.{m}.bias": (1, 8) for m in range(3)},
        **{f"afm.mix.channels.{m}.weight": (3, 1, 8) for m in range(3)},
        **{f"afm.mix.channels.{m}.bias": (3, 1) for m in range(3)},
    },
    "fusion_activation": {},
    "query_layers": {
        "msfd.attention.project.weight": (1, 8, 8),
        "msfd.attention.project.bias": (1, 8),
        "cmfd.attention.project.weight": (1, 8, 16),
        "cmfd.attention.project.bias": (1, 8),
        "cmfd.attention.query.weight": (1, 8, 8),
    },
    "head_layers": {
        "head.hidden.weight": (1, 8, 24),
        "head.hidden.bias": (1, 8),
        "head.norm.weight": (1, 8),
        "head.norm.bias": (1, 8),
        "head.score.weight": (1, 1, 8),
    },
    "fixed_branches": {},
    "mixed_start": {},
    "tau_form": {},
    "evaluation_noise": {},
    "weight_decay": {},
    "clip_norm": {},
    "phase1_clip_norm": {},
}
ONLY_TRAINING = ("evaluation_noise", "weight_decay", "clip_norm", "phase1_clip_norm")


def built(settings: Recipe, seed: int = 1) -> PAMFN:
    return PAMFN(settings, WIDTHS, [seed])


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}


def said(network: PAMFN, *, training: bool) -> Output:
    """Returns what a stirred network says of ragged videos."""
    stir(network, 4)
    network.train(training)
    draws = torch.Generator().manual_seed(1)
    videos = [{n: torch.randn(t, w, generator=draws) for n, w in WIDTHS.items()} for t in (9, 12, 7, 12)]
    return network(*batch([videos]), Noise([1], [0]) if training else None)


# --- Counts ---


@pytest.mark.parametrize(
    ("nets", "reduction", "count"),
    [(6, 1, 18_058_573), (6, 2, 17_959_757), (8, 1, 20_436_325), (10, 2, 22_715_261)],
)
def test_the_released_preset_has_the_published_number_of_parameters(nets, reduction, count):
    settings = recipe("released", fusion_nets=nets, head_reduction=reduction)
    network = PAMFN(settings, PUBLISHED, [0])
    assert sum(p.numel() for p in network.parameters()) + UNUSED == count


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize(("inputs", "count"), [(1024, 1_842_177), (768, 1_711_105)])
def test_a_branch_has_the_published_number_of_parameters(preset, inputs, count):
    branch = build_branch(recipe(preset), "rgb", inputs, 1)
    assert sum(p.numel() for p in branch.parameters()) == count


# --- Options ---


def test_every_difference_of_the_released_preset_is_covered_here():
    assert set(SHAPES) == set(PRESETS["released"])


@pytest.mark.parametrize("option", SHAPES)
def test_an_option_changes_the_parameters_it_names_and_no_others(option):
    paper = shapes(built(recipe("paper", **SMALL)))
    expected = dict(paper)
    for name, shape in SHAPES[option].items():
        for full in [name] if name.startswith("head.") else [f"stages.{i}.{name}" for i in range(3)]:
            if shape is None:
                del expected[full]
            else:
                expected[full] = shape
    assert shapes(built(recipe("paper", **SMALL, **{option: PRESETS["released"][option]}))) == expected


@pytest.mark.parametrize("option", SHAPES)
def test_an_option_leaves_the_initial_weights_of_everything_else(option):
    paper, other = (built(recipe("paper", **SMALL, **o)) for o in ({}, {option: PRESETS["released"][option]}))
    mine, theirs = dict(paper.named_parameters()), dict(other.named_parameters())
    named = {name.rsplit(".", 1)[0] for name in SHAPES[option]}  # a bias beside a reshaped weight is drawn anew
    for name in mine.keys() & theirs.keys() - {"tau"}:
        if not any(f".{name}".endswith((f".{layer}.weight", f".{layer}.bias")) for layer in named):
            assert torch.equal(theirs[name], mine[name]), name


@pytest.mark.parametrize(
    "option", [name for name in SHAPES if name not in ("fixed_branches", "tau_form", "mixed_start")]
)
def test_an_option_changes_what_a_network_says_unless_it_is_about_training(option):
    outputs = []
    for value in (getattr(Recipe(), option), PRESETS["released"][option]):
        network = built(recipe("paper", **SMALL, **{option: value}))
        outputs.append(said(network, training=False).score_RB)
    assert torch.equal(*outputs) == (option in ONLY_TRAINING)


def test_the_paper_negates_cmfds_scores_and_the_release_does_not():
    for sign, factor in (("negative", -1), ("positive", 1)):
        network = built(recipe("paper", **SMALL, cmfd_sign=sign))
        assert network.stages[0].cmfd.attention.scale == factor / math.sqrt(8)
        assert network.stages[0].msfd.attention.scale == -1 / math.sqrt(8)  # in both


def test_the_blocks_that_refine_change_activation_and_nothing_else_does():
    for activation in ("gelu", "relu"):
        network = built(recipe("paper", **SMALL, fusion_activation=activation))
        used = {n: m.activation for n, m in network.named_modules() if isinstance(m, ResidualBlock)}
        assert {a for n, a in used.items() if "refine" in n} == {activation}
        assert {a for n, a in used.items() if "refine" not in n} == {"gelu"}


def test_tau_starts_at_its_setting_in_both_forms_and_only_the_exponential_stays_positive():
    exponential, plain = (built(recipe("paper", **SMALL, tau_form=form)) for form in ("exp", "plain"))
    for network in (exponential, plain):
        torch.testing.assert_close(network.tau_R, torch.tensor([10.0]))
        network.tau.data -= 50
    assert exponential.tau_R > 0
    assert plain.tau_R < 0


def test_replicas_may_start_at_temperatures_of_their_own():
    network = PAMFN(recipe("paper", **SMALL), WIDTHS, [1, 2], tau_init=[1.0, 20.0])
    torch.testing.assert_close(network.tau_R, torch.tensor([1.0, 20.0]))


def test_one_temperature_is_shared_by_all_stages():
    network = built(recipe("paper", **SMALL))
    assert [name for name, _ in network.named_parameters() if "tau" in name] == ["tau"]


# --- Fixed branches ---


def moved(network: PAMFN) -> list[str]:
    """Returns the branches whose statistics a step of training moves."""
    before = {name: value.clone() for name, value in network.branches.named_buffers()}
    network.train()(*batch([[{n: torch.ones(5, w) for n, w in WIDTHS.items()}] * 2]), Noise([1], [0]))
    after = dict(network.branches.named_buffers())
    return [m for m in WIDTHS if any(n.startswith(m) and not torch.equal(after[n], before[n]) for n in before)]


@pytest.mark.parametrize(("fixed", "moving"), [("fixed", ["audio"]), ("drifting", ["rgb", "flow", "audio"])])
def test_fixed_branches_keep_their_statistics_and_drifting_ones_do_not(fixed, moving):
    network = built(recipe("paper", **SMALL, fixed_branches=fixed))
    network.fix(["rgb", "flow"])
    assert moved(network) == moving


@pytest.mark.parametrize("fixed", ["fixed", "drifting"])
def test_neither_fixed_nor_drifting_branches_get_a_gradient(fixed):
    network = built(recipe("paper", **SMALL, fixed_branches=fixed))
    network.fix(["rgb", "flow"])
    said(network, training=True).score_RB.sum().backward()
    trained = {n.split(".")[1] for n, p in network.branches.named_parameters(prefix="branches") if p.grad is not None}
    assert trained == {"audio"}


def test_a_fixed_branch_has_no_dropout_and_a_drifting_one_has():
    for fixed in ("fixed", "drifting"):
        network = built(recipe("paper", **SMALL, fixed_branches=fixed))
        network.fix(["rgb", "flow"])
        network.train()
        assert network.branches["rgb"].embedding.training is (fixed == "drifting")
        assert network.branches["audio"].embedding.training


def test_training_again_after_evaluation_leaves_fixed_branches_in_evaluation():
    network = built(recipe("paper", **SMALL))
    network.fix(["rgb"])
    network.eval().train()
    assert [branch.training for branch in network.branches.values()] == [False, True, True]


# --- The zero start ---


def test_the_exact_mixed_start_is_the_norms_biases_whatever_the_convolutions():
    outcomes = []
    for factor in (1.0, 7.0):
        network = built(recipe("paper", **SMALL)).train()
        block = network.stages[0].mixed
        for layer in (block.conv1, block.shortcut):
            layer.bias.data *= factor
        outcomes.append(said_of_zeros(network))
    assert torch.equal(*outcomes)


def test_an_untrained_mixed_start_is_zero_and_stays_zero():
    network = built(recipe("paper", **SMALL)).train()
    zeros = said_of_zeros(network)
    assert not zeros.any()
    zeros.sum().backward()
    assert not any(p.grad is not None and p.grad.any() for p in network.stages[0].mixed.parameters())


def test_the_computed_mixed_start_normalises_what_zeros_give():
    network = built(recipe("paper", **SMALL, mixed_start="computed"))
    stir(network, 4)
    block = network.stages[0].mixed.double().eval()
    segments = batch([[{"x": torch.zeros(6, 1)}] * 2])[1]
    zeros = torch.zeros(1, 2, 6, 24, dtype=torch.float64)
    torch.testing.assert_close(block.of_zeros(2, segments), block(zeros, segments))


def said_of_zeros(network: PAMFN) -> torch.Tensor:
    segments = batch([[{"x": torch.zeros(6, 1)}] * 2])[1]
    return network.stages[0].mixed.of_zeros(2, segments)


# --- What is refused ---


def test_one_or_four_modalities_are_refused_by_name():
    for widths in ({"rgb": 4}, dict.fromkeys("abcd", 3)):
        with pytest.raises(ValueError, match=f"PAMFN fuses two or three, not {len(widths)}"):
            PAMFN(recipe("paper", **SMALL, fine_tuned=()), widths, [1])


def test_fine_tuning_what_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="fine_tuned: audio: not among the modalities rgb, flow"):
        PAMFN(recipe("paper", **SMALL), {"rgb": 4, "flow": 4}, [1])


def test_heads_that_do_not_divide_the_width_are_refused_with_both_values():
    with pytest.raises(ValueError, match="heads: 3 does not divide width 8"):
        OneQueryAttention(1, 8, 8, heads=3, negative=True, dropout=0.0, query_layers=1, site="here")


def test_a_recipe_is_not_changed_by_building_from_it():
    settings = recipe("paper", **SMALL)
    before = dataclasses.asdict(settings)
    built(settings)
    assert dataclasses.asdict(settings) == before
