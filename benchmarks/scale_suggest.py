"""Processor seconds of one suggestion of the default searcher's two models, by the trials that they can learn from.

python benchmarks/scale_suggest.py --trials 200 1000 3000 10000 [--running 1000]

The space is ``rg.yaml``'s; scores follow from the learning rate, with noise, and as many trials reached each rung as
halving by three lets. Besides them as many run as ``--running`` says, or as have ended, where that is less.
"""

from __future__ import annotations

import argparse
import math
import random
import time

import numpy as np

from tuning.search import Observation, SearchSettings
from tuning.search.proposing import propose
from tuning.space import load_space

REPEATS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 1000, 3000, 10_000])
    parser.add_argument("--running", type=int, default=1000)
    arguments = parser.parse_args()
    space = load_space("rg.yaml", [])
    region, chance, draws = space.region, random.Random(0), np.random.default_rng(0)
    settings = SearchSettings(
        seed=0, concurrent=1000, trials=10**6, first=space.first_point(), searcher="hyperopt+gp", warmup=8
    )
    for count in arguments.trials:
        observed = []
        for _ in range(count):
            config = region.draw(draws)
            score = 0.6 - 0.5 * abs(math.log10(config["lr"] / 9e-4)) + chance.gauss(0, 0.02)
            reached = min(3, int(-math.log(chance.random(), 3)))
            observed.append(
                Observation(config, {rung: score * (0.7 + 0.1 * rung) for rung in range(reached + 1)}, "ended")
            )
        observed += [Observation(region.draw(draws), {}) for _ in range(min(arguments.running, count))]
        for place, model in enumerate(("gp", "hyperopt")):
            cpu = time.process_time()
            for repeat in range(REPEATS):
                propose(region, observed, number=2 * (len(observed) + repeat) + place, seed=0, settings=settings)
            seconds = (time.process_time() - cpu) / REPEATS
            print(f"{count} trials, {len(observed) - count} running: {model} {seconds:.3f} s of processor", flush=True)


if __name__ == "__main__":
    main()
