"""A finished study and a winner behind a real MLflow server, and a headless Chromium that looks at them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from logged_study import Logged
from mlflow_server import Server
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from tracked_study import run_trials, study, tracked

from tuning.planted import ensure_planted
from tuning.report import keep_page, write_report
from tuning.sections import Synthetic
from tuning.tracking import read_study

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
CLASSES = ("Ball", "Clubs", "Hoop", "Ribbon")
SIZE = {"width": 1500, "height": 1000}
PATIENCE = 90_000  # milliseconds; a busy machine takes its time to draw
HARMLESS = {
    "mlflow/users/current": "MLflow asks who is there; only a server with accounts knows",
    "ResizeObserver loop": "the browser's word for a layout that took two frames; MLflow's grid does that",
}
"""What MLflow's own pages say on an untouched server, and why it is no fault of ours."""


@dataclass(frozen=True)
class Shown:
    """What there is to see.

    Args:
        server: The server.
        experiment: Id of the experiment of a study of four classes and eight trials.
        run: Id of that study's own run.
        logged: A study of which one configuration became a registered model.
    """

    server: Server
    experiment: str
    run: str
    logged: Logged


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Shown]:
    """Makes studies as launches do, and serves them."""
    root = tmp_path_factory.mktemp("shown")
    ensure_planted(Synthetic(size="tiny"), root / "shards")
    logged = Logged(root / "shards", root)
    tracker = tracked(root, name="gym", tasks=CLASSES)
    run_trials(tracker, 8, CLASSES)
    tracker.end_study("finished")
    results, folder = read_study(tracker.uri, "gym"), study(root, name="gym").storage
    write_report(results, folder)
    keep_page(results, folder)
    server = Server(root, tracker.uri)
    yield Shown(server, tracker.experiment_id, results.study_run_id, logged)
    server.kill()


@dataclass
class Window:
    """A page in a browser, and what its scripts complained of.

    Args:
        page: The page.
        base: The server's address.
        faults: Errors in the console, exceptions that nothing caught, requests to other machines.
    """

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Begins to collect faults; nothing but this machine can be reached from here on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(f"exception: {error}"))
        self.page.route(lambda url: not url.startswith((self.base, "data:", "blob:")), lambda route: route.abort())

    def open(self, path: str) -> Page:
        """Opens a page of MLflow afresh."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/{path}")
        return self.page

    def keep(self, name: str) -> None:
        """Keeps a picture in the folder that PAMFN_SCREENSHOTS names, if it names one."""
        if folder := os.environ.get("PAMFN_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location.get('url', '')})")

    def _note(self, fault: str) -> None:
        if not any(known in fault for known in HARMLESS):
            self.faults.append(fault)


@pytest.fixture(scope="module", name="browser")
def _browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Starts Chromium with a profile of its own; without MLflow's assistant, which opens over a third of the page."""
    profile = tmp_path_factory.mktemp("profile")
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(profile), executable_path=chromium, headless=True, args=list(FLAGS), viewport=SIZE
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        context.add_init_script(
            "if (location.protocol === 'http:') {"
            " localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
            " localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false'); }"
        )
        yield context
        context.close()


@pytest.fixture
def window(browser: BrowserContext, shown: Shown) -> Iterator[Window]:
    """Opens a window on the server; the test fails if a script of its pages does."""
    opened = Window(browser.new_page(), shown.server.uri)
    opened.listen()
    yield opened
    opened.page.close()
    assert opened.faults == []
