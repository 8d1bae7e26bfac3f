"""Ray's cluster launcher: its own loader takes the files, and nothing listens to the world."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
import yaml
from manifest_files import CLUSTER
from ray.autoscaler._private.util import prepare_config, validate_config

FILES = ["on-premise", "aws"]


def config(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((CLUSTER / "launcher" / f"{name}.yaml").read_text(encoding="utf-8")))


def loaded(given: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration as `ray up` prepares it; raises as that would."""
    whole = prepare_config(copy.deepcopy(given))
    validate_config(whole)
    return dict(whole)


def test_every_launcher_file_is_tested() -> None:
    assert {path.stem for path in (CLUSTER / "launcher").glob("*.yaml")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_rays_own_loader_takes_the_file(name: str) -> None:
    assert loaded(config(name))["cluster_name"] == "pamfn"


@pytest.mark.parametrize("name", FILES)
def test_rays_own_loader_refuses_a_misspelt_field(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        loaded(config(name) | {"setup_comands": []})


def test_every_host_is_a_node() -> None:
    whole = loaded(config("on-premise"))
    (kind,) = whole["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == whole["max_workers"] == len(whole["provider"]["worker_ips"])


def test_the_head_stays_and_workers_are_spot_machines_with_gpus() -> None:
    whole = loaded(config("aws"))
    head, workers = (whole["available_node_types"][name] for name in ("head", "gpu-spot"))
    assert whole["head_node_type"] == "head"
    assert "InstanceMarketOptions" not in head["node_config"]
    assert workers["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert workers["resources"]["GPU"] > 0
    assert workers["min_workers"] == 0 < workers["max_workers"] == whole["max_workers"]
    for node in (head, workers):
        assert node["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["node_config"]["BlockDeviceMappings"])


@pytest.mark.parametrize("name", FILES)
def test_every_node_asks_for_the_token_and_the_dashboard_is_on_loopback(name: str) -> None:
    whole = loaded(config(name))
    starts = [
        line
        for kind in ("head", "worker")
        for line in whole[f"{kind}_start_ray_commands"]
        if " ray start" in line.replace("/", " ")
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/.pamfn/secrets/ray_token" in line for line in starts)
    assert [line for line in starts if "--dashboard-host" in line] == [
        line for line in starts if "--dashboard-host=127.0.0.1" in line
    ]
    assert "0.0.0.0" not in " ".join(starts)


@pytest.mark.parametrize("name", FILES)
def test_secrets_are_files_of_the_one_who_starts_it(name: str) -> None:
    mounts = loaded(config(name))["file_mounts"]
    assert {where for where in mounts.values() if "secrets" in where} == {
        where for where in mounts.values() if where.startswith(("~/.pamfn/", str(CLUSTER.home() / ".pamfn")))
    }
    assert [command for command in config(name)["initialization_commands"] if command.startswith("umask 077")]
