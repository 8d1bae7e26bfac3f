"""Files from elsewhere: arrays are loaded, and nothing that a file may contain is ever run."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pamfn.data.array_files import ArrayUnpickler, UnreadableError, load_array, load_arrays, load_pickled_dict


class RunsACommand:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def arrays() -> dict[str, NDArray[Any]]:
    return {"Ball_001": np.arange(6.0).reshape(3, 2), "Ball_002": np.ones((2, 4, 2), dtype=np.float16)}


def assert_same(loaded: Any) -> None:
    assert list(loaded) == list(arrays())
    for name, values in arrays().items():
        assert loaded[name].dtype == values.dtype
        np.testing.assert_array_equal(loaded[name], values)


def test_a_dict_saved_by_numpy_is_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(arrays()), allow_pickle=True)
    assert_same(load_pickled_dict(tmp_path / "a.npy"))


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_a_dict_pickled_directly_is_loaded(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.npy").write_bytes(pickle.dumps(arrays(), protocol=protocol))
    assert_same(load_pickled_dict(tmp_path / "a.npy"))


def test_a_dict_pickled_by_an_older_numpy_is_loaded(tmp_path: Path) -> None:
    old = pickle.dumps(arrays(), protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "a.npy").write_bytes(old)
    assert_same(load_pickled_dict(tmp_path / "a.npy"))


@pytest.mark.parametrize("save", ["pickle", "numpy"])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path: Path, save: str) -> None:
    marker, path = tmp_path / "ran", tmp_path / "a.npy"
    value = {"Ball_001": RunsACommand(marker)}
    if save == "numpy":
        np.save(path, np.array(value), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(value))
    with pytest.raises(UnreadableError) as error:
        load_pickled_dict(path)
    assert str(error.value) == "its pickle asks for posix.system; only NumPy arrays are loaded"
    assert not marker.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "numpy.load", "numpy.lib.npyio.load", "pickle.loads", "torch.load"])
def test_only_what_rebuilds_an_array_is_found(name: str) -> None:
    module, function = name.rsplit(".", 1)
    with pytest.raises(UnreadableError, match="only NumPy arrays are loaded"):
        ArrayUnpickler(None or open(os.devnull, "rb")).find_class(module, function)  # noqa: SIM115, PTH123


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([np.ones(2)], "holds a list, not a dict from video id to array"),
        (np.ones(2), "holds an array, not a dict from video id to array"),
        ({"a": [1.0]}, "entry 'a' is a list; entries go from video id to array"),
        ({"a": {"b": np.ones(2)}}, "entry 'a' is a dict; entries go from video id to array"),
    ],
)
def test_a_pickle_of_something_else_says_what_it_is(tmp_path: Path, value: object, message: str) -> None:
    (tmp_path / "a.npy").write_bytes(pickle.dumps(value))
    with pytest.raises(UnreadableError) as error:
        load_pickled_dict(tmp_path / "a.npy")
    assert str(error.value) == message


def test_an_array_of_numbers_is_not_a_dict(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(UnreadableError, match="holds an array of float64, not a pickled dict"):
        load_pickled_dict(tmp_path / "a.npy")


def test_a_truncated_pickle_is_no_dict(tmp_path: Path) -> None:
    whole = pickle.dumps(arrays())
    for length in (0, 1, 7, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.npy").write_bytes(whole[:length])
        with pytest.raises(UnreadableError, match="is not a pickled dict of arrays"):
            load_pickled_dict(tmp_path / "a.npy")


OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(OPCODES), max_size=30).map(b"".join)))
def test_any_bytes_are_a_dict_or_a_message(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.npy"
    path.write_bytes(content)
    try:
        assert isinstance(load_pickled_dict(path), dict)
    except UnreadableError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_plain_array_that_hides_a_pickle_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableError, match="is not a readable .npy array"):
        load_array(tmp_path / "a.npy")


def test_an_archive_without_an_array_names_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", ids=["a"], data=[1.0])
    with pytest.raises(UnreadableError) as error:
        load_arrays(tmp_path / "a.npz", ("ids", "lengths", "data"))
    assert str(error.value) == "has no array 'lengths'; it needs ids, lengths, data"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x93NUMPY\x01\x00"])
def test_a_broken_archive_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UnreadableError, match="is not a readable .npz archive"):
        load_arrays(tmp_path / "a.npz", ("ids",))
