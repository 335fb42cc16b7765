"""The doctor: what it finds, what it says to do, that it waits for nobody for long, and that it changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from integration.images.fake_oci import CONTENT, NAME, fake
from kube.manifests import deployment
from kube.server import KubeServer

from bot.cli import _examined
from bot.doctor import Doctor, Looked
from bot.doctor_report import as_json, as_text, watched
from bot.domain.finding import Finding
from bot.sandbox import seed
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.store.engine import Database
from bot.store.migrations import migrate
from integrations import registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROLLING = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac" / "rolling.yaml"
BOT = "system:serviceaccount:deployment-architect:deployment-architect"
CATALOG = """\
version: 1
channel: "#deployments"
environments: {{ staging: {{}}, production: {{}} }}
clusters:
  main: {{ type: kubeconfig, path: "{kubeconfig}" }}
services:
  checkout:
    target: {{ type: kubernetes, cluster: main, namespace: shop, workload: checkout, container: web }}
    images: {images}
  payments:
    environments: [staging]
    target: {{ type: local, root: platform }}
    images: {{ type: local, folder: versions }}
"""


@dataclass
class Practice:
    """A bot's surroundings: Slack, a cluster, a catalog and an environment."""

    folder: Path
    cluster: KubeServer
    slack: SandboxServer
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.yaml"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'bot.sqlite'}"

    def doctor(self, **more: Any) -> Doctor:
        given = {"config": self.catalog, "database": self.database, "timeout": 5.0, **more}
        return Doctor(**given)

    async def wrong(self, **more: Any) -> dict[str, list[Finding]]:
        """What is not as it must be, by what it is about."""
        looked = await self.doctor(**more).examine()
        return {one.about: [each for each in one.findings if not each.ok] for one in looked if not one.ok}

    async def say(self, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> tuple[int, str]:
        """What the command does once its line is read: exit code and output."""
        capsys.readouterr()
        code = await _examined(self.catalog, self.database, self.folder, timeout=5.0, as_json=as_json)
        return code, capsys.readouterr().out

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """The command itself: exit code, output, errors."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "doctor", "--config", str(self.catalog), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self.settings, "DATABASE_URL": self.database},
        )
        async with asyncio.timeout(60):
            out, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), errors.decode()


@pytest.fixture
async def practice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Practice]:
    """Everything is as it must be."""
    slack = SandboxServer(Workspace())
    await slack.start()
    try:
        async with KubeServer.running(tls=True) as cluster, fake() as registry:
            cluster.issue("bot", BOT)
            cluster.add("deployments", "shop", deployment("checkout", {"web": "r/checkout:v1"}))
            cluster.load("shop", *[one for one in yaml.safe_load_all(ROLLING.read_text()) if one])
            found = Practice(tmp_path, cluster, slack)
            path = cluster.kubeconfig(tmp_path, token="bot")
            registry.manifests = {"v1.0": CONTENT}
            images = f"{{ type: oci, repository: {registry.address}/{NAME}, insecure: true }}"
            found.catalog.write_text(CATALOG.format(kubeconfig=path, images=images))
            (tmp_path / "versions" / "v1.0").mkdir(parents=True)
            (tmp_path / "versions" / "v1.0" / "release.json").write_text('{"command": ["{python}", "service.py"]}')
            found.settings = {
                "SLACK_BOT_TOKEN": seed.BOT_TOKEN,
                "SLACK_APP_TOKEN": seed.APP_TOKEN,
                "SLACK_API_URL": f"{slack.url}/api/",
            }
            for name in ("SLACK_SIGNING_SECRET", "DEPLOY_CONFIG", "DATABASE_URL", "DATA_DIR"):
                monkeypatch.delenv(name, raising=False)
            for name, value in found.settings.items():
                monkeypatch.setenv(name, value)
            yield found
    finally:
        await slack.stop()


async def test_all_is_well_and_nothing_was_changed(practice: Practice) -> None:
    before = {path: path.read_bytes() for path in practice.folder.rglob("*") if path.is_file()}
    objects = len(practice.cluster.store.changes)
    looked = await practice.doctor().examine()
    assert [one.about for one in looked] == [
        "settings",
        "catalog",
        "database",
        "slack",
        "cluster main",
        "versions of checkout",
        "versions of payments",
        "checkout in staging",
        "checkout in production",
        "payments in staging",
    ]
    assert [finding for one in looked for finding in one.findings if not finding.ok] == []
    told = {one.about: " / ".join(finding.what for finding in one.findings) for one in looked}
    assert told["cluster main"].startswith("answers, Kubernetes v1.")
    assert told["versions of checkout"] == "can be read; the newest is v1.0"
    assert "the workspace" in told["slack"]
    assert "SLACK_APP_TOKEN opens connections" in told["slack"]
    assert "may patch deployments (apps) checkout in namespace shop" in told["checkout in production"]
    assert {path: path.read_bytes() for path in practice.folder.rglob("*") if path.is_file()} == before
    assert len(practice.cluster.store.changes) == objects
    assert practice.slack.workspace.bot_token == seed.BOT_TOKEN
    asked = {(call.verb, call.resource) for call in practice.cluster.log if call.user == BOT}
    assert {verb for verb, resource in asked if resource != "selfsubjectaccessreviews"} <= {"get", "list"}


async def test_the_command_says_it_in_a_table_and_in_json(
    practice: Practice, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, errors = await practice.run()
    assert (code, "✗" in out) == (0, False), out + errors
    lines = out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "The bot",
        "Clusters",
        "Service checkout",
        "Service payments",
        lines[-1],
    ]
    assert lines[1].startswith("  ✓ ok     settings ")
    assert "  ✓ ok     production  all 9 things that it needs are there" in lines
    assert lines[-1].startswith("✓ 0 wrong, 0 less, ")
    assert lines[-1].endswith("are as they must be. Nothing was changed.")
    code, out = await practice.say(capsys, as_json=True)
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert {"about", "outcome", "ok", "what", "fix"} == set(found["findings"][0])
    assert not any(secret in out for secret in (seed.BOT_TOKEN, seed.APP_TOKEN))


async def test_a_missing_right_is_named_with_the_yaml_that_grants_it(
    practice: Practice, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_patch(role: dict[str, Any]) -> dict[str, Any]:
        for rule in role["rules"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "patch"]
        return role

    practice.cluster.change("roles", "shop", "deployment-architect", without_patch)
    code, out = await practice.say(capsys)
    assert code == 1
    bad = [line for line in out.splitlines() if line.lstrip().startswith("✗")]
    assert len(bad) == 3, out
    assert bad[0].startswith("  ✗ wrong  staging ")
    assert out.splitlines().index("Service checkout") < out.splitlines().index(bad[0])
    assert "may not patch deployments (apps) checkout in namespace shop" in bad[0]
    assert bad[2].startswith("✗ 2 wrong, 0 less, ")
    assert out.splitlines()[-1].startswith("Next: ")
    [rule] = yaml.safe_load(next(line.strip() for line in out.splitlines() if "apiGroups" in line))
    assert rule == {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["patch"],
        "resourceNames": ["checkout"],
    }
    code, out = await practice.say(capsys, as_json=True)
    assert (code, json.loads(out)["ok"]) == (1, False)
    practice.cluster.change(
        "roles", "shop", "deployment-architect", lambda role: {**role, "rules": [*role["rules"], rule]}
    )
    assert await practice.wrong() == {}


def without(*resources: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change of a role: no rule of it is about any of ``resources`` any more."""

    def change(role: dict[str, Any]) -> dict[str, Any]:
        kept = [{**rule, "resources": sorted({*rule["resources"]} - {*resources})} for rule in role["rules"]]
        return {**role, "rules": [rule for rule in kept if rule["resources"]]}

    return change


async def test_a_right_without_which_less_is_told_is_no_failure(
    practice: Practice, capsys: pytest.CaptureFixture[str]
) -> None:
    practice.cluster.change("roles", "shop", "deployment-architect", without("events", "pods/log"))
    code, out = await practice.say(capsys)
    assert (code, "✗" in out) == (0, False), out
    less = [line for line in out.splitlines() if line.startswith("  ! less ")]
    assert len(less) == 4, out
    assert all("so less can be told when something is wrong" in line for line in less)
    [said] = [line for line in out.splitlines() if line.startswith("✓")]
    assert said.startswith("✓ 0 wrong, 4 less, ")
    code, out = await practice.say(capsys, as_json=True)
    found = json.loads(out)
    assert (code, found["ok"], found["less"], found["wrong"]) == (0, True, 4, 0)
    assert {one["outcome"] for one in found["findings"]} == {"ok", "less"}
    assert all("apiGroups" in one["fix"] for one in found["findings"] if one["outcome"] == "less")

    practice.cluster.change("roles", "shop", "deployment-architect", without("replicasets"))
    code, out = await practice.say(capsys)
    assert (code, [line[:18] for line in out.splitlines() if line.startswith("✗")]) == (1, ["✗ 2 wrong, 4 less,"])


async def test_what_lacks_a_whole_role_is_told_which_few_rules_to_write(
    practice: Practice, capsys: pytest.CaptureFixture[str]
) -> None:
    practice.cluster.change("roles", "shop", "deployment-architect", lambda role: {**role, "rules": []})
    code, out = await practice.say(capsys)
    assert code == 1
    assert out.count("In a Role in namespace shop, under rules:") == 2, "once for each place"
    assert (
        "  ✗ wrong  staging     may not get, list, watch, patch deployments (apps) checkout in namespace shop\n" in out
    )
    half = out[: out.index("  ✗ wrong  production")]
    rules = [yaml.safe_load(line)[0] for line in half.splitlines() if "apiGroups" in line]
    assert len(rules) == 5, half
    assert rules[0]["verbs"] == ["get", "list", "watch", "patch"]
    practice.cluster.change("roles", "shop", "deployment-architect", lambda role: {**role, "rules": rules})
    assert await practice.wrong() == {}


async def test_a_right_for_health_paths_is_needed_wherever_pods_are_asked(practice: Practice) -> None:
    """Without it every plan is refused, so its lack is no mere loss of words."""
    text = practice.catalog.read_text()
    practice.catalog.write_text(text.replace("container: web", "container: web, probe_port: 9000"))
    wrong = await practice.wrong()
    assert {about: [(one.what, one.optional) for one in found] for about, found in wrong.items()} == {
        about: [("may not get pods/proxy in namespace shop", False)]
        for about in ("checkout in staging", "checkout in production")
    }
    practice.catalog.write_text(text)
    assert await practice.wrong() == {}
    # The Deployment's own word counts as much as the catalog's.
    mark = {"deployment-architect.io/health-check": ":9000/health"}
    practice.cluster.change("deployments", "shop", "checkout", {"metadata": {"annotations": mark}})
    assert set(await practice.wrong()) == {"checkout in staging", "checkout in production"}


async def test_previews_are_looked_at_too(practice: Practice) -> None:
    with practice.catalog.open("a") as file:
        file.write(
            "previews:\n  shop: { type: kubernetes, cluster: main, template: shop, namespaces: 'shop-pr-{number}', "
            "address: 'https://{service}-pr-{number}.example.com', services: { checkout: { workload: checkout } } }\n"
        )
    wrong = await practice.wrong()
    assert set(wrong) == {"previews shop"}
    said = [finding.what for finding in wrong["previews shop"]]
    assert "may not create namespaces" in said
    assert all("apiGroups" in finding.fix for finding in wrong["previews shop"])
    practice.cluster.allow("bot", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], user=BOT)
    assert await practice.wrong() == {}
    practice.cluster.faults.down()
    assert "not looked at" in (await practice.wrong())["previews shop"][0].what


async def test_a_deployment_that_is_not_there_is_told(practice: Practice) -> None:
    practice.cluster.delete("deployments", "shop", "checkout")
    wrong = await practice.wrong()
    assert set(wrong) == {"checkout in staging", "checkout in production"}
    assert "checkout" in wrong["checkout in staging"][0].what


async def test_a_cluster_that_is_away_is_told_once_and_its_places_are_not_waited_for(practice: Practice) -> None:
    practice.cluster.faults.down()
    wrong = await practice.wrong()
    assert set(wrong) == {"cluster main", "checkout in staging", "checkout in production"}
    assert "cannot be reached" in wrong["cluster main"][0].what
    assert wrong["checkout in staging"][0].what == "not looked at, because the cluster main cannot be used"


async def test_a_token_that_is_refused_is_told_by_the_cluster(practice: Practice) -> None:
    practice.cluster.expire("bot")
    wrong = await practice.wrong()
    assert "does not accept our credentials (401)" in wrong["cluster main"][0].what


async def test_nobody_is_waited_for_for_long(practice: Practice) -> None:
    practice.cluster.faults.latency = 30.0
    begun = time.monotonic()
    wrong = await practice.wrong(timeout=0.7)
    assert time.monotonic() - begun < 20  # of a server that takes 30 s for each answer
    assert wrong["cluster main"][0].what == "no answer within 0.7 s"
    assert wrong["checkout in staging"][0].what == "not looked at, because the cluster main cannot be used"


async def test_a_slack_that_refuses_or_is_away(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-wrong")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-wrong")
    found = (await practice.wrong())["slack"]
    assert [finding.what for finding in found] == [
        "Slack refuses SLACK_BOT_TOKEN (invalid_auth)",
        "Slack refuses SLACK_APP_TOKEN (invalid_auth)",
    ]
    assert all(finding.fix for finding in found)
    await practice.slack.stop()
    found = (await practice.wrong())["slack"]
    assert [finding.what.partition(":")[0] for finding in found] == [
        "Slack does not answer for SLACK_BOT_TOKEN",
        "Slack does not answer for SLACK_APP_TOKEN",
    ]
    assert "xoxb-wrong" not in str(found)


async def test_settings_and_catalog_are_told_line_by_line_and_the_rest_is_looked_at(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "abc")
    monkeypatch.setenv("METRICS_TOKEN", "short")
    wrong = await practice.wrong()
    assert set(wrong) == {"settings", "slack"}
    assert len(wrong["settings"]) == 2
    text = practice.catalog.read_text().replace("cluster: main", "cluster: mian").replace("production", "Prod")
    practice.catalog.write_text(text)
    wrong = await practice.wrong()
    assert set(wrong) == {"settings", "slack", "catalog"}
    assert any("Did you mean 'main'?" in finding.what for finding in wrong["catalog"])
    assert all(str(practice.catalog) in finding.what for finding in wrong["catalog"])
    practice.catalog.unlink()
    assert "there is no such file" in (await practice.wrong())["catalog"][0].what


async def test_the_database_in_every_state(practice: Practice) -> None:
    async def told(database: str) -> Finding:
        looked = await practice.doctor(database=database).examine()
        [finding] = next(one for one in looked if one.about == "database").findings
        return finding

    path = practice.folder / "bot.sqlite"
    none = await told(practice.database)
    assert (none.ok, path.exists()) == (True, False)
    assert "the first start makes it" in none.what
    async with await Database.open(practice.database) as database:
        empty = await told(practice.database)
        assert (empty.ok, "is empty" in empty.what) == (True, True)
        await migrate(database, to="0001")
        older = await told(practice.database)
        assert (older.ok, "deployment-architect migrate" in older.what) == (False, True)
        await migrate(database)
        assert await told(practice.database) == Finding(
            ok=True, what=f"{database.shown} answers and has this build's schema"
        )
    (practice.folder / "file").write_text("no folder")
    (practice.folder / "no.sqlite").write_text("no database at all, but long enough to be looked into by SQLite" * 20)
    assert not (await told(f"sqlite:///{practice.folder / 'no.sqlite'}")).ok
    away = await told("postgresql://bot:pass-word@127.0.0.1:1/bot")
    assert not away.ok
    assert "pass-word" not in away.what
    assert not (await told("mysql://127.0.0.1/bot")).ok


async def test_a_provider_that_breaks_hides_nothing_else(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        async def versions(self, **_: Any) -> list[str]:
            raise RuntimeError("token=very-secret")

    monkeypatch.setattr(registry, "build_images", lambda *_, **__: Broken())
    wrong = await practice.wrong()
    assert set(wrong) == {"versions of checkout", "versions of payments"}
    assert wrong["versions of checkout"][0].what == "it broke while it was looked at: RuntimeError"


async def test_how_far_it_is_is_told_after_a_moment_and_not_before() -> None:
    doctor = Doctor(config=Path("c"), database="sqlite:///x", done=3, total=9, waiting=["slack", "cluster main"])
    said: list[str] = []
    ended = asyncio.Event()

    async def work() -> list[Looked]:
        await ended.wait()
        return []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            ended.set()

    assert await watched(doctor, work(), say, quiet=0.02, again=0.01) == []
    assert said[0] == "… 3 of 9 looked at, now slack, cluster main"
    said.clear()

    async def quick() -> list[Looked]:
        return []

    assert await watched(doctor, quick(), say, quiet=5) == []
    assert said == []


def test_a_cluster_cannot_write_to_the_terminal() -> None:
    finding = Finding(ok=False, what="red \x1b[31m\u202e", fix="- {\x07}\n- b")
    lines = list(as_text([Looked(about="place", findings=(finding,))]))
    assert all(line.isprintable() for line in lines)
    assert lines[1] == "  ✗ wrong  place  red \\x1b[31m\\u202e"
    assert [line.strip() for line in lines[2:4]] == ["→ - {\\x07}", "- b"]
    assert json.loads(as_json([Looked(about="place", findings=(finding,))]))["findings"][0]["what"] == finding.what


def test_lines_to_write_elsewhere_than_in_a_role_are_shown_as_they_are() -> None:
    hooks = "Under spec.analysis:\nwebhooks:\n- name: a\n  timeout: 5s\n- name: b\n  timeout: 5s"
    rest = [Finding(ok=False, what=what, fix="See to it.") for what in ("two", "three")]
    lines = list(as_text([Looked(about="place", findings=(Finding(ok=False, what="one", fix=hooks), *rest))]))
    assert sum("→" in line for line in lines[:-1]) == 2, "the same is told once"
    begin = next(index for index, line in enumerate(lines) if "→" in line)
    assert [line.strip(" →") for line in lines[begin : begin + 7]] == [
        *(line.strip() for line in hooks.splitlines()),
        "See to it.",
    ]
