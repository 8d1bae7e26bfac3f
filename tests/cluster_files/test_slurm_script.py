"""Slurm's script with a real study, on two nodes in a network of their own on this machine; Slurm is imagined."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from manifest_files import CLUSTER, ROOT

SCRIPT = CLUSTER / "slurm" / "study.sbatch"
SRUN = '#!/usr/bin/env bash\necho "srun $*" >> "$SHIM_LOG"\nwhile [[ "$1" == --* ]]; do shift; done\nexec "$@"\n'
SCONTROL = (
    '#!/usr/bin/env bash\necho "scontrol $*" >> "$SHIM_LOG"\n[[ "$1 $2" == "show hostnames" ]] && printf "n1\\nn2\\n"\n'
)
SMALL = ["--num-samples", "1", "--set", "fixed.epochs=3", "--set", "fixed.phase1_epochs=1", "--set", "final.seeds=1"]


def environment(folder: Path) -> dict[str, str]:
    shims = folder / "shims"
    shims.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (shims / name).write_text(text)
        (shims / name).chmod(0o755)
    venv = Path(sys.executable).parent.parent
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_PER_TASK": "1"}
    ours = {"PAMFN_VENV": str(venv), "PAMFN_RUN": str(folder / "run"), "PAMFN_HEAD_ADDRESS": "127.0.0.1"}
    return {**os.environ, **slurm, **ours, "SHIM_LOG": str(folder / "shims.log"), "HOME": str(folder),
            "PYTHONPATH": str(ROOT), "PATH": f"{shims}:{os.environ['PATH']}"}  # fmt: skip


def apart(*words: str) -> list[str]:
    """Returns a command that runs in a network of its own, which has nothing but a loopback interface."""
    there = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*there, "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        reason = "no network of its own can be had: unshare or ip is missing, or not allowed"
        pytest.fail(reason) if os.environ.get("PAMFN_REQUIRE_SHARED") == "1" else pytest.skip(reason)
    return [*there, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words]


def study(folder: Path) -> list[str]:
    own = ["--storage", f"{folder}/studies", "--tracking-uri", f"sqlite:///{folder}/mlflow.db"]
    return apart(str(SCRIPT), "--space", "quickstart.yaml", *own, *SMALL)


def left_over() -> list[Path]:
    return list(Path("/tmp").glob(f"ray-{os.getpid()}-*"))


def test_without_options_or_an_environment_it_says_what_is_missing(tmp_path: Path) -> None:
    bare = subprocess.run([SCRIPT], capture_output=True, text=True)
    assert (bare.returncode, "give the options of tuning.launch" in bare.stderr) == (2, True)
    given = {**os.environ, "PAMFN_VENV": str(tmp_path)}
    lost = subprocess.run([SCRIPT, "--space", "rg.yaml"], env=given, capture_output=True, text=True)
    assert (lost.returncode, f"there is no ray in {tmp_path}/bin; set PAMFN_VENV" in lost.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.cluster
def test_a_study_that_gets_notice_goes_back_into_the_queue_and_is_finished_by_the_next_job(tmp_path: Path) -> None:
    given = environment(tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as out:
        job = subprocess.Popen(study(tmp_path), env=given, stdout=out, stderr=out, cwd=tmp_path)
    deadline = time.monotonic() + 400
    while "trial 0000  started" not in log.read_text():
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    (token,) = tmp_path.glob("run/*/token")
    assert token.stat().st_mode & 0o077 == 0
    assert token.parent.stat().st_mode & 0o077 == 0
    job.send_signal(signal.SIGUSR1)
    assert job.wait(300) == 130, log.read_text()
    said = log.read_text()
    assert "study.sbatch: 2 of 2 nodes" in said
    assert "back into the queue" in said
    assert f"scontrol requeue {os.getpid()}" in (tmp_path / "shims.log").read_text()
    assert not list(tmp_path.glob("run/*")), "the token stays behind"
    assert left_over() == []
    again = subprocess.run(
        study(tmp_path),
        env={**given, "SLURM_RESTART_COUNT": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=600,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(r"1 trials? \(1 finished\)", again.stdout)
    assert left_over() == []
