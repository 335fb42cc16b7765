"""Which kinds of objects the fake cluster knows, and what differs between them.

Follows kubernetes.io/docs/reference/kubernetes-api (v1.36), and for what is not built in the
CustomResourceDefinitions of Flagger 1.44.0 (canaries, status subresource) and of Argo Rollouts 1.9.1 (rollouts with
one, analysisruns without). Holds no objects and answers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One plural of one API group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: frozenset[str] = frozenset()
    custom: bool = False
    """From a CustomResourceDefinition: no strategic merge, lists without a schema are one field."""
    generation: bool = False
    """``metadata.generation`` counts changes of what is wanted."""
    fields: frozenset[str] = frozenset()
    """What a fieldSelector may ask for besides metadata.name and metadata.namespace."""
    graceful: bool = False
    """Deleting only asks; somebody has to take it away."""
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages call it: ``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """As refusals of what is invalid call it: ``Deployment.apps``, ``Pod``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None, name: str | None = None) -> str:
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}" + (f"/{name}" if name else "")


def _of(group: str, version: str, plural: str, kind: str, **more: Any) -> Resource:
    return Resource(group=group, version=version, plural=plural, kind=kind, **more)


STATUS, SCALE, LOG = "status", "scale", "log"
EVENT_FIELDS = frozenset(
    {
        f"involvedObject.{part}"
        for part in ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid")
    }
    | {"reason", "reportingComponent", "source", "type"}
)
POD_FIELDS = frozenset(
    {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    }
)

RESOURCES: tuple[Resource, ...] = (
    _of(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        subresources=frozenset({STATUS, "finalize"}),
        short=("ns",),
    ),
    _of(
        "",
        "v1",
        "pods",
        "Pod",
        subresources=frozenset({STATUS, LOG}),
        generation=True,
        fields=POD_FIELDS,
        graceful=True,
        short=("po",),
    ),
    _of("", "v1", "events", "Event", fields=EVENT_FIELDS, short=("ev",)),
    _of("", "v1", "services", "Service", subresources=frozenset({STATUS}), short=("svc",)),
    _of("", "v1", "configmaps", "ConfigMap", short=("cm",)),
    _of("", "v1", "secrets", "Secret", fields=frozenset({"type"})),
    _of("", "v1", "resourcequotas", "ResourceQuota", subresources=frozenset({STATUS}), short=("quota",)),
    _of("", "v1", "limitranges", "LimitRange", short=("limits",)),
    _of("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",)),
    _of("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", subresources=frozenset({STATUS}), short=("pvc",)),
    _of(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        subresources=frozenset({STATUS, SCALE}),
        generation=True,
        short=("deploy",),
    ),
    _of(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        subresources=frozenset({STATUS, SCALE}),
        generation=True,
        short=("rs",),
    ),
    _of("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", generation=True, short=("netpol",)),
    _of(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        subresources=frozenset({STATUS}),
        generation=True,
        short=("ing",),
    ),
    _of(
        "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", subresources=frozenset({STATUS}), generation=True
    ),
    _of(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        subresources=frozenset({STATUS}),
        short=("hpa",),
    ),
    _of("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    _of("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    _of("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
    _of("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _of("flagger.app", "v1beta1", "canaries", "Canary", subresources=frozenset({STATUS}), generation=True, custom=True),
    _of(
        "flagger.app",
        "v1beta1",
        "metrictemplates",
        "MetricTemplate",
        subresources=frozenset({STATUS}),
        generation=True,
        custom=True,
    ),
    _of(
        "argoproj.io",
        "v1alpha1",
        "rollouts",
        "Rollout",
        subresources=frozenset({STATUS, SCALE}),
        generation=True,
        custom=True,
        short=("ro",),
    ),
    _of("argoproj.io", "v1alpha1", "analysisruns", "AnalysisRun", generation=True, custom=True, short=("ar",)),
    _of(
        "argoproj.io", "v1alpha1", "analysistemplates", "AnalysisTemplate", generation=True, custom=True, short=("at",)
    ),
)

BY_PLURAL = {resource.plural: resource for resource in RESOURCES}
BY_KIND = {(resource.api_version, resource.kind): resource for resource in RESOURCES}
BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "secrets": ("name",),
}
"""Lists whose items are told apart by these members, wherever they stand in a built-in kind."""

SETS = frozenset({"finalizers"})
"""Lists that are sets of plain values."""


def merge_keys(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """What tells the items of the list at ``path`` (member names only) apart; None where the list is one field."""
    if path[-1] == "ports":  # a container's and a service's are keyed differently
        return ("port", "protocol") if path[:2] == ("spec", "ports") else ("containerPort", "protocol")
    return MERGE_KEYS.get(path[-1])


def strategic_key(path: tuple[str, ...]) -> str | None:
    """The one member by which strategic merge tells items apart: it knows no compound keys."""
    keys = merge_keys(path)
    return keys[0] if keys else None
