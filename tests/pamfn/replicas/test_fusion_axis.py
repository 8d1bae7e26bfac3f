"""The flat axis of FusionNets."""

from __future__ import annotations

import pytest
import torch

from pamfn.replicas.axis import MOST_NETS, FusionAxis


@pytest.mark.parametrize("counts", [[3], [2, 2, 2], [2, 4, 1], [1, 64]])
def test_there_and_back_is_the_identity(counts):
    axis = FusionAxis(counts)
    x = torch.randn(sum(counts), 2, 3)
    assert torch.equal(axis.by_net(axis.by_replica(x)), x)


def test_each_replica_sees_its_own_nets_and_pads_with_its_own_first():
    axis = FusionAxis([2, 3, 1])
    seen = axis.by_replica(torch.tensor([10, 11, 20, 21, 22, 30]))
    assert seen.tolist() == [[10, 11, 10], [20, 21, 22], [30, 30, 30]]
    assert axis.enabled_RK.tolist() == [[True, True, False], [True, True, True], [True, False, False]]


def test_padding_is_dropped_on_the_way_back():
    axis = FusionAxis([2, 1])
    assert axis.by_net(torch.tensor([[1, 2], [3, 99]])).tolist() == [1, 2, 3]


def test_what_a_replica_has_is_spread_over_its_nets():
    assert FusionAxis([2, 3]).spread(torch.tensor([7, 8])).tolist() == [7, 7, 8, 8, 8]


def test_rows_of_replicas_tile_the_axis():
    axis = FusionAxis([2, 3, 1])
    assert [list(range(6))[axis.rows(r)] for r in range(3)] == [[0, 1], [2, 3, 4], [5]]


def test_padding_passes_no_gradient_on():
    axis = FusionAxis([1, 2])
    x = torch.ones(3, requires_grad=True)
    axis.by_net(axis.by_replica(x) * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_maps_are_no_part_of_a_checkpoint():
    assert not FusionAxis([2, 3]).state_dict()


@pytest.mark.parametrize("counts", [[], [0, 2], [2, MOST_NETS + 1]])
def test_a_count_out_of_range_is_refused_by_name(counts):
    with pytest.raises(ValueError, match=r"fusion_nets: .* must be one number of 1 to 64 for each replica"):
        FusionAxis(counts)
