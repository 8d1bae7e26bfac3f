"""A study as a job: the command, what is shipped with it, and what must be known to submit it once more."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning.request import COMMAND as LAUNCH
from tuning.space import found_space
from tuning.submit.access import SubmitError
from tuning.submit.request import COMMAND, without

ROOM = 60_000  # bytes that a job's metadata may have: Ray passes them on in one variable of the environment


@dataclass(frozen=True)
class Package:
    """A launch, ready to be shipped.

    Args:
        study: Name of the study.
        words: The launch's words but for the space file.
        file: Name of the space file.
        space: Its content.
        shown: The space file as the user named it.
        resume: Whether it goes on with a study that is there.
    """

    study: str
    words: tuple[str, ...]
    file: str
    space: bytes
    shown: str
    resume: bool

    @classmethod
    def of(cls, study: str, words: Sequence[str], shown: str, *, resume: bool) -> Package:
        """Returns a launch with the space file that its words name."""
        file = found_space(shown)
        return cls(study, tuple(without(words, "--space")), file.name, file.read_bytes(), shown, resume)

    @classmethod
    def read(cls, metadata: Mapping[str, str], study: str, more: Sequence[str]) -> Package:
        """Returns a study's last launch from its job, to be gone on with.

        Args:
            metadata: What the job was submitted with.
            study: Name of the study.
            more: Words that go after those of then.

        Raises:
            SubmitError: If the job does not tell.
        """
        try:
            words, file, shown, space = (json.loads(metadata["launch"])[k] for k in ("words", "file", "shown", "space"))
        except (KeyError, ValueError, TypeError) as error:
            raise SubmitError(
                f"--resume: the last job of {study} does not tell how it was launched; give --space and its other "
                "options again, and --resume without a name"
            ) from error
        return cls(study, (*words, *more), file, space.encode(), shown, resume=True)

    @property
    def command(self) -> str:
        """The command that runs in the job; the shell makes way for it, for exit status and signals to be its own."""
        resume = ["--resume"] if self.resume else []
        return "exec " + shlex.join([*LAUNCH, "--space", self.file, *self.words, "--address", "auto", *resume])

    def again(self, address: str) -> str:
        """Returns the command that goes on with the study."""
        return shlex.join([*COMMAND, "--address", address, "--space", self.shown, *self.words, "--resume"])

    def metadata(self, address: str) -> dict[str, str]:
        """Returns what stands beside the job on the dashboard; none of it is secret."""
        launch = {"words": self.words, "file": self.file, "shown": self.shown, "space": self.space.decode()}
        told = {"study": self.study, "again": self.again(address)}
        whole = json.dumps(launch)
        return {**told, "launch": whole} if len(whole) < ROOM else told
