"""The command ``python -m pamfn.describe``: the published counts, shapes, FLOPs, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from pamfn.architectures import outline
from pamfn.describe import main
from pamfn.model.network import PAMFN
from pamfn.model.outline import parameters_by_part
from pamfn.recipe import recipe

Said = pytest.CaptureFixture[str]

NORM = "stage{}.{}.norm"


def described(said: Said, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    answer: dict[str, Any] = json.loads(said.readouterr().out)
    return answer


@pytest.mark.parametrize(
    ("nets", "reduction", "parameters"),
    [(6, 1, 18_058_573), (6, 2, 17_959_757), (8, 1, 20_436_325), (10, 2, 22_715_261)],
)
def test_the_released_preset_counts_what_is_published(said: Said, nets: int, reduction: int, parameters: int) -> None:
    command = ["--preset", "released", "--fusion-nets", str(nets), "--head-reduction", str(reduction)]
    assert described(said, *command)["parameters"] == parameters
    assert main(command) == 0
    assert f"total {parameters:,} parameters\n" in said.readouterr().out


def test_a_branch_counts_what_is_published(said: Said) -> None:
    modules = described(said)["modules"]
    branches = {name: count for name, count in modules.items() if name.startswith("branches.")}
    assert branches == {"branches.rgb": 1_842_177, "branches.flow": 1_842_177, "branches.audio": 1_711_105}


def test_the_releases_unused_parameters_are_named_and_counted(said: Said) -> None:
    released, paper = described(said, "--preset", "released"), described(said)
    norms = [NORM.format(i, of) for i in (1, 2, 3) for of in ("s_fusion.fusion_s", "f_fusion.fusion_f")]
    assert released["unused"] == {**dict.fromkeys(norms, 512), "c": 768}
    assert released["unused_parameters"] == 3840
    assert released["parameters"] == sum(released["modules"].values()) + 3840
    assert (paper["unused"], paper["unused_parameters"]) == ({}, 0)
    assert paper["parameters"] == sum(paper["modules"].values())


def test_shapes_follow_the_pools(said: Said) -> None:
    shapes = described(said, "--fusion-nets", "4", "--width", "32", "--stages", "4")["shapes"]
    assert shapes["embedding"] == [70, 32]
    assert [stage["branch"] for stage in shapes["stages"]] == [[35, 32], [17, 32], [8, 32], [1, 32]]
    assert [stage["fused"] for stage in shapes["stages"]] == [[4, 35, 32], [4, 17, 32], [4, 8, 32], [4, 1, 32]]
    assert [stage["mask"] for stage in shapes["stages"]] == [[35, 4], [17, 4], [8, 4], [1, 4]]
    assert [stage["state"] for stage in shapes["stages"]] == [[35, 96], [17, 96], [8, 96], [1, 96]]


def test_flops_are_those_of_the_matrix_products(said: Said) -> None:
    small, paper = described(said, "--width", "32", "--fusion-nets", "1", "--stages", "2"), described(said)
    assert paper["flops"]["training_step"] / 1e9 == pytest.approx(148, abs=1)  # RG, K = 10, 32 videos
    assert paper["flops"]["forward"] / 1e9 == pytest.approx(1.82, abs=0.05)
    # By hand, width 32: one clip through one branch's embedding is 70 x (inputs x 64 + 64 x 32) multiply-adds.
    embeddings = sum(2 * 70 * (inputs * 64 + 64 * 32) for inputs in (1024, 1024, 768))
    block = 2 * 2 * 3 * 32 * 32  # two convolutions of three taps, a segment
    branches = 3 * (70 + 35) * block
    assert small["flops"]["forward"] > embeddings + branches
    assert small["flops"]["forward"] == pytest.approx(embeddings + branches, rel=0.15)


def test_the_text_is_aligned_and_tells_what_is_fixed(said: Said) -> None:
    assert main(["--preset", "released", "--fusion-nets", "6"]) == 0
    lines = said.readouterr().out.splitlines()
    settings = "fusion_nets 6, head_reduction 1, stages 3, width 256, clip 70, batch_size 32"
    assert lines[0] == f"pamfn, preset released: {settings}"
    assert lines[1] == "modalities: rgb 1024, flow 1024, audio 768"
    assert "branches.rgb     1,842,177" in lines
    assert "stage1.s_fusion.fusion_s.norm               512" in lines
    assert "  of these fixed in phase 2: 3,684,354" in lines
    assert "  of these unused: 3,840" in lines
    assert "2         17 x 256  6 x 17 x 256  17 x 6     17 x 768" in lines


def test_the_list_names_the_models(said: Said) -> None:
    assert main(["--list"]) == 0
    lines = said.readouterr().out.splitlines()
    named = [line.split("  ")[0] for line in lines]
    assert named[:3] == ["pamfn --preset paper", "pamfn --preset released", "pamfn"]
    table4 = ["branch:flow", "weighted-one-stage:rgb+audio", "pamfn:flow+audio"]
    assert {*table4, "cat-one-stage", "pamfn-weighted-both", "pamfn-unranked", "gdlt", "svr"} <= {*named}
    assert main(["--list", "--json"]) == 0
    assert list(json.loads(said.readouterr().out)) == named


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "relased"], "argument --preset: invalid choice: 'relased'"),
        (["--width", "7x"], "argument --width: '7x' is not a whole number"),
        (["--stages", "6"], "stages: 6 is outside 2 to 5"),
        (["--fusion-nets", "0"], "fusion_nets: 0 is outside 1 to 64"),
        (["--preset", "released", "--head-reduction", "3"], "head_reduction: 3 does not divide width 256"),
        (["--depth", "3"], "unrecognized arguments: --depth 3"),
    ],
)
def test_wrong_arguments_get_one_line_and_status_2(said: Said, arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    told = said.readouterr()
    assert stopped.value.code == 2
    assert told.out == ""
    assert told.err.startswith(f"python -m pamfn.describe: {message}")
    assert told.err.count("\n") == 1


def test_an_outline_has_the_networks_parameters_and_no_memory() -> None:
    settings, widths = recipe("released", width=8, fusion_nets=3), {"rgb": 5, "audio": 4}
    sketch, whole = outline(settings, widths), PAMFN(settings, widths, [0])
    assert {n: p.shape for n, p in sketch.named_parameters()} == {n: p.shape for n, p in whole.named_parameters()}
    assert {tensor.device.type for tensor in (*sketch.parameters(), *sketch.buffers())} == {"meta"}
    assert parameters_by_part(sketch) == parameters_by_part(whole)
    assert next(whole.parameters()).device == torch.device("cpu")  # the hook is gone


@pytest.fixture
def said(capsys: Said) -> Said:
    return capsys
