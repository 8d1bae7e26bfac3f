"""The commands of docs/clusters.md: they name what is there, and are those of the files' own headers and scripts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from manifest_files import CLUSTER, DOCUMENT, ROOT, documents, manifests, scripts

from tuning.submit.request import launch_options
from tuning.submit.request import parse as parse_submission

TEXT = DOCUMENT.read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
COMMANDS = [line.strip() for line in COMMANDS if line.strip()]


def starting(words: str) -> list[str]:
    return [line for line in COMMANDS if line.startswith(words)]


def test_every_file_that_a_command_names_is_there() -> None:
    named = {word for line in COMMANDS for word in re.findall(r"(?<![\w/~-])cluster/[\w./-]+", line)}
    assert {str(path.relative_to(ROOT)) for path in scripts()} <= named | {"cluster/mlflow.sh"}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("line", [line for line in COMMANDS if "tuning.submit" in line])
def test_every_submission_is_one_that_tuning_submit_takes(line: str) -> None:
    own, words = parse_submission(shlex.split(line)[3:])
    assert own.address == "http://127.0.0.1:8265", "the job server is reached through a tunnel only"
    options = launch_options(words)
    assert options.space == "rg.yaml"
    assert options.data
    assert options.storage
    assert options.tracking_uri.startswith("http://")


def test_every_cluster_is_documented_from_nothing_to_down_again() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    ends = {
        "A lab server": "docker compose --file cluster/compose/compose.yaml down",
        "Machines of your own": "ray down --yes cluster/launcher/on-premise.yaml",
        "AWS": "ray down --yes my-aws.yaml",
        "Kubernetes": "kubectl delete --kustomize cluster/kuberay",
        "Slurm": "scancel --batch --signal=TERM JOB",
    }
    for name, end in ends.items():
        (section,) = [one for one in sections if one.startswith(f"{name}\n")]
        assert end in section
        assert "--space rg.yaml" in section


def headers() -> list[tuple[str, str]]:
    """Returns the commands in the comments ahead of each file, which are indented or follow a colon."""
    found = []
    for path in [*manifests(), *scripts(), CLUSTER / "Dockerfile"]:
        head = re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8"))
        assert head is not None
        said = head[0].replace("\\\n#", " ")
        found += [(path.name, " ".join(one.split())) for one in re.findall(r"^# {5}(\S.*)$", said, re.MULTILINE)]
        found += [(path.name, one) for one in re.findall(r"(kubectl apply --\w+ \S+?)(?:$|:)", said, re.MULTILINE)]
    return found


@pytest.mark.parametrize(("file", "command"), headers())
def test_a_command_in_a_files_header_is_the_documents(file: str, command: str) -> None:
    command = re.sub(r"\s*\[.*| {2,}.*", "", command).split(" FOLDER")[0]
    if file == "study.sbatch":
        command = command.partition("cluster/slurm/")[2].partition(" --tracking-uri")[0]
    parts = [part.strip() for part in command.split("&&")]
    assert all(any(part in line for line in COMMANDS) for part in parts), command


def test_the_job_of_kubernetes_has_a_command_that_tuning_launch_takes() -> None:
    (job,) = documents(CLUSTER / "kuberay" / "rayjob.yaml")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "tuning.launch"]
    options = launch_options(words[3:])
    assert (options.address, options.storage) == ("auto", "s3://studies")
    assert Path(ROOT / "search_spaces" / options.space).exists()


def test_the_secrets_of_kubernetes_are_made_as_the_example_lists_them() -> None:
    held = {
        one["metadata"]["name"]: set(one["stringData"])
        for one in documents(CLUSTER / "kuberay" / "secrets.example.yaml")
    }
    made = {}
    for line in starting("kubectl --namespace pamfn create secret generic"):
        words = shlex.split(line)
        made[words[6]] = {word.partition("=")[2].partition("=")[0] for word in words[7:]}
    assert made == held


def test_the_readme_leads_here() -> None:
    assert "(docs/clusters.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http|#)[^)]+)\)", TEXT))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (DOCUMENT.parent / target).exists()
