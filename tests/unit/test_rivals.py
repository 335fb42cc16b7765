"""One test for each defect that was found in the code of other deployment bots, and that must not appear here.

Each names the defect, in our words, and asserts what people would see. More about each is in the tests of the part that
it concerns; here they stand side by side.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from unit.engine.simulation.outside import PRODUCTION, SERVICES, STAGING, catalog, release

from bot.api.app import build_api
from bot.domain.deployment import Resolution
from bot.domain.errors import (
    BadCommand,
    NoRollback,
    NotAuthorized,
    NothingToDo,
    RequestRefused,
    SomebodyWasFaster,
)
from bot.domain.grammar import DeployIntent, OpenFormIntent, Vocabulary, parse
from bot.domain.lifecycle import Phase
from bot.domain.policy.scope import Scope
from bot.slack.app import Slack, SlackTokens, _app
from bot.slack.names import ButtonValue

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from unit.conftest import Happens
    from unit.engine.simulation.hands import Hands

    from bot.domain.deployment import Deployment

IN_PRODUCTION = Scope(environment=PRODUCTION)


# 1. Callbacks that anybody can forge: a request without the token was not checked at all.


async def test_a_callback_without_a_signature_is_refused() -> None:
    """Rival: whoever leaves the proof out is let in, and names the person whom they act for."""
    secret, heard = "shh", []

    class Nobody:
        bot_user, bot_id = "U0BOT", "B0BOT"

    app = _app(AsyncWebClient(token="xoxb-1"), SlackTokens(bot="xoxb-1", signing_secret=secret), Nobody())  # type: ignore[arg-type]  # only its names are read

    @app.command("/deploy")
    async def listen(ack: Any, body: dict[str, Any]) -> None:
        heard.append(body["user_id"])
        await ack()

    class Http:
        socket = None

    http = Http()
    http.app = app  # type: ignore[attr-defined]  # of the whole only this is used
    api = build_api(readiness=lambda: asyncio.sleep(0, {}), slack=Slack.http_handler(http))  # type: ignore[arg-type]
    body = urlencode({"command": "/deploy", "text": "checkout v1 production", "user_id": "UGRACE", "team_id": "T1"})

    def signed(at: int, key: str = secret) -> dict[str, str]:
        proof = hmac.new(key.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={proof}"}

    now = int(time.time())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api), base_url="http://bot") as client:

        async def status(headers: dict[str, str]) -> int:
            form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
            return (await client.post("/slack/events", content=body, headers=form)).status_code

        assert await status({}) == 401
        assert await status({"X-Slack-Request-Timestamp": str(now)}) == 401
        assert await status(signed(now, key="guessed")) == 401
        assert await status(signed(now - 3600)) == 401
        assert heard == []
        assert await status(signed(now)) == 200
        assert heard == ["UGRACE"]


# 2. Buttons that work for whoever presses them.


def test_a_button_works_for_nobody_who_may_not(happens: Happens) -> None:
    """Rival: every member of the workspace who sees the message can press its buttons."""

    async def story(hands: Hands) -> None:
        asks = await hands.awaited("v1")
        done = await hands.until(await hands.deploy("v1", "staging"), Phase.SUCCEEDED)
        due = await hands.until(await hands.deploy("v2", "staging", after=3600), Phase.SCHEDULED)
        lock = await hands.lock(scope=IN_PRODUCTION)
        frozen = await hands.freeze(scope=IN_PRODUCTION)
        mallory, engine = hands.who("Mallory"), hands.engine
        asked = await hands.do(engine.overriding.ask(hands.order(by="Grace", reason="it burns")))
        before = [await hands.now(one) for one in (asks, done, due)]
        head = await hands.world.store.audit.head()
        presses: dict[str, Awaitable[Any]] = {
            "approve": engine.approvals.approve(asks.id, requester=mallory),
            "reject": engine.approvals.reject(asks.id, requester=mallory, reason="no"),
            "abort": engine.requests.abort(asks.id, requester=mallory),
            "roll back": engine.requests.roll_back(done.id, requester=mallory, origin="m1"),
            "resolve": engine.requests.resolve(done.id, Resolution.RETRY, requester=mallory),
            "start": engine.admission.start(asks.id, requester=mallory),
            "run next": engine.queueing.run_next(asks.id, requester=mallory, reason="now"),
            "move": engine.scheduling.move(due.id, at=hands.world.now() + timedelta(hours=2), requester=mallory),
            "cancel": engine.requests.abort(due.id, requester=mallory),
            "unlock": engine.locking.unlock_one(lock.id, requester=mallory),
            "keep": engine.locking.keep(lock.id, requester=mallory),
            "take over": engine.locking.take_over(lock.id, requester=mallory, reason="mine"),
            "ask the owner": engine.locking.ask_owner(lock.id, requester=mallory, about="it"),
            "unfreeze": engine.freezing.unfreeze_one(frozen.freeze.id, requester=mallory),
            "ask for an override": engine.overriding.ask(hands.order(by="Mallory", reason="it burns")),
            "agree": engine.overriding.agree(asked.id, requester=mallory),
            "break the glass": engine.overriding.break_glass(
                hands.order(by="Mallory", reason="it burns"), confirm="checkout"
            ),
        }
        for name, press in presses.items():
            with pytest.raises(NotAuthorized) as refusal:
                await hands.do(press)  # type: ignore[arg-type]  # each is a coroutine
            assert refusal.value.message, name
        assert [await hands.now(one) for one in (asks, done, due)] == before
        assert await hands.world.store.audit.head() == head

    happens(story)


def test_a_button_says_what_it_is_about_and_never_who_may() -> None:
    """Rival: what the button carries is believed, the person behind it included."""
    assert ButtonValue.decode('{"d":"d1jkmnpqrstvwxy","v":1,"user":"UGRACE","role":"admin"}') in {
        None,
        ButtonValue.decode('{"d":"d1jkmnpqrstvwxy","v":1}'),
    }
    assert ButtonValue.decode('{"d":"../../etc","v":1}') is None
    assert ButtonValue.decode("UGRACE") is None


# 3. Approving was no compare-and-swap: two people both started it.


def test_approve_is_compare_and_swap(happens: Happens) -> None:
    """Rival: two approvers at once both merge, and a double click starts twice."""

    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        clicks = [
            replica.act(replica.engine.approvals.approve(one.id, requester=hands.who(who)))
            for replica in hands.world.replicas.values()
            for who in ("Grace", "Hedy", "Grace")
        ]
        for answer in await asyncio.gather(*clicks, return_exceptions=True):
            assert not isinstance(answer, BaseException) or isinstance(answer, RequestRefused)
        done = await hands.until(one, Phase.SUCCEEDED)
        assert hands.changes() == [f"{one.id}-apply-1"]
        assert done.times_queued == 1
        with pytest.raises(SomebodyWasFaster, match="already approved #1"):
            await hands.approve(one, by="Hedy")

    for seed in range(5):
        happens(story, replicas=2, seed=seed, haste=0.7)


# 4. A lock that ends before the work does, and that anybody's cleaning up takes away.


def test_a_lock_is_never_shorter_than_the_work(happens: Happens) -> None:
    """Rival: the lock lasted five minutes, whatever was still going on; giving it up gave up somebody else's."""

    async def story(hands: Hands) -> None:
        first = await hands.until(await hands.deploy("v1", "staging"), Phase.DEPLOYING)
        second = await hands.until(await hands.deploy("v2", "staging"), Phase.QUEUED)
        await hands.wait(0.5)
        hands.replica.kill()
        await hands.world.jump(timedelta(hours=5))
        await hands.world.store.leases.release(f"write:{first.id}", holder="somebody else")
        assert (await hands.now(second)).phase is Phase.QUEUED
        await hands.replica.start()
        ended = (await hands.until(first, Phase.SUCCEEDED)).since
        begun = (await hands.until(second, Phase.SUCCEEDED)).reached(Phase.DEPLOYING)
        assert begun is not None
        assert begun.at >= ended
        leases = hands.world.store.leases
        at, ttl = hands.world.now(), timedelta(minutes=1)
        assert await leases.hold("mine", holder="a", at=at, ttl=ttl)
        await leases.release("mine", holder="b")
        assert not await leases.hold("mine", holder="b", at=at, ttl=ttl)

    happens(story)


def test_a_lock_of_a_person_lasts_until_they_lift_it(happens: Happens) -> None:
    """Rival: what people lock is forgotten with the cache that it is kept in."""

    async def story(hands: Hands) -> None:
        await hands.lock(scope=IN_PRODUCTION)
        hands.replica.kill()
        await hands.world.jump(timedelta(days=3))
        await hands.replica.start()
        with pytest.raises(RequestRefused, match="locked by Linus"):
            await hands.deploy("v1")

    happens(story)


# 5. A lock that belongs to a person and not to an operation.


def test_the_place_belongs_to_a_deployment_and_not_to_who_asked_for_it(happens: Happens) -> None:
    """Rival: whoever has the lock can deploy as many things at once as they like."""

    async def story(hands: Hands) -> None:
        await hands.lock(by="Ada", scope=Scope(environment=STAGING))
        mine = [await hands.deploy(version, "staging", by="Ada") for version in ("v1", "v2", "v3")]
        spans = []
        for one in mine:
            done = await hands.until(one, Phase.SUCCEEDED)
            began = done.reached(Phase.DEPLOYING)
            assert began is not None
            spans.append((began.at, done.since))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    happens(story)


# 6. Looking first and writing then, with nothing in between that keeps others out.


def test_of_two_at_the_same_instant_one_waits(happens: Happens) -> None:
    """Rival: it looked whether anything was running, then wrote that it runs; two did so at once."""

    async def story(hands: Hands) -> None:
        orders = [hands.order(f"v{number}", "staging") for number in (1, 2, 3)]
        replicas = list(hands.world.replicas.values())
        asked = [
            replicas[number % 2].act(replicas[number % 2].engine.requests.deploy(order))
            for number, order in enumerate(orders)
        ]
        for one in await asyncio.gather(*asked):
            await hands.until(one, Phase.SUCCEEDED)
        locks = await asyncio.gather(
            *(
                replica.act(replica.engine.locking.lock(scope=IN_PRODUCTION, requester=hands.who(who), reason=who))
                for replica, who in zip(replicas, ("Linus", "Grace"), strict=True)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(lock, SomebodyWasFaster) for lock in locks) == 1
        assert len(await hands.world.store.locks.current(at=hands.world.now())) == 1

    for seed in range(5):
        happens(story, replicas=2, seed=seed, haste=0.7)


# 7. What is known is in memory only.


def test_nothing_is_lost_with_the_process(happens: Happens) -> None:
    """Rival: the state machine, the threads, the queue and the monitor died with the process."""

    async def story(hands: Hands) -> None:
        asks = await hands.awaited("v1")
        due = await hands.until(await hands.deploy("v1", "staging", after=60), Phase.SCHEDULED)
        runs = await hands.until(await hands.deploy("v1", "staging", service="search"), Phase.DEPLOYING)
        waits = await hands.until(await hands.deploy("v2", "staging", service="search"), Phase.QUEUED)
        await hands.lock(scope=Scope(service=SERVICES[1], environment=PRODUCTION))
        held = await hands.deploy("v1", service="search", waits=True)
        held = await hands.until(held, Phase.AWAITING_APPROVAL)
        await hands.approve(held)
        await hands.until(held, Phase.HELD)
        for _ in range(3):
            hands.replica.kill()
            await hands.replica.start()
            await hands.wait(1)
        for one in (runs, waits, due):
            await hands.until(one, Phase.SUCCEEDED, within=300)
        assert (await hands.now(asks)).phase is Phase.AWAITING_APPROVAL
        await hands.approve(asks)
        await hands.until(asks, Phase.SUCCEEDED)
        await hands.unlock(scope=Scope(service=SERVICES[1], environment=PRODUCTION))
        await hands.until(held, Phase.SUCCEEDED)
        assert (await hands.world.store.audit.verify()).ok

    happens(story)


# 8. What was said is not remembered, so it is said again and again.


def test_nothing_is_said_twice(happens: Happens) -> None:
    """Rival: the note of what was shown last was never written, so the message was edited every 20 s for ever."""

    async def story(hands: Hands) -> None:
        one = await hands.awaited("v1")
        await hands.lock(scope=IN_PRODUCTION)
        await hands.wait(70)  # whatever follows from it has been shown
        before, told = (await hands.now(one)).view, len(await hands.world.store.notices.untold(limit=500))
        await hands.wait(300)
        assert (await hands.now(one)).view == before
        await hands.world.jump(timedelta(hours=4))
        for _ in range(3):
            await hands.do(hands.engine.timetable.upkeep())
        asked = [notice.key for notice in await hands.world.store.notices.untold(limit=500)]
        assert len(asked) == len(set(asked)) == told + 1  # once whether the lock is needed still

    happens(story, configuration=catalog(expires=86400.0))


# 9. A second delivery is thrown away although the first one came to nothing.


def test_a_retry_may_be_the_only_copy_that_arrives(happens: Happens) -> None:
    """Rival: every delivery with a retry number was dropped, also when the first had been lost."""

    async def story(hands: Hands) -> None:
        inbox, at, patience = hands.world.store.inbox, hands.world.now(), timedelta(seconds=30)
        assert await inbox.begin("act", owner="a", at=at, abandoned_after=patience)
        assert not await inbox.begin("act", owner="b", at=at, abandoned_after=patience)  # somebody is at it
        later = at + timedelta(minutes=1)
        assert await inbox.begin("act", owner="b", at=later, abandoned_after=patience)  # they died over it
        await inbox.finish("act", at=later)
        assert not await inbox.begin("act", owner="c", at=later + timedelta(minutes=5), abandoned_after=patience)

        order = hands.order("v1", "staging")
        hands.replica.life.dies(at="after deployments.add", after=0)
        hands.replica.act(hands.engine.requests.deploy(order))
        await hands.wait(1)
        assert not hands.replica.life.alive
        await hands.replica.start()
        again = await hands.do(hands.engine.requests.deploy(order))
        assert again.number == 1
        await hands.until(again, Phase.SUCCEEDED)
        assert len(hands.changes(environment="staging")) == 1

    happens(story)


# 10. Defaults that hurt.


@pytest.mark.parametrize("text", ["checkout", "checkout v1.2", "deploy checkout", "deploy checkout v1.2", "v1.2"])
def test_nothing_goes_to_production_because_nobody_said_where(text: str) -> None:
    """Rival: the name of a project alone deployed its main branch to production."""
    vocabulary = Vocabulary.of(catalog())
    try:
        intent = parse(text, vocabulary=vocabulary)
    except BadCommand:
        return
    assert not isinstance(intent, DeployIntent) or intent.environment != "production"
    assert isinstance(intent, OpenFormIntent | DeployIntent)


# 11. A rollback to what was never shown to work.


def test_a_rollback_goes_to_what_was_proven(happens: Happens) -> None:
    """Rival: it went back to the release that was approved last, also if that one had failed."""

    async def story(hands: Hands) -> None:
        async def deployed(version: str, phase: Phase) -> Deployment:
            return await hands.until(await hands.approved(version), phase)

        await deployed("v1", Phase.SUCCEEDED)
        await deployed("bad", Phase.FAILED)
        await deployed("sick", Phase.FAILED)
        last = await deployed("v3", Phase.SUCCEEDED)
        back = await hands.do(hands.engine.requests.roll_back(last.id, requester=hands.who("Ada"), origin="b1"))
        assert back.release.version == "v1"
        await hands.until(back, Phase.SUCCEEDED)
        for never in ("bad", "sick", "v2"):
            with pytest.raises(RequestRefused):
                await hands.do(
                    hands.engine.requests.roll_back_place(
                        "checkout", "production", requester=hands.who("Ada"), origin=never, to=never
                    )
                )
        hands.world.outside.builds["search", "v1"] = 1
        first = await hands.until(await hands.approved("v1", service="search"), Phase.SUCCEEDED)
        second = await hands.until(await hands.approved("v2", service="search"), Phase.SUCCEEDED)
        hands.world.outside.builds["search", "v1"] = 2
        with pytest.raises(NoRollback, match="has been built anew"):
            await hands.do(hands.engine.requests.roll_back(second.id, requester=hands.who("Ada"), origin="b2"))
        assert (await hands.now(first)).release.same_as(release("search", "v1"))

    happens(story)


# 12. Freezing the line keeps the mending out too.


def test_a_freeze_does_not_block_the_fix(happens: Happens) -> None:
    """Rival: while everything was frozen, nothing could be rolled back either."""

    async def story(hands: Hands) -> None:
        await hands.until(await hands.approved("v1"), Phase.SUCCEEDED)
        second = await hands.until(await hands.approved("v2"), Phase.SUCCEEDED)
        await hands.freeze()
        with pytest.raises(RequestRefused, match="frozen by Linus"):
            await hands.deploy("v3")
        back = await hands.do(hands.engine.requests.roll_back(second.id, requester=hands.who("Ada"), origin="b1"))
        done = await hands.until(back, Phase.SUCCEEDED)
        assert done.release.version == "v1"
        running = hands.place().running
        assert running is not None
        assert running.release.version == "v1"
        with pytest.raises((SomebodyWasFaster, NothingToDo, RequestRefused)):
            await hands.do(hands.engine.requests.roll_back(second.id, requester=hands.who("Hedy"), origin="b2"))
        assert len(hands.changes()) == 3

    happens(story)
