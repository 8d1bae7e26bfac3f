from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pamfn.data.label_files import Label, csv_labels, headless_labels, read_text, tabbed_labels

FISV = {"TES": 45.0, "PCS": 45.0}
WORD = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8)


def headless(text: str, wanted: tuple[str, ...] = ("TES", "PCS")) -> tuple[list[Label], list[str]]:
    faults: list[str] = []
    return headless_labels(text, "train.txt", "train", FISV, wanted, faults), faults


def tabbed(text: str) -> tuple[list[Label], list[str]]:
    faults: list[str] = []
    return tabbed_labels(text, "RG/train.txt", "train", "total", 25.0, faults), faults


def table(text: str, **columns: Any) -> tuple[list[Label], list[str]]:
    faults: list[str] = []
    return csv_labels(text, "labels.csv", "score", 10.0, faults, **columns), faults


@given(st.lists(st.tuples(WORD, st.floats(0, 45), st.floats(0, 45)), max_size=8))
def test_what_is_written_without_a_header_is_read_back(rows: list[tuple[str, float, float]]) -> None:
    labels, faults = headless("\n".join(f"{i} {a!r} {b!r}" for i, a, b in rows))
    assert faults == []
    assert [(x.video_id, x.scores["TES"], x.scores["PCS"]) for x in labels] == rows


@given(st.text(max_size=300))
def test_any_text_gives_labels_or_faults_of_one_line(text: str) -> None:
    for read in (headless, tabbed, table):
        labels, faults = read(text)
        assert all("\n" not in fault for fault in faults)
        bad = [x for x in labels if not all(math.isfinite(v) for v in x.scores.values())]
        assert len(bad) <= len(faults)


def test_a_fourth_column_of_deductions_is_allowed() -> None:
    labels, faults = headless("7\t21.5  30 -1\n\n8 20 31\n")
    assert faults == []
    assert [x.where for x in labels] == ["train.txt:1", "train.txt:3"]
    assert labels[0].scores == {"TES": 21.5, "PCS": 30.0}


def test_one_score_of_two_can_be_kept() -> None:
    labels, faults = headless("7 21.5 99\n", wanted=("TES",))
    assert (labels[0].scores, faults) == ({"TES": 21.5}, [])


def test_a_header_in_capitals_and_another_order_is_read() -> None:
    labels, faults = tabbed("Total\tName\n12.5\tBall_001\n")
    assert faults == []
    assert (labels[0].video_id, labels[0].scores) == ("Ball_001", {"total": 12.5})


def test_bad_rows_are_named_by_line_and_the_others_read() -> None:
    labels, faults = tabbed("name\ttotal\nBall_001\t12\nBall_002\nBall_003\ttwelve\nBall_004\t\nBall_005\t25.5\n")
    assert labels[0].scores == {"total": 12.0}
    assert faults == [
        "RG/train.txt:3: video 'Ball_002': score 'total' is missing (read as nan); every video needs one",
        "RG/train.txt:4: video 'Ball_003': score 'total' is 'twelve', not a number",
        "RG/train.txt:5: video 'Ball_004': score 'total' is missing (read as nan); every video needs one",
        "RG/train.txt:6: video 'Ball_005': score 'total' is 25.5, outside 0 to 25; "
        "correct it, or give the true C by --score-max",
    ]


def test_cells_too_many_and_a_missing_name_are_faults_and_trailing_tabs_are_not() -> None:
    labels, faults = tabbed("name\ttotal\tlength\nBall_001\t12\t95\t\t\n\t13\nBall_002\t14\t95\t7\n")
    assert [label.video_id for label in labels] == ["Ball_001"]
    assert faults == [
        "RG/train.txt:3: 2 cells, name ''; the header has 3",
        "RG/train.txt:4: 4 cells, name 'Ball_002'; the header has 3",
    ]


def test_rows_of_a_table_have_as_many_cells_as_the_header() -> None:
    _, faults = table("split,id,score\ntrain\ntrain,,3\ntrain,a,3,4\n")
    assert faults == [
        "labels.csv:2: 1 cell, id ''; the header has 3",
        "labels.csv:3: column 'id' is empty; every video has an id",
        "labels.csv:4: 4 cells, id 'a'; the header has 3",
    ]


def test_a_table_names_every_column_that_is_missing() -> None:
    _, faults = table("id,split,scores\n", action_column="class", group_column="speaker")
    assert faults == [
        "labels.csv: no column 'score'; there are id, split, scores; did you mean 'scores'?",
        "labels.csv: no column 'class'; there are id, split, scores",
        "labels.csv: no column 'speaker'; there are id, split, scores",
    ]


def test_a_table_with_another_separator_is_told_so_once() -> None:
    _, faults = table("id;split;score\na;train;3\n", action_column="class")
    assert faults == ["labels.csv:1: columns are separated by ';'; this file's are by ','"]


def test_a_column_of_two_meanings_is_refused_and_unnamed_columns_are_not() -> None:
    _, faults = table("id,split,score,score,,\na,train,3,4,,\n")
    assert faults == ["labels.csv:1: column 'score' occurs 2 times; keep one"]


def test_scores_are_written_as_people_write_numbers() -> None:
    _, faults = table("id,split,score\na,train,1_0\nb,train,inf\n")
    assert faults == [
        "labels.csv:2: video 'a': score 'score' is '1_0', not a number",
        "labels.csv:3: video 'b': score 'score' is inf, outside 0 to 10; correct it, or give the true C by --score-max",
    ]


def test_rows_after_a_cell_of_two_lines_keep_their_line_numbers() -> None:
    labels, _ = table('id,split,score,note\na,train,3,"two\nlines"\nb,test,4,\n')
    assert [label.where for label in labels] == ["labels.csv:3", "labels.csv:4"]


def test_a_table_has_quoted_cells_and_empty_groups() -> None:
    labels, faults = table('id,split,score,who\n"a,1",train,3,\nb,test,4,x\n', group_column="who")
    assert faults == []
    assert [(x.video_id, x.split, x.action, x.group) for x in labels] == [
        ("a,1", "train", "all", None),
        ("b", "test", "all", "x"),
    ]


def test_a_table_refuses_unknown_splits_and_empty_actions() -> None:
    _, faults = table("id,split,score,class\na,validation,3,x\nb,test,4,\n", action_column="class")
    assert faults == [
        "labels.csv:2: video 'a': split 'validation' is not one of train, test",
        "labels.csv:3: video 'b': column 'class' is empty; every video has an action",
    ]


def test_a_file_that_is_not_text_or_not_there_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"1 2 \xff")
    faults: list[str] = []
    assert read_text(tmp_path / "a.txt", tmp_path, faults) == ""
    assert read_text(tmp_path / "b.txt", tmp_path, faults) == ""
    assert faults == ["a.txt: is not UTF-8 text (byte 4)", "b.txt: cannot be read (No such file or directory)"]


def test_a_byte_order_mark_is_not_part_of_an_id(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf7 20 30\n")
    labels, faults = headless(read_text(tmp_path / "a.txt", tmp_path, []))
    assert (labels[0].video_id, faults) == ("7", [])
