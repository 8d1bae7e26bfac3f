"""The command ``python -m pamfn.figures --study``: Figure 6 of a study's table, and tables that it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pamfn.figures.__main__ import main
from pamfn.figures.study_table import read_study

Said = pytest.CaptureFixture[str]


def refusal(capsys: Said, status: int, *command: str) -> str:
    assert main(list(command)) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.rstrip("\n")


def trial(nets: int, score: float, *, reason: str = "finished", folds: int = 2) -> dict[str, Any]:
    of_folds = {f"val_spearman.{task}.fold{f}": score + 0.01 * f for task in ("Ball", "Hoop") for f in range(folds)}
    return {"fusion_nets": nets, "val_spearman": score, "status_reason": reason, **of_folds}


def study(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "results.parquet")
    return folder / "results.parquet"


def test_a_study_gives_figure_6_at_the_best_trial_of_each_k(tmp_path: Path, capsys: Said) -> None:
    rows = [trial(8, 0.5), trial(4, 0.6), trial(4, 0.7), trial(8, 0.9, reason="stopped at rung 1")]
    path = study(tmp_path / "by-k", rows)
    found = read_study(path)
    assert found.nets_K.tolist() == [4, 8]
    np.testing.assert_allclose(found.scores["Ball"], [[0.7, 0.71], [0.5, 0.51]])
    np.testing.assert_allclose(found.scores["average"], [[0.7, 0.71], [0.5, 0.51]])
    assert (found.tried, found.unfinished) == ({4: 2, 8: 1}, 1)
    for given in (path, path.parent):  # the table or its folder
        assert main(["--study", str(given), "--out", str(tmp_path / "figures")]) == 0
        said = capsys.readouterr().out
        assert "trials of each K: K 4: 2, K 8: 1" in said
        assert "left out: 1 trial that did not run the full budget" in said
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["figure6-fusion-nets.png", "figure6-fusion-nets.svg"]
    svg = (tmp_path / "figures" / "figure6-fusion-nets.svg").read_text(encoding="utf-8")
    assert "by-k: each K at the best of 1 to 2 trials" in svg


def test_a_study_of_one_class_has_one_panel(tmp_path: Path) -> None:
    rows = [{"fusion_nets": k, "val_spearman": k / 20, "status_reason": "finished"} for k in (4, 8)]
    found = read_study(study(tmp_path, [{**row, "val_spearman.fold0": row["val_spearman"]} for row in rows]))
    assert list(found.scores) == ["all"]
    np.testing.assert_allclose(found.scores["all"], [[0.2], [0.4]])


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"fusion_nets": 4, "val_spearman.fold0": 0.1}], "no column val_spearman, status_reason"),
        ([{"val_spearman": 0.1, "status_reason": "finished"}], r"no column val_spearman.<class>.fold0"),
        ([{k: v for k, v in trial(4, 0.5).items() if k != "fusion_nets"}], "fusion_nets was not searched"),
        ([trial(4, 0.5, reason="stopped at rung 1")], "none of 1 trial ran its full budget"),
        ([trial(4, float("nan"))], "none of 1 trial ran its full budget"),
    ],
)
def test_a_table_that_says_nothing_of_k_is_refused(
    tmp_path: Path, capsys: Said, rows: list[dict[str, Any]], why: str
) -> None:
    path = study(tmp_path, rows)
    line = refusal(capsys, 1, "--study", str(path), "--out", str(tmp_path / "figures"))
    assert line.startswith(f"{path}: ")
    assert why in line


def test_a_file_that_is_no_table_is_refused(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "results.parquet").write_text("no table")
    assert "cannot be read" in refusal(capsys, 1, "--study", str(tmp_path), "--out", str(tmp_path / "figures"))
    assert "cannot be read" in refusal(capsys, 1, "--study", str(tmp_path / "gone"), "--out", str(tmp_path / "figures"))
