"""The store of pretrained branches, shared by the trials of a study and by studies: each is trained once."""

from __future__ import annotations

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.branches.artefacts import DamagedArtefact, State, pack, stored_form, unpack
from tuning.branches.leases import Lease, Watch, acquire, renewed

if TYPE_CHECKING:
    from torch import Tensor

_LOGGER = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks at branches that others are training
_KEY = re.compile(r"[0-9a-f]{64}")

Train = Callable[[Sequence[str]], Iterator[tuple[str, Mapping[str, "Tensor"], Mapping[str, Any]]]]


class BranchStore:
    """Branch artefacts by content key, as safetensors files in one folder that every node can reach.

    Args:
        root: The folder; made if it is not there.
        heartbeat: Seconds between renewals of a lease.
        patience: Seconds of silence after which the writer of a lease on another machine is taken to be dead; above
            the 60 s for which NFS may show old attributes.

    Raises:
        ValueError: If ``root`` is a URI, or ``patience`` is not above ``heartbeat``.
    """

    def __init__(self, root: str, *, heartbeat: float = 5.0, patience: float = 120.0) -> None:
        if "://" in root:
            raise ValueError(f"branch store: {root!r} is a URI; it must be a folder that every node mounts")
        if not 0 < heartbeat < patience:
            raise ValueError(
                f"branch store: patience {patience} s must be above heartbeat {heartbeat} s, and both above 0"
            )
        self._root, self._heartbeat, self._patience = Path(root), heartbeat, patience
        self._reported: set[str] = set()
        self._root.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Returns where the artefact of a key is, or will be.

        Raises:
            ValueError: If the key is not one of ``branch_key``.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"branch store: key {key!r} is not 64 hexadecimal digits; make keys with branch_key")
        return self._root / f"{key}.safetensors"

    def load(self, key: str) -> State | None:
        """Returns an artefact, or None if it is not there; a damaged or foreign file is not there, and is reported."""
        try:
            content = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return unpack(key, content)
        except DamagedArtefact as fault:
            if key not in self._reported:
                _LOGGER.warning("branch %s: %s; it is trained again", self.path(key), fault)
            self._reported.add(key)
            return None

    def save(self, key: str, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Writes an artefact so that a reader sees all of it or nothing; saving it twice is harmless.

        Args:
            key: Its key.
            state: Weights and statistics by name.
            meta: Plain data that says what it is, for people.
        """
        path = self.path(key)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(pack(key, state, meta))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def fetch(self, keys: Sequence[str], train: Train, *, chunk: int | None = None) -> dict[str, State]:
        """Returns the artefacts of all keys, training those that nobody has trained or is training.

        A key is trained by the one process that gets its lease; the others wait for it, and take over if it dies.
        A process never waits while it holds a lease, so processes that want the same keys cannot block each other.

        Args:
            keys: Keys of the artefacts.
            train: Given keys, yields each with its weights and meta data as soon as it is trained; a batched program
                trains all of them together.
            chunk: Keys to claim at once; None claims all that are free. Processes that wait for the same keys divide
                the work if it is set.

        Raises:
            ValueError: If ``chunk`` is below 1, or ``train`` yields a key it was not asked for.
            RuntimeError: If ``train`` ends without yielding every key.
        """
        if chunk is not None and chunk < 1:
            raise ValueError(f"branch store: chunk {chunk} must be at least 1")
        wanted, found = dict.fromkeys(keys), dict[str, State]()
        watch, pause = Watch(self._patience), _FIRST_PAUSE
        while True:
            found |= self._load(key for key in wanted if key not in found)
            missing = [key for key in wanted if key not in found]
            if not missing:
                return {key: found[key] for key in wanted}
            trained = self._claim_and_train(missing, train, chunk, watch)
            found |= trained
            if not trained:
                time.sleep(pause)
            pause = _FIRST_PAUSE if trained else min(2 * pause, _LONGEST_PAUSE)

    def _load(self, keys: Iterator[str]) -> dict[str, State]:
        loaded = ((key, self.load(key)) for key in keys if self.path(key).exists())
        return {key: state for key, state in loaded if state is not None}

    def _claim_and_train(
        self, missing: Sequence[str], train: Train, chunk: int | None, watch: Watch
    ) -> dict[str, State]:
        """Returns the artefacts that this process could claim, trained or found finished meanwhile."""
        leases: dict[str, Lease] = {}
        with renewed(leases, self._heartbeat):
            for key in missing:
                if len(leases) == (chunk or len(missing)):
                    break
                if lease := self._claim(key, watch):
                    leases[key] = lease
            found = self._load(iter(leases))  # finished between the look and the claim
            for key in found:
                leases.pop(key).release()
            return found | (self._train(leases, train) if leases else {})

    def _claim(self, key: str, watch: Watch) -> Lease | None:
        path = self.path(key).with_suffix(".lease")
        lease = acquire(path)
        if lease is None and watch.clear_if_dead(path):
            _LOGGER.warning("branch %s: the process that was training it is gone; taking over", key)
            lease = acquire(path)
        return lease

    def _train(self, leases: dict[str, Lease], train: Train) -> dict[str, State]:
        trained: dict[str, State] = {}
        for key, state, meta in train(list(leases)):
            if key not in leases:
                raise ValueError(f"branch store: train yielded {key!r}, which it was not asked for")
            self.save(key, state, meta)
            leases.pop(key).release()
            trained[key] = stored_form(state)
        if leases:
            raise RuntimeError(
                f"branch store: train ended without {len(leases)} of its keys, the first {next(iter(leases))}"
            )
        return trained
