"""The paper's own figures."""

from __future__ import annotations

import pytest

from pamfn.metrics import fisher_mean
from pamfn.published import PAPER, published


@pytest.mark.parametrize("figures", PAPER, ids=lambda figures: figures.source)
def test_the_printed_average_is_fisher_s_of_the_classes(figures) -> None:
    assert fisher_mean(list(figures.classes.values())) == pytest.approx(figures.average, abs=5e-4)


def test_figures_are_for_exactly_the_paper_s_classes() -> None:
    assert published(["Ball", "Clubs", "Hoop", "Ribbon"]).average == 0.819
    assert published(["PCS", "TES"]).classes["TES"] == 0.754
    assert published(["Ball", "Hoop"]) is None
    assert published(["Ball", "Clubs", "Hoop", "Ribbon", "Rope"]) is None
