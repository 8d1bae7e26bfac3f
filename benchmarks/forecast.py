"""A dry run's forecast beside the truth: the first configuration of a study, forecast and then trained, in turns.

python benchmarks/forecast.py --space quickstart.yaml [--data DIR] [--set KEY=VALUE ...]

Both happen in this process, one after the other and three times over, so that other work on the machine, which comes
and goes, weighs on both alike. Options are those of a launch; nothing is tracked, and planted data go to the storage.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

from pamfn.phases.branches import branch_states, branch_training
from pamfn.phases.fusion import fusion_training
from tuning.forecast.durations import Durations
from tuning.forecast.machine import this_machine
from tuning.forecast.outlook import Outlook
from tuning.forecast.pace import measure
from tuning.planted import ensure_planted
from tuning.request import parse, requested_study
from tuning.study import Study
from tuning.study_data import training_data

REPEATS = 3


def main() -> None:
    """Runs the benchmark and prints it."""
    torch.set_num_threads(1)
    study, contents = requested_study(parse(sys.argv[1:]))
    if study.space.data.synthetic is not None:
        ensure_planted(study.space.data.synthetic, Path(study.data))
    outlook, ratios = Outlook(study, contents, this_machine()), []
    for _ in range(REPEATS):
        forecast = forecast_seconds(outlook)
        real = real_seconds(study, outlook)
        ratios.append([real[phase] / forecast[phase] for phase in (0, 1)])
        both = zip(forecast, real, strict=True)
        print("; ".join(f"phase {n}: forecast {f:.2f} s, real {r:.2f} s" for n, (f, r) in enumerate(both, start=1)))
    phases = [statistics.median(column) for column in zip(*ratios, strict=True)]
    print(f"real over forecast, median of {REPEATS}: phase 1 {phases[0]:.2f}, phase 2 {phases[1]:.2f}")


def forecast_seconds(outlook: Outlook) -> tuple[float, float]:
    """Returns the forecast seconds of the first configuration's phases."""
    first, networks = outlook.first, outlook.networks
    pace = measure(first, outlook.costliest, networks, device=outlook.device, threads=1)
    durations = Durations(outlook.study, pace, outlook.device)
    return len(networks.widths) * durations.branches(first, networks), sum(durations.legs(first, networks))


def real_seconds(study: Study, outlook: Outlook) -> tuple[float, float]:
    """Returns the seconds that the same two phases take, scored as often as a trial scores them."""
    recipe, data = outlook.first, training_data(study, str(outlook.device))
    begin, states = time.perf_counter(), {}
    for modality in data.bank.widths:
        training = branch_training(recipe, modality, data.replicas, data.bank)
        list(training.run([1.0]))
        states[modality] = branch_states(training)
    between = time.perf_counter()
    fusion = fusion_training(recipe, data.replicas, data.bank, states)
    list(fusion.run(study.milestones(recipe)))
    return between - begin, time.perf_counter() - between


if __name__ == "__main__":
    main()
