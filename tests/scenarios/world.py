"""A workspace, a platform with one sample service, and bots to start and kill in it: what scenario tests share."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bot.bootstrap import _Samples
from bot.domain.errors import StoreError
from bot.sandbox import seed
from bot.sandbox.demo import catalog_text
from bot.sandbox.process import BotProcess
from bot.sandbox.samples import write_artifacts
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database
from integrations.local import LocalPlatform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.domain.deployment import Deployment
    from bot.sandbox.model import Button, Message

CHANNEL = "C0DEPLOY"


@dataclass(kw_only=True)
class World:
    """Everything around the bot. The bot itself comes and goes."""

    folder: Path
    database_url: str
    server: SandboxServer
    platform: LocalPlatform
    addresses: dict[str, str]
    bots: list[BotProcess] = field(default_factory=list)

    @classmethod
    async def open(cls, folder: Path, database_url: str | None = None, **server: Any) -> World:
        os.environ["LOCAL_AGENT_FAULTS"] = "1"
        (folder / ".deploy").mkdir(parents=True)
        (folder / ".deploy" / "config.yaml").write_text(catalog_text())
        write_artifacts(folder / "artifacts")
        sandbox = SandboxServer(Workspace(), **server)
        await sandbox.start()
        addresses = dict(await _Samples(folder=folder).bring_up("v1.1"))
        url = database_url or f"sqlite:///{folder / 'deployments.sqlite'}"
        platform = LocalPlatform(folder / "platform")
        return cls(folder=folder, database_url=url, server=sandbox, platform=platform, addresses=addresses)

    async def close(self) -> None:
        for bot in self.bots:
            await bot.kill()
        await self.server.stop()
        await self.platform.stop_all()

    def bot(self, *, arm: str | None = None, crash_at: str | None = None, **environment: str) -> BotProcess:
        """A bot that is not started yet; with ``arm`` it runs under the launcher."""
        settings = {
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
        command: tuple[str, ...] = ("-m", "bot", "serve")
        if arm is not None:
            settings |= {"CRASH_ARM": arm, "CRASH_LOG": str(self.points_file)}
            if crash_at is not None:
                settings["CRASH_AT"] = crash_at
            command = (str(Path(__file__).with_name("launcher.py")),)
        process = BotProcess(
            environment=settings,
            log=self.folder / "bot.log",
            connected=lambda: self.server.transport.connected > 0,
            command=command,
        )
        self.bots.append(process)
        return process

    @property
    def points_file(self) -> Path:
        return self.folder / "points.log"

    def points(self) -> list[str]:
        return self.points_file.read_text().splitlines() if self.points_file.exists() else []

    async def command(self, who: str, text: str) -> None:
        receipt = await self.server.hands.command(who, "/deploy", text, channel=CHANNEL)
        assert receipt.acked, receipt.error

    async def press(self, who: str, label: str, *, within: float = 20.0) -> Button:
        """Press the newest such button once it is there."""

        async def there() -> Button | None:
            return next((b for b in self.server.hands.visible_buttons(who) if b.label == label), None)

        button = await until(there, within=within, what=f"a button {label!r}")
        await self.server.hands.click(who, container=button.container, action_id=button.action_id)
        return button

    async def deployments(self) -> list[Deployment]:
        """Every deployment of checkout, oldest first, read from the bot's database."""
        try:
            async with await Database.open(self.database_url, read_only=True) as database:
                found = await StoredDeployments(database).history("checkout", None, limit=1000)  # type: ignore[arg-type]
        except StoreError:
            return []
        return sorted(found, key=lambda deployment: deployment.number)

    def roots(self, deployment_id: str) -> list[Message]:
        """The root messages that tell of a deployment."""
        return [
            message for message in self.told(deployment_id) if not message.thread_ts or message.thread_ts == message.ts
        ]

    def told(self, deployment_id: str) -> list[Message]:
        """Every message that tells of a deployment."""
        return [
            message
            for message in self.server.workspace.channels[CHANNEL].messages.values()
            if ((message.metadata or {}).get("event_payload") or {}).get("deployment_id") == deployment_id
        ]

    async def serves(self, place: str = "checkout@staging") -> str:
        """The version that answers there."""
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.get(self.addresses[place] + "/health")
        return str(json.loads(answer.text)["version"])


async def until(look: Callable[[], Awaitable[Any]], *, within: float, what: str) -> Any:
    """The first truthy answer; fails with ``what`` when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        if found := await look():
            return found
        assert time.monotonic() < deadline, f"after {within:g} s there is still not {what}"
        await asyncio.sleep(0.02)
