"""Late fusion: each strategy against its formula, and what every stacked network must do."""

from __future__ import annotations

import math

import pytest
import torch
from stacked_networks import WIDTHS, Trained, clips, stirred
from torch import Tensor
from torch.nn import functional

from pamfn.architectures import build_network
from pamfn.baselines.late_fusion import FUSIONS, LateFusion
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut, put
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

D, M = 8, 3
SMALL = {"width": D, "head_dropout": 0.2}
LENGTHS = (9, 4, 14, 1, 11)
COUNTS = {"avg": 0, "cat": M * D * D + D, "weighted": M, "attention": M * D * M + M}
REGRESSOR = D * D + D + D + 1


@pytest.fixture(params=FUSIONS, name="fusion")
def _fusion(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made_of(fusion: str, *, fixed: tuple[str, ...] = (), **changes: object) -> LateFusion:
    """Returns a stirred network of two replicas."""
    made = stirred(LateFusion(recipe(**SMALL, **changes), WIDTHS, [1, 2], fusion=fusion))
    assert isinstance(made, LateFusion)
    made.fix(fixed)
    return made


def written_out(fusion: str, state: dict[str, Tensor], maps_MBD: Tensor, kept_BD: Tensor | float = 1.0) -> Tensor:
    """Returns one replica's scores from its branches' pooled features, as Section IV-F1 has them."""
    beside_BN = torch.cat(list(maps_MBD), dim=1)
    if fusion == "avg":
        fused_BD = sum(maps_MBD) / len(maps_MBD)
    elif fusion == "cat":
        fused_BD = functional.linear(beside_BN, state["fusion.reduce.weight"], state["fusion.reduce.bias"])
    elif fusion == "weighted":
        w_M = torch.exp(state["fusion.logits"]) / torch.exp(state["fusion.logits"]).sum()
        fused_BD = sum(w * x for w, x in zip(w_M, maps_MBD, strict=True))
    else:
        scores_BM = functional.linear(beside_BN, state["fusion.weigh.weight"], state["fusion.weigh.bias"])
        w_BM = torch.exp(scores_BM) / torch.exp(scores_BM).sum(1, keepdim=True)
        fused_BD = sum(w_BM[:, [m]] * x for m, x in enumerate(maps_MBD))
    hidden_BD = functional.relu(functional.linear(fused_BD, state["head.hidden.weight"], state["head.hidden.bias"]))
    return torch.sigmoid(functional.linear(hidden_BD * kept_BD, state["head.score.weight"], state["head.score.bias"]))[
        :, 0
    ]


def test_a_score_is_what_the_formula_says_of_the_branches_last_features(fusion):
    made = made_of(fusion).eval()
    x, segments = clips([3, 4], LENGTHS)
    output = made(x, segments, None)
    maps_RMBD = torch.stack([of[-1][:, :, 0] for of in made.branches.feature_maps(x, segments, None)], dim=1)
    for replica in range(2):
        expected = written_out(fusion, cut(made, replica), maps_RMBD[replica])
        torch.testing.assert_close(output.score_RB[replica], expected, rtol=0, atol=1e-12)


def test_training_drops_features_as_pamfn_does_and_hidden_ones_before_the_score(fusion):
    made, noise = made_of(fusion).train(), Noise([3, 4], [6, 6])
    x, segments = clips([3, 4], LENGTHS)
    state = [cut(made, replica) for replica in range(2)]  # before the statistics move
    maps = [of[-1] for of in made.branches.feature_maps(x, segments, noise)]
    dropped = [noise.dropout(of, 0.5, f"feature.{name}.3") for name, of in zip(WIDTHS, maps, strict=True)]
    kept_RBD = noise.dropout(torch.ones(2, 5, 1, D, dtype=torch.float64), 0.2, "head")[:, :, 0]
    output = made(x, segments, noise)
    for replica in range(2):
        maps_MBD = torch.stack([of[replica, :, 0] for of in dropped])
        expected = written_out(fusion, state[replica], maps_MBD, kept_RBD[replica])
        torch.testing.assert_close(output.score_RB[replica], expected, rtol=0, atol=1e-12)


def test_weights_of_modalities_sum_to_one(fusion):
    output = made_of(fusion).eval()(*clips([3, 4], LENGTHS), None)
    assert len(output.attention) == (fusion in ("weighted", "attention"))
    for weights in output.attention:
        assert weights.shape == (2, 1, M, 5, 1)
        torch.testing.assert_close(weights.sum(2), torch.ones(2, 1, 5, 1, dtype=torch.float64))
        assert (weights.std(dim=3) > 1e-3).any() == (fusion == "attention")  # videos differ


def test_learnt_weights_start_as_the_mean():
    x, segments = clips([3, 4], LENGTHS, dtype=torch.float32)
    weighted, mean = (LateFusion(recipe(**SMALL), WIDTHS, [1, 2], fusion=of).eval() for of in ("weighted", "avg"))
    torch.testing.assert_close(weighted(x, segments, None).score_RB, mean(x, segments, None).score_RB)


def test_a_fusion_has_as_many_parameters_as_its_layers(fusion):
    parts = dict.fromkeys(("fusion", "head", "branches"), 0)
    for name, parameter in LateFusion(recipe(**SMALL), WIDTHS, [1], fusion=fusion).named_parameters():
        parts[name.partition(".")[0]] += parameter.numel()
    branch = 3 * (2 * 3 * D * D + 6 * D) + 2 * D * D + 9 * D + D + 1  # blocks, embedding but its inputs, score
    assert parts == {
        "fusion": COUNTS[fusion],
        "head": REGRESSOR,
        "branches": 3 * branch + 2 * D * sum(WIDTHS.values()),
    }


@pytest.mark.parametrize("fixed", [(), ("rgb", "flow")], ids=["one stage", "two stages"])
def test_every_trained_parameter_learns(fusion, fixed):
    made = made_of(fusion, fixed=fixed).train()
    for step in range(3):
        made(*clips([step, 9 + step], LENGTHS), Noise([3, 4], [step, step])).score_RB.square().sum().backward()
    trained = {name: p for name, p in made.named_parameters() if p.requires_grad}
    idle = {name for name, p in trained.items() if p.grad is None or not p.grad.flatten(1).any(1).all()}
    assert idle == {n for n in trained if n.endswith(("linear1.bias", "linear2.bias", "conv1.bias", "conv2.bias"))}
    learning = {name.split(".")[1] for name in trained if name.startswith("branches.")}
    assert learning == set(WIDTHS) - set(fixed)
    assert not any(".head." in name for name in trained)  # the branches' own


def test_a_fixed_branch_neither_drops_nor_moves_its_statistics(fusion):
    made = made_of(fusion, fixed=("rgb", "flow")).train()
    before = {name: value.clone() for name, value in made.branches.named_buffers()}
    made(*clips([3, 4], LENGTHS), Noise([3, 4], [6, 6]))
    moved = {n.split(".")[0] for n, value in made.branches.named_buffers() if not torch.equal(value, before[n])}
    assert moved == {"audio"}


def test_a_branch_that_is_elsewhere_gives_the_same_maps(fusion):
    whole = made_of(fusion, fixed=("rgb", "flow")).train()
    rest = LateFusion(recipe(**SMALL), WIDTHS, [1, 2], fusion=fusion, without=["rgb", "flow"]).double().train()
    assert list(rest.branches) == ["audio"]
    rest.load_state_dict({n: v for n, v in whole.state_dict().items() if "rgb" not in n and "flow" not in n})
    x, segments = clips([3, 4], LENGTHS)
    given = {name: whole.branches[name].features(x[name], segments, None) for name in ("rgb", "flow")}
    noise = ([3, 4], [6, 6])
    expected = whole(x, segments, Noise(*noise)).score_RB
    assert torch.equal(rest({"audio": x["audio"]}, segments, Noise(*noise), given).score_RB, expected)


def test_neither_order_nor_company_nor_padding_changes_a_score(fusion):
    made = made_of(fusion).eval()
    x, segments = clips([3, 4], LENGTHS)
    together = made(x, segments, None).score_RB
    longer, padded = {n: functional.pad(of, (0, 0, 0, 9)).flip(1) for n, of in x.items()}, segments.lengths_RB.flip(1)
    again = made(longer, Segments(23, padded), None).score_RB.flip(1)
    torch.testing.assert_close(again, together, rtol=0, atol=1e-12)
    for video, length in enumerate(LENGTHS):
        alone = made({n: of[:, [video], :length] for n, of in x.items()}, Segments(length), None).score_RB
        torch.testing.assert_close(alone[:, 0], together[:, video], rtol=0, atol=1e-12)
    assert together.std(dim=1).min() > 1e-3


# --- Replicas ---


def test_a_replica_trains_the_same_in_other_company_to_the_last_bit_and_alone_up_to_rounding(fusion):
    def build(seeds):
        return LateFusion(recipe(**SMALL), WIDTHS, seeds, fusion=fusion)

    company, other = Trained(build, [5, 6, 7]), Trained(build, [8, 9, 5])
    assert company.curve(0) == other.curve(2)
    assert_same(cut(company.network, 0), cut(other.network, 2))
    exact = torch.float64
    company, alone = Trained(build, [5, 6, 7], dtype=exact), Trained(build, [6], dtype=exact)
    assert company.curve(1) == pytest.approx(alone.curve(0), abs=1e-9)
    mine = cut(company.network, 1)
    for name, value in cut(alone.network, 0).items():
        torch.testing.assert_close(mine[name], value, rtol=0, atol=1e-9)


def test_a_nan_stays_in_its_replica(fusion):
    def build(seeds):
        return LateFusion(recipe(**SMALL), WIDTHS, seeds, fusion=fusion)

    clean = Trained(build, [5, 6, 7])
    for name in [n for n, _ in clean.network.named_parameters() if n.startswith(("fusion.", "head."))]:

        def spoil(network, name=name):
            network.get_parameter(name).data[1] = math.nan

        ill = Trained(build, [5, 6, 7], spoil=spoil)
        assert all(math.isnan(loss) for loss in ill.curve(1)), name
        for replica in (0, 2):
            assert clean.curve(replica) == ill.curve(replica)
            assert_same(cut(clean.network, replica), cut(ill.network, replica))


def test_a_replica_cut_out_and_put_in_scores_as_it_did(fusion):
    one, other = made_of(fusion).eval(), stirred(LateFusion(recipe(**SMALL), WIDTHS, [7, 8, 9], fusion=fusion), 3)
    put(other, 2, cut(one, 0))
    x, segments = clips([3, 4], LENGTHS)
    y, three = clips([1, 2, 3], LENGTHS)
    expected, got = one(x, segments, None).score_RB[0], other.eval()(y, three, None).score_RB[2]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def assert_same(mine: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        assert torch.equal(value, other[name]), name


# --- Names and refusals ---


@pytest.mark.parametrize("model", [f"{name}{how}" for name in FUSIONS for how in ("", "-one-stage")])
def test_every_late_fusion_of_the_catalogue_is_built_by_its_name(model):
    settings = recipe(**SMALL, model=model)
    made = build_network(settings, WIDTHS, [1, 2])
    assert isinstance(made, LateFusion)
    named = {n.partition(".")[0] for n, _ in made.named_parameters()}
    assert named == {"branches", "head"} | ({"fusion"} if not model.startswith("avg") else set())
    pair = build_network(recipe(**SMALL, model=f"{model}:rgb+audio"), {"rgb": 6, "audio": 4}, [1])
    assert list(pair.branches) == ["rgb", "audio"]


def test_an_unknown_fusion_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="fusion: 'sum' is not one of avg, cat, weighted, attention"):
        LateFusion(recipe(**SMALL), WIDTHS, [1], fusion="sum")


@pytest.mark.parametrize("widths", [{"rgb": 4}, dict.fromkeys("abcd", 3)])
def test_one_or_four_modalities_are_refused(widths):
    settings: Recipe = recipe(**SMALL, fine_tuned=())
    with pytest.raises(ValueError, match=f"late fusion fuses two or three, not {len(widths)}"):
        LateFusion(settings, widths, [1], fusion="avg")


def test_fine_tuning_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="fine_tuned: audio: not among the modalities rgb, flow"):
        LateFusion(recipe(**SMALL), {"rgb": 4, "flow": 4}, [1], fusion="avg")
