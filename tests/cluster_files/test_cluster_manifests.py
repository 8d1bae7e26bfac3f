"""What holds for all manifests and scripts: pinned images, no secret, variables that are read, real options."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from manifest_files import CLUSTER, ROOT, compose, documents, manifests, mappings, program, scripts

VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
MLFLOW = (CLUSTER / "mlflow.sh").read_text(encoding="utf-8")
OF_OTHERS = {
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE", "MLFLOW_TRACKING_URI", "PGDATA",
    "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "POSTGRES_USER", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH",
}  # fmt: skip


def kuberay() -> list[Path]:
    return [path for path in manifests() if path.parent.name == "kuberay"]


def images() -> list[tuple[str, str]]:
    """Returns every image with the file that names it."""
    nodes = [(path.name, m) for path in kuberay() for one in documents(path) for m in mappings(one)]
    return [(file, m["image"]) for file, m in nodes if isinstance(m.get("image"), str)] + [
        ("compose.yaml", one["image"]) for one in compose()["services"].values()
    ]


@pytest.mark.parametrize(("file", "image"), sorted(set(images())))
def test_every_image_is_pinned_to_a_release(file: str, image: str) -> None:
    name, _, tag = image.rpartition(":")
    assert VERSION is not None
    if name == "pamfn-tuning":
        assert tag in (f"{VERSION[1]}-cpu", f"{VERSION[1]}-cuda")
    else:
        assert re.fullmatch(r"\d+(\.\d+)+(-\w+)?", tag), f"{file}: {image} may be another tomorrow"


def test_images_agree_between_compose_and_kubernetes() -> None:
    versions: dict[str, set[str]] = {}
    for _, image in images():
        name, _, tag = image.rpartition(":")
        versions.setdefault(name, set()).add(tag)
    assert {name: tags for name, tags in versions.items() if len(tags) > 1 and name != "pamfn-tuning"} == {}
    assert versions["chrislusf/seaweedfs"] == {s3_version()}, "the S3 server is not the one that is tested"


def s3_version() -> str:
    said = subprocess.run([program("weed"), "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r" (\d+\.\d+) ", said)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [*manifests(), *scripts(), CLUSTER / "Dockerfile"], ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN|\b[0-9a-f]{32,}\b", text)
    assert not re.search(r"://[^/\s:@]+:[^/\s@$]+@", text), "a password in a URI"
    for found in re.finditer(r"(?i)\b\w*(?:password|secret_key|token|auth_token)\b\s*[:=]\s*([^\s#]+)", text):
        assert re.match(r'^(?:""|false|token|required|~|/|\$|%s|\{|"\$|--|\[)', found[1]), found[0]


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.name)
def test_every_variable_is_one_that_somebody_reads(path: Path) -> None:
    names: set[str] = set()
    for one in documents(path):
        for m in mappings(one):
            if isinstance(m.get("environment"), dict):
                names |= set(m["environment"])
            if isinstance(m.get("env"), list):
                names |= {entry["name"] for entry in m["env"]}
    read = set(re.findall(r"PAMFN_\w+", MLFLOW)) | OF_OTHERS
    assert names <= read, f"{path.name}: nobody reads {sorted(names - read)}"


def test_the_variables_of_mlflow_and_ray_are_spelt_as_they_read_them() -> None:
    import boto3
    import mlflow.environment_variables as known
    from mlflow.cli import server

    ours = set(re.findall(r"export ((?:MLFLOW_\w+))|\b(MLFLOW_\w+)=", MLFLOW))
    options = {parameter.envvar for parameter in server.params}
    names = {name for pair in ours for name in pair if name}
    assert boto3.__version__ >= "1.28", "from there on AWS_ENDPOINT_URL is read"
    assert "MLFLOW_FLASK_SERVER_SECRET_KEY" in names
    assert [name for name in sorted(names) if not hasattr(known, name) and name not in options] == []


def test_mlflow_has_every_option_that_its_script_uses() -> None:
    from mlflow.cli import server

    known = {option for parameter in server.params for option in parameter.opts}
    used = re.findall(r"^    (--[\w-]+)", MLFLOW, re.MULTILINE)
    assert "--app-name" in used
    assert [option for option in used if option not in known] == []


def test_ray_has_every_option_that_the_manifests_use() -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*manifests(), *scripts()]
        if path.parent.name in ("launcher", "slurm")
    )
    used = set(
        re.findall(r"(--[a-z-]+)", " ".join(re.findall(r"ray\"? start(?:[^\n]*\\\n|[^\n]*\n +--)*[^\n]*", text)))
    )
    for service in ("ray-head", "ray-worker"):
        used |= {word.split("=")[0] for word in compose()["services"][service]["command"] if word.startswith("--")}
    for path in (CLUSTER / "kuberay").glob("ray*.yaml"):
        used |= {f"--{name}" for one in documents(path) for m in mappings(one) for name in m.get("rayStartParams", {})}
    assert {"--head", "--address", "--dashboard-host", "--num-cpus"} <= used
    assert sorted(used - known) == []


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_the_linter_of_scripts_finds_nothing(path: Path) -> None:
    done = subprocess.run([program("shellcheck"), "--shell=bash", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert path.stat().st_mode & 0o111, f"{path.name} is not executable"


def test_the_folder_of_secrets_is_outside_of_the_repository() -> None:
    assert "secrets=${PAMFN_SECRETS:-$HOME/.pamfn/secrets}" in MLFLOW
    tracked = subprocess.run(
        ["git", "ls-files", "cluster"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    named = {Path(line).name for line in tracked.splitlines()}
    assert not named & {"ray_token", "s3_credentials", "mlflow_credentials", "postgres_password", ".env"}


def test_every_manifest_is_read_by_a_test() -> None:
    folders = {path.parent.name for path in manifests()}
    assert folders == {"compose", "kuberay", "launcher"}
    assert all(yaml.safe_load_all(path.read_text(encoding="utf-8")) for path in manifests())
