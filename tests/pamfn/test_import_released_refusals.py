"""Everything wrong with a released checkpoint is said at once, and nothing is written then."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released_cases import imported, renamed, rescored, scores_of, videos
from released_network import released

from pamfn.import_released import main

HERE = Path(__file__).resolve().parent
Said = pytest.CaptureFixture[str]


@pytest.fixture
def said(capsys: Said) -> Said:
    return capsys


def refused(folder: Path, said: Said, *options: str, status: int = 1) -> list[str]:
    """Imports into a fresh folder; returns the lines of the refusal without the folder's name."""
    assert main([*options, "--out", str(folder / "networks")]) == status
    assert not (folder / "networks").exists()
    captured = said.readouterr()
    assert captured.out == ""
    return captured.err.replace(f"{folder}/", "").splitlines()


def refused_state(folder: Path, said: Said, state: dict[str, Any], *options: str) -> list[str]:
    torch.save(state, folder / "final.pth")
    return refused(folder, said, "--fusion", str(folder / "final.pth"), *options)


def test_layers_that_could_be_swapped_are_refused(tmp_path: Path, said: Said) -> None:
    letters = {f".linear_layers.{i}.": f".{name}." for i, name in enumerate(("to_q", "to_k", "to_v"))}
    state = renamed(released(0, stages=2).state_dict(), list(letters.items()))
    lines = refused_state(tmp_path, said, state)
    assert "final.pth: stage2.f_fusion.fusion_f.linear_layers.2.bias: missing" in lines
    assert "final.pth: stage2.f_fusion.fusion_f.to_v.bias: unknown" in lines
    assert lines[-1] == "48 faults; nothing was written"


def test_two_layers_that_could_be_the_querys_convolution_are_refused(tmp_path: Path, said: Said) -> None:
    state = released(0, stages=2).state_dict()
    spare = {
        name.replace("query_conv", "value_conv"): v for name, v in state.items() if "stage1.s_fusion.query" in name
    }
    lines = refused_state(tmp_path, said, {**state, **spare})
    assert lines[0] == (
        "final.pth: stage1.s_fusion: the 1x1 convolution before the query could be any of stage1.s_fusion.query_conv, "
        "stage1.s_fusion.value_conv; take out those not used"
    )


def test_all_that_is_missing_unknown_or_misshapen_is_listed_at_once(tmp_path: Path, said: Said) -> None:
    state: dict[str, Any] = dict(released(0, stages=2, nets=3).state_dict())
    for name in ("tau", "stage1.conv.3.bias", "model_f.fc.1.weight", "stage2.f_fusion.ffn.1.4.running_var"):
        del state[name]
    state |= {"stage3.extra": torch.zeros(2), "model_a.stage1.gate.weight": torch.zeros(1), "epoch": torch.zeros(1)}
    state["stage2.f_fusion.policy.0.weight"] = torch.zeros(4, 48, 1)
    state["stage1.s_fusion.fusion_s.linear_layers.1.weight"] = torch.zeros(16, 17)
    state["model_r.embedding.4.bias"] = torch.zeros(15)
    lines = refused_state(tmp_path, said, state)
    assert {line.removeprefix("final.pth: ") for line in lines} == {
        "tau: missing",
        "stage1.conv.3.bias: missing",
        "model_f.fc.1.weight: missing",
        "stage2.f_fusion.ffn.1.4.running_var: missing",
        "stage3.extra: unknown",
        "model_a.stage1.gate.weight: unknown",
        "epoch: unknown",
        "stage2.f_fusion.policy.0.weight: shape (4, 48, 1), expected (3, 48, 1)",
        "stage1.s_fusion.fusion_s.linear_layers.1.weight: shape (16, 17), expected (16, 16)",
        "model_r.embedding.4.bias: shape (15,), expected (16,)",
        f"{len(lines) - 1} faults; nothing was written",
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"c": torch.ones(48)}, "final.pth: c: is not zero throughout, and the mixed branch starts from zeros here"),
        (
            {"tau": torch.tensor(-2.5)},
            "final.pth: tau: -2.5 is not above 0: the release divides by it, which turns every decision round",
        ),
        ({"tau": torch.ones(2)}, "final.pth: tau: shape (2,), expected one number"),
        ({"tau": torch.tensor(torch.nan)}, "final.pth: tau: not all of its numbers are finite"),
        ({"tau": torch.tensor(3)}, "final.pth: tau: numbers of int64, not floating-point ones"),
        ({"tau": 3.0}, "final.pth: tau: a float, not a tensor"),
        (
            {"fc.1.weight": torch.zeros(5, 48, 1)},
            "final.pth: fc.1.weight: 5 hidden features; the release has width 16 over r",
        ),
    ],
)
def test_values_that_would_not_score_as_released_are_refused(
    tmp_path: Path, said: Said, changes: dict[str, Any], fault: str
) -> None:
    state = {**released(0, stages=2, nets=3).state_dict(), **changes}
    assert refused_state(tmp_path, said, state) == [fault, "1 fault; nothing was written"]


def test_a_branch_given_as_the_final_file_is_named_for_what_it_lacks(tmp_path: Path, said: Said) -> None:
    lines = refused_state(tmp_path, said, released(0).model_r.state_dict())
    assert lines[0].startswith("final.pth: stage1.conv.0.weight: missing; the width is read from it (there are ")
    assert "final.pth: no model_a. keys, and no file of the audio branch was given" in lines


def test_branches_of_other_sizes_are_refused(tmp_path: Path, said: Said) -> None:
    state = released(0, stages=2, nets=3).state_dict()
    torch.save(released(0, stages=3).model_f.state_dict(), tmp_path / "flow.pth")
    mixed = {key: value for key, value in state.items() if not key.startswith("model_f.")}
    assert refused_state(tmp_path, said, mixed, "--flow", str(tmp_path / "flow.pth"))[:-1] == [
        "the flow branch has width 16 and 3 stages, the mixed branch 16 and 2: they are not of one network"
    ]


def test_heads_must_divide_the_width(tmp_path: Path, said: Said) -> None:
    lines = refused_state(tmp_path, said, released(0, stages=2, nets=3).state_dict(), "--msfd-heads", "5")
    assert lines[0] == "msfd_heads: 5 does not divide width 16"


def test_a_pickled_module_is_refused_with_a_command_that_works(tmp_path: Path, said: Said) -> None:
    network, of = released(6, nets=3, stages=2), videos()
    torch.save(network, tmp_path / "final.pkl")
    line, _ = refused(tmp_path, said, "--fusion", str(tmp_path / "final.pkl"))
    assert line.startswith("final.pkl: holds a whole pickled module, which only its own code can read")
    command = line.partition("code: ")[2].replace("python", sys.executable, 1)
    subprocess.run(shlex.split(command), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE)}, check=True)
    out = tmp_path / "networks"
    assert main(["--fusion", str(tmp_path / "final.state.pth"), "--out", str(out)]) == 0
    np.testing.assert_allclose(rescored(out, of), scores_of(network, of)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, said: Said, content: bytes) -> None:
    (tmp_path / "final.pth").write_bytes(content)
    line, _ = refused(tmp_path, said, "--fusion", str(tmp_path / "final.pth"))
    assert line.startswith("final.pth: ")


def test_a_wrong_request_is_refused_before_anything_is_read(tmp_path: Path, said: Said) -> None:
    gone = str(tmp_path / "gone")
    assert refused(tmp_path, said, status=2)[0] == "nothing to import: give --fusion FILE, --branches DIR, or both"
    assert refused(tmp_path, said, "--fusion", gone, status=2)[0] == "--fusion: gone is not a file"
    assert "cannot be read as a folder" in refused(tmp_path, said, "--branches", gone, status=2)[0]
    folder = tmp_path / "branches"
    folder.mkdir()
    assert refused(tmp_path, said, "--branches", str(folder), status=2)[0].startswith(
        "--branches: branches holds no file named for rgb, flow, audio that ends in .pth"
    )
    for name in ("rgb_1.pth", "rgb_2.pth"):
        (folder / name).touch()
    assert refused(tmp_path, said, "--branches", str(folder), status=2)[0] == (
        "--branches: branches: rgb_1.pth, rgb_2.pth are all named for rgb; say which by --rgb"
    )


def test_networks_that_are_there_are_not_written_over(tmp_path: Path, said: Said) -> None:
    out = imported(tmp_path, released(0, stages=2, nets=3).state_dict())
    before = (out / "networks.safetensors").read_bytes()
    assert main(["--fusion", str(tmp_path / "final.pth"), "--out", str(out)]) == 2
    assert "already holds networks" in said.readouterr().err
    assert (out / "networks.safetensors").read_bytes() == before
