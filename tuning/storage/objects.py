"""A prefix of a bucket as a store: S3, or a server that speaks its protocol.

Of a server it is taken that an object is seen whole or not at all, that what was written is seen by the next request,
and that a write with ``If-None-Match: *`` is refused where there is an object of the name. Nothing is ever renamed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tuning.storage.places import CREDENTIALS, bucket_of
from tuning.storage.retrying import PATIENCE, StorageError, retried

T = TypeVar("T")

WRITER = "writer"  # metadata of an object: which request wrote it
AT_ONCE = 1000  # names that one request removes
PART = 64_000_000  # bytes above which a file is sent in parts
ABSENT = {"404", "NoSuchKey", "NotFound"}
PASSING = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "IncompleteBody"}
PASSING |= {"ConditionalRequestConflict", "BadDigest", "Throttling", "ThrottlingException", "RequestLimitExceeded"}


class ObjectStore:
    """Objects below a prefix.

    Args:
        uri: The location; see `tuning.storage.places`.
        patience: Seconds for which a request is made again while it fails for a passing reason.

    Raises:
        StorageError: If the client is not installed.
    """

    def __init__(self, uri: str, *, patience: float = PATIENCE) -> None:
        self.uri, self._patience = uri, patience
        self._bucket = bucket_of(uri)
        self._client = _client(uri)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process makes its own connections."""
        return ObjectStore, (self.uri,)

    def read(self, name: str) -> bytes | None:
        """Returns an object's content, or None if there is none."""

        def ask() -> bytes | None:
            try:
                return bytes(self._client.get_object(**self._at(name))["Body"].read())
            except self._client.exceptions.NoSuchKey:
                return None

        return self._asked(f"reading {name}", ask)

    def write(self, name: str, content: bytes) -> None:
        """Writes an object, in the place of one of the same name; it lasts when this returns."""
        self._asked(f"writing {name}", lambda: self._client.put_object(**self._at(name), Body=content))

    def beat(self, name: str, content: bytes) -> None:
        """Writes an object, and does not try again: by then there is something newer to write."""
        with _told(f"writing {name}", self.uri):
            self._client.put_object(**self._at(name), Body=content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object unless there is one of its name; of several that try at once, one is told that it did.

        The answer to a write may be lost, and the write made again: an object that bears this call's mark is its own.
        """
        writer = uuid.uuid4().hex

        def ask() -> bool:
            try:
                self._client.put_object(**self._at(name), Body=content, IfNoneMatch="*", Metadata={WRITER: writer})
            except self._client.exceptions.ClientError as error:
                if _code(error) not in ("PreconditionFailed", "412"):
                    raise
                return self._writer(name) == writer
            return True

        return self._asked(f"making {name}", ask)

    def names(self, prefix: str = "") -> dict[str, str]:
        """Returns what is there by name, sorted, each with a sign that changes when its content does."""
        first, bucket = self._bucket.prefix, self._bucket.name

        def ask() -> dict[str, str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{first}{prefix}")
            return {o["Key"].removeprefix(first): str(o["ETag"]) for page in pages for o in page.get("Contents", [])}

        return self._asked(f"listing {prefix or 'what is there'}", ask)

    def remove(self, *names: str) -> None:
        """Removes objects; those that are not there are none."""
        for begin in range(0, len(names), AT_ONCE):
            keys = [{"Key": self._at(name)["Key"]} for name in names[begin : begin + AT_ONCE]]

            def ask(keys: list[dict[str, str]] = keys) -> None:
                self._client.delete_objects(Bucket=self._bucket.name, Delete={"Objects": keys, "Quiet": True})

            self._asked(f"removing {names[begin]}", ask)

    def put(self, name: str, path: Path) -> None:
        """Writes a file of this machine, of any size."""
        from boto3.s3.transfer import TransferConfig

        at = self._at(name)

        def ask() -> None:
            if path.stat().st_size <= PART:
                with path.open("rb") as file:
                    self._client.put_object(**at, Body=file)
            else:
                parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
                self._client.upload_file(str(path), at["Bucket"], at["Key"], Config=parts)

        self._asked(f"writing {name}", ask)

    def get(self, name: str, path: Path) -> bool:
        """Makes a file of this machine, whole or not at all; returns whether there is an object of the name."""
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        path.parent.mkdir(parents=True, exist_ok=True)

        def ask() -> bool:
            try:
                body = self._client.get_object(**self._at(name))["Body"]
            except self._client.exceptions.NoSuchKey:
                return False
            with draft.open("wb") as file:
                for part in body.iter_chunks(1_000_000):
                    file.write(part)
            draft.replace(path)
            return True

        try:
            return self._asked(f"reading {name}", ask)
        finally:
            draft.unlink(missing_ok=True)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": f"{self._bucket.prefix}{name}"}

    def _writer(self, name: str) -> str | None:
        """Returns which request wrote an object; None if there is none."""
        try:
            found: str | None = self._client.head_object(**self._at(name))["Metadata"].get(WRITER)
        except self._client.exceptions.ClientError as error:
            if _code(error) in ABSENT:
                return None
            raise
        return found

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        def told() -> T:
            with _told(what, self.uri):
                return ask()

        return retried(told, patience=self._patience)


def _client(uri: str) -> Any:
    """Returns a client whose requests are made once, by the signature and the checksums that every server knows."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise StorageError(f"{uri}: an object store takes boto3; pip install 'pamfn-tuning[s3]'") from error
    bucket, session = bucket_of(uri), boto3.session.Session()
    own_server = bucket.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=10,
        read_timeout=30,
        max_pool_connections=32,
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own_server else "auto"},
    )
    region = bucket.region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    with _told("asking who we are", uri):
        return session.client("s3", endpoint_url=bucket.endpoint, region_name=region, config=config)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _told(what: str, uri: str) -> Iterator[None]:
    """Turns what the client raises into one line that says what was asked of which place."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        IncompleteReadError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageError(f"{uri}: {what}: no credentials are here; {CREDENTIALS}") from error
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        passing = status >= 500 or status in (408, 429) or _code(error) in PASSING
        said = str(error.response.get("Error", {}).get("Message", "")) or f"status {status}"
        raise StorageError(f"{uri}: {what}: {_code(error)}: {said}", passing=passing) from error
    except (BotoCoreError, Boto3Error) as error:  # nobody answers, or the answer breaks off
        passing = isinstance(error, (HTTPClientError, IncompleteReadError, Boto3Error))
        raise StorageError(f"{uri}: {what}: {' '.join(str(error).split())}", passing=passing) from error
