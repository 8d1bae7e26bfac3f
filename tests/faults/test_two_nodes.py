"""``cluster/two-nodes/run.py``: a study through ``tuning.submit``, its runs in PostgreSQL, its files in S3."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.faults import storing
from benchmarks.faults.network import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_submitted_study_ends_on_both_nodes_and_in_both_stores(namespaces):
    assert storing.missing() == ""
    script = REPOSITORY / "cluster" / "two-nodes" / "run.py"
    done = subprocess.run(
        [sys.executable, str(script), "--trials", "4"],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    told = re.search(r"== (\d+) runs of trials that ended, .*; trained on (\d+) nodes; (\d+) files in S3", done.stdout)
    assert told is not None
    assert (int(told[1]), int(told[2])) == (4, 2)
    assert int(told[3]) > 0
