"""NumPy files from elsewhere: read without running anything that they may contain."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_ALLOWED = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype")}
_BROKEN = (
    pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    ImportError, MemoryError, OverflowError, NotImplementedError, zipfile.BadZipFile,
)  # fmt: skip


class UnreadableError(ValueError):
    """A file that is not what its place in the layout says; the message is the rule it breaks, without the file."""


class ArrayUnpickler(pickle.Unpickler):
    """Loads containers of NumPy arrays; whatever else a pickle asks for is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the few functions that rebuild an array."""
        if (module, name) not in _ALLOWED:
            raise UnreadableError(f"its pickle asks for {module}.{name}; only NumPy arrays are loaded")
        return super().find_class(module, name)


def load_pickled_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Reads a pickled dict of arrays, as ``numpy.save`` or ``pickle.dump`` leaves it.

    Raises:
        UnreadableError: If the file is anything else; nothing in it has been run.
    """
    try:
        with path.open("rb") as file:
            value = ArrayUnpickler(_payload(file)).load()
    except UnreadableError:
        raise
    except _BROKEN as error:
        raise UnreadableError(f"is not a pickled dict of arrays ({_one_line(error)})") from error
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, dict):
        raise UnreadableError(f"holds {_kind(value)}, not a dict from video id to array")
    wrong = [key for key, item in value.items() if not isinstance(key, (str, int)) or not isinstance(item, np.ndarray)]
    if wrong:
        raise UnreadableError(f"entry {wrong[0]!r} is {_kind(value[wrong[0]])}; entries go from video id to array")
    return {str(key): item for key, item in value.items()}


def load_array(path: Path) -> NDArray[Any]:
    """Reads a ``.npy`` file of plain numbers.

    Raises:
        UnreadableError: If it is missing, truncated, or pickled.
    """
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except _BROKEN as error:
        raise UnreadableError(f"is not a readable .npy array ({_one_line(error)})") from error


def load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Reads named arrays of plain numbers or text from a ``.npz`` file.

    Raises:
        UnreadableError: If it is no such file, or lacks one of the arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise UnreadableError(f"has no array {missing[0]!r}; it needs {', '.join(names)}")
            return {name: archive[name] for name in names}
    except UnreadableError:
        raise
    except (*_BROKEN, zipfile.error) as error:
        raise UnreadableError(f"is not a readable .npz archive ({_one_line(error)})") from error


def _payload(file: io.BufferedReader) -> io.BufferedReader:
    """Returns the file, moved past NumPy's header if it has one."""
    magic = file.read(len(_MAGIC))
    file.seek(0)
    if magic != _MAGIC:
        return file
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = read_header(file)
    if dtype.kind != "O":
        raise UnreadableError(f"holds an array of {dtype}, not a pickled dict from video id to array")
    return file


def _kind(value: Any) -> str:
    return "an array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
