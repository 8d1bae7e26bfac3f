"""The lab server: held to the Compose specification, to loopback, and to secrets in files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose
from manifest_files import CLUSTER, compose, program

FILE = CLUSTER / "compose" / "compose.yaml"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_file_is_what_the_specification_allows(device: str) -> None:
    PyCompose.from_yaml(yaml.safe_dump(compose(PAMFN_DEVICE=device))).validate()


def test_the_gpus_are_what_the_specification_allows() -> None:
    over = yaml.safe_load((CLUSTER / "compose" / "gpu.yaml").read_text(encoding="utf-8"))
    whole = compose(PAMFN_DEVICE="cuda")
    whole["services"]["ray-worker"] |= over["services"]["ray-worker"]
    assert list(over["services"]) == ["ray-worker"]
    PyCompose.from_yaml(yaml.safe_dump(whole)).validate()


def test_a_field_that_is_misspelt_is_seen() -> None:
    wrong = compose()
    wrong["services"]["mlflow"]["heathcheck"] = {"test": ["CMD", "true"]}
    with pytest.raises(ValueError, match="heathcheck"):
        PyCompose.from_yaml(yaml.safe_dump(wrong)).validate()


def test_ports_are_published_on_loopback_only() -> None:
    ports = {name: service.get("ports", []) for name, service in compose()["services"].items()}
    assert {name: said for name, said in ports.items() if said} == {
        "mlflow": ["127.0.0.1:5000:5000"],
        "ray-head": ["127.0.0.1:8265:8265"],
        "s3": ["127.0.0.1:8333:8333"],
    }


def test_every_secret_is_a_file_and_only_who_needs_it_has_it() -> None:
    whole = compose()
    made = re.findall(r"\b(?:keep|form) ([a-z][\w.]*)", (CLUSTER / "secrets.sh").read_text(encoding="utf-8"))
    for name, secret in whole["secrets"].items():
        assert list(secret) == ["file"]
        assert Path(secret["file"]).name in made, f"cluster/secrets.sh makes no {name}"
    readers: dict[str, set[str]] = {}
    for service, said in whole["services"].items():
        for secret in said.get("secrets", []):
            readers.setdefault(secret if isinstance(secret, str) else secret["source"], set()).add(service)
    assert readers["postgres_password"] == {"postgres", "mlflow"}
    assert readers["mlflow_admin_password"] == readers["mlflow_flask_key"] == {"mlflow"}
    assert readers["ray_token"] == {"ray-head", "ray-worker"}
    assert readers["s3_identities"] == {"s3"}
    assert set(readers) == set(whole["secrets"])


def test_a_service_waits_until_what_it_needs_is_healthy() -> None:
    services = compose()["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in services[other], f"{name} waits for {other}, which says nothing of its health"
    assert set(services["mlflow"]["depends_on"]) == {"postgres", "s3"}
    assert set(services["ray-worker"]["depends_on"]) == {"ray-head"}


def test_every_node_of_ray_asks_for_the_token() -> None:
    services = compose()["services"]
    for name in ("ray-head", "ray-worker"):
        environment = services[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert "ray_token" in services[name]["secrets"]


def test_the_linter_of_compose_files_finds_no_grave_fault() -> None:
    """It takes the paths of secrets for secrets (CL-0020); nothing else may be of high severity."""
    done = subprocess.run(
        [program("compose-lint"), "check", "--format", "json", str(FILE)], capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    findings = found["findings"] if isinstance(found, dict) else found
    grave = [one for one in findings if one["severity"].lower() in ("high", "critical")]
    paths = ("RAY_AUTH_TOKEN_PATH", "PAMFN_SECRETS", "AWS_SHARED_CREDENTIALS_FILE")
    assert findings, done.stderr
    assert [
        one for one in grave if one["rule_id"] != "CL-0020" or not any(path in one["message"] for path in paths)
    ] == []
