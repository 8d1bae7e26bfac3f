"""The audit of what is installed: what is accepted is named, justified, and there; what is not is refused."""

from __future__ import annotations

import datetime
import importlib.machinery
import importlib.util
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parent.parent / ".ci"
TODAY = datetime.date(2026, 6, 1)
FOUND = [
    {"name": "one", "version": "1.0", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}]},
    {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-2", "aliases": [], "fix_versions": []}]},
    {"name": "three", "skip_reason": "not on PyPI"},
]


@pytest.fixture(name="audit")
def _audit() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("ci_audit", str(FOLDER / "audit"))
    spec = importlib.util.spec_from_loader("ci_audit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def entry(**changes):
    return {"id": "CVE-1", "package": "One", "reason": "never called", "review": datetime.date(2026, 7, 1), **changes}


def written(folder: Path, entries) -> Path:
    path = folder / "audit.toml"
    path.write_text("".join(
        "[[accepted]]\n" + "".join(f"{k} = {v if isinstance(v, datetime.date) else repr(v)}\n" for k, v in one.items())
        for one in entries
    ) or "accepted = []\n")  # fmt: skip
    return path


def test_every_accepted_vulnerability_is_justified_and_its_package_installed() -> None:
    for one in tomllib.loads((FOLDER / "audit.toml").read_text(encoding="utf-8"))["accepted"]:
        assert set(one) == {"id", "package", "reason", "review"}, one
        assert len(one["reason"].split()) > 3, one
        assert isinstance(one["review"], datetime.date), one
        assert metadata.version(one["package"]), one


def test_a_known_vulnerability_is_refused_unless_it_is_accepted(audit, tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "ACCEPTED", written(tmp_path, []))
    both = ["one 1.0: PYSEC-1, mended in 1.1", "two 2.0: PYSEC-2, mended in no version"]
    assert audit.refused(FOUND, audit.accepted(TODAY)) == both
    monkeypatch.setattr(audit, "ACCEPTED", written(tmp_path, [entry()]))
    assert audit.refused(FOUND, audit.accepted(TODAY)) == both[1:]


@pytest.mark.parametrize("changes", [{"review": TODAY}, {"package": "two"}, {"id": "CVE-2"}])
def test_an_entry_counts_for_its_package_until_its_review(audit, tmp_path, monkeypatch, changes):
    monkeypatch.setattr(audit, "ACCEPTED", written(tmp_path, [entry(**changes)]))
    assert len(audit.refused(FOUND, audit.accepted(TODAY))) == 2


@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
def test_an_audit_that_could_not_be_made_says_so(audit, monkeypatch, capsys, required, status):
    """A mirror that knows of no vulnerability at all is no source."""
    asked = []
    monkeypatch.setattr(audit, "audit", lambda source, *_: asked.append(source) or [{"name": "jinja2", "vulns": []}])
    monkeypatch.setenv("PAMFN_REQUIRE_AUDIT", required)
    assert audit.main() == status
    assert capsys.readouterr().out.startswith("DEPENDENCIES NOT AUDITED: neither pypi nor osv")
    assert asked == ["pypi", "osv"]


@pytest.mark.parametrize(("found", "status"), [(FOUND, 1), (FOUND[2:], 1), ([{"name": "one", "vulns": []}], 0)])
def test_an_audit_that_was_made_passes_only_what_it_knows_to_be_sound(audit, monkeypatch, found, status):
    monkeypatch.setattr(audit, "source_within_reach", lambda: "osv")
    monkeypatch.setattr(audit, "audit", lambda source, *_: found)
    assert audit.main() == status


def test_the_continuous_check_audits() -> None:
    assert "$bin/python .ci/audit" in (FOLDER / "run").read_text(encoding="utf-8").splitlines()
