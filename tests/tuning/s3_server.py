"""An S3 server of tests, on loopback, in a process of its own: it can be paused, killed, and told to fail.

It keeps objects in memory and answers one request at a time, so that of two conditional writes one comes first, as S3
itself sees to. What it is to fail is told by a request: ``POST /__faults__`` with JSON, ``{"next": ["503", "drop"]}``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "a-test-key-id", "AWS_SECRET_ACCESS_KEY": "a-test-secret-of-nobody"}
BUCKET = "bucket"


class S3Server:
    """A server, started."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **KEYS, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._request("PUT", f"/{BUCKET}")

    def uri(self, prefix: str) -> str:
        """Returns a location on it."""
        return f"s3://{BUCKET}/{prefix}?endpoint_override={self.endpoint}"

    def fail(self, *answers: str) -> None:
        """Has the next requests fail: with a status, or by ``drop`` (done, and the answer lost)."""
        self._request("POST", "/__faults__", json.dumps({"next": answers}).encode())

    def send(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        """Ends it."""
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
        self.process.communicate()

    def _request(self, method: str, path: str, content: bytes = b"") -> None:
        request = urllib.request.Request(f"{self.endpoint}{path}", data=content, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


class OneAtATime:
    """Answers requests one after the other, and fails as it is told to."""

    def __init__(self, app: Any) -> None:
        self._app, self._lock, self._next = app, threading.Lock(), list[str]()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self._lock:
            if environ["PATH_INFO"] == "/__faults__":
                length = int(environ["CONTENT_LENGTH"])
                self._next += json.loads(environ["wsgi.input"].read(length))["next"]
                start_response("200 OK", [("Content-Length", "0")])
                return [b""]
            fault = self._next.pop(0) if self._next else ""
            if fault.isdigit():
                start_response(f"{fault} Fault", [("Content-Length", "0")])
                return [b""]
            if not fault:
                return list(self._app(environ, start_response))
            list(self._app(environ, lambda *_: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("the answer is lost")


def _serve() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.getppid() == parent:  # it does not outlive the tests
        time.sleep(0.5)


if __name__ == "__main__":
    _serve()
