"""What a person sees in MLflow after a study: curves, the compare page, the winner and its card, the report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tuning.tracking import charts_page

if TYPE_CHECKING:  # by its name alone, another folder's conftest could be imported
    from conftest import Shown, Window

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CURVES = "div => (div.data || []).map(line => [line.name, line.type, (line.x || []).length])"
FINISHED = ("K=10 tau=10 lr=5e-4 N=3", "K=5 tau=1.5 lr=3.12e-4 N=2", "K=8 tau=1.5 lr=6.12e-4 N=2")


def curves(page: Page) -> dict[str, int]:
    """Waits for the first chart to be drawn; returns how many points it has of each trial."""
    chart = page.locator(".js-plotly-plot").first
    expect(chart.locator(".scatterlayer .trace").first).to_be_visible()
    return {line: points for line, kind, points in chart.evaluate(CURVES) if kind == "scatter"}


def test_the_chart_view_draws_the_curve_of_every_trial(shown: Shown, window: Window):
    address = charts_page(shown.server.uri, shown.experiment)
    page = window.open(address.removeprefix(f"{shown.server.uri}/"))
    drawn = curves(page)
    window.keep("charts")
    assert {name for name, points in drawn.items() if points == 18} == set(FINISHED)
    assert len(drawn) == 8
    page.mouse.wheel(0, 3000)
    window.keep("charts-below")


def test_trials_that_are_ticked_are_compared_over_the_searched_settings_by_the_best_score(shown: Shown, window: Window):
    page = window.open(f"#/experiments/{shown.experiment}/runs?workflowType=machine_learning")
    for name in FINISHED:
        row = page.get_by_role("row").filter(has_text=name)
        row.locator(".ag-selection-checkbox input").first.click()
    window.keep("runs")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Comparing 3 Runs from 1 Experiment")).to_be_visible()
    expect(page.locator(".parcoords .axis-title, .parcoords text.axis-title").first).to_be_visible()
    axes = page.locator(".parcoords .axis-title").all_text_contents()
    window.keep("compare")
    assert axes == ["fusion_nets", "lr", "stages", "best_val_spearman"]
    for name in FINISHED:
        expect(page.get_by_text(name).first).to_be_attached()


def test_the_winner_is_the_champion_with_its_card(shown: Shown, window: Window):
    page = window.open("#/models/pamfn-Ball")
    expect(page.get_by_text("champion")).to_be_visible()
    window.keep("registered")
    page.get_by_role("link", name="Version 1").click()
    expect(page.get_by_role("heading", name="Measured on the test split")).to_be_visible()
    window.keep("card")
    fusion = shown.logged.results["candidates"][0]["models"]["fusion"]["average"]
    expect(page.get_by_role("row", name=re.compile("^average"))).to_contain_text(f"{fusion['spearman']:.3f}")
    for words in ("Limits and licence", "How to ask"):
        expect(page.get_by_role("heading", name=words)).to_be_visible()


def test_the_report_opens_among_the_artefacts_of_the_studys_run(shown: Shown, window: Window):
    page = window.open(f"#/experiments/{shown.experiment}/runs/{shown.run}/artifacts")
    page.get_by_text("report.html", exact=True).first.click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Study gym")).to_be_visible()
    expect(frame.get_by_role("heading", name="Learning curves")).to_be_visible()
    window.keep("artefact")


def test_a_fault_of_a_script_is_noticed(window: Window):
    window.page.goto("data:text/html,<script>console.error('said'); missing()</script>")
    assert [re.sub(r" \(.*", "", fault) for fault in window.faults] == ["said", "exception: missing is not defined"]
    window.faults.clear()
