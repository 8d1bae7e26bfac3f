"""Names of files that never leave this machine, as patterns in the language of ``.gitignore``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pathspec import GitIgnoreSpec

SECRETS = (
    ".env",
    ".env.*",
    "*.env",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    "*.gpg",
    "*.asc",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".pypirc",
    ".npmrc",
    ".git-credentials",
    ".htpasswd",
    ".aws/",
    ".ssh/",
    ".kube/",
    ".gnupg/",
    ".docker/",
    ".ray/",
    "kubeconfig*",
    "*credential*",
    "*secret*",
    "*password*",
    "*passwd*",
    "*auth_token*",
    "*api_key*",
    "!*.py",
)
"""Keys, tokens and passwords; a Python file is code whatever its name."""

DATA = (
    "shards/",
    "studies/",
    "mlruns/",
    "mlartifacts/",
    "wandb/",
    "*.db",
    "*.db-*",
    "*.sqlite*",
    "*.parquet",
    "*.safetensors",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.npy",
    "*.npz",
    "*.pkl",
    "*.h5",
    "*.jsonl",
    "*.mp4",
    "*.zip",
    "*.tar*",
)
"""Data, studies and checkpoints: they lie where the cluster reads them."""

LITTER = (".git/", "__pycache__/", "*.pyc", ".*_cache/", ".venv/", "node_modules/", "*.egg-info/", ".DS_Store")

_KINDS = {
    "a secret by its name": GitIgnoreSpec.from_lines(SECRETS),
    "data by its name": GitIgnoreSpec.from_lines(DATA),
    "no code": GitIgnoreSpec.from_lines(LITTER),
}
_CLOSED = GitIgnoreSpec.from_lines(pattern for pattern in SECRETS if pattern.endswith("/"))


def why_withheld(path: Path, root: Path) -> str:
    """Returns why a file below a folder does not travel, or nothing if it does.

    Args:
        path: The file.
        root: The folder that is shipped; ``.gitignore`` files count from the top of its working tree down to the file.
    """
    if path.is_symlink():
        return "a link"
    name = path.relative_to(root).as_posix()
    if _CLOSED.match_file(name):  # a folder of secrets is closed to code as well
        return "a secret by its name"
    found = next((kind for kind, spec in _KINDS.items() if spec.match_file(name)), "")
    return found or ("ignored by Git" if _ignored(path, root) else "")


def _ignored(path: Path, root: Path) -> bool:
    """Returns what the last rule says that speaks of a file; the rules of a deeper folder come last."""
    verdict = False
    for folder in _folders(path.parent, _top(root)):
        spec = _rules(folder)
        found = spec.check_file(path.relative_to(folder).as_posix()).include if spec else None
        verdict = verdict if found is None else found
    return verdict


def _folders(last: Path, first: Path) -> list[Path]:
    chain = [last]
    while chain[-1] != first:
        chain.append(chain[-1].parent)
    return chain[::-1]


@cache
def _top(folder: Path) -> Path:
    """Returns the top of the working tree that a folder is in, or the folder where there is none."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)


@cache
def _rules(folder: Path) -> GitIgnoreSpec | None:
    file = folder / ".gitignore"
    return GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else None
