"""Pages of reports before axe-core, a checker of accessibility, in a headless Chromium.

axe-core comes with the package axe-playwright-python, or is the file that ``AXE_CORE`` names.
"""

from __future__ import annotations

import dataclasses
import html
import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from compared_study import RG, compared
from large_study import large
from test_report_final import PUBLISHED, final

from tuning.report.against import pair
from tuning.report.against_page import against_page
from tuning.report.devices import StudyRun
from tuning.report.page import Told, page

pytestmark = pytest.mark.browser

RUN = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const said = document.createElement("pre");
  said.id = "axe";
  said.textContent = JSON.stringify({
    passes: found.passes.length,
    violations: found.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))]),
  });
  document.body.replaceChildren(said);
});
"""


def axe() -> str:
    """Returns axe-core's script."""
    package = importlib.util.find_spec("axe_playwright_python")
    assert package is not None, "axe-playwright-python is not installed; it is one of the extra `dev`"
    path = os.environ.get("AXE_CORE") or Path(str(package.origin)).with_name("axe.min.js")
    return Path(path).read_text(encoding="utf-8")


def checked(chromium: str, text: str, folder: Path, width: int) -> dict:
    """Returns what axe says of a page in a window of a width."""
    script = axe().replace("</script", "<\\/script")
    path = folder / "page.html"
    path.write_text(text.replace("</body>", f"<script>{script}</script><script>{RUN}</script></body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    options += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=60000", "--disable-extensions"]
    command, environment = [chromium, *options, path.as_uri()], {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    match = re.search(r'<pre id="axe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, f"axe said nothing: {done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1]))


def reported(results, past, *, running: bool = False) -> str:
    rows = {} if isinstance(past, str) else {"engine 0": [(past.launches[0][0] + 30 * i, 40.0) for i in range(20)]}
    opening = {"study": results.name, "digest": "", "user": "", "time": ""}
    return page(results, Told(StudyRun(running, rows), past, [opening], 1_700_000_000.0))


def finished() -> str:
    results, past = large()
    return reported(dataclasses.replace(results, final=final(published=PUBLISHED)), past)


def running() -> str:
    return reported(*large(until=900.0), running=True)


def tables() -> str:
    return reported(compared({"pamfn": 0.9, "avg": 0.6, "cat": 0.7}, "model", RG), "it is not here")


def against() -> str:
    other, _ = large(trials=40, name="forty")
    return against_page(pair(large()[0], dataclasses.replace(other, study_run_id="another", tags={})), 1.7e9)


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("made", [finished, running, tables, against])
def test_a_page_has_no_fault_that_axe_knows(made, width, chromium, tmp_path):
    found = checked(chromium, made(), tmp_path, width)
    assert found["violations"] == []
    assert found["passes"] > 20


def test_the_checker_finds_a_fault_that_is_there(chromium, tmp_path):
    faulty = running().replace('<html lang="en">', "<html>").replace("<caption>", "<caption hidden>")
    assert "html-has-lang" in {fault for fault, *_ in checked(chromium, faulty, tmp_path, 1400)["violations"]}
