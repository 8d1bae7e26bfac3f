"""The tables of compared models: what is chosen, where it stands, and what it says of the differences."""

from __future__ import annotations

import dataclasses
import math
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from compared_study import FOLDS, RATES, RG, SCATTER, compared, folds_of, results_of, space_of, trial
from tracked_study import config, result, told_by, tracked

from pamfn.metrics import fisher_mean
from pamfn.published import TABLES, TOPICS
from tuning.report import write_report
from tuning.report.comparing import comparison
from tuning.report.devices import StudyRun
from tuning.report.layout import blocks, role
from tuning.report.models import models_html, models_text, sections
from tuning.report.page import Told, page
from tuning.report.paired import corrected, holm
from tuning.sections import Synthetic

TABLE_V = {row.value: row for row in next(table for table in TABLES if table.name == "Table V").rows}
STREAMS = ("rgb", "flow", "audio")


def table_v(**changes):
    """The models of Table V; the first, which is the reference, is PAMFN."""
    order = ["pamfn", *[value for value in TABLE_V if value != "pamfn"]]
    return compared({value: 0.9 - 0.04 * place for place, value in enumerate(order)}, **changes)


def rows_of(section):
    """The rows of a table by their first cell and group."""
    found, group = {}, ""
    for row in section.rows:
        if isinstance(row, str):
            group = row
        else:
            found[group, row[0].text] = dict(zip(section.head, row, strict=True))
    return found


def test_each_value_stands_with_the_best_of_its_learning_rates() -> None:
    found = comparison(table_v())
    assert [entry.tried for entry in found.entries] == [3] * 10
    assert {entry.best.values["lr_scale"] for entry in found.entries} == {1.0}
    assert found.reference.value == "pamfn"
    assert found.reference.z_CJ.shape == (4, FOLDS)


def test_the_table_is_laid_out_as_the_paper_s_by_groups_and_labels() -> None:
    (section,) = sections(table_v())
    assert section.title == "Table V: Fusion strategies"
    assert section.head[3:8] == (*RG, "average")
    groups = [row for row in section.rows if isinstance(row, str)]
    assert groups == ["One-stage training", "Two-stage training"]
    one = ["AVG", "CAT", "Weighted", "Attention", "PAMFN"]
    assert [key for key in rows_of(section)] == [(group, label) for group in groups for label in one]


def test_a_cell_holds_the_score_with_its_corrected_interval_and_the_paper_s_figure() -> None:
    results = table_v()
    row = rows_of(sections(results)[0])["Two-stage training", "CAT"]
    best = next(t for t in results.trials if t.values == {"model": "cat", "lr_scale": 1.0})
    hoop = [best.folds[f"val_spearman.Hoop.fold{i}"] for i in range(FOLDS)]
    z = np.arctanh(hoop)
    reach = 2.776445 * math.sqrt((1 / 5 + 1 / 4) * z.var(ddof=1))
    low, high = np.tanh([z.mean() - reach, z.mean() + reach])
    assert row["Hoop"].text == f"{fisher_mean(hoop):.3f}"
    assert row["Hoop"].below == f"[{low:.3f}, {high:.3f}]"
    assert row["Hoop"].paper == "paper 0.805"
    assert row["average"].text == f"{fisher_mean(list(best.folds.values())):.3f}" == f"{best.score:.3f}"
    assert row["average"].paper == "paper 0.768"
    assert row["chosen"].text == "lr 5e-4 (1x)"
    assert row["chosen"].below == "best of 3"


def test_a_difference_is_paired_by_fold_and_corrected_for_how_many_there_are() -> None:
    results = table_v()
    (block,) = blocks(comparison(results), STREAMS)
    assert len(block.differences) == 9
    entries = {entry.value: entry for entry in comparison(results).entries}
    names = [line.entry.value for line in block.lines if line.difference]
    plain = [corrected(entries[name].z_J - entries["pamfn"].z_J) for name in names]
    assert [d.p for d in block.differences] == holm([estimate.p for estimate in plain])
    line = next(line for line in block.lines if line.entry.value == "avg")
    level = float(entries["pamfn"].z_J.mean())
    assert line.difference.told[0] == pytest.approx(entries["avg"].best.score - entries["pamfn"].best.score)
    ends = plain[names.index("avg")]
    assert line.difference.told[1:] == pytest.approx(
        [math.tanh(level + z) - math.tanh(level) for z in (ends.low, ends.high)]
    )


def test_words_say_which_differences_separate() -> None:
    far = compared({"pamfn": 0.9, "pamfn-unranked": 0.3, "pamfn-free": 0.88})
    rows = rows_of(sections(far)[0])
    last = sections(far)[0].head[-1]
    assert rows["", "unranked FusionNets"][last].text == "separates"
    assert rows["", "free FusionNets"][last].text == "does not separate"
    assert re.fullmatch(r"Holm's p = 0\.\d{3}", rows["", "free FusionNets"][last].below)
    gap = "less the full model"
    assert rows["", "ranked FusionNets (PAMFN)"][gap].text == "reference"
    assert rows["", "unranked FusionNets"][gap].text.startswith("-0.")
    assert rows["", "unranked FusionNets"][gap].paper == "paper -0.030"
    assert rows["", "unranked FusionNets"][last].below == "Holm's p < 0.001"
    assert "1 of 2 does" in " ".join(sections(far)[0].notes)


def test_a_study_of_several_tables_has_each_and_the_rest_behind() -> None:
    names = ["pamfn", "pamfn-unranked", "pamfn-free", "pamfn-first-stage", "pamfn-first-two-stages", "avg"]
    found = sections(compared(dict.fromkeys(names, 0.8)))
    assert [section.title.partition(":")[0] for section in found] == ["Table VII", "Table VIII", "Other models"]
    assert list(rows_of(found[-1])) == [("", "avg")]
    assert rows_of(found[-1])["", "avg"]["Ball"].paper == "paper 0.637"


def titles(names, **changes):
    return [section.title.partition(":")[0] for section in sections(compared(dict.fromkeys(names, 0.8), **changes))]


def test_table_iii_stands_only_where_tables_i_and_ii_do_not() -> None:
    third = ["pamfn", "gdlt", "joint-va", "msaf", "umt"]
    assert titles(third) == ["Table III"]
    assert titles([*third, "svr:rgb", "ms-lstm", "action-net:rgb"]) == ["Table I", "Table II"]
    assert titles(["pamfn", "joint-va", "msaf", "umt"]) == ["Table II"]
    assert titles(["pamfn", "gdlt"]) == ["Models"]


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("pamfn", STREAMS, "pamfn"),
        ("pamfn:audio+rgb+flow", STREAMS, "pamfn"),
        ("weighted-one-stage:flow+rgb", STREAMS, "weighted-one-stage:rgb+flow"),
        ("gdlt", STREAMS, "gdlt:rgb"),
        ("joint-va", STREAMS, "joint-va:rgb+audio"),
        ("pamfn", ("rgb", "audio"), "pamfn:rgb+audio"),
        ("branch:dspec", ("spec", "dspec", "pros"), "branch:flow"),
        ("pamfn", ("spec", "dspec", "pros"), "pamfn"),
        ("gdlt", ("audio", "flow", "rgb"), "gdlt:audio"),
        ("branch:none", STREAMS, "branch:none"),
    ],
)
def test_a_model_is_known_by_what_it_reads(name, there, expected) -> None:
    assert role(name, there) == expected


def test_table_iv_of_other_streams_has_the_data_s_own_names_and_no_figures() -> None:
    there = ("spec", "dspec", "pros")
    named = dict(zip(STREAMS, there, strict=True))
    fourth = next(table for table in TABLES if table.name == "Table IV")
    names = [re.sub("rgb|flow|audio", lambda m: named[m[0]], row.value) for row in reversed(fourth.rows)]
    (section,) = sections(compared(dict.fromkeys(names, 0.8), classes=("child", "adult"), modalities=there))
    rows = rows_of(section)
    assert section.title.startswith("Table IV")
    assert ("PAMFN", "spec, pros") in rows
    assert ("Unimodality methods", "dspec") in rows
    row = rows["PAMFN", "dspec, pros"]
    assert row["child"].paper == row["average"].paper == ""
    assert row[section.head[-2]].paper == "paper -0.076, -0.064"
    assert "as context" in " ".join(section.notes)
    assert "on Rhythmic Gymnastics and Fis-V in this order" in " ".join(section.notes)


def test_values_of_another_setting_are_a_table_when_only_the_learning_rate_goes_with_them() -> None:
    results = compared({10: 0.8, 4: 0.7, 6: 0.75}, setting="fusion_nets")
    (section,) = sections(results)
    assert section.title == "Figure 6: Number of FusionNets K"
    rows = rows_of(section)
    assert [label for _, label in rows] == ["K = 10", "K = 4", "K = 6"]
    assert rows["", "K = 10"]["average"].paper == "paper 0.819"
    assert rows["", "K = 4"]["average"].paper == rows["", "K = 6"]["average"].paper == ""
    assert "drawn, not printed" in " ".join(section.notes)
    assert sections(results_of(space_of("stages", (3,)), [])) == []
    searched = space_of("stages", (2, 3)).search
    alone = space_of("stages", (2, 3)).model_copy(update={"search": {"stages": searched["stages"]}})
    assert sections(results_of(alone, [])) == []


def test_only_trials_that_ran_their_full_budget_have_a_say_and_others_are_named() -> None:
    low, high = folds_of(0.5, RG), folds_of(0.9, RG)
    trials = [
        trial(0, {"model": "pamfn", "lr_scale": 1.0}, low),
        trial(1, {"model": "pamfn", "lr_scale": 3.0}, high, reason="stopped at rung 0"),
        trial(2, {"model": "avg", "lr_scale": 1.0}, {}, reason="failed: diverged: Ball/fold0/seed0"),
        trial(3, {"model": "avg", "lr_scale": 3.0}, high, reason=""),
    ]
    (section,) = sections(results_of(space_of("model", ("pamfn", "avg", "cat")), trials))
    rows = rows_of(section)
    assert rows["", "pamfn"]["Ball"].text == f"{math.tanh(0.5):.3f}"
    assert rows["", "pamfn"]["chosen"].below == "the only one"
    assert rows["", "avg"]["chosen"].below == "failed: diverged: Ball/fold0/seed0; running"
    assert rows["", "avg"]["Ball"].text == "-"
    assert rows["", "avg"][section.head[-2]].text == "-"
    assert rows["", "cat"]["chosen"].below == "none has begun"


def test_a_reference_that_is_not_there_yet_leaves_the_others_without_a_difference() -> None:
    trials = [trial(0, {"model": "avg", "lr_scale": 1.0}, folds_of(0.5, RG))]
    (section,) = sections(results_of(space_of("model", ("pamfn", "avg")), trials))
    assert rows_of(section)["", "avg"][section.head[-2]].text == "-"
    assert not any("Holm" in note for note in section.notes)


def test_a_class_that_is_alone_is_its_own_average() -> None:
    (section,) = sections(compared({"pamfn": 0.8, "avg": 0.7}, classes=("Hoop",)))
    assert section.head[3] == "Hoop"
    assert "average" not in section.head
    assert rows_of(section)["", "avg"]["Hoop"].paper == "paper 0.781"


def test_a_part_of_the_paper_s_classes_has_no_average_of_its() -> None:
    (section,) = sections(compared({"pamfn": 0.8, "avg": 0.7}, classes=("Ball", "Hoop")))
    row = rows_of(section)["", "avg"]
    assert (row["Ball"].paper, row["average"].paper) == ("paper 0.637", "")


def test_below_stands_how_it_was_chosen_what_is_corrected_and_why_the_paper_is_not_comparable() -> None:
    results = table_v()
    said = " ".join(sections(results)[0].notes)
    for words in (
        *("slightly optimistic", "tried for it (3)", "Nadeau and Bengio", "4 degrees of freedom", "5 held-out folds"),
        *("3 seeds", "Holm's correction for the 9 of this table", "not comparable", "VST, I3D and AST features"),
    ):
        assert words in said, words
    assert "planted" not in said
    planted = results.space.data.model_copy(update={"synthetic": Synthetic(size="small")})
    space = results.space.model_copy(update={"data": planted})
    assert "planted" in " ".join(sections(dataclasses.replace(results, space=space))[0].notes)


def test_rows_whose_best_rate_is_the_last_on_its_side_are_counted() -> None:
    levels = {1.0: 0.5, 0.3: 0.5, 3.0: 0.5}
    best = {"pamfn": 3.0, "avg": 3.0, "cat": 0.3, "weighted": 1.0}
    tried = [(model, rate, level + 0.1 * (best[model] == rate)) for model in best for rate, level in levels.items()]
    trials = [trial(i, {"model": m, "lr_scale": r}, folds_of(z, RG)) for i, (m, r, z) in enumerate(tried)]
    said = sections(results_of(space_of("model", tuple(best)), trials))[0].notes
    assert "1 row took the lowest learning rate there was: a wider search may find a better." in said
    assert "2 rows took the highest learning rate there was: a wider search may find a better." in said
    assert not any("learning rate there was" in note for note in sections(table_v())[0].notes)


def test_parameters_stand_beside_the_paper_s_in_the_tables_that_have_them() -> None:
    rows = rows_of(sections(compared(dict.fromkeys(["pamfn", "joint-va", "msaf", "umt"], 0.8)))[0])
    assert (rows["", "UMT"]["weights"].text, rows["", "UMT"]["weights"].paper) == ("1.23M", "paper 3.78M")
    assert rows["", "UMT"]["reads"].text == "rgb, audio"
    assert "reads" not in sections(table_v())[0].head
    assert rows_of(sections(table_v())[0])["Two-stage training", "PAMFN"]["weights"].paper == ""


class Tables(HTMLParser):
    """Collects the cells of every row of every table of models."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.inside, self.kind = [], False, []

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.inside = dict(attrs).get("class") == "models"
        if self.inside and tag == "tr":
            self.rows.append([])
        if self.inside and tag in ("td", "th"):
            self.rows[-1].append({"text": "", **dict.fromkeys(("below", "paper"), "")})
        if tag in ("td", "th", "span"):
            self.kind.append(dict(attrs).get("class") if tag == "span" else "text")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "span"):
            self.kind.pop()

    def handle_data(self, data):
        if self.inside and self.kind and self.rows and self.rows[-1]:
            self.rows[-1][-1][self.kind[-1]] += data


def test_the_page_holds_the_cells_of_the_table() -> None:
    results = table_v()
    parser = Tables()
    parser.feed(models_html(results))
    (section,) = sections(results)
    assert len(parser.rows) == 1 + len(section.rows)
    assert [cell["text"] for cell in parser.rows[0]] == list(section.head)
    for told, row in zip(parser.rows[1:], section.rows, strict=True):
        if isinstance(row, str):
            assert [cell["text"] for cell in told] == [row]
        else:
            assert told == [dataclasses.asdict(cell) for cell in row]
    assert models_html(results) in page(results, Told(StudyRun(running=False), "it is not here", None, 0.0))


def test_the_markdown_holds_the_same_cells() -> None:
    (section,) = sections(table_v())
    lines = models_text(table_v()).splitlines()
    assert lines[0] == "## Table V: Fusion strategies"
    row = rows_of(section)["Two-stage training", "CAT"]
    (line,) = [line for line in lines if line.startswith("| CAT (cat) |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == len(section.head)
    assert cells[3] == f"{row['Ball'].text} {row['Ball'].below}; paper 0.665"
    assert lines[-1] == f"- {section.notes[-1]}"


def test_highlights_are_averaged_as_they_are_and_called_what_they_are() -> None:
    folds = [{f"val_map.{topic}.fold{i}": value + 0.01 * i for i in range(3)} for topic, value in (("dog", 0.6),)]
    folds += [{name.replace("dog", "surfing"): value + 0.2 for name, value in folds[0].items()}]
    values = [{"model": "pamfn", "lr_scale": 1.0}, {"model": "branch:rgb", "lr_scale": 1.0}]
    lower = {name: value - (0.1 if "fold1" in name else 0.2) for name, value in (folds[0] | folds[1]).items()}
    trials = [trial(0, values[0], folds[0] | folds[1]), trial(1, values[1], lower)]
    asked = space_of("model", ("pamfn", "branch:rgb"), classes=("dog", "surfing"), preset="highlights")
    (section,) = sections(results_of(asked, trials))
    row = rows_of(section)["", "branch:rgb"]
    assert row["dog"].text == f"{0.61 - 0.5 / 3:.3f}"
    assert row[section.head[-2]].text == f"{-0.5 / 3:.3f}"
    assert (row["dog"].paper, row["surfing"].paper, row["average"].paper) == ("paper 0.652", "paper 0.825", "")
    assert row[section.head[-2]].paper == ""
    assert section.notes[0].startswith("Each cell: mean average precision on 5 held-out folds")
    assert "Fisher" not in section.notes[0]


def test_the_rows_of_table_ix_are_laid_out_as_it_and_those_of_table_iv_are_not() -> None:
    models = ("pamfn", "branch:rgb", "branch:flow", "branch:audio")
    names = [f"val_map.{topic}.fold{i}" for topic in TOPICS["YouTube Highlights"] for i in range(3)]
    levels = {"pamfn": 0.7, "branch:rgb": 0.6, "branch:flow": 0.5, "branch:audio": 0.4}
    trials = [
        trial(
            i, {"model": model, "lr_scale": 1.0}, {name: levels[model] + 0.01 * (j % 3) for j, name in enumerate(names)}
        )
        for i, model in enumerate(models)
    ]
    asked = space_of("model", models, classes=TOPICS["YouTube Highlights"], preset="highlights")
    (section,) = sections(results_of(asked, trials))
    assert section.title.startswith("Table IX: Highlights found")
    row = rows_of(section)["", "Flow"]
    assert (row["skating"].paper, row["average"].paper) == ("paper 0.420", "paper 0.620")
    assert row["average"].text == "0.510"
    assert row[section.head[-2]].paper == "paper -0.127"
    assert "UMT's RGB and audio features" in " ".join(section.notes)


def test_there_is_no_table_before_there_is_a_score() -> None:
    trials = [trial(0, {"model": "pamfn", "lr_scale": 1.0}, {}, reason="")]
    assert sections(results_of(space_of("model", ("pamfn", "avg")), trials)) == []


def test_names_are_escaped() -> None:
    trials = [
        trial(0, {"model": "pamfn", "lr_scale": 1.0}, {}, reason="failed: <b>|bold</b>"),
        trial(1, {"model": "avg", "lr_scale": 1.0}, folds_of(0.5, RG)),
    ]
    results = results_of(space_of("model", ("pamfn", "avg")), trials)
    assert "<b>" not in models_html(results)
    assert "<b>|bold</b>" in unescape(models_html(results))
    assert all(line.count("|") == 11 for line in models_text(results).splitlines() if line.startswith("|"))


def test_it_is_read_back_from_mlflow_and_written_beside_the_page(tmp_path) -> None:
    tracker = tracked(tmp_path, tasks=("Ball", "Hoop"))
    for number, (model, rate) in enumerate((m, r) for m in ("pamfn", "avg") for r in (1.0, 3.0)):
        tracker.trial_started(f"t{number}", {**config(number), "model": model, "lr_scale": rate})
        tracker.trial_reported(f"t{number}", result(2, peak=0.4 + 0.03 * number, tasks=("Ball", "Hoop")))
        tracker.trial_ended(f"t{number}", "finished")
    results = told_by(tracker)
    assert results.modalities == STREAMS
    assert models_text(results) == ""
    asked = space_of("model", ("pamfn", "avg"), classes=("Ball", "Hoop"))
    values = [{"model": m, "lr_scale": r} for m in ("pamfn", "avg") for r in RATES[1:]]
    trials = [dataclasses.replace(t, values=v) for t, v in zip(results.trials, values, strict=True)]
    files = write_report(dataclasses.replace(results, space=asked, trials=tuple(trials)), str(tmp_path / "out"))
    assert sorted(path.rsplit("/", 1)[1] for path in files) == [
        *("best.yaml", "comparison.md", "report.html", "results.parquet"),
    ]
    table = (tmp_path / "out/comparison.md").read_text()
    ball = [trials[3].folds[f"val_spearman.Ball.fold{i}"] for i in (0, 1)]
    assert f"| {fisher_mean(ball):.3f} [" in table
    assert "lr 1.5e-3 (3x) (best of 2)" in table


def test_the_scatter_of_the_fixture_is_what_intervals_are_made_of() -> None:
    assert sum(SCATTER) == pytest.approx(0.0)
    assert comparison(table_v()).entries[1].z_J == pytest.approx([0.86 + 0.15 + s for s in SCATTER])
