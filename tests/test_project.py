"""What the project says of itself: the README's commands, the continuous check, the licence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_two_commands_do_all_the_set_up() -> None:
    installing = [line for line in commands() if "pip install" in line]
    assert len(installing) == 2
    assert installing[0].endswith("-m tuning.launch --space quickstart.yaml")
    assert installing[1].endswith("-m pytest")
    assert all(line.startswith("python3 -m venv .venv && ") for line in installing)


def test_the_continuous_check_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -E '([^']+)' README.md", script)
    assert pattern is not None
    assert [line for line in README.splitlines() if re.search(pattern[1], line)] == [commands_ending_in("pytest")]


def commands_ending_in(word: str) -> str:
    (line,) = [line for line in commands() if line.endswith(word)]
    return line


def test_the_readme_claims_no_reproduction() -> None:
    words = " ".join(README.replace("*", "").split())
    assert "have not been run on the real features here, and no reproduction of the paper's figures is claimed" in words


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http|#)[^)]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists(), f"README links to {target}, which is not there"


def test_no_file_names_a_folder_of_one_machine() -> None:
    home = re.compile(r"(?<![\w./-])/(?:home|root|Users)/\w")
    texts = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    assert not [str(path) for path, text in texts.items() if path != Path(__file__) and home.search(text)]
