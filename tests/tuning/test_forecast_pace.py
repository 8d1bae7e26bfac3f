from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_study import small_study

from pamfn.data.shards import read_table_of_contents
from pamfn.recipe import recipe
from tuning.forecast import pace as pace_module
from tuning.forecast.durations import Durations
from tuning.forecast.pace import NotMeasured, Pace, measure
from tuning.forecast.work import final_networks, networks_of_a_trial, step_flops

CPU = torch.device("cpu")
PACE = Pace(((1e6, 0.1), (3e6, 0.2)), 10**6, 16, 3, 0.01, 0.5, "cpu, 1 thread", 1.0, 1.0)


@pytest.fixture
def study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path)


@pytest.fixture
def networks(study):
    return networks_of_a_trial(study, read_table_of_contents(study.data)[1])


def first(study):
    return study.space.recipe(study.space.first_point())


def test_a_step_lies_between_those_that_were_measured_and_beyond_them_in_proportion():
    assert [PACE.step(flops) for flops in (1e5, 1e6, 2e6, 3e6, 6e6)] == pytest.approx([0.1, 0.1, 0.15, 0.2, 0.4])


def test_a_measured_step_is_that_of_the_networks_that_train_side_by_side(study, networks):
    settings = first(study)
    costly = replace(settings, fusion_nets=8)
    pace = measure(settings, costly, networks, device=CPU, threads=1)
    assert pace.together == 2
    assert pace.where == "cpu, 1 thread"
    one = step_flops(settings, networks.widths)
    assert [flops for flops, _ in pace.points] == [one, 2 * one, 2 * step_flops(costly, networks.widths)]
    assert all(0 < seconds < 5 for _, seconds in pace.points)
    assert 0 < pace.scoring < 1
    assert 0 < pace.branch < 1
    assert pace.took > 0


def test_measuring_leaves_the_threads_and_the_randomness_as_they_were(study, networks):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    measure(first(study), first(study), networks, device=CPU, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_step_that_would_take_too_long_is_measured_in_a_smaller_batch(study, networks, monkeypatch):
    flops = step_flops(first(study), networks.widths)
    monkeypatch.setitem(pace_module.SLOWEST, "cpu", flops / 1600)  # a batch of 16 would take 1,600 s, and 4 take 400
    pace = measure(first(study), first(study), networks, device=CPU, threads=1, patience=1000.0)
    assert pace.videos == 4
    assert pace.points[0][0] == pace.first == flops / 4


def test_without_time_nothing_is_measured(study, networks, monkeypatch):
    with pytest.raises(NotMeasured, match="one step of two videos is"):
        measure(first(study), first(study), networks, device=CPU, threads=1, patience=0.0)


def test_a_network_that_the_memory_does_not_hold_is_not_measured(study, networks, monkeypatch):
    monkeypatch.setattr(pace_module, "free_bytes", lambda device: 1000)
    with pytest.raises(
        NotMeasured, match="one step of two videos is .* GFLOP and takes .* GB; the machine has 0.0 GB free"
    ):
        measure(first(study), first(study), networks, device=CPU, threads=1)


def test_a_trial_takes_its_steps_and_its_scorings(study, networks):
    settings = first(study)
    flops, held_out = step_flops(settings, networks.widths), 30
    step = PACE.step(2 * flops)
    legs = Durations(study, PACE, CPU).legs(settings, networks)
    an_epoch = 2 + held_out * PACE.scoring  # 30 videos in batches of 16, and a scoring after each of 9 epochs
    assert legs == pytest.approx([step * an_epoch * epochs for epochs in (1, 2, 6)])


def test_phase_1_takes_its_share_of_a_step(study, networks):
    flops = step_flops(first(study), networks.widths)
    assert Durations(study, PACE, CPU).branches(first(study), networks) == 2 * 2 * 0.5 * PACE.step(2 * flops)


def test_the_final_stage_trains_both_phases_and_scores_the_test_split_at_its_milestones(study):
    finals, settings = final_networks(study, read_table_of_contents(study.data)[1]), first(study)
    step = PACE.step(2 * step_flops(settings, finals.widths))
    phase1 = 3 * 2 * 4 * 0.5 * step  # modalities, epochs, steps of 60 videos
    videos = len(finals.replicas[0].valid)
    scorings = len(study.milestones(settings)) * videos * PACE.scoring * step
    assert videos > 0
    assert Durations(study, PACE, CPU).final(settings, finals) == pytest.approx(phase1 + 9 * 4 * step + scorings)


def test_a_forecast_trial_takes_as_long_as_a_real_one(study, networks):
    from pamfn.phases.branches import branch_states, branch_training
    from pamfn.phases.fusion import fusion_training
    from tuning.study_data import training_data

    settings, data = replace(first(study), epochs=40), training_data(study, "cpu")
    states = {}
    for modality in data.bank.widths:
        branch = branch_training(settings, modality, data.replicas, data.bank)
        list(branch.run([1.0], score=False))
        states[modality] = branch_states(branch)
    ratios = []
    for _ in range(3):
        forecast = sum(
            Durations(study, measure(settings, settings, networks, device=CPU, threads=1), CPU).legs(settings, networks)
        )
        training = fusion_training(settings, data.replicas, data.bank, states)
        took = pace_module._seconds(lambda t=training: list(t.run(study.milestones(settings))))
        ratios.append(took / forecast)
    # On a machine of its own the ratio is 1.0; others' work may come and go between the two measurements.
    assert 0.3 < np.median(ratios) < 3, ratios


def test_a_recipe_is_measured_in_its_own_preset(study, networks):
    released = recipe("released", width=8, stages=2, fusion_nets=2, batch_size=8, clip=24)
    assert measure(released, released, networks, device=CPU, threads=1).points[0][1] > 0
    assert measure(replace(released, phases="one"), released, networks, device=CPU, threads=1).branch == 0
