"""GDLT: what it consists of, its Likert score and its triplet loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pamfn.baselines.gdlt import GradeDecoupling, hardest_triplet, likert_score
from pamfn.recipe import default_of, option, recipe


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_it_has_the_published_number_of_parameters():
    made = GradeDecoupling({"rgb": 1024})
    unseen = (nn.MultiheadAttention, nn.LayerNorm)
    skipped = sum(count(module) for module in made.modules() if isinstance(module, unseen)) + made.queries.numel()
    assert count(made) == 3_163_396
    assert count(made) - skipped == 1_841_412


def test_its_hidden_widths_follow_its_width():
    made = GradeDecoupling({"rgb": 20}, width=32, feed_forward=2)
    assert [conv.out_channels for conv in made.embedding if isinstance(conv, nn.Conv1d)] == [64, 32]
    hidden = [m.out_features for name, m in made.named_modules() if name.endswith("linear1")]
    assert hidden == [64, 64, 64]
    assert made.regressor.weight.shape == (4, 32)


def test_it_knows_no_order_of_segments():
    made = GradeDecoupling({"rgb": 20}, width=32).eval()
    x_BTI = torch.randn(3, 9, 20, generator=torch.Generator().manual_seed(1))
    score_B = made({"rgb": x_BTI}).score_B
    torch.testing.assert_close(made({"rgb": x_BTI.flip(1)}).score_B, score_B, rtol=0, atol=1e-6)


def test_the_score_is_the_mean_grade_weighted_by_sigmoids():
    # sigmoids 1/2, 3/4, 1/4, 1/2 have the sum 2; (3/4 * 1/3 + 1/4 * 2/3 + 1/2 * 1) / 2 = 11/24
    response_BQ = torch.tensor([[0.0, math.log(3), -math.log(3), 0.0], [2.0, 2.0, 2.0, 2.0]])
    torch.testing.assert_close(likert_score(response_BQ), torch.tensor([11 / 24, 0.5]))


def test_responses_that_are_all_very_low_are_still_compared():
    far = likert_score(torch.tensor([[-500.0, -500.0, -500.0], [-500.0, -500.0, -500.0 + math.log(2)]]))
    torch.testing.assert_close(far, torch.tensor([0.5, (0.5 + 2) / 4]), rtol=0, atol=1e-4)  # floats near 500


def test_each_grade_is_asked_for_its_own_response():
    made = GradeDecoupling({"rgb": 20}, width=32).eval()
    x = {"rgb": torch.randn(2, 9, 20, generator=torch.Generator().manual_seed(1))}
    grades_BQD = made.transformer(made.embedding(x["rgb"].mT).mT, made.queries.expand(2, -1, -1))
    weights_QD, bias_Q = made.regressor.weight, made.regressor.bias
    own = [[grades_BQD[b, q] @ weights_QD[q] + bias_Q[q] for q in range(4)] for b in range(2)]
    sigmoids = [[torch.sigmoid(r).item() for r in row] for row in own]
    expected = [sum(s * q / 3 for q, s in enumerate(row)) / sum(row) for row in sigmoids]
    torch.testing.assert_close(made(x).score_B, torch.tensor(expected))


def test_grades_that_are_told_apart_cost_nothing_and_grades_that_are_one_cost_the_margin():
    apart_QD = torch.eye(3)
    assert hardest_triplet(torch.stack([apart_QD, 2 * apart_QD]), 1.0).item() == pytest.approx(0, abs=1e-6)
    assert hardest_triplet(torch.ones(2, 3, 5), 0.7).item() == pytest.approx(0.7, abs=1e-6)


def test_the_triplet_loss_is_that_of_a_loop_over_anchors():
    grades_BQD = torch.randn(4, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    anchors = [(b, q) for b in range(4) for q in range(3)]

    def distance(one: tuple[int, int], other: tuple[int, int]) -> float:
        return 1 - float(torch.cosine_similarity(grades_BQD[one], grades_BQD[other], dim=0))

    total = 0.0
    for anchor in anchors:
        same = max(distance(anchor, o) for o in anchors if o[1] == anchor[1] and o != anchor)
        other = min(distance(anchor, o) for o in anchors if o[1] != anchor[1])
        total += max(0.0, same - other + 0.3)
    assert total > 0
    assert hardest_triplet(grades_BQD, 0.3).item() == pytest.approx(total / 12, abs=1e-12)


def test_a_lone_video_compares_its_grades_with_each_other():
    half = math.sqrt(0.5)
    grades_1QD = torch.tensor([[[1.0, 0.0], [half, half], [0.0, 1.0]]])
    expected = 1 - (1 - half)  # the nearest other grade is 45 degrees away, of each of them
    assert hardest_triplet(grades_1QD, 1.0).item() == pytest.approx(expected, abs=1e-6)


def test_the_penalty_is_the_triplet_loss_by_its_weight():
    x = {"rgb": torch.randn(3, 9, 20, generator=torch.Generator().manual_seed(1))}
    penalties = []
    for weight in (1.0, 0.25):
        torch.manual_seed(3)
        made = GradeDecoupling({"rgb": 20}, width=32, dropout=0.0, triplet_weight=weight).train()
        penalties.append(made(x).penalty.item())
    assert penalties[0] > 0
    assert penalties[1] == pytest.approx(penalties[0] / 4)


def test_heads_that_do_not_divide_the_width_are_refused_with_both():
    with pytest.raises(ValueError, match="heads: 3 does not divide width 32"):
        GradeDecoupling({"rgb": 20}, width=32, heads=3)
    with pytest.raises(ValueError, match="reads one stream, not rgb, flow"):
        GradeDecoupling({"rgb": 20, "flow": 20})


def test_its_options_stand_in_space_files_under_its_name():
    assert (default_of("gdlt.queries"), default_of("gdlt.dropout"), option("gdlt.width")) == (4, 0.3, None)
    with pytest.raises(ValueError, match="gdlt.queries: 1 is outside 2 to 64"):
        recipe(model="gdlt", **{"gdlt.queries": 1})
