"""The manifests that run the bot in a cluster: objects as the API has them, few rights, settings that there are."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube.server import KubeServer

from bot.api.webhooks.doors import Webhooks
from bot.api.webhooks.incidents import IncidentDoor
from bot.bootstrap import provider_models
from bot.catalog.load import parse
from bot.domain.errors import ConfigurationError
from bot.settings import Settings, read_settings

_BESIDE = Path(sys.executable).with_name("kubectl")
KUBECTL = str(_BESIDE) if _BESIDE.exists() else shutil.which("kubectl")
FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = sorted(FOLDER.rglob("*.yaml"))
#: Only for those who want them; the kustomization leaves them out.
LEFT_OUT = {"secret.example.yaml", "networkpolicy.yaml", "ingress.example.yaml", "kustomization.yaml"}


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


def variables() -> dict[str, dict[str, Any]]:
    found = {one["name"]: one for one in container()["env"]}
    assert len(found) == len(container()["env"]), "a name that is there twice"
    return found


def example(*, whole: bool = False) -> dict[str, str]:
    """What the example of the Secret has; ``whole``: what it shows as a comment, too."""
    text = (FOLDER / "secret.example.yaml").read_text()
    if whole:
        text = re.sub(r"^  # (?=[A-Z_]+: )", "  ", text, flags=re.MULTILINE)
    data: dict[str, str] = yaml.safe_load(text)["stringData"]
    return data


#: Where Slack is: another address only for a sandbox or a proxy.
NOT_FOR_CLUSTERS = {"SLACK_API_URL"}
SECRET_FIELDS = {
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
} | {"DATABASE_URL"}


def test_every_setting_can_be_given_and_each_secret_comes_from_the_secret() -> None:
    assert set(variables()) == {name.upper() for name in Settings.model_fields} - NOT_FOR_CLUSTERS
    for name, one in variables().items():
        secret = one.get("valueFrom", {}).get("secretKeyRef")
        assert (secret is not None) == (name in SECRET_FIELDS), name
        if secret is not None:
            assert (secret["name"], secret["key"]) == (the("Secret")["metadata"]["name"], name)
            # Two replicas share no SQLite; all else the bot does without, or says by itself what is missing.
            assert secret.get("optional", False) == (name not in {"SLACK_BOT_TOKEN", "DATABASE_URL"}), name
    assert set(example(whole=True)) == SECRET_FIELDS


def test_what_is_said_there_is_what_the_bot_does_by_itself_but_for_its_own_places() -> None:
    given = {name: one["value"] for name, one in variables().items() if "value" in one}
    own = {"HOST": "0.0.0.0", "PORT": "8080", "DEPLOY_CONFIG": "/etc/deployment-architect/config.yaml"}
    own["DATA_DIR"] = "/data"
    assert {name: given[name] for name in own} == own
    others = {name: value for name, value in given.items() if name not in own}
    assert others == {name: Settings.model_fields[name.lower()].default for name in others}
    service = the("Service")["metadata"]
    assert given["FLAGGER_URL"] == f"http://{service['name']}.{service['namespace']}.svc"


def test_an_example_that_was_not_filled_in_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: one["value"] for name, one in variables().items() if "value" in one}
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {**given, **example()}.items():
        monkeypatch.setenv(name, value)
    assert not read_settings().http_mode
    for name, value in example(whole=True).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refusal:
        read_settings()
    wrong = {line.partition(":")[0] for line in refusal.value.message.splitlines()}
    assert wrong == SECRET_FIELDS - set(example()) - {"SLACK_SIGNING_SECRET"}
    assert "SLACK_SIGNING_SECRET" not in example()


def test_what_the_catalog_refers_to_comes_as_variables_and_as_files_where_it_is_there() -> None:
    """``env:NAME`` and ``file:/path`` of registries and metric sources, and what the makers of traces read."""
    [more] = container()["envFrom"]
    assert more["secretRef"] == {"name": "deployment-architect-env", "optional": True}
    volumes = {one["name"]: one for one in the("Deployment")["spec"]["template"]["spec"]["volumes"]}
    assert volumes["files"]["secret"]["secretName"] == "deployment-architect-files"
    assert volumes["files"]["secret"]["optional"] is True
    assert not volumes["files"]["secret"]["defaultMode"] & 0o007, "others may read them"
    [mount] = [one for one in container()["volumeMounts"] if one["name"] == "files"]
    assert mount.get("readOnly") is True
    assert "subPath" not in mount, "a single file is never brought up to date"


@pytest.mark.skipif(KUBECTL is None, reason="needs kubectl (make install)")
async def test_kubectl_applies_all_of_it_as_the_page_says_and_once_more_without_a_change(tmp_path: Path) -> None:
    """Over TLS: kubectl sends no token without. Fields are held against the client's own models above."""

    async def kubectl(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(str(KUBECTL), *words),
            env={"KUBECONFIG": str(config), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    async with KubeServer.running(tls=True) as server:
        server.allow("admin", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], user="ada")
        config = server.kubeconfig(tmp_path, token="admin")
        first = [f"-f{FOLDER / name}" for name in ("namespace.yaml", "secret.example.yaml")]
        await kubectl("apply", "--validate=false", *first)
        await kubectl("apply", "--validate=false", "-k", str(FOLDER))
        await kubectl("apply", "--validate=false", "-f", str(FOLDER / "networkpolicy.yaml"))
        await kubectl("apply", "--validate=false", "-f", str(FOLDER / "ingress.example.yaml"))
        server.add("namespaces", None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        for role in ("rolling", "flagger", "argo-rollouts"):
            await kubectl("apply", "--validate=false", "-f", str(FOLDER / "rbac" / f"{role}.yaml"))
        before = len(server.store.changes)
        await kubectl("apply", "--validate=false", "-k", str(FOLDER))
        assert len(server.store.changes) == before
        made = server.get("deployments", "deployment-architect", "deployment-architect")
        [bot] = made["spec"]["template"]["spec"]["containers"]
        assert {one["name"] for one in bot["env"]} == set(variables())


def test_only_what_shows_a_secret_of_its_own_is_let_in_from_outside() -> None:
    [rule] = the("Ingress")["spec"]["rules"]
    paths = {each["path"]: each["pathType"] for each in rule["http"]["paths"]}
    none: Any = None
    alerts = Webhooks(take=none, counts=none, now=none, alertmanager_token="a", datadog_secret="b")
    incidents = IncidentDoor(take=none, account="incident", token="c")
    # Neither metrics nor the gates of Flagger, which are for the cluster alone.
    assert paths == dict.fromkeys(["/slack/events", *alerts.routes(), *incidents.routes()], "Exact")
    assert the("Ingress")["spec"]["tls"][0]["hosts"] == [rule["host"]]
    for each in rule["http"]["paths"]:
        service = each["backend"]["service"]
        assert service["name"] == the("Service")["metadata"]["name"]
        assert service["port"]["name"] in {port["name"] for port in the("Service")["spec"]["ports"]}


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
