"""How long a free lock stays free: from the end of one deployment to the beginning of the next in the same queue."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row, percentile
from bench.world import CHANNEL, Place, environment, prepare, service, until
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.lifecycle import Phase
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.store.deployments import StoredDeployments
from bot.store.engine import Database

if TYPE_CHECKING:
    from pathlib import Path

_QUEUED = 40


async def measure(folder: Path) -> Found:
    """Forty deployments of one place, asked for at once."""
    prepare(folder, services=1, environments=1)
    server = SandboxServer(Workspace())
    await server.start()
    try:
        place = Place(folder=folder, api_url=server.url)
        async with place.bot(http=False):
            for number in range(_QUEUED):
                text = f"{service(0)} v{number} {environment(0)}"
                receipt = await server.hands.command("ada", "/deploy", text, channel=CHANNEL)
                if not receipt.acked:
                    raise RuntimeError(f"{text!r} was not acknowledged: {receipt.error}")

            async def all_over() -> bool:
                return await place.phases() == {"succeeded": _QUEUED}

            await until(all_over, within=60, what="an end of all of them")
        gaps = await _gaps(place)
    finally:
        await server.stop()
    return Found(
        rows=[
            Row(name="lock hand-over, p50", measured=percentile(gaps, 0.5), unit="ms"),
            Row(name="lock hand-over, p99", measured=percentile(gaps, 0.99), unit="ms", aim=Aim(limit=250)),
        ],
        details={"ms": gaps},
    )


async def _gaps(place: Place) -> list[float]:
    """Milliseconds between an end and the next beginning, where the next one was waiting by then."""
    async with await Database.open(place.database_url, read_only=True) as database:
        found = await StoredDeployments(database).history(
            ServiceName(service(0)), EnvironmentName(environment(0)), limit=_QUEUED
        )
    in_order = sorted(found, key=lambda deployment: deployment.number)
    gaps = []
    for before, after in pairwise(in_order):
        ended, queued, began = before.timeline[-1], after.reached(Phase.QUEUED), after.reached(Phase.DEPLOYING)
        assert queued is not None
        assert began is not None
        if queued.at < ended.at:
            gaps.append((began.at - ended.at).total_seconds() * 1000)
    return gaps
