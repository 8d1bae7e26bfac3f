"""The set of branches: what fixing does to them, and the names that a branch may have."""

from __future__ import annotations

import pytest
from small_networks import WIDTHS, network

from pamfn.data.schema import MODULE_WORDS
from pamfn.model.branch_set import BranchSet, check_streams
from pamfn.recipe import recipe

SMALL = {"width": 8, "fusion_nets": 2}


def test_no_branch_can_be_called_what_the_set_of_branches_calls_its_own():
    made = BranchSet(recipe(**SMALL), {"rgb": 4}, 1)
    words = {name for name in dir(made) if not name.startswith("_")} - {"rgb"}
    assert words <= MODULE_WORDS


def test_a_branch_may_be_called_anything_else():
    names = {"depth": 4, "scores": 3, "modalities": 5}
    assert list(BranchSet(recipe(**SMALL), names, 1)) == list(names)


def test_fixing_leaves_the_other_branches_trained_but_for_their_own_scores():
    made = network(recipe(**SMALL))
    made.fix(["flow"])
    for name, branch in made.branches.items():
        trained = {n.partition(".")[0] for n, p in branch.named_parameters() if p.requires_grad}
        assert trained == (set() if name == "flow" else {"embedding", "blocks"})
    made.fix([])
    assert next(made.branches["flow"].parameters()).requires_grad


def test_scores_of_their_own_are_trained_where_asked_for():
    made = BranchSet(recipe(**SMALL), WIDTHS, 1, scores=True)
    made.fix(["rgb"])
    assert [branch.head.score.weight.requires_grad for branch in made.values()] == [False, True, True]


def test_fine_tuning_what_is_not_there_is_refused_in_two_phases_alone():
    widths = {"rgb": 4, "flow": 4}
    with pytest.raises(ValueError, match="fine_tuned: audio: not among the modalities rgb, flow"):
        check_streams(recipe(**SMALL), widths, "PAMFN")
    check_streams(recipe(**SMALL, phases="one"), widths, "PAMFN")
