"""A workspace, a platform with sample services, and bots to start and kill in it: what scenario tests share.

It never looks into a running bot: only at what people see, what the agent wrote down, and what the database holds.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from sqlalchemy import text as sql

from bot.bootstrap import Samples
from bot.domain.errors import StoreError
from bot.sandbox import seed
from bot.sandbox.process import BotProcess
from bot.sandbox.samples import write_artifacts
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.store.audit import StoredAudit
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from bot.store.releases import StoredReleases
from integrations.local import LocalPlatform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.domain.audit import AuditVerdict
    from bot.domain.deployment import Deployment
    from bot.domain.history import Event, Placement
    from bot.sandbox.model import Button, Message, Receipt
    from integrations.local.wire import JournalEntry

T = TypeVar("T")

CHANNEL = "C0DEPLOY"
PATIENCE = 60.0
"""Seconds that anything may take on a machine that has much else to do."""
_LAUNCHER = Path(__file__).with_name("launcher.py")

_CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
{environments}
defaults:
  health: {{ path: /health, interval: {interval}, timeout: 2s, passes: {passes}, deadline: 30s }}
  deadline: 90s
services:
{services}
roles:
  deployer:
    members: ["@deployers", "@release-managers"]
    allow:
      - {{ actions: [{actions}], services: "*", environments: "*" }}
"""
_SERVICE = """\
  {service}:
    target: {{ type: local, root: platform, instances: {instances}, start_timeout: {patience} }}
    images: {{ type: local, folder: artifacts/{service} }}
"""


def catalog(
    *,
    services: Iterable[str] = ("checkout",),
    environments: Iterable[str] | Mapping[str, str] = ("staging",),
    actions: str = "deploy, rollback, abort, resolve, lock, unlock",
    passes: int = 2,
    interval: float = 0.1,
    instances: int = 2,
    patience: int = 15,
) -> str:
    """A catalog of sample services in which waiting costs little; ``patience`` seconds are given to a new instance.

    Environments may come with what they ask for, and everybody may do the ``actions``.
    """
    places = environments if isinstance(environments, Mapping) else dict.fromkeys(environments, "{}")
    return _CATALOG.format(
        environments="\n".join(f"  {name}: {asks}" for name, asks in places.items()),
        actions=actions,
        services="".join(_SERVICE.format(service=name, instances=instances, patience=patience) for name in services),
        passes=passes,
        interval=interval,
    )


@dataclass(kw_only=True)
class World:
    """Everything around the bot. The bot itself comes and goes."""

    folder: Path
    database_url: str
    server: SandboxServer
    platform: LocalPlatform
    addresses: dict[str, str]
    port: int = 0
    """Where the bot listens, for tests in which somebody must know beforehand."""
    bots: list[BotProcess] = field(default_factory=list)
    _database: Database | None = None

    @classmethod
    async def open(
        cls,
        folder: Path,
        database_url: str | None = None,
        *,
        text: str | None = None,
        runs: str | None = "v1.1",
        **server: Any,
    ) -> World:
        """A world with the catalog ``text``, in which every service runs the version ``runs`` (None: nothing runs)."""
        os.environ["LOCAL_AGENT_FAULTS"] = "1"
        (folder / ".deploy").mkdir(parents=True)
        (folder / ".deploy" / "config.yaml").write_text(text or catalog())
        write_artifacts(folder / "artifacts")
        sandbox = SandboxServer(Workspace(), **server)
        await sandbox.start()
        addresses: dict[str, str] = {}
        if runs is not None:
            addresses |= await Samples(folder=folder).bring_up(runs)
        url = database_url or f"sqlite:///{folder / 'deployments.sqlite'}"
        platform = LocalPlatform(folder / "platform")
        return cls(folder=folder, database_url=url, server=sandbox, platform=platform, addresses=addresses)

    async def close(self) -> None:
        """End everything, and leave nothing on the disk."""
        for bot in self.bots:
            await bot.kill()
        if self._database is not None:
            await self._database.close()
        await self.server.stop()
        await self.platform.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The bot.

    def settings(self, **environment: str) -> dict[str, str]:
        """What a bot needs to know to run in this world."""
        return {
            "SLACK_BOT_TOKEN": seed.BOT_TOKEN,
            "SLACK_APP_TOKEN": seed.APP_TOKEN,
            "SLACK_API_URL": f"{self.server.url}/api/",
            "DEPLOY_CONFIG": str(self.folder / ".deploy" / "config.yaml"),
            "DATABASE_URL": self.database_url,
            "EXECUTOR_ID": "world",
            "PORT": "0",
            "LOCAL_AGENT_FAULTS": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **environment,
        }

    def bot(self, *, under_launcher: bool = False, without: str | None = None, **environment: str) -> BotProcess:
        """A bot that is not started yet, told everything but the setting ``without``."""
        settings = {name: value for name, value in self.settings(**environment).items() if name != without}
        command: tuple[str, ...] = ("-m", "bot", "serve")
        if under_launcher:
            settings["CRASH_FOLDER"] = str(self.folder)
            command = (str(_LAUNCHER),)
        process = BotProcess(
            environment=settings,
            log=self.folder / "bot.log",
            connected=lambda: self.server.transport.connected > 0,
            command=command,
        )
        self.bots.append(process)
        return process

    async def start(self, *, under_launcher: bool = False, **environment: str) -> BotProcess:
        """A bot that runs and that the workspace hears."""

        async def forgotten() -> bool:
            return self.server.transport.connected == 0

        if not any(bot.running for bot in self.bots):
            # The workspace must have noticed that the last one is gone, else we would take it for the new one.
            await until(forgotten, what="a workspace that has noticed the end of the last bot")
        bot = self.bot(under_launcher=under_launcher, **environment)
        await bot.start()
        return bot

    # What people do and see.

    async def command(self, who: str, text: str) -> Receipt:
        """``/deploy text`` as somebody; fails when the bot does not acknowledge it."""
        receipt = await self.server.hands.command(who, "/deploy", text, channel=CHANNEL)
        assert receipt.acked, receipt.error
        return receipt

    async def button(self, who: str, label: str, *, about: str | None = None) -> Button:
        """The newest such button that somebody sees, once it is there; ``about`` a deployment's id."""

        async def there() -> Button | None:
            return next(
                (
                    button
                    for button in self.server.hands.visible_buttons(who)
                    if button.label == label and (about is None or about in (button.value or ""))
                ),
                None,
            )

        return await until(there, what=f"a button {label!r}")

    async def press(self, who: str, label: str, *, about: str | None = None) -> Button:
        """Press it, once it is there."""
        button = await self.button(who, label, about=about)
        receipt = await self.click(who, button)
        assert receipt.acked, receipt.error
        return button

    async def click(self, who: str, button: Button) -> Receipt:
        """Press this very button."""
        return await self.server.hands.click(
            who, container=button.container, action_id=button.action_id, block_id=button.block_id
        )

    def whispers(self, who: str) -> list[str]:
        """Everything that only this person was told, oldest first."""
        seen = [seen for seen in self.server.hands.can_see(who) if seen.where == "ephemeral"]
        return [" ".join(one.text.split()) for one in sorted(seen, key=lambda one: one.posted_at)]

    async def whispered(self, who: str, text: str, *, after: int = 0) -> str:
        """What this person was told that holds ``text``, once they are; the first ``after`` answers do not count."""

        async def there() -> str | None:
            return next((told for told in self.whispers(who)[after:] if text in told), None)

        found: str = await until(there, what=f"an answer to {who} with {text!r} among {self.whispers(who)[after:]}")
        return found

    async def unlock(self, who: str, place: str) -> None:
        """Take away the lock that a rollback leaves in ``place``, and see it gone."""
        await self.command(who, f"unlock {place}")

        async def gone() -> bool | None:
            return any("Unlocked" in message.text for message in self.messages()) or None

        await until(gone, what=f"{place} unlocked")

    def told(self, deployment_id: str) -> list[Message]:
        """Every message that tells of a deployment."""
        return [message for message in self.messages() if _about(message).get("deployment_id") == deployment_id]

    def messages(self) -> list[Message]:
        """Everything in the deployments' channel."""
        return list(self.server.workspace.channels[CHANNEL].messages.values())

    def roots(self, deployment_id: str) -> list[Message]:
        """The root messages that tell of a deployment."""
        return [message for message in self.told(deployment_id) if not message.is_reply]

    def shown(self, deployment_id: str) -> str | None:
        """The phase that its root message shows."""
        roots = self.roots(deployment_id)
        return _about(roots[0]).get("phase") if roots else None

    def notes(self, deployment_id: str) -> list[str]:
        """The keys of the notes in its thread."""
        return [str(_about(message)["key"]) for message in self.told(deployment_id) if message.is_reply]

    async def noted(self, deployment_id: str, notes: list[str]) -> None:
        """Once these notes are in its thread: each once, nothing else, below one root message."""

        async def there() -> bool:
            return set(self.notes(deployment_id)) >= set(notes)

        await until(there, what=f"the notes {notes} instead of {self.notes(deployment_id)}")
        found = self.notes(deployment_id)
        assert found == notes, f"{found} instead of {notes}"
        assert len(self.roots(deployment_id)) == 1

    def told_twice(self) -> list[str]:
        """What was posted more often than once in any one channel, about a deployment or as a notice."""
        counted = Counter(
            f"{channel.name}: {about.get('deployment_id', 'notice')} {about['key']}"
            for channel in self.server.workspace.channels.values()
            for message in channel.messages.values()
            if "key" in (about := _about(message))
        )
        return [what for what, times in counted.items() if times > 1]

    # What the database holds.

    async def deployments(self, service: str = "checkout") -> list[Deployment]:
        """Every deployment of a service, oldest first."""
        try:
            found = await StoredDeployments(await self._open()).history(service, None, limit=1000)  # type: ignore[arg-type]  # a plain name
        except StoreError:
            return []
        return sorted(found, key=lambda deployment: deployment.number)

    async def newest(self, service: str = "checkout") -> Deployment | None:
        """The newest deployment of a service."""
        found = await self.deployments(service)
        return found[-1] if found else None

    async def under_way(self) -> Sequence[Deployment]:
        """Every deployment that is not over: whoever holds a lock or waits for one."""
        try:
            return await StoredDeployments(await self._open()).active()
        except StoreError:
            return []

    async def events(self, deployment_id: str) -> Sequence[Event]:
        """What happened to a deployment."""
        return await StoredDeployments(await self._open()).events(deployment_id)  # type: ignore[arg-type]  # a plain id

    async def placement(self, service: str = "checkout", environment: str = "staging") -> Placement | None:
        """What the bot believes to run there."""
        found = await StoredReleases(await self._open()).placements([(service, environment)])  # type: ignore[list-item]  # plain names
        return found[0] if found else None

    async def _open(self) -> Database:
        if self._database is None:
            self._database = await Database.open(self.database_url, read_only=True)
        return self._database

    async def reaches(self, deployment_id: str, phase: str, *, within: float = PATIENCE) -> Deployment:
        """The deployment once it is in that phase."""

        async def there() -> Deployment | None:
            return next((d for d in await self.deployments() if d.id == deployment_id and d.phase == phase), None)

        return await until(there, within=within, what=f"{deployment_id} {phase}")

    async def ends(self, number: int, phase: str, *, within: float = PATIENCE) -> Deployment:
        """The deployment #``number`` once it is in that phase and its message says so."""

        async def there() -> Deployment | None:
            found = next((d for d in await self.deployments() if d.number == number), None)
            if found is None or found.phase != phase or self.shown(found.id) != phase:
                return None
            return found

        try:
            return await until(there, within=within, what=f"#{number} {phase}")
        except AssertionError:
            facts = [
                (d.number, d.phase.value, d.note, self.shown(d.id), self.notes(d.id)) for d in await self.deployments()
            ]
            raise AssertionError(f"#{number} did not become {phase}: {facts[-3:]}\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        """The end of the bots' log."""
        log = self.folder / "bot.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-25:]) if log.exists() else ""

    async def audit(self) -> AuditVerdict:
        """What looking at every row of the audit comes to."""
        return await StoredAudit(await self._open()).verify()

    async def rows(self, query: str, **values: object) -> Sequence[Any]:
        """What a query of our own finds in the bot's database."""

        async def look(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(sql(query), values)).all()

        return await (await self._open()).read(look)

    # What the platform did.

    async def journal(self, service: str = "checkout", environment: str = "staging") -> Sequence[JournalEntry]:
        """Every operation that the agent has applied there."""
        return await self.platform.journal(service, environment)

    async def serves(self, place: str = "checkout@staging") -> str:
        """The version that answers there."""
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.get(self.addresses[place] + "/health")
        return str(json.loads(answer.text)["version"])


def _about(message: Message) -> dict[str, Any]:
    payload = (message.metadata or {}).get("event_payload")
    return payload if isinstance(payload, dict) else {}


async def until(look: Callable[[], Awaitable[T | None]], *, within: float = PATIENCE, what: str) -> T:
    """The first truthy answer; fails with ``what`` when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        if found := await look():
            return found
        assert time.monotonic() < deadline, f"after {within:g} s there is still not {what}"
        # What is waited for is in other processes, which tell nobody.
        await asyncio.sleep(0.03)
