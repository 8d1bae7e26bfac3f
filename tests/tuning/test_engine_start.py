"""Engines that cannot start: the study says why in one line, and how to go on."""

from __future__ import annotations

import pytest
from launching import Launch, quick

pytestmark = pytest.mark.slow

BROKEN = """
import sys

from tuning import running
from tuning.engine.device import Device
from tuning.launch import main


class Absent(Device):
    def __init__(self, data, **how):
        raise RuntimeError("the device is\\non fire")


running.Device = Absent
sys.exit(main(sys.argv[1:]))
"""


def test_an_engine_that_cannot_start_is_one_line_and_the_study_can_be_resumed(tmp_path, launch_home):
    (tmp_path / "broken.py").write_text(BROKEN)
    ended = Launch(tmp_path, launch_home, *quick("--num-samples", "1"), module="broken").ended()
    first, resume, *rest = ended.err.splitlines()
    assert (ended.status, rest) == (1, [])
    assert first == "no engine can start: RuntimeError: the device is on fire"
    assert resume.startswith("resume with: python -m tuning.launch --space quickstart.yaml ")
    assert resume.endswith(" --resume")
