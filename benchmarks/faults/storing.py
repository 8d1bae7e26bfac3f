"""An S3 server on a machine of a network: moto's, which speaks S3 and keeps its objects in memory."""

from __future__ import annotations

import importlib.util
import secrets
import subprocess
import sys

from benchmarks.faults import network, services
from benchmarks.faults.network import Machine, until

BUCKET = "mlflow"
PORT = 9000
READY = 180.0  # seconds to start on a busy machine
_CLIENT = "import boto3, os, sys; s3 = boto3.client('s3', endpoint_url=sys.argv[1]); "
_MAKE = f"{_CLIENT} s3.create_bucket(Bucket=sys.argv[2])"
_COUNT = f"{_CLIENT} print(s3.list_objects_v2(Bucket=sys.argv[2])['KeyCount'])"


def missing() -> str:
    """Returns why there can be no S3 server here, or no machine for it; empty if there can."""
    absent = [name for name in ("boto3", "moto") if importlib.util.find_spec(name) is None]
    if absent:
        return f"{' and '.join(absent)} not installed (pip install 'pamfn-tuning[dev]')"
    return network.missing() or services.missing()


class S3Server:
    """An S3 server with one bucket.

    Args:
        machine: Where it runs.

    Attributes:
        environment: What a client has in its environment: where the server is, and the keys.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine, self.uri = machine, f"http://{machine.address}:{PORT}"
        keys = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16)}
        self.environment = {**keys, "AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_S3_ENDPOINT_URL": self.uri}
        with (machine.folder / "s3.log").open("wb") as log:
            words = [sys.executable, "-m", "moto.server", "--host", machine.address, "--port", str(PORT)]
            self._process = machine.start(words, out=log, err=subprocess.STDOUT)
        until(self._made, READY, f"the S3 server at {self.uri} answers")

    def objects(self) -> int:
        """Returns how many objects the bucket holds; a thousand at most."""
        return int(self._ask(_COUNT).split()[-1])

    def _made(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the S3 server ended:\n{(self._machine.folder / 's3.log').read_text()[-3000:]}")
        try:
            self._ask(_MAKE)
        except RuntimeError:
            return False
        return True

    def _ask(self, code: str) -> str:
        return self._machine.run([sys.executable, "-c", code, self.uri, BUCKET], READY, **self.environment)
