"""Everything at once on one machine: the workspace with its page, the bot, sample services and people who use them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import ConfigurationError
from bot.sandbox import seed
from bot.sandbox.process import BotProcess
from bot.sandbox.samples import SERVICES, VERSIONS, write_artifacts
from bot.sandbox.samples.traffic import drive
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

FIRST_VERSION = "v1.1"
ENVIRONMENTS = ("staging", "production")
_REQUESTS_A_SECOND = 6.0

CATALOG = """\
# The sandbox's catalog. Change it while the bot runs: it is read again within a second or two.
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"

environments:
  staging: {}
  production:
    description: What customers use
    protected: true
    approval: { quorum: 1, group: "@release-managers", expires: 30m }

metrics:
  proxy: { type: local, root: platform, timeout: 3 }   # what the platform's own proxies count

checks:
  errors:                                    # the share of requests that go wrong
    source: proxy
    query: error_share
    kind: share
    limit: 2%
    against_stable: { ratio: 1.5, tolerance: 1% }
    min_samples: 20
    interval: 2s
    window: 6s
    failures: 2
    of: 3

strategies:
  canary:
    canary:
      steps:
        - { weight: 20, bake: 10s, approval: true }
        - { weight: 50, bake: 10s, approval: true }
      timeout: 10m
      on_timeout: abort
  blue-green:                                # beside what runs, without traffic; then all of it at once
    blue_green: { verify: 4s, approval: true, keep: 15s, timeout: 10m }

defaults:
  health: { path: /health, interval: 0.3, timeout: 2s, passes: 2, deadline: 15s }
  deadline: 60s
  checks: [errors]
  countdown: 20s

services:
"""
SERVICE = """\
  {service}:
    description: {description}
    target: {{ type: local, root: platform, instances: 2, start_timeout: 5 }}
    images: {{ type: local, folder: artifacts/{service} }}
"""
ROLES = """\
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - actions: [deploy, rollback, abort, resolve, promote, lock, unlock, schedule]
        services: "*"
        environments: "*"
  release-manager:
    members: ["@release-managers"]
    allow:
      - actions: [deploy, rollback, abort, resolve, promote, lock, unlock, schedule, approve, run_next]
        services: "*"
        environments: "*"
      - { actions: [configure, override_freeze, break_glass], services: "*", environments: "*" }
"""
_DESCRIPTIONS = {"checkout": "Takes the order", "catalog": "Knows what there is", "payments": "Takes the money"}


class SamplePlatform(Protocol):
    """Where the sample services run. Given by whoever may import integrations."""

    async def bring_up(self, version: str) -> Mapping[str, str]:
        """Run ``version`` of every service in every environment, unless something runs there; addresses by place."""

    async def silence(self, *, silent: bool) -> None:
        """Let nobody who asks for the services' numbers be answered in time, or everybody again."""

    async def shut_down(self) -> None:
        """Stop all of it."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that is up."""

    server: SandboxServer
    bot: BotProcess
    addresses: Mapping[str, str]
    folder: Path
    database_url: str

    @property
    def url(self) -> str:
        """The page."""
        return self.server.url


@contextlib.asynccontextmanager
async def running_demo(
    *,
    platform: Callable[[Path], SamplePlatform],
    hints: Callable[[str, Mapping[str, Sequence[str]]], list[str]],
    port: int = 0,
    data: Path | None = None,
    database_url: str | None = None,
) -> AsyncIterator[Demo]:
    """A demo, always from the beginning: all services at `FIRST_VERSION`, an empty history.

    Everything is written below ``data``, or below a folder that vanishes with it. Raises `ConfigurationError` when the
    folder cannot be written or the port is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = _fresh(data, stack)
        samples = platform(folder)
        await samples.shut_down()  # what an earlier demo may have left
        _clear(folder)
        write_artifacts(folder / "artifacts")
        (folder / ".deploy").mkdir()
        (folder / ".deploy" / "config.yaml").write_text(catalog_text())
        versions = {service: list(reversed(VERSIONS)) for service in SERVICES}
        workspace = Workspace()
        server = SandboxServer(workspace, port=port, hints=lambda _who, text: hints(text, versions))
        try:
            await server.start()
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be used for the page ({error.strerror}). Choose another with --port."
            ) from None
        stack.push_async_callback(server.stop)
        database = database_url or f"sqlite:///{folder / 'bot' / 'deployments.sqlite'}"
        bot = BotProcess(
            environment={
                "SLACK_BOT_TOKEN": seed.BOT_TOKEN,
                "SLACK_APP_TOKEN": seed.APP_TOKEN,
                "SLACK_API_URL": f"{server.url}/api/",
                "DEPLOY_CONFIG": str(folder / ".deploy" / "config.yaml"),
                "DATABASE_URL": database,
                "EXECUTOR_ID": "demo",
                "HOST": "127.0.0.1",
                "PORT": "0",
            },
            log=folder / "bot.log",
            connected=lambda: server.transport.connected > 0,
        )
        stack.push_async_callback(samples.shut_down)
        stack.push_async_callback(bot.stop)
        addresses, _ = await asyncio.gather(samples.bring_up(FIRST_VERSION), bot.start())
        silences: set[asyncio.Task[None]] = set()

        def silence(silent: bool) -> None:
            silences.add(asyncio.create_task(samples.silence(silent=silent)))

        async def end_silences() -> None:
            await asyncio.gather(*silences, return_exceptions=True)

        stack.push_async_callback(end_silences)
        server.faults.elsewhere["metrics down"] = silence
        stop = asyncio.Event()
        traffic = asyncio.create_task(drive(addresses, rate=_REQUESTS_A_SECOND, stop=stop))

        async def end_traffic() -> None:
            stop.set()
            await traffic

        stack.push_async_callback(end_traffic)
        yield Demo(server=server, bot=bot, addresses=addresses, folder=folder, database_url=database)


def catalog_text() -> str:
    """The catalog of the demo."""
    services = [SERVICE.format(service=service, description=_DESCRIPTIONS[service]) for service in SERVICES]
    return CATALOG + "".join(services) + "\n" + ROLES


def _fresh(data: Path | None, stack: contextlib.AsyncExitStack) -> Path:
    if data is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deployment-architect-")))
    try:
        data.mkdir(parents=True, exist_ok=True)
        (data / ".demo").touch()
    except OSError as error:
        raise ConfigurationError(f"The folder {data} cannot be written ({error.strerror}). Choose another.") from None
    return data.absolute()


def _clear(folder: Path) -> None:
    """Remove what an earlier demo wrote, and nothing else."""
    for name in ("artifacts", "platform", "bot", ".deploy"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "bot.log").unlink(missing_ok=True)
