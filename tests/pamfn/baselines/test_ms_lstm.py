"""MS-LSTM: what it consists of, its penalty, its scales and the steps that it skips."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pamfn.baselines.ms_lstm import MultiScaleLSTM, SkippingLSTM, redundancy
from pamfn.recipe import default_of, recipe


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("cell", "whole", "each"), [("lstm", 2_660_737, 526_336), ("skip", 2_661_508, 526_593)])
def test_it_has_the_published_number_of_parameters_beside_its_cells(cell, whole, each):
    made = MultiScaleLSTM({"rgb": 1024}, cell=cell)
    assert count(made) == whole
    assert [count(course) for course in made.courses] == [each] * 3
    assert count(made) - count(made.courses) == 1_081_729


def test_it_reads_at_three_scales():
    made = MultiScaleLSTM({"rgb": 20}, width=32).eval()
    steps: list[tuple[int, ...]] = []
    for module in (*made.courses, made.whole):
        module.register_forward_hook(lambda module, inputs, output: steps.append(tuple(inputs[0].shape)))
    made({"rgb": torch.randn(2, 23, 20)})
    assert sorted(steps) == [(2, 4, 32), (2, 10, 32), (2, 22, 32), (2, 50, 16)]


def test_orthonormal_attention_costs_nothing():
    once_BPT = torch.eye(5)[[3, 0, 4]].expand(2, -1, -1)
    assert redundancy(once_BPT).item() == 0


def test_the_penalty_is_the_squared_norm_averaged_over_videos():
    # [[.5, .5], [.5, .5]]: A A^T is .5 throughout, less I: 4 times .25. [[1, 0], [1, 0]]: the two off-diagonal ones.
    same_BPT = torch.tensor([[[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]]])
    assert redundancy(same_BPT[:1]).item() == 1.0
    assert redundancy(same_BPT[1:]).item() == 2.0
    assert redundancy(same_BPT).item() == 1.5


def test_what_is_penalised_is_attention_over_segments_by_its_weight():
    x = {"rgb": torch.randn(3, 15, 20, generator=torch.Generator().manual_seed(1))}
    made = MultiScaleLSTM({"rgb": 20}, width=32, descriptors=6, penalty_weight=0.5).train()
    with torch.no_grad():
        made.attention[2].weight.zero_()
    # each of 6 descriptors weighs 15 segments alike: the Gram matrix is 1/15 throughout
    expected = 0.5 * (6 * (1 - 1 / 15) ** 2 + 30 / 15**2)
    assert made(x).penalty.item() == pytest.approx(expected, rel=1e-5)


def test_descriptors_of_even_attention_are_means_over_segments():
    made = MultiScaleLSTM({"rgb": 20}, width=32, descriptors=6).eval()
    with torch.no_grad():
        made.attention[2].weight.zero_()
    seen: list[Tensor] = []
    made.norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x_BTI = torch.randn(2, 15, 20)
    made({"rgb": x_BTI})
    expected_BD1 = made.embedding(x_BTI.mT).mean(2, keepdim=True)
    torch.testing.assert_close(seen[0], expected_BD1.expand(-1, -1, 6))


def test_a_short_video_is_scored_as_if_zeros_followed_it():
    made = MultiScaleLSTM({"rgb": 20}, width=32).eval()
    x_BTI = torch.randn(2, 3, 20)
    padded_BTI = torch.cat([x_BTI, torch.zeros(2, 5, 20)], dim=1)
    assert torch.equal(made({"rgb": x_BTI}).score_B, made({"rgb": padded_BTI}).score_B)


def test_a_cell_that_skips_is_what_a_loop_over_videos_says():
    torch.manual_seed(3)
    made = SkippingLSTM(6, 8).double()
    with torch.no_grad():
        made.growth.bias.fill_(-0.8)  # a probability near .3 a step
        made.growth.weight.mul_(6)
    x_BTI = torch.randn(4, 12, 6, dtype=torch.float64)
    taken = []
    for b in range(4):
        output_1D = memory_1D = torch.zeros(1, 8, dtype=torch.float64)
        due, growth, steps = 1.0, 0.0, []
        for t in range(12):
            steps.append(due > 0.5)
            if due > 0.5:
                output_1D, memory_1D = made.cell(x_BTI[b, t : t + 1], (output_1D, memory_1D))
                growth = due = torch.sigmoid(made.growth(memory_1D)).item()
            else:
                due = due + min(growth, 1 - due)
        taken.append(steps)
        torch.testing.assert_close(made(x_BTI)[b : b + 1], output_1D, rtol=0, atol=1e-12)
    assert all(steps[0] for steps in taken)
    assert 8 < sum(map(sum, taken)) < 40
    assert len({tuple(steps) for steps in taken}) > 1


def test_a_cell_that_skips_nothing_is_the_lstm_of_torch():
    torch.manual_seed(3)
    made, plain = SkippingLSTM(6, 8), nn.LSTM(6, 8, batch_first=True)
    with torch.no_grad():
        made.growth.bias.fill_(50)
        for name, parameter in made.cell.named_parameters():
            getattr(plain, f"{name}_l0").copy_(parameter)
    x_BTI = torch.randn(4, 12, 6)
    torch.testing.assert_close(made(x_BTI), plain(x_BTI)[0][:, -1])


def test_a_skipped_step_sends_no_gradient_to_what_was_seen_in_it():
    torch.manual_seed(3)
    made = SkippingLSTM(6, 8)
    with torch.no_grad():
        made.growth.bias.fill_(-50)  # after the first step none is taken
    x_BTI = torch.randn(4, 12, 6, requires_grad=True)
    made(x_BTI).sum().backward()
    assert x_BTI.grad[:, 0].abs().min() > 0
    assert not x_BTI.grad[:, 1:].any()
    torch.testing.assert_close(made(x_BTI), made(x_BTI[:, :1]))


def test_two_streams_are_refused():
    with pytest.raises(ValueError, match="reads one stream, not rgb, flow"):
        MultiScaleLSTM({"rgb": 4, "flow": 4})


def test_its_options_stand_in_space_files_under_its_name():
    assert (default_of("ms-lstm.cell"), default_of("ms-lstm.descriptors")) == ("lstm", 50)
    with pytest.raises(ValueError, match="ms-lstm.cell: 'skipp' is not one of lstm, skip; did you mean 'skip'"):
        recipe(model="ms-lstm", **{"ms-lstm.cell": "skipp"})
