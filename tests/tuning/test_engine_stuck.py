"""An engine that lives and does nothing: it is noticed, and its trials come to the same end."""

from __future__ import annotations

import re

import pytest
from launching import Launch, curves, quick, tracked

pytestmark = pytest.mark.slow

PATIENCE = 6
STUCK = f"""
import sys
import threading
from functools import partial
from pathlib import Path

from tuning import running
from tuning.engine.device import Device
from tuning.engine.pool import Wanted
from tuning.launch import main

MARK = Path("stuck").resolve()


class Sticky(Device):
    def _step(self, program):
        if self._replica_steps > 200 and not MARK.exists():
            MARK.touch()
            threading.Event().wait()
        super()._step(program)


running.Device = Sticky
running.Wanted = partial(Wanted, patience={PATIENCE}.0)
sys.exit(main(sys.argv[1:]))
"""
STUDY = quick("--num-samples", "4", "--max-concurrent", "1", "--seed", "3", changes=("final.top=0",))


@pytest.fixture(scope="module", name="studies")
def _studies(tmp_path_factory, launch_home):
    calm, folder = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stuck")
    (folder / "sticky.py").write_text(STUCK)
    ended = Launch(folder, launch_home, *STUDY, module="sticky").ended()
    assert Launch(calm, launch_home, *STUDY).ended().status == 0
    return folder, ended, calm


def test_it_is_noticed_once_and_the_study_ends_in_good_order(studies):
    folder, ended, _ = studies
    assert (folder / "stuck").exists()
    assert (ended.status, ended.err) == (0, "")
    assert re.findall(r"engine \d has done nothing for .*", ended.out) == [
        f"engine 0 has done nothing for {PATIENCE} s; it starts again, its trials from their checkpoints"
    ]


def test_its_trials_come_to_the_same_end(studies):
    folder, _, calm = studies
    assert curves(tracked(folder)) == curves(tracked(calm))
    assert not any("tried again" in line for line in (folder / "0.out").read_text().splitlines())
