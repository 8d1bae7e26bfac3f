"""The store of pretrained branches, shared by the trials of a study and by studies: each is trained once."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.branches.artefacts import DamagedArtefact, State, pack, stored_form, unpack
from tuning.branches.leases import FolderLeases, Held, Leases, renewed
from tuning.storage import ObjectStore, open_store, within
from tuning.storage.folder import FolderStore
from tuning.storage.generations import ObjectLeases
from tuning.storage.working import working_folder

if TYPE_CHECKING:
    from torch import Tensor

_LOGGER = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks at branches that others are training
_KEY = re.compile(r"[0-9a-f]{64}")
_NEAR = "near"  # said once, as every damaged key is
HEARTBEAT, PATIENCE = 5.0, 120.0  # seconds

Train = Callable[[Sequence[str]], Iterator[tuple[str, Mapping[str, "Tensor"], Mapping[str, Any]]]]


class BranchStore:
    """Branch artefacts by content key, as safetensors files in one folder, or bucket, that every node can reach.

    What lies in a bucket is kept in a folder of this machine once it was read: an artefact never changes, and says
    itself whether it is whole.

    Args:
        root: The folder or URI; made if it is not there.
        heartbeat: Seconds between renewals of a lease.
        patience: Seconds of silence after which the writer of a lease on another machine is taken to be dead; above
            the 60 s for which NFS may show old attributes.
        near: The folder of this machine, where ``root`` is a bucket.

    Raises:
        ValueError: If ``patience`` is not above ``heartbeat``.
    """

    def __init__(
        self, root: str, *, heartbeat: float = HEARTBEAT, patience: float = PATIENCE, near: Path | None = None
    ) -> None:
        if not 0 < heartbeat < patience:
            raise ValueError(
                f"branch store: patience {patience} s must be above heartbeat {heartbeat} s, and both above 0"
            )
        self._store, self._heartbeat = open_store(root), heartbeat
        self._leases: Leases
        if isinstance(self._store, ObjectStore):
            self._leases = ObjectLeases(self._store, patience)
            self._near: FolderStore | None = FolderStore(near or working_folder(root))
        else:
            folder = Path(self._store.uri)
            folder.mkdir(parents=True, exist_ok=True)
            self._leases, self._near = FolderLeases(folder, patience), None
        self._reported: set[str] = set()

    def path(self, key: str) -> Path:
        """Returns the file of this machine that the artefact of a key is, or will be once it was read.

        Raises:
            ValueError: If the key is not one of ``branch_key``.
        """
        folder = Path(self._store.uri) if self._near is None else self._near.folder
        return folder / _named(key)

    def load(self, key: str) -> State | None:
        """Returns an artefact, or None if it is not there; a damaged or foreign file is not there, and is reported."""
        name = _named(key)
        if self._near is not None and (content := self._near.read(name)) is not None:
            with contextlib.suppress(DamagedArtefact):  # it is read again, from where all keep it
                return unpack(key, content)
        content = self._store.read(name)
        if content is None:
            return None
        try:
            state = unpack(key, content)
        except DamagedArtefact as fault:
            if key not in self._reported:
                _LOGGER.warning("branch %s: %s; it is trained again", within(self._store.uri, name), fault)
            self._reported.add(key)
            return None
        self._keep_near(name, content)
        return state

    def save(self, key: str, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Writes an artefact so that a reader sees all of it or nothing; saving it twice is harmless.

        Args:
            key: Its key.
            state: Weights and statistics by name.
            meta: Plain data that says what it is, for people.
        """
        content = pack(key, state, meta)
        self._store.write(_named(key), content)
        self._keep_near(_named(key), content)

    def _keep_near(self, name: str, content: bytes) -> None:
        """Keeps a copy on this machine; where that has no room, the artefact is read from afar again."""
        if self._near is None:
            return
        try:
            self._near.write(name, content)
        except OSError as error:
            if _NEAR not in self._reported:
                _LOGGER.warning("branches are not kept at %s: %s", self._near.folder, error.strerror or error)
            self._reported.add(_NEAR)

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
        pause = _FIRST_PAUSE
        while True:
            found |= self._load(key for key in wanted if key not in found)
            missing = [key for key in wanted if key not in found]
            if not missing:
                return {key: found[key] for key in wanted}
            trained = self._claim_and_train(missing, train, chunk)
            found |= trained
            if not trained:
                time.sleep(pause)
            pause = _FIRST_PAUSE if trained else min(2 * pause, _LONGEST_PAUSE)

    def _load(self, keys: Iterable[str]) -> dict[str, State]:
        loaded = ((key, self.load(key)) for key in keys)
        return {key: state for key, state in loaded if state is not None}

    def _claim_and_train(self, missing: Sequence[str], train: Train, chunk: int | None) -> dict[str, State]:
        """Returns the artefacts that this process could claim, trained or found finished meanwhile."""
        leases: dict[str, Held] = {}
        with renewed(leases, self._heartbeat):
            for key in missing:
                if len(leases) == (chunk or len(missing)):
                    break
                if lease := self._claim(key):
                    leases[key] = lease
            found = self._load(list(leases))  # finished between the look and the claim
            for key in found:
                leases.pop(key).release()
            return found | (self._train(leases, train) if leases else {})

    def _claim(self, key: str) -> Held | None:
        lease, dead = self._leases.claim(f"{key}.lease")
        if dead:
            _LOGGER.warning("branch %s: the process that was training it is gone; taking over", key)
        return lease

    def _train(self, leases: dict[str, Held], train: Train) -> dict[str, State]:
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


def _named(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"branch store: key {key!r} is not 64 hexadecimal digits; make keys with branch_key")
    return f"{key}.safetensors"
