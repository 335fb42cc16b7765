"""Previews in Slack, from the command to the address in the thread: the whole bot before a fake cluster."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from integration.previews.preview_world import world
from integration.slack.office import CATALOG, Shelf, open_office

from bot.domain.release import Artifact
from integrations.clusters.shared import SharedClusters
from integrations.previews.registered import SharedPreviews

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from integration.previews.preview_world import World
    from integration.slack.office import Office

    from bot.domain.release import Release
    from bot.engine.showing import Showing

pytestmark = [pytest.mark.timeout(60), pytest.mark.long]
ADDRESS = "https://checkout-pr-7.preview.example.com"
PREVIEWS = """\
clusters:
  main: {{ type: kubeconfig, path: "{kubeconfig}" }}
previews:
  shop:
    type: kubernetes
    cluster: main
    template: shop-template
    namespaces: shop-pr-{{number}}
    address: https://{{service}}-pr-{{number}}.preview.example.com
    services:
      checkout: {{ workload: checkout, container: web }}
    secrets: [database]
    most: 2
"""


@dataclass(frozen=True)
class Registry(Shelf):
    """Versions as images."""

    async def resolve(self, *, version: str) -> Release:
        found = await super().resolve(version=version)
        where = f"ghcr.io/acme/{self.service}@{found.artifact.digest}"
        return replace(found, artifact=Artifact(digest=found.artifact.digest, location=where))


@asynccontextmanager
async def opened(here: World, folder: Path) -> AsyncIterator[Office]:
    """A bot with previews on that cluster."""
    clusters = SharedClusters()
    # No cluster could pull what lies in a folder here; what these versions are is said by `Registry`.
    images = "{ type: oci, repository: ghcr.io/acme/checkout }"
    text = CATALOG.replace("{ type: local, folder: artifacts }", images) + PREVIEWS.format(
        kubeconfig=here.server.kubeconfig(folder)
    )
    try:
        async with open_office(folder, text=text, previews=SharedPreviews(clusters=clusters)) as office:
            office.images = lambda _, service: Registry(service)  # type: ignore[method-assign]  # images, not folders
            yield office
    finally:
        await clusters.close()


def showing(office: Office) -> Showing:
    assert office.engine.showing is not None
    return office.engine.showing


def note(here: World, number: int, what: str) -> str:
    found = here.server.get("namespaces", None, f"shop-pr-{number}")["metadata"]["annotations"]
    return str(found[f"deployment-architect.io/{what}"])


def changed(here: World) -> set[int]:
    """The previews that the bot has written to; it must not write to anything else."""
    numbers = set()
    for call in here.server.log:
        if call.verb in {"get", "list", "watch"}:
            continue
        inside = re.match(r"/(?:api|apis/[^/]+)/[^/]+/namespaces/shop-pr-([78])(?:/|$)", call.path)
        assert inside or (call.verb, call.path) == ("create", "/api/v1/namespaces"), call
        numbers |= {int(inside[1])} if inside else set()
    return numbers


async def until(fits: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not fits():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def acts(office: Office) -> list[str]:
    rows = [json.loads(line) async for line in _lines(office)]
    assert (await office.store.audit.verify()).ok
    return [row["act"] for row in rows if row["act"].startswith("preview.")]


async def _lines(office: Office) -> AsyncIterator[str]:
    async for piece in office.store.audit.export(format="jsonl"):
        for line in piece.splitlines():
            yield line


async def test_from_the_command_to_the_address_the_list_and_the_end(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        await office.says("ada", "preview checkout v1.2 pr=7 for=2d")
        assert "v1.2 in the preview of #7 is under way" in await office.reads("ada", "is under way", "ephemeral")
        told = await office.reads("linus", "opens the preview of #7: checkout v1.2", "channel")
        root = office.ref("linus", "channel", "opens the preview of #7")
        ready = await office.reads("linus", ADDRESS, "thread")
        assert "checkout v1.2 in the preview of #7 is up" in ready, told
        threaded = [message for message in office.messages() if message.thread_ts == root.ts and message.is_reply]
        assert [ADDRESS in json.dumps(message.blocks) for message in threaded] == [False, True], "made, then ready"
        assert "<!date^" in json.dumps(threaded[-1].blocks), "the expiry in the reader's own zone"
        [ready_to_paste] = [block for block in threaded[-1].blocks if block["type"] == "rich_text"]
        pasted = ready_to_paste["elements"][0]["elements"][0]["text"]
        assert pasted.startswith("**Preview of #7**\n\n| service | version | address | state |\n|---|---|---|---|\n")
        assert f"| checkout | v1.2 | {ADDRESS} | ready |\n" in pasted
        assert changed(here) == {7}

        # The same once more, for longer: nothing but the time changes.
        before = note(here, 7, "expires")
        await office.says("ada", "preview checkout v1.2 pr=7 for=5d")
        await office.reads("linus", "keeps the preview of #7", "channel")
        await until(lambda: note(here, 7, "expires") > before, "it is kept for longer")

        await office.says("linus", "previews")
        listed = await office.reads("linus", "shop-pr-7", "ephemeral")
        assert ADDRESS in listed
        assert "v1.2: ready" in listed
        # Linus sees the button, and is refused when he presses it.
        await office.presses("linus", "Close")
        await office.reads("linus", "may not deploy checkout anywhere", "ephemeral")
        assert "shop-pr-7" in here.numbers()
        await office.says("ada", "previews")
        await office.reads("ada", "opened by", "ephemeral")
        await office.presses("ada", "Close")
        await office.reads("linus", "closed the preview of #7", "channel")
        await until(lambda: here.numbers() == ["shop-pr-99"], "the namespace is gone")
        await office.says("ada", "preview close checkout pr=7")
        await office.reads("ada", "There is no preview of #7", "ephemeral")
        assert await acts(office) == ["preview.opened", "preview.extended", "preview.closed"]
        assert changed(here) == {7}


async def test_what_is_over_is_closed_and_told_once(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        await office.says("ada", "preview checkout v1.2 pr=7 for=2h")
        await office.says("ada", "preview checkout v1.3 pr=8 for=2d")
        await office.reads("linus", "v1.2 in the preview of #7 is up", "thread")
        await office.reads("linus", "v1.3 in the preview of #8 is up", "thread")
        bot = showing(office)
        bot.previewing.now = bot.now = lambda: datetime.now(UTC) + timedelta(hours=3)
        await bot.sweep()
        await bot.sweep()
        told = await office.reads("linus", "time of the preview of #7, which", "channel")
        assert "opened, is over. It is deleted." in told
        await until(lambda: here.numbers() == ["shop-pr-8", "shop-pr-99"], "the one that is over is gone")
        await bot.sweep()
        assert sum("time of the preview" in one for one in office.seen("linus", "channel")) == 1
        assert await acts(office) == ["preview.opened", "preview.opened", "preview.expired"]
        assert changed(here) == {7, 8}


async def test_too_many_is_told_in_plain_words_in_the_thread(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        for number in (1, 2):
            await office.says("ada", f"preview checkout v1.2 pr={number}")
            await office.reads("linus", f"preview of #{number} is up", "thread")
        await office.says("ada", "preview checkout v1.2 pr=3")
        told = await office.reads("linus", "may be 2", "thread")
        assert "There are 2 previews of shop-template already and may be 2: #1, #2." in told
        assert "Close one that nobody needs any more." in told
        assert "shop-pr-3" not in here.numbers()


async def test_only_who_may_deploy_a_service_has_previews_of_it(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        await office.says("linus", "preview checkout v1.2 pr=7")
        await office.reads("linus", "You may not deploy checkout anywhere", "ephemeral")
        await office.says("ada", "preview payments v1.2 pr=7")
        await office.reads("ada", "payments has no previews", "ephemeral")
        await office.says("ada", "preview checkout v9.9 pr=7")
        await office.reads("ada", "There is no v9.9", "ephemeral")
        await office.says("ada", "preview checkout v1.2 pr=7 for=90d")
        await office.reads("ada", "kept for 14 days at most", "ephemeral")
        assert changed(here) == set()
        await office.says("ada", "preview checkout v1.2 pr=7")
        await office.reads("linus", "is up", "thread")
        await office.says("linus", "preview close checkout pr=7")
        await until(
            lambda: sum("You may not deploy" in one for one in office.seen("linus", "ephemeral")) == 2, "refused twice"
        )
        assert await acts(office) == ["preview.opened"]
        assert changed(here) == {7}


async def test_one_whose_opening_was_given_up_is_cleaned_away_when_its_time_is_over(tmp_path: Path) -> None:
    """What was half made carries its end from its first moment."""
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        bot = showing(office)
        bot.patience = 0.0
        here.server.faults.refuse(503, verb="create", path="/namespaces/shop-pr-7/configmaps", times=1000)
        await office.says("ada", "preview checkout v1.2 pr=7 for=1h")
        await office.reads("linus", "Preview in trouble", "thread")
        assert "shop-pr-7" in here.numbers()
        bot.previewing.now = bot.now = lambda: datetime.now(UTC) + timedelta(hours=2)
        await bot.sweep()
        await until(lambda: here.numbers() == ["shop-pr-99"], "cleaned away")
        assert changed(here) == {7}


async def test_of_two_replicas_one_sweeps(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        await office.says("ada", "preview checkout v1.2 pr=7 for=1h")
        await office.reads("linus", "is up", "thread")
        bot = showing(office)
        later = datetime.now(UTC) + timedelta(hours=2)
        bot.previewing.now = bot.now = lambda: later
        assert await office.store.leases.hold("previews", holder="office", at=later, ttl=timedelta(minutes=3))
        other = replace(bot, executor="other")
        calls = len(here.server.log)
        await other.sweep()
        assert len(here.server.log) == calls, "it asks the cluster nothing"
        assert "shop-pr-7" in here.numbers()
        other.now = lambda: later + timedelta(minutes=4)  # the first has died: its lease is over
        await other.sweep()
        await until(lambda: here.numbers() == ["shop-pr-99"], "the other one has closed it")
        await bot.sweep()
        assert await acts(office) == ["preview.opened", "preview.expired"]


async def test_one_that_cannot_be_closed_is_told_once_and_tried_again(tmp_path: Path) -> None:
    async with world(alive=True) as here, opened(here, tmp_path) as office:
        await office.says("ada", "preview checkout v1.2 pr=7 for=1h")
        await office.reads("linus", "is up", "thread")
        bot = showing(office)
        bot.previewing.now = bot.now = lambda: datetime.now(UTC) + timedelta(hours=2)
        here.server.faults.refuse(500, verb="delete", path="/namespaces/shop-pr-7", times=1_000)
        await bot.sweep()
        await bot.sweep()
        await office.reads("linus", "is over and cannot be closed", "channel")
        assert sum("cannot be closed" in one for one in office.seen("linus", "channel")) == 1
        here.server.faults._refusals.clear()
        await bot.sweep()
        await until(lambda: here.numbers() == ["shop-pr-99"], "closed after all")
        await office.reads("linus", "time of the preview of #7", "channel")
        assert await acts(office) == ["preview.opened", "preview.expired"]
