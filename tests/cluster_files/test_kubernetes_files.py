"""Kubernetes: every manifest held to the schemas, closed to the world, without rights and without secrets."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kuberay_fields import SPECS, resource
from manifest_files import CLUSTER, documents, mappings
from referencing import Registry, Resource

FOLDER = CLUSTER / "kuberay"
FILES = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"]
ALL = [(path.name, one) for path in FILES for one in documents(path)]
NAMES = [f"{file}: {one['kind']} {one['metadata']['name']}" for file, one in ALL]


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = [one for _, one in ALL if one["kind"] == kind]
    return found


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Returns the specification of every pod that the manifests make."""
    found = []
    for name, one in zip(NAMES, ALL, strict=True):
        found += [(name, m["spec"]) for m in mappings(one[1]) if "containers" in m.get("spec", {})]
    return found


def held_to_kuberay(one: dict[str, Any]) -> None:
    newest = kubernetes_validate.latest_version()
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{newest}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    known = Registry().with_resource("_definitions.json", Resource.from_contents(definitions))
    jsonschema.Draft202012Validator(resource(one["kind"]), registry=known).validate(one)


@pytest.mark.parametrize(("file", "one"), ALL, ids=NAMES)
def test_every_manifest_is_what_its_schema_allows(file: str, one: dict[str, Any]) -> None:
    if one["kind"] in SPECS:
        held_to_kuberay(one)
    else:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("misspelt", ["enableInTreeAutoscalling", "authOption"])
def test_a_field_that_kuberay_does_not_have_is_seen(misspelt: str) -> None:
    wrong = copy.deepcopy(of_kind("RayCluster"))
    wrong["spec"][misspelt] = {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError, match=misspelt):
        held_to_kuberay(wrong)


def test_a_pod_template_inside_a_ray_cluster_is_held_to_kubernetes_too() -> None:
    wrong = copy.deepcopy(of_kind("RayCluster"))
    wrong["spec"]["workerGroupSpecs"][0]["template"]["spec"]["toleration"] = []
    with pytest.raises(jsonschema.ValidationError, match="toleration"):
        held_to_kuberay(wrong)


def test_the_job_has_the_same_cluster_as_the_one_that_stays() -> None:
    assert of_kind("RayJob")["spec"]["rayClusterSpec"] == of_kind("RayCluster")["spec"]


def test_the_cluster_grows_with_its_gpus_and_asks_for_a_token() -> None:
    spec = of_kind("RayCluster")["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    (workers,) = spec["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] < workers["maxReplicas"]
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_nothing_is_published_beyond_the_cluster() -> None:
    kinds = [one["kind"] for _, one in ALL]
    assert not {"Ingress", "HTTPRoute", "Gateway"} & set(kinds)
    for node in (m for _, one in ALL for m in mappings(one)):
        assert node.get("type") not in ("NodePort", "LoadBalancer")
        assert not {"hostPort", "hostNetwork", "externalIPs", "hostPath"} & set(node)
    assert of_kind("RayCluster")["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_whatever_no_rule_names_is_closed() -> None:
    rules = {one["metadata"]["name"]: one["spec"] for _, one in ALL if one["kind"] == "NetworkPolicy"}
    assert rules["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, rule in rules.items():
        assert all(who.get("from") for who in rule.get("ingress", [])), f"{name} lets everybody in"


@pytest.mark.parametrize(("name", "spec"), pods(), ids=[name for name, _ in pods()])
def test_no_container_has_rights_that_it_does_not_need(name: str, spec: dict[str, Any]) -> None:
    whole = spec.get("securityContext", {})
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        both = {**whole, **own}
        assert both["runAsNonRoot"] is True
        assert both["runAsUser"] > 0
        assert both["seccompProfile"] == {"type": "RuntimeDefault"}
        assert set(container["resources"]) == {"requests", "limits"}
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert spec["enableServiceLinks"] is False, "a Service named mlflow would set MLFLOW_PORT"


def test_secrets_are_named_and_never_given() -> None:
    held = {one["metadata"]["name"]: one for _, one in ALL if one["kind"] == "Secret"}
    assert all(not value for one in held.values() for value in one["stringData"].values())
    asked = [m["secret"] for _, one in ALL for m in mappings(one) if isinstance(m.get("secret"), dict)]
    assert asked
    for secret in asked:
        assert {item["key"] for item in secret["items"]} <= set(held[secret["secretName"]]["stringData"])
        assert secret["defaultMode"] == 0o440
    example = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert "secrets.example.yaml" not in example


def test_what_is_applied_together_is_there() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    others = {"raycluster.yaml", "rayjob.yaml", "secrets.example.yaml", "kustomization.yaml"}
    assert set(listed) == {path.name for path in Path(FOLDER).glob("*.yaml")} - others


def test_ray_is_the_version_that_the_project_runs_on() -> None:
    import ray

    assert of_kind("RayCluster")["spec"]["rayVersion"] == ray.__version__
