"""The manifests that run the bot in a cluster: objects as the API has them, few rights, settings that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.bootstrap import provider_models
from bot.catalog.load import parse
from bot.settings import Settings

_BESIDE = Path(sys.executable).with_name("kubectl")
KUBECTL = str(_BESIDE) if _BESIDE.exists() else shutil.which("kubectl")
FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
#: Only for those who want them; the kustomization leaves them out.
LEFT_OUT = {"secret.example.yaml", "networkpolicy.yaml", "kustomization.yaml"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def the(kind: str) -> dict[str, Any]:
    [found] = [one for path in FOLDER.glob("*.yaml") for one in documents(path) if one["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    [only] = the("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)


def unknown(value: Any, kind: str, where: str) -> list[str]:
    """What the API has no field for, by the official client's own models."""
    from kubernetes import client

    if listed := re.fullmatch(r"[Ll]ist\[(.+)\]", kind):
        return [one for index, item in enumerate(value) for one in unknown(item, listed[1], f"{where}[{index}]")]
    model = getattr(client, kind, None)
    if not hasattr(model, "openapi_types") or not isinstance(value, dict):
        return []
    names = {json: python for python, json in model.attribute_map.items()}
    found = [f"{where}.{key}" for key in value if key not in names]
    for key, item in value.items():
        if key in names:
            found += unknown(item, model.openapi_types[names[key]], f"{where}.{key}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_object_has_only_fields_that_the_api_knows(path: Path) -> None:
    for one in documents(path):
        if one["kind"] == "Kustomization":
            continue
        kind = {"Role": "V1Role", "RoleBinding": "V1RoleBinding"}.get(one["kind"], f"V1{one['kind']}")
        assert unknown(one, kind, one["kind"]) == []


def test_the_check_of_fields_finds_a_slip() -> None:
    slip = {"spec": {"template": {"spec": {"containers": [{"name": "a", "livenessprobe": {}}]}}}}
    assert unknown(slip, "V1Deployment", "Deployment") == ["Deployment.spec.template.spec.containers[0].livenessprobe"]


def test_the_kustomization_has_every_file_that_is_there() -> None:
    listed = set(the("Kustomization")["resources"])
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - LEFT_OUT
    [image] = the("Kustomization")["images"]
    assert image["name"] == container()["image"]


@pytest.mark.skipif(KUBECTL is None, reason="needs kubectl (make install)")
def test_kubectl_makes_of_it_what_is_meant() -> None:
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, "kustomize", FOLDER], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    made = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert set(made) == {
        "Namespace", "ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget"
    }  # fmt: skip
    assert {one["metadata"].get("namespace") for kind, one in made.items() if kind != "Namespace"} == {
        "deployment-architect"
    }
    [bot] = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert bot["image"] == "registry.example.com/deployment-architect:0.1.0"
    bare = {**bot, "image": container()["image"]}
    assert bare == container(), "nothing else is changed on the way"


def test_the_catalog_in_it_is_good() -> None:
    catalog = parse(the("ConfigMap")["data"]["config.yaml"], "catalog.yaml", provider_models())
    assert catalog.clusters["here"].kind == "in_cluster"
    mounted = next(mount for mount in container()["volumeMounts"] if mount["name"] == "catalog")
    assert "subPath" not in mounted, "a single file is never brought up to date"
    [path] = [one["value"] for one in container()["env"] if one["name"] == "DEPLOY_CONFIG"]
    assert path == f"{mounted['mountPath']}/config.yaml"


def test_settings_are_settings_and_secrets_come_from_the_secret() -> None:
    known = {name.upper() for name in Settings.model_fields}
    example = the("Secret")["stringData"]
    for one in container()["env"]:
        assert one["name"] in known
        secret = one.get("valueFrom", {}).get("secretKeyRef")
        if secret is not None:
            assert secret["name"] == the("Secret")["metadata"]["name"]
            assert secret["key"] in example
        assert not re.search(r"TOKEN|SECRET|URL", one["name"]) or secret is not None, one["name"]
    assert set(example) == {one["name"] for one in container()["env"] if "secretKeyRef" in str(one)}


def test_it_runs_without_root_and_writes_only_where_it_must() -> None:
    pod = the("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001  # as in the Dockerfile
    assert "USER 10001" in (FOLDER.parents[1] / "Dockerfile").read_text()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in container()["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}
    assert "hostPath" not in str(pod)


def test_probes_ask_what_is_answered() -> None:
    from bot.api.app import build_api

    async def nothing() -> dict[str, str]:
        return {}

    paths = {getattr(route, "path", None) for route in build_api(readiness=nothing, slack=None).routes}
    ports = {port["name"] for port in container()["ports"]}
    asked = {name: container()[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["path"] for probe in asked.values()} <= paths
    assert {probe["port"] for probe in asked.values()} <= ports
    assert asked["livenessProbe"]["path"] == "/healthz", "a database that is away must not restart what waits for it"
    assert the("Service")["spec"]["ports"][0]["targetPort"] in ports


def test_selectors_select_the_pods() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        the("Deployment")["spec"]["selector"]["matchLabels"],
        the("Service")["spec"]["selector"],
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert the("PodDisruptionBudget")["spec"]["minAvailable"] < the("Deployment")["spec"]["replicas"]


@pytest.mark.parametrize("path", sorted((FOLDER / "rbac").glob("*.yaml")), ids=lambda path: path.name)
def test_rights_are_few_and_for_the_bot_alone(path: Path) -> None:
    account = the("ServiceAccount")["metadata"]
    for one in documents(path):
        for rule in one.get("rules") or []:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            assert (
                not {"secrets", "pods/exec", "serviceaccounts/token", "roles", "rolebindings"} & set(rule["resources"])
                or path.name == "previews.yaml"
            )
            assert not {"update", "impersonate", "escalate", "bind", "deletecollection"} & set(rule["verbs"])
            if "patch" in rule["verbs"] and one["kind"] == "Role":
                assert rule.get("resourceNames"), "nothing may be changed but what is named"
        for subject in one.get("subjects") or []:
            assert (subject["kind"], subject["name"], subject["namespace"]) == (
                "ServiceAccount",
                account["name"],
                account["namespace"],
            )
