"""Clusters by a kubeconfig file and from inside: what is read, what is run, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cluster_servers import api_server
from kube.tls import Authority

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations._shared.kube.api import Kube
from integrations.clusters.in_cluster import InCluster
from integrations.clusters.kubeconfig import Kubeconfig
from integrations.clusters.options import InClusterOptions, KubeconfigOptions

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "top-secret-token"
SHOP = "/api/v1/namespaces/shop"
EXEC = "client.authentication.k8s.io/v1"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def ahead(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def config(
    server: str, ca: bytes | None = None, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None
) -> dict[str, Any]:
    known = {"certificate-authority-data": base64.b64encode(ca).decode()} if ca else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "contexts": [
            {"name": "other", "context": {"cluster": "gone", "user": "gone"}},
            {"name": "prod", "context": {"cluster": "shop", "user": "deployer", "namespace": "shop"}},
        ],
        "clusters": [{"name": "shop", "cluster": {"server": server, **known, **(cluster or {})}}],
        "users": [{"name": "deployer", "user": {"token": SECRET} if user is None else user}],
    }


def access(tmp_path: Path, document: dict[str, Any] | str, clock: Clock | None = None, **options: Any) -> Kubeconfig:
    path = tmp_path / "config"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return Kubeconfig(KubeconfigOptions(path=path, **options), name="main", now=clock or Clock())


async def refusal(tmp_path: Path, document: dict[str, Any] | str, **options: Any) -> str:
    with pytest.raises(ProviderRejected) as caught:
        await access(tmp_path, document, **options).access()
    said = caught.value.message
    assert SECRET not in said
    assert said.isprintable()
    assert said.startswith("The cluster main cannot be used: ")
    return said


async def test_a_token_and_an_authority_lead_to_the_cluster(tmp_path: Path) -> None:
    async with api_server(tmp_path, SECRET) as server:
        cluster = access(tmp_path, config(server.url, server.ca))
        kube = Kube(cluster)
        try:
            assert await kube.get(SHOP)
        finally:
            await kube.close()
        assert SECRET not in repr(await cluster.access())
        assert SECRET not in repr(cluster) + repr(cluster._cached)


async def test_another_authority_is_refused_before_the_token_is_sent(tmp_path: Path) -> None:
    async with api_server(tmp_path, SECRET) as server:
        kube = Kube(access(tmp_path, config(server.url, Authority("somebody else").pem)))
        try:
            with pytest.raises(ProviderUnavailable) as caught:
                await kube.get(SHOP)
        finally:
            await kube.close()
        assert "certificate" in caught.value.message.lower()
        assert server.shown == []


async def test_without_an_authority_only_those_of_the_system_are_trusted(tmp_path: Path) -> None:
    async with api_server(tmp_path, SECRET) as server:
        kube = Kube(access(tmp_path, config(server.url)))
        try:
            with pytest.raises(ProviderError):
                await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == []


async def test_a_file_that_was_written_anew_is_read_when_the_token_is_refused(tmp_path: Path) -> None:
    async with api_server(tmp_path, SECRET) as server:
        cluster = access(tmp_path, config(server.url, server.ca))
        kube = Kube(cluster)
        try:
            await kube.get(SHOP)
            server.good = {"rotated"}
            (tmp_path / "config").write_text(yaml.safe_dump(config(server.url, server.ca, {"token": "rotated"})))
            await kube.get(SHOP)
        finally:
            await kube.close()
        assert server.shown == [SECRET, SECRET, "rotated"]


async def test_files_beside_it_are_found_and_a_token_file_is_read_each_minute(tmp_path: Path) -> None:
    clock = Clock()
    pair = Authority().client("deployer")
    (tmp_path / "ca.pem").write_bytes(Authority().pem)
    (tmp_path / "cert.pem").write_bytes(pair.certificate)
    (tmp_path / "key.pem").write_bytes(pair.key)
    (tmp_path / "token").write_text("first\n")
    user = {"tokenFile": "token", "client-certificate": "cert.pem", "client-key": str(tmp_path / "key.pem")}
    cluster = {"certificate-authority": "ca.pem", "tls-server-name": "kube.example.com"}
    found = access(tmp_path, config("https://127.0.0.1:6443", user=user, cluster=cluster), clock)
    first = await found.access()
    assert (first.token, first.verify_name) == ("first", "kube.example.com")
    assert (first.client_cert, first.client_key) == (pair.certificate, pair.key)
    assert first.ca == (tmp_path / "ca.pem").read_bytes()
    assert pair.key.decode()[30:60] not in repr(first)
    (tmp_path / "token").write_text("second\n")
    clock.ahead(30)
    assert (await found.access()).token == "first"
    clock.ahead(31)
    assert (await found.access()).token == "second"


async def test_the_context_is_the_one_that_is_named(tmp_path: Path) -> None:
    document = config("https://10.0.0.1")
    document["contexts"].append({"name": "blue", "context": {"cluster": "shop", "user": "blue"}})
    document["users"].append({"name": "blue", "user": {"token": "of-blue"}})
    assert (await access(tmp_path, document, context="blue").access()).token == "of-blue"
    assert "there is no context 'green' in it; there is 'other', 'prod', 'blue'" in await refusal(
        tmp_path, document, context="green"
    )
    assert "there is no cluster 'gone' in it" in await refusal(tmp_path, document, context="other")


BAD: dict[str, tuple[Any, str]] = {
    "no TLS check": ({"cluster": {"insecure-skip-tls-verify": True}}, "anybody could pose as it"),
    "a proxy": ({"cluster": {"proxy-url": "http://proxy:3128"}}, "behind a proxy-url"),
    "http": ({"server": "http://cluster.example.com"}, "asked over http"),
    "no address": ({"server": "cluster.example.com:6443"}, "no address such as"),
    "a user in the address": ({"server": f"https://u:{SECRET}@cluster.example.com"}, "without a user"),
    "an address of two lines": ({"server": "https://a.example.com\nX: y"}, "no address such as"),
    "auth-provider": ({"user": {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}}}, "auth-provider"),
    "impersonation": ({"user": {"token": SECRET, "as": "system:admin"}}, "acts as somebody else (as)"),
    "groups": ({"user": {"token": SECRET, "as-groups": ["system:masters"]}}, "acts as somebody else (as-groups)"),
    "a password": ({"user": {"username": "a", "password": SECRET}}, "has a password"),
    "nobody": ({"user": {}}, "neither a token nor a certificate"),
    "a token of two lines": ({"user": {"token": f"{SECRET}\r\nX-Evil: 1"}}, "characters in it that cannot be sent"),
    "a key alone": ({"user": {"client-key-data": "QUJD"}}, "client-certificate without client-key"),
    "no base64": ({"cluster": {"certificate-authority-data": "%%%"}}, "certificate-authority-data is not written in"),
    "no certificate": ({"cluster": {"certificate-authority-data": "QUJD"}}, "certificate of its authority cannot be"),
    "a file that is not there": ({"cluster": {"certificate-authority": "gone.pem"}}, "no such file or directory"),
    "a device": ({"user": {"tokenFile": "/proc/self/mem"}}, "tokenFile cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_would_be_unsafe_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    changes, told = BAD[name]
    document = config(changes.get("server", "https://127.0.0.1:1"), None, changes.get("user"), changes.get("cluster"))
    assert told in await refusal(tmp_path, document)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it holds no keys with values"),
        ("- a\n", "it holds no keys with values"),
        ("a: [\n", "it is no YAML"),
        ("\x00", "it is no YAML"),
        ("a: &a [x]\nb: [*a, *a]\n", "line 1 has an alias or an anchor"),
        ("a: 1\nb: !!binary aGk=\n", "line 2 has a tag"),
        ("a: !x {b: c}\n", "line 1 has a tag"),
        ("a: !!python/object/apply:os.system [id]\n", "line 1 has a tag"),
        ("a: 1\n---\nb: 2\n", "a second document begins in line 2"),
        ("a: 1\na: 2\n", "line 2 has a key that was given already"),
        ("[" * 100, "nested more than"),
        ('"a": "\\UFFFFFFFF"', "it is no YAML"),
        ("a: 1\n" * 1, "it has no current-context"),
        ("current-context: x\ncontexts: evil\n", "there is no context 'x' in it; there is none"),
        ("current-context: x\ncontexts: [5, {name: x}]\n", "the context 'x' says nothing"),
        ('current-context: "\\e[31mred\\u202e"\n', "there is no context '\\x1b[31mred\\u202e' in it"),
        ("x: " + "y" * 2_000_000, "it is larger than 1024 KiB"),
    ],
    ids=lambda value: repr(value[:20]),
)
async def test_a_file_that_is_none_is_told_as_such(text: str, told: str, tmp_path: Path) -> None:
    assert told in await refusal(tmp_path, text)


async def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ProviderRejected, match="the kubeconfig cannot be read: no such file or directory"):
        await Kubeconfig(KubeconfigOptions(path=tmp_path / "gone"), name="main").access()
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProviderRejected, match="it is not UTF-8"):
        await Kubeconfig(KubeconfigOptions(path=tmp_path / "config"), name="main").access()


def plugin(tmp_path: Path, body: str) -> Path:
    """A command that gives credentials; it notes how it was called."""
    path = tmp_path / "give-credentials"
    path.write_text(
        f"#!{sys.executable} -I\nimport json, os, sys, time\n"
        f"seen = {{'args': sys.argv[1:], 'env': dict(os.environ), 'cwd': os.getcwd(), 'group': os.getpgid(0)}}\n"
        f"open({str(tmp_path / 'seen')!r}, 'a').write(json.dumps(seen) + '\\n')\n{body}\n"
    )
    path.chmod(0o755)
    return path


def printing(status: dict[str, Any], version: str = EXEC) -> str:
    return f"print({json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})!r})"


def user_of(command: Path | str, **more: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": EXEC, "command": str(command), "args": ["token", "; rm -rf /"]} | more}


def seen(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]


async def test_a_command_is_not_run_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = plugin(tmp_path, printing({"token": SECRET}))
    monkeypatch.setenv("PATH", str(tmp_path))
    for written, names in (
        (str(command), []),
        (str(command), ["give-credentials"]),
        ("give-credentials", [str(command)]),
        ("./give-credentials", ["give-credentials"]),
        ("../x/give-credentials", ["give-credentials"]),
    ):
        said = await refusal(tmp_path, config("https://127.0.0.1:1", user=user_of(written)), exec=names)
        assert "may not be run; if you trust it, write exec: [" in said
    assert not (tmp_path / "seen").exists()


async def test_a_command_that_is_named_runs_without_a_shell_and_with_little_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = "2026-11-23T13:00:00Z"
    plugin(tmp_path, printing({"token": SECRET, "expirationTimestamp": ends}))
    monkeypatch.setenv("PATH", f".:{tmp_path}:")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-not-for-plugins")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    own = Authority().pem
    user = user_of("give-credentials", env=[{"name": "AWS_PROFILE", "value": "prod"}], provideClusterInfo=True)
    options = {"exec": ["give-credentials"], "variables": ["AWS_PROFILE", "AWS_REGION"]}
    found = await access(tmp_path, config("https://127.0.0.1:1", own, user), **options).access()
    assert (found.token, found.expires) == (SECRET, datetime(2026, 11, 23, 13, tzinfo=UTC))
    [call] = seen(tmp_path)
    assert call["args"] == ["token", "; rm -rf /"]
    assert call["cwd"] == "/"
    assert {"AWS_PROFILE": "prod", "AWS_REGION": "eu-west-1"}.items() <= call["env"].items()
    assert "SLACK_BOT_TOKEN" not in call["env"]
    info = json.loads(call["env"]["KUBERNETES_EXEC_INFO"])
    assert info["apiVersion"] == EXEC
    assert info["spec"]["interactive"] is False
    assert info["spec"]["cluster"]["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(info["spec"]["cluster"]["certificate-authority-data"]) == own


@pytest.mark.parametrize("here", [".", "", "bin", "../"])
async def test_a_command_is_found_in_no_folder_that_depends_on_where_we_are(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    for folder in (tmp_path, tmp_path / "bin"):
        plugin(folder, printing({"token": SECRET}))
    monkeypatch.chdir(tmp_path / "bin" if here == "../" else tmp_path)
    monkeypatch.setenv("PATH", f"{here}:/nowhere")
    said = await refusal(
        tmp_path, config("https://127.0.0.1:1", user=user_of("give-credentials")), exec=["give-credentials"]
    )
    assert "the command 'give-credentials' is not installed where the bot runs" in said
    assert not (tmp_path / "seen").exists()


async def test_a_variable_that_could_load_code_must_be_allowed_too(tmp_path: Path) -> None:
    command = plugin(tmp_path, printing({"token": SECRET}))
    user = user_of(command, env=[{"name": "LD_PRELOAD", "value": "/tmp/evil.so"}])
    said = await refusal(tmp_path, config("https://127.0.0.1:1", user=user), exec=[str(command)])
    assert "is to get the variable LD_PRELOAD, which is not allowed" in said
    assert not (tmp_path / "seen").exists()


async def test_what_a_command_gave_is_kept_until_it_expires_and_asked_for_once(tmp_path: Path) -> None:
    clock = Clock()
    ends = (clock.now + timedelta(minutes=15)).isoformat()
    command = plugin(tmp_path, printing({"token": SECRET, "expirationTimestamp": ends}))
    found = access(tmp_path, config("https://127.0.0.1:1", user=user_of(command)), clock, exec=[str(command)])
    given = await asyncio.gather(*(found.access() for _ in range(20)))
    assert len({id(one) for one in given}) == 1
    clock.ahead(13 * 60)
    await found.access()
    assert len(seen(tmp_path)) == 1
    clock.ahead(61)
    await asyncio.gather(*(found.access() for _ in range(20)))
    assert len(seen(tmp_path)) == 2, "renewed a minute before it expires"
    await asyncio.gather(*(found.access(fresh=True) for _ in range(20)))
    assert len(seen(tmp_path)) == 3, "twenty refusals of one token are one renewal"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("print('hello')", "printed no ExecCredential"),
        ("print('[' * 100000)", "printed no ExecCredential"),
        (printing({"token": SECRET}, "client.authentication.k8s.io/v1alpha1"), "of another version"),
        (printing({}), "neither a token nor a certificate"),
        (printing({"clientCertificateData": "x"}), "a certificate without a key"),
        (printing({"clientCertificateData": "\ud800", "clientKeyData": SECRET}), "a certificate that is none"),
        (printing({"clientCertificateData": ["x"], "clientKeyData": {}}), "a certificate without a key"),
        (printing({"token": [SECRET]}), "its token is empty"),
        (printing({"token": f"{SECRET}\nX: y"}), "cannot be sent"),
        (printing({"token": SECRET, "expirationTimestamp": "soon"}), "expirationTimestamp that is no time"),
        ("print('x' * 3_000_000)", "printed no ExecCredential"),
        (f"print({SECRET!r}); sys.stderr.write('login first\\x1b[2J'); sys.exit(3)", "ended with 3: login first"),
        ("os.kill(os.getpid(), 9)", "ended with -9"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_command_that_does_not_do_is_told_without_its_secrets(body: str, told: str, tmp_path: Path) -> None:
    command = plugin(tmp_path, body)
    said = await refusal(tmp_path, config("https://127.0.0.1:1", user=user_of(command)), exec=[str(command)])
    assert told in said


async def test_a_command_that_does_not_end_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    import psutil

    body = (
        "import subprocess\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(60)"
    )
    command = plugin(tmp_path, body)
    document = config("https://127.0.0.1:1", user=user_of(command))
    found = access(tmp_path, document, exec=[str(command)], exec_timeout=1.5)
    begun = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"did not end within 1\.5 s"):
        await found.access()
    assert time.monotonic() - begun < 10
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        async with asyncio.timeout(5):
            while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


async def test_what_a_command_has_let_go_does_not_hold_us(tmp_path: Path) -> None:
    """It is in no group of ours any more, and holds the pipe that we read from."""
    import psutil

    body = (
        "import subprocess\n"
        f"code = 'import time; time.sleep(60)'\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-c', code], start_new_session=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n" + printing({"token": SECRET})
    )
    command = plugin(tmp_path, body)
    document = config("https://127.0.0.1:1", user=user_of(command))
    found = access(tmp_path, document, exec=[str(command)], exec_timeout=1.5)
    begun = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"did not end within 1\.5 s"):
        await found.access()
    assert time.monotonic() - begun < 10
    psutil.Process(int((tmp_path / "pid").read_text())).kill()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "an apiVersion that is not known"),
        ({"interactiveMode": "Always"}, "wants to ask a person"),
        ({"args": "token"}, "are no list of words"),
        ({"command": "/bin/true", "args": ["a\0b"]}, "its arguments cannot be passed"),
        ({"env": [{"value": "x"}]}, "an entry without a name"),
        ({"command": ""}, "names no command"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_block_that_is_none(more: dict[str, Any], told: str, tmp_path: Path) -> None:
    user = {"exec": user_of("give-credentials")["exec"] | more}
    document = json.dumps(config("https://127.0.0.1:1", user=user))
    assert told in await refusal(tmp_path, document, exec=["give-credentials", "/bin/true"])


async def test_the_service_account_of_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    async with api_server(tmp_path, "first") as server:
        (tmp_path / "token").write_text("first")
        (tmp_path / "ca.crt").write_bytes(server.ca)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
        found = InCluster(InClusterOptions(folder=tmp_path), name="here", now=clock)
        kube = Kube(found)
        try:
            await kube.get(SHOP)
            # The kubelet has renewed it; the old one is good for some time still.
            (tmp_path / "token").write_text("second")
            server.good = {"first", "second"}
            await kube.get(SHOP)
            clock.ahead(60)
            await kube.get(SHOP)
            # Revoked before its minute is over.
            (tmp_path / "token").write_text("third")
            server.good = {"third"}
            await kube.get(SHOP)
        finally:
            await kube.close()
    assert server.shown == ["first", "first", "second", "second", "third"]


async def test_from_outside_of_a_cluster_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    found = InCluster(InClusterOptions(folder=tmp_path), name="here")
    with pytest.raises(ProviderRejected, match="the bot runs in no cluster"):
        await found.access()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ProviderRejected, match="automountServiceAccountToken"):
        await found.access()
    (tmp_path / "token").write_text("a")
    (tmp_path / "ca.crt").write_bytes(Authority().pem)
    assert (await found.access()).server == "https://[fd00::1]:443"
