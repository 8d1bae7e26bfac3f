"""The fields of KubeRay's custom resources that a manifest may use, for want of a package that carries their schemas.

Source: the API reference of ray.io/v1 in KubeRay's documentation, release 1.7 (`RayClusterSpec`, `HeadGroupSpec`,
`WorkerGroupSpec`, `AutoscalerOptions`, `AuthOptions`, `RayJobSpec`). Pod templates, resources and security contexts are
Kubernetes' own and are held to its published schemas.
"""

from __future__ import annotations

from typing import Any

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
STRINGS = {"type": "object", "additionalProperties": STRING}
KUBERNETES = "_definitions.json#/$defs/io.k8s.api.core.v1."


def _object(fields: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": fields, "required": list(required)}


AUTH = _object(
    {"mode": {"enum": ["disabled", "token"]}, "secretName": STRING, "enableK8sTokenAuth": BOOLEAN},
    "mode",
)
AUTOSCALER = _object(
    {
        "resources": {"$ref": f"{KUBERNETES}ResourceRequirements"},
        "securityContext": {"$ref": f"{KUBERNETES}SecurityContext"},
        "idleTimeoutSeconds": INTEGER,
        "upscalingMode": {"enum": ["Default", "Aggressive", "Conservative"]},
        "image": STRING,
        "imagePullPolicy": STRING,
        "env": {"type": "array"},
        "envFrom": {"type": "array"},
        "volumeMounts": {"type": "array"},
    }
)
HEAD = _object(
    {
        "template": {"$ref": f"{KUBERNETES}PodTemplateSpec"},
        "headService": {"$ref": f"{KUBERNETES}Service"},
        "enableIngress": BOOLEAN,
        "rayStartParams": STRINGS,
        "serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    },
    "template",
)
WORKERS = _object(
    {
        "groupName": STRING,
        "replicas": INTEGER,
        "minReplicas": INTEGER,
        "maxReplicas": INTEGER,
        "numOfHosts": INTEGER,
        "idleTimeoutSeconds": INTEGER,
        "suspend": BOOLEAN,
        "rayStartParams": STRINGS,
        "template": {"$ref": f"{KUBERNETES}PodTemplateSpec"},
    },
    "groupName",
    "template",
)
CLUSTER_SPEC = _object(
    {
        "rayVersion": STRING,
        "authOptions": AUTH,
        "enableInTreeAutoscaling": BOOLEAN,
        "autoscalerOptions": AUTOSCALER,
        "headServiceAnnotations": STRINGS,
        "suspend": BOOLEAN,
        "managedBy": STRING,
        "headGroupSpec": HEAD,
        "workerGroupSpecs": {"type": "array", "items": WORKERS},
    },
    "headGroupSpec",
)
JOB_SPEC = _object(
    {
        "entrypoint": STRING,
        "runtimeEnvYAML": STRING,
        "jobId": STRING,
        "metadata": STRINGS,
        "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        "submitterPodTemplate": {"$ref": f"{KUBERNETES}PodTemplateSpec"},
        "submitterConfig": _object({"backoffLimit": INTEGER}),
        "shutdownAfterJobFinishes": BOOLEAN,
        "ttlSecondsAfterFinished": INTEGER,
        "activeDeadlineSeconds": INTEGER,
        "backoffLimit": INTEGER,
        "suspend": BOOLEAN,
        "clusterSelector": STRINGS,
        "rayClusterSpec": CLUSTER_SPEC,
        "entrypointNumCpus": {"type": "number"},
        "entrypointNumGpus": {"type": "number"},
        "entrypointResources": STRING,
    },
    "entrypoint",
)
SPECS = {"RayCluster": CLUSTER_SPEC, "RayJob": JOB_SPEC}


def resource(kind: str) -> dict[str, Any]:
    """Returns the schema of a custom resource."""
    fields = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": kind}, "spec": SPECS[kind]}
    metadata = {"$ref": "_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    return _object({**fields, "metadata": metadata}, "apiVersion", "kind", "metadata", "spec")
