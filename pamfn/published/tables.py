"""The tables, number by number as printed; a model stands under the name that a space file calls it by."""

from __future__ import annotations

from dataclasses import dataclass

from pamfn.published.rows import AVERAGE, Row, row

STREAMS = ("rgb", "flow", "audio")
"""What the paper's models read, in the order of its tables."""


@dataclass(frozen=True)
class Table:
    """One table.

    Args:
        name: Such as ``Table V``.
        title: What it is about.
        rows: Its rows; PAMFN's is the last one.
        setting: What the rows differ in.
        features: What the figures were reached with.
        counts: Whether it counts the models' parameters.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    setting: str = "model"
    features: str = "VST, I3D and AST features"
    counts: bool = False

    def drops(self, of: Row) -> dict[str, float]:
        """Returns how far a row's average is from PAMFN's, by data set; the row of PAMFN itself has none."""
        full = self.rows[-1]
        both = [] if of == full else [data for data in of.figures if data in full.figures]
        return {data: round(of.figures[data][AVERAGE] - full.figures[data][AVERAGE], 4) for data in both}


def _rows(printed: str) -> tuple[Row, ...]:
    """Returns rows from lines ``model | label | numbers``; a line without numbers names the group of those below it."""
    rows, group = list[Row](), ""
    for line in printed.strip().splitlines():
        value, *cells = (cell.strip() for cell in line.split("|"))
        if cells:
            rows.append(row(value, cells[0], group, cells[1]))
        else:
            group = value
    return tuple(rows)


_TABLE_1 = """
svr:rgb        | C3D+SVR    | 0.357 0.551 0.495 0.516 0.483   0.400 0.590 0.501
ms-lstm:rgb    | MS-LSTM    | 0.621 0.661 0.670 0.695 0.663   0.660 0.809 0.744
action-net:rgb | ACTION-NET | 0.684 0.737 0.733 0.754 0.728   0.694 0.809 0.744
gdlt:rgb       | GDLT       | 0.746 0.802 0.765 0.741 0.765   0.685 0.820 0.761
pamfn          | PAMFN      | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_2 = """
joint-va:rgb+audio | Joint-VA | 0.719 0.674 0.749 0.820 0.746   0.751 0.844 0.802
msaf               | MSAF     | 0.743 0.795 0.734 0.836 0.781   0.751 0.843 0.802
umt:rgb+audio      | UMT      | 0.725 0.588 0.678 0.823 0.714   0.716 0.822 0.774
pamfn              | PAMFN    | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_3 = """
gdlt:rgb           | GDLT     | 0.785 0.776 0.768 0.776  0.776   0.710 0.823 0.773
joint-va:rgb+audio | Joint-VA | 0.735 0.648 0.811 0.826  0.763   0.768 0.849 0.812
msaf               | MSAF     | 0.780 0.740 0.802 0.842  0.794   0.779 0.855 0.821
umt:rgb+audio      | UMT      | 0.736 0.651 0.801 0.7998 0.753   0.732 0.810 0.774
pamfn              | PAMFN    | 0.822 0.813 0.853 0.848  0.835   0.791 0.865 0.832
"""
_TABLE_4 = """
Unimodality methods
branch:rgb   | RGB   | 0.636 0.720 0.769 0.708 0.711   0.665 0.823 0.755
branch:flow  | flow  | 0.536 0.674 0.684 0.716 0.657   0.606 0.772 0.698
branch:audio | audio | 0.286 0.297 0.423 0.254 0.317   0.517 0.628 0.575
Multimodal methods using Weighted Fusion
weighted-one-stage:rgb+flow   | RGB, flow        | 0.679 0.736 0.754 0.735 0.727   0.643 0.838 0.757
weighted-one-stage:rgb+audio  | RGB, audio       | 0.601 0.623 0.746 0.749 0.686   0.735 0.825 0.784
weighted-one-stage:flow+audio | flow, audio      | 0.514 0.493 0.561 0.629 0.552   0.637 0.782 0.717
weighted-one-stage            | RGB, flow, audio | 0.613 0.647 0.763 0.763 0.703   0.733 0.848 0.798
PAMFN
pamfn:rgb+flow   | RGB, flow        | 0.750 0.788 0.791 0.824 0.790   0.742 0.867 0.814
pamfn:rgb+audio  | RGB, audio       | 0.749 0.757 0.856 0.769 0.787   0.736 0.863 0.809
pamfn:flow+audio | flow, audio      | 0.693 0.665 0.795 0.795 0.743   0.689 0.813 0.758
pamfn            | RGB, flow, audio | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_5 = """
One-stage training
avg-one-stage       | AVG       | 0.596 0.644 0.746 0.778 0.698   0.715 0.840 0.785
cat-one-stage       | CAT       | 0.512 0.585 0.674 0.694 0.621   0.691 0.806 0.754
weighted-one-stage  | Weighted  | 0.613 0.647 0.763 0.763 0.703   0.733 0.848 0.798
attention-one-stage | Attention | 0.566 0.639 0.718 0.830 0.703   0.649 0.814 0.743
pamfn-one-stage     | PAMFN     | 0.741 0.728 0.819 0.855 0.792   0.735 0.853 0.802
Two-stage training
avg       | AVG       | 0.637 0.747 0.781 0.771 0.739   0.720 0.857 0.799
cat       | CAT       | 0.665 0.762 0.805 0.817 0.768   0.696 0.850 0.785
weighted  | Weighted  | 0.638 0.752 0.781 0.776 0.742   0.721 0.860 0.801
attention | Attention | 0.641 0.744 0.778 0.773 0.738   0.706 0.847 0.787
pamfn     | PAMFN     | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_6 = """
pamfn-without-cmfd  | without CMFD                     | 0.672 0.789 0.769 0.775 0.755   0.733 0.858 0.804
pamfn-without-msfd  | without MSFD                     | 0.700 0.814 0.833 0.839 0.802   0.734 0.871 0.813
pamfn-weighted-cmfd | Weighted Fusion for CMFD         | 0.670 0.751 0.816 0.796 0.764   0.724 0.862 0.804
pamfn-weighted-msfd | Weighted Fusion for MSFD         | 0.773 0.782 0.810 0.836 0.802   0.726 0.862 0.804
pamfn-weighted-both | Weighted Fusion for both         | 0.629 0.804 0.819 0.816 0.777   0.712 0.858 0.796
pamfn               | the full model                   | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_7 = """
pamfn-unranked | unranked FusionNets       | 0.689 0.822 0.789 0.832 0.789   0.730 0.868 0.810
pamfn-free     | free FusionNets           | 0.755 0.793 0.835 0.843 0.809   0.733 0.870 0.812
pamfn          | ranked FusionNets (PAMFN) | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_8 = """
pamfn-first-stage      | first stage        | 0.733 0.785 0.795 0.824 0.786   0.753 0.863 0.815
pamfn-first-two-stages | first two stages   | 0.730 0.786 0.836 0.864 0.810   0.755 0.873 0.823
pamfn                  | all stages (PAMFN) | 0.757 0.825 0.836 0.846 0.819   0.754 0.872 0.822
"""
_TABLE_9 = """
branch:rgb   | RGB            | 0.652 0.677 0.591 0.629 0.710 0.825 0.681
branch:flow  | Flow           | 0.626 0.657 0.662 0.420 0.672 0.684 0.620
branch:audio | Audio          | 0.502 0.639 0.720 0.467 0.655 0.737 0.620
pamfn        | RGB+Audio+Flow | 0.720 0.690 0.822 0.722 0.720 0.810 0.747
"""

TABLES: tuple[Table, ...] = (
    Table(
        "Table I",
        "Methods of action quality assessment",
        _rows(_TABLE_1),
        features="C3D (SVR), VST (MS-LSTM, GDLT), VST and ResNet (ACTION-NET), or VST, I3D and AST features (PAMFN)",
        counts=True,
    ),
    Table(
        "Table II",
        "Multimodal methods from other tasks",
        _rows(_TABLE_2),
        features="VST and AST (Joint-VA, UMT), or VST, I3D and AST features (MSAF, PAMFN)",
        counts=True,
    ),
    Table(
        "Table III",
        "Methods on stronger features",
        _rows(_TABLE_3),
        features="UNMT (GDLT), UNMT and MAST (Joint-VA, UMT), or UNMT, I3D and MAST features (MSAF, PAMFN)",
    ),
    Table("Table IV", "Single modalities, Weighted Fusion and PAMFN, by modalities", _rows(_TABLE_4)),
    Table("Table V", "Fusion strategies", _rows(_TABLE_5)),
    Table("Table VI", "Cross-modal (CMFD) and Modality-specific Feature Decoder (MSFD)", _rows(_TABLE_6)),
    Table("Table VII", "Kinds of FusionNets", _rows(_TABLE_7)),
    Table("Table VIII", "Fusing at different stages", _rows(_TABLE_8)),
)

TABLE_9 = Table(
    "Table IX",
    "Highlights found by each modality's branch alone, and by PAMFN",
    _rows(_TABLE_9),
    features="UMT's RGB and audio features and I3D features",
)
"""The paper's own rows: mean average precision on the test split, the average its plain mean over the topics."""

_FULL = TABLES[0].rows[-1].figures

FIGURE_6 = Table(
    "Figure 6",
    "Number of FusionNets K",
    (
        Row(6, "K = 6", figures={"Fis-V": _FULL["Fis-V"]}),
        Row(10, "K = 10", figures={"Rhythmic Gymnastics": _FULL["Rhythmic Gymnastics"]}),
    ),
    setting="fusion_nets",
)
"""What is told of it in numbers: curves over K from 4 to 12 have their best average at 10 (RG) and 6 (Fis-V), the K of
the full model in all tables. The other points are drawn, not printed."""

MISPRINTS = {
    ("Table I", "action-net:rgb", "Fis-V"): "0.744 is MS-LSTM's average in the line above; the classes make 0.757",
}
"""Printed averages that are not Fisher's of the printed classes, by table, model and data set."""
