"""The servers behind a cluster, run as its manifests run them: secrets, S3, and MLflow over PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from manifest_files import CLUSTER, compose, documents, mappings, program

PATIENCE = 300.0  # seconds for a server to answer


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def status(url: str) -> int:
    """Returns the status of an answer; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while status(url) != 200:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, f"{url} does not answer:\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def secrets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pamfn-") as folder:
        subprocess.run([CLUSTER / "secrets.sh", f"{folder}/secrets"], check=True, capture_output=True)
        yield Path(folder, "secrets")


@pytest.fixture(scope="module")
def s3(secrets: Path) -> Iterator[str]:
    """The S3 server with the very words of the manifests, but for where it listens and lies."""
    port = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    given = {"-dir": str(secrets.parent), "-s3.config": str(secrets / "s3_identities.json"), "-s3.ip.bind": "127.0.0.1"}
    words = [f"{n}={given.get(n, v)}" if v else n for n, _, v in map(lambda w: w.partition("="), s3_words("compose"))]
    ports = [f"-{name}.port={number}" for name, number in port.items()]
    ports += [f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")]
    log = secrets.parent / "s3.log"
    words = [word for word in words if not word.startswith("-s3.port=")]
    with log.open("wb") as out:
        process = subprocess.Popen([program("weed"), *words, *ports], stdout=out, stderr=out)
    try:
        wait_for(f"http://127.0.0.1:{port['s3']}/healthz", process, log)
        yield f"http://127.0.0.1:{port['s3']}"
    finally:
        process.kill()  # it takes its time to end by itself
        process.wait(30)


def s3_words(where: str) -> list[str]:
    if where == "compose":
        return [str(word) for word in compose()["services"]["s3"]["command"]]
    (found,) = [m["args"] for one in documents(CLUSTER / "kuberay" / "s3.yaml") for m in mappings(one) if "args" in m]
    return [str(word) for word in found]


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = subprocess.run([CLUSTER / "secrets.sh", tmp_path / "s"], check=True, capture_output=True, text=True).stdout
    held = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "s").iterdir()}
    second = subprocess.run([CLUSTER / "secrets.sh", tmp_path / "s"], check=True, capture_output=True, text=True).stdout
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "s").iterdir()} == held
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "s").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert len({held[name] for name in ("ray_token", "postgres_password", "mlflow_admin_password")}) == 3
    assert not [value for value in held.values() if value in first + second]
    assert held["s3_secret_key"] in held["s3_credentials"]
    assert held["s3_secret_key"] in held["s3_identities.json"]
    assert held["mlflow_admin_password"] in held["mlflow_credentials"]


def test_a_secret_that_is_deleted_is_made_anew_in_every_form(tmp_path: Path) -> None:
    subprocess.run([CLUSTER / "secrets.sh", tmp_path], check=True, capture_output=True)
    (tmp_path / "s3_secret_key").unlink()
    subprocess.run([CLUSTER / "secrets.sh", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "s3_secret_key").read_text() in (tmp_path / "s3_credentials").read_text()


def test_kubernetes_starts_the_s3_server_as_compose_does() -> None:
    differing = set(s3_words("compose")) ^ set(s3_words("kubernetes"))
    assert {word.partition("=")[0] for word in differing} == {"-s3.config"}


def test_the_s3_server_answers_nobody_without_credentials(s3: str) -> None:
    assert status(f"{s3}/") == 403
    assert status(f"{s3}/data/") == 403


def test_mlflow_does_not_start_without_its_secrets(tmp_path: Path) -> None:
    done = subprocess.run(
        [CLUSTER / "mlflow.sh"], env={**os.environ, "PAMFN_SECRETS": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{tmp_path}/mlflow_admin_password is missing or empty" in done.stderr


@pytest.fixture
def database(secrets: Path) -> Iterator[str]:
    """A PostgreSQL that wants the password of the secrets."""
    binaries = [found for found in Path("/usr/lib/postgresql").glob("*/bin") if (found / "initdb").exists()]
    if not binaries:
        reason = "PostgreSQL's initdb is not installed"
        pytest.fail(reason) if os.environ.get("PAMFN_REQUIRE_SHARED") == "1" else pytest.skip(reason)
    folder, port = Path(tempfile.mkdtemp(prefix="pg-")), free_port()
    other = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
    shutil.copy(secrets / "postgres_password", folder / "password")
    if other:
        shutil.chown(folder, "nobody")
        shutil.chown(folder / "password", "nobody")

    def run(name: str, *words: str) -> None:
        done = subprocess.run([*other, str(max(binaries) / name), *words], capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    run(
        "initdb",
        "-D",
        f"{folder}/data",
        "-U",
        "mlflow",
        "-A",
        "scram-sha-256",
        "--pwfile",
        f"{folder}/password",
        "--no-sync",
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start")
    yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


LOGS = """
import sys, mlflow
client = mlflow.MlflowClient(sys.argv[1])
run = client.create_run(client.create_experiment("study"))
client.log_metric(run.info.run_id, "val_spearman", 0.5)
client.log_artifact(run.info.run_id, sys.argv[2])
print(*(file.path for file in client.list_artifacts(run.info.run_id)))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_mlflow_asks_for_a_password_and_keeps_runs_in_postgresql_and_artefacts_in_s3(
    secrets: Path, s3: str, database: str, tmp_path: Path
) -> None:
    import boto3

    port, log = free_port(), tmp_path / "log"
    words = {"PAMFN_SECRETS": str(secrets), "PAMFN_MLFLOW_STATE": str(tmp_path), "PAMFN_MLFLOW_DATABASE": database}
    words |= {"PAMFN_MLFLOW_ARTIFACTS": "s3://mlflow", "PAMFN_BUCKETS": "data mlflow", "AWS_ENDPOINT_URL": s3}
    words |= {"PAMFN_MLFLOW_PORT": str(port), "AWS_DEFAULT_REGION": "us-east-1", "TMPDIR": str(tmp_path)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [CLUSTER / "mlflow.sh"], env={**os.environ, **words, "PATH": path}, stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", server, log)
        assert status(f"{url}/api/2.0/mlflow/experiments/search?max_results=1") == 401
        (tmp_path / "home" / ".mlflow").mkdir(parents=True)
        shutil.copy(secrets / "mlflow_credentials", tmp_path / "home" / ".mlflow" / "credentials")
        (tmp_path / "weights").write_text("weights")
        client = {**os.environ, "HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-c", LOGS, url, tmp_path / "weights"],
            env=client,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.stdout.split() == ["weights"], done.stderr
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert not [one for one in secrets.glob("*_password") if one.read_text() in shown]
    finally:
        server.send_signal(signal.SIGTERM)
        ended = server.wait(120)
    assert ended == 0
    held = dict(line.split(" = ") for line in (secrets / "s3_credentials").read_text().splitlines()[1:])
    bucket = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **held).list_objects_v2(Bucket="mlflow")
    assert [one["Key"].rpartition("/")[2] for one in bucket["Contents"]] == ["weights"]
    assert list(tmp_path.glob("tmp.*")) == [], "the password files of the server stay behind"
