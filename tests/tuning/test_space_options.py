"""``--set`` and the options that change a space."""

import pytest

from tuning.space import Option, SpaceError, load_space


def faults(*sets: str) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        load_space("rg.yaml", sets)
    return [str(fault) for fault in caught.value.faults]


def test_dotted_keys_reach_any_depth_and_values_are_typed_as_in_the_file() -> None:
    sets = [
        "search.lr.high=0.01",
        "budget.trials=7",
        "fixed.epochs={Ball: 30, Clubs: 30, Hoop: 30, Ribbon: 30}",
        "seed=3",
    ]
    space = load_space("rg.yaml", sets)
    assert space.search["lr"].model_dump() == {"type": "float", "low": 1e-4, "high": 0.01, "log": True}
    assert (space.budget.trials, space.fixed["epochs"]["Hoop"], space.seed) == (7, 30, 3)


def test_a_map_may_be_replaced_by_a_number_and_one_entry_may_be_changed() -> None:
    whole = load_space("rg.yaml", ["fixed.epochs=60"])
    assert whole.fixed["epochs"] == 60
    entry = load_space("rg.yaml", ["fixed.epochs.Hoop=60"])
    assert entry.fixed["epochs"] == {"Ball": 400, "Clubs": 500, "Hoop": 60, "Ribbon": 500}


def test_a_section_that_the_file_lacks_is_made() -> None:
    assert load_space("quickstart.yaml", ["tracking.checkpoints=all"]).tracking.checkpoints == "all"


def test_the_last_of_several_changes_holds_and_options_go_after_sets() -> None:
    assert load_space("rg.yaml", ["seed=1", "seed=2"]).seed == 2
    assert load_space("rg.yaml", ["seed=1"], [Option("--seed", "seed", 5)]).seed == 5


def test_null_takes_a_setting_out_of_the_search_so_that_it_can_be_fixed() -> None:
    space = load_space("rg.yaml", ["search.lr=null", "fixed.lr=1e-3"])
    assert "lr" not in space.search
    assert space.recipe(space.first_point()).lr == 1e-3


def test_a_models_own_options_are_reached_by_their_dotted_names() -> None:
    sets = ["search.model={type: choice, values: [pamfn, gdlt]}", "search.gdlt.queries={type: int, low: 2, high: 6}"]
    more = ["search.gdlt.queries.high=5", "first.gdlt.queries=3", "fixed.gdlt.dropout=0.2"]
    space = load_space("rg.yaml", ["model=null", "first=null", *sets, *more])
    assert (space.search["gdlt.queries"].low, space.search["gdlt.queries"].high) == (2, 5)
    assert space.first_point()["gdlt.queries"] == 3
    assert space.fixed["gdlt.dropout"] == 0.2


def test_a_mistake_in_a_models_own_option_is_answered_with_its_name() -> None:
    (fault,) = faults("fixed.gdlt.querys=4")
    assert "fixed.gdlt.querys" in fault
    assert "gdlt.queries" in fault


def test_conditions_constraints_and_points_can_be_set() -> None:
    sets = [
        "search.lr.when={stages: [2, 3]}",
        "search.tau_init.when.stages=3",
        "constraints=['fusion_nets <= 4 * stages', 'lr < 1e-3']",
        "points=[{stages: 2, fusion_nets: 6}]",
        "warm_start=ball",
    ]
    space = load_space("rg.yaml", sets)
    assert space.search["lr"].when == {"stages": (2, 3)}
    assert space.search["tau_init"].when == {"stages": 3}
    assert space.constraints == ("fusion_nets <= 4 * stages", "lr < 1e-3")
    assert space.fixed_points() == [{"fusion_nets": 6, "tau_init": 10.0, "lr": 5e-4, "stages": 2}]
    assert space.warm_start == "ball"
    assert load_space("rg.yaml", [*sets, "search.lr.when=null"]).search["lr"].when is None


def test_what_is_no_longer_searched_leaves_the_first_trial_and_the_points_as_well() -> None:
    space = load_space("fisv.yaml", ["search.lr=null"])
    assert space.first_point() == {"fusion_nets": 6, "tau_init": 10.0, "stages": 3}
    pointed = load_space("fisv.yaml", ["points=[{lr: 1e-3, stages: 2}]", "search.lr=null"])
    assert pointed.points == ({"stages": 2},)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_space("rg.yaml", ["data.path=runs/a=b"]).data.path == "runs/a=b"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lr", "--set: 'lr' is not key=value with a dotted key; write for example --set fixed.lr=0.001"),
        ("fixed..lr=1", "--set: 'fixed..lr=1' is not key=value with a dotted key; "
                        "write for example --set fixed.lr=0.001"),
        ("fixed.lr=0.001", "--set: fixed.lr: 0.001 is fixed, and the setting is searched as well; "
                           "keep one; --set search.lr=null stops searching it"),
        ("fixed.widht=32", "--set: fixed.widht: is not a setting of the training; did you mean `width`?"),
        ("search.lr.hihg=1", "--set: search.lr.hihg: is no key here; did you mean `high`?"),
        ("search.lr.high=1e-5", "--set: search.lr.high: 1e-05 must be above low 0.0001"),
        ("search.fusion_nets.low=2.5", "--set: search.fusion_nets.low: 2.5 must be a whole number"),
        ("search.lr.when={stagse: 2}", "--set: search.lr.when.stagse: is not a setting of the training; "
                                       "did you mean `stages`?"),
        ("search.lr.when.stages=9", "--set: search.lr.when.stages: 9 is no value that stages can have, "
                                    "one of 2, 3, 4"),
        ("constraints=[lr > 1]", "--set: constraints[0]: 'lr > 1' leaves no configuration to try, "
                                 "or one among thousands drawn; loosen it, or widen a range"),
        ("points=[{lr: 1.0}]", "--set: points[0].lr: 1.0 is outside the range that is searched, 0.0001 to 0.002"),
        ("search.width=null", "--set: search.width: is not searched"),
        ("budget.trials.most=3", "--set: budget.trials.most: cannot be set: budget.trials is not a mapping"),
        ("seed=[1", "--set: seed: '[1' not YAML: expected ',' or ']', but got '<stream end>'"),
        ("data.clip=0", "--set: data.clip: 0 is outside 1 to 100000"),
        ("fixed.epochs.Bal=6", "--set: fixed.epochs.Bal: is not a class of this study; did you mean `Ball`?"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_named_by_its_option(change: str, message: str) -> None:
    assert faults(change) == [message]


def test_an_option_that_stands_for_a_key_is_named_in_its_fault() -> None:
    with pytest.raises(SpaceError, match="--num-samples: budget.trials: 0 must be at least 1"):
        load_space("rg.yaml", options=[Option("--num-samples", "budget.trials", 0)])


def test_faults_of_the_file_come_before_those_of_the_options() -> None:
    found = faults("fixed.epochs=6", "seed=-1")
    assert found == [
        "line 21: scheduler.grace_epochs: 20 is more than the 6 epochs of a whole training; "
        "judge earlier, or set scheduler.type to none",
        "--set: seed: -1 must be at least 0",
    ]
