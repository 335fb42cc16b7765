"""What the API server fills in and refuses, kind by kind: as much of it as a deployer can meet.

Defaults are those of the recorded Deployment of a real 1.36 server; rules and words follow kubernetes' pkg/apis/apps
and pkg/apis/core validation. Rules for fields that nothing here writes are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import failures
from .selectors import by_selector

if TYPE_CHECKING:
    from .resources import Object, Resource

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
RBAC = "rbac.authorization.k8s.io"
BAD_NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def fill(resource: Resource, found: Object) -> None:
    """Defaults, in place."""
    match resource.kind:
        case "Deployment":
            spec = found.setdefault("spec", {})
            spec.setdefault("replicas", 1)
            _fill_pod(spec.setdefault("template", {}))
            strategy = spec.setdefault("strategy", {})
            if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
                rolling = strategy.setdefault("rollingUpdate", {})
                rolling.setdefault("maxUnavailable", "25%")
                rolling.setdefault("maxSurge", "25%")
            spec.setdefault("revisionHistoryLimit", 10)
            spec.setdefault("progressDeadlineSeconds", 600)
            found.setdefault("status", {})
        case "ReplicaSet":
            found.setdefault("spec", {}).setdefault("replicas", 1)
            _fill_pod(found["spec"].setdefault("template", {}))
            found.setdefault("status", {"replicas": 0})
        case "Pod":
            _fill_pod(found)
            found.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})
        case "Namespace":
            name = found["metadata"]["name"]
            found["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/metadata.name", name)
            found.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            found.setdefault("status", {}).setdefault("phase", "Active")
        case "Secret" | "Service":
            _fill_small(resource.kind, found)


def _fill_small(kind: str, found: Object) -> None:
    if kind == "Secret":
        found.setdefault("type", "Opaque")
        return
    spec = found.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _fill_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    for key, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        image = str(container.get("image", ""))
        latest = image.endswith(":latest") or ":" not in image.rpartition("/")[2]
        container.setdefault("imagePullPolicy", "Always" if latest and "@" not in image else "IfNotPresent")
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")


def check(resource: Resource, found: Object, before: Object | None) -> None:
    """Raises ApiFailure (422) for what this kind may not be."""
    name = found["metadata"].get("name", "")
    causes: list[tuple[str, str, str]] = []
    if resource.group != RBAC and not (len(name) <= 253 and SUBDOMAIN.fullmatch(name)):
        causes.append(("FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": {BAD_NAME}'))
    if resource.kind in ("Deployment", "ReplicaSet"):
        causes += _check_workload(found, before)
    elif resource.kind == "Pod":
        causes += _check_containers(found.get("spec", {}), "spec")
    if causes:
        raise failures.invalid(resource, name, *causes)


def _check_workload(found: Object, before: Object | None) -> list[tuple[str, str, str]]:
    spec = found["spec"]
    causes = []
    selector, template = spec.get("selector"), spec["template"]
    if not selector:
        causes.append(("FieldValueRequired", "spec.selector", "Required value"))
    elif before and before["spec"].get("selector") != selector:
        causes.append(("FieldValueInvalid", "spec.selector", f"Invalid value: {selector}: field is immutable"))
    elif not by_selector(selector)(template):
        labels = template.get("metadata", {}).get("labels")
        causes.append(
            (
                "FieldValueInvalid",
                "spec.template.metadata.labels",
                f"Invalid value: {labels}: `selector` does not match template `labels`",
            )
        )
    replicas = spec.get("replicas")
    if not isinstance(replicas, int) or replicas < 0:
        causes.append(
            ("FieldValueInvalid", "spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
        )
    return [*causes, *_check_containers(template["spec"], "spec.template.spec")]


def _check_containers(spec: Object, where: str) -> list[tuple[str, str, str]]:
    containers = spec.get("containers")
    if not containers:
        return [("FieldValueRequired", f"{where}.containers", "Required value")]
    causes, seen = [], set()
    for i, container in enumerate(containers):
        at, name = f"{where}.containers[{i}]", str(container.get("name") or "")
        if not name:
            causes.append(("FieldValueRequired", f"{at}.name", "Required value"))
        elif len(name) > 63 or not LABEL.fullmatch(name):
            causes.append(("FieldValueInvalid", f"{at}.name", f'Invalid value: "{name}": {BAD_NAME}'))
        elif name in seen:
            causes.append(("FieldValueDuplicate", f"{at}.name", f'Duplicate value: "{name}"'))
        seen.add(name)
        if not container.get("image"):
            causes.append(("FieldValueRequired", f"{at}.image", "Required value"))
        elif container["image"] != container["image"].strip():
            said = f'Invalid value: "{container["image"]}": must not have leading or trailing whitespace'
            causes.append(("FieldValueInvalid", f"{at}.image", said))
    return causes
