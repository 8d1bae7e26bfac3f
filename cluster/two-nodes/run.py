"""Runs a study on a cluster of two nodes, made of network namespaces of this machine; see README.md beside this file.

sudo .venv/bin/python cluster/two-nodes/run.py [--trials 6]

A laptop submits the study to the head node; MLflow keeps its runs in PostgreSQL and its files in S3. All of it is gone
when the script ends. Exit status: the study's, or 1 if MLflow or the bucket lacks something of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.cluster import RayCluster
from benchmarks.faults.network import Network
from benchmarks.faults.services import MlflowServer, Postgres
from benchmarks.faults.storing import BUCKET, S3Server, missing

STUDY = "two-nodes"
QUICK = ("fixed.width=8", "fixed.epochs=12", "fixed.phase1_epochs=2", "evaluation.folds=2", "data.action=Ball")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=6, help="how many trials the study has (default: 6)")
    trials = parser.parse_args(argv).trials
    if reason := missing():
        parser.error(reason)
    with Network() as network:
        head, worker, servers, laptop = (network.add(name) for name in ("head", "worker", "servers", "laptop"))
        storage = network.folder / "studies"
        _say("PostgreSQL, S3 and MLflow start")
        store = S3Server(servers)
        mlflow = MlflowServer(servers, Postgres(servers).uri, f"s3://{BUCKET}/artefacts", store.environment)
        _say("Ray's head node and its worker start, with token authentication")
        cluster = RayCluster(head, dashboard=True)
        cluster.start_head(1)
        cluster.start_worker(worker, 1, {})
        words = ["--space", "quickstart.yaml", "--name", STUDY, "--num-samples", str(trials)]
        words += ["--storage", str(storage), "--tracking-uri", mlflow.uri]
        words += [word for change in QUICK for word in ("--set", change)]
        submit = [sys.executable, "-m", "tuning.submit", "--address", f"http://{head.address}:8265", *words]
        _say(f"laptop$ {' '.join(['python', *submit[1:]])}")
        status = laptop.start(submit, out=sys.stdout.fileno(), err=subprocess.STDOUT).wait()
        reading = [sys.executable, "-m", "benchmarks.faults.reading", mlflow.uri, STUDY]
        runs = json.loads(laptop.run(reading).splitlines()[-1])["runs"]
        nodes = _nodes(storage / STUDY / "decisions.jsonl")
        ended = sum(run["kind"] == "trial" and run["status"] == "FINISHED" for run in runs)
        objects = store.objects()
        _say(f"{ended} runs of trials that ended, in PostgreSQL; trained on {nodes} nodes; {objects} files in S3")
        return status or int(ended != trials or nodes != 2 or not objects)


def _nodes(journal: Path) -> int:
    """Returns on how many nodes of the cluster trials were trained."""
    events = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    return len({event["result"].get("node") for event in events if event["event"] == "reported"})


def _say(text: str) -> None:
    sys.stdout.write(f"== {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
