"""The gate server before a hostile or broken world: over HTTP, on both databases, and closed unless all is certain."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bot.api.app import build_api
from bot.api.hooks import flagger as module
from bot.api.hooks.flagger import LARGEST, FlaggerHooks
from bot.api.server import HttpServer, bind
from bot.domain.errors import SomebodyWasFaster
from bot.domain.gate import FRESH, SETTLES, Door, Gate, Goal, Hook, Sighting, place
from bot.store.engine import Database
from bot.store.gates import StoredGates
from bot.store.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "a-secret-of-some-length"
KEY = place(namespace="shop", canary="checkout", cluster="main")
OTHER = place(namespace="shop", canary="payments", cluster="main")
ASKS = {"name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": "c"}
CONFIRMS = (Hook.ROLLOUT, Hook.TRAFFIC, Hook.PROMOTION)
UP_TO_40 = Gate(
    key=KEY, held=True, goal=Goal.WEIGHT, operation="o", base="o", digest="d", uid="u", ceiling=40, steps=(20, 40, 60)
)


@dataclass
class Bot:
    """One process: its database and its gate server."""

    gates: StoredGates
    door: Door
    served: FlaggerHooks
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def holds(self, gate: Gate = UP_TO_40, *, weight: int | None = 20, **more: Any) -> Gate:
        """A gate as it stands, and a look that was made just now."""
        stored = await self.gates.put(replace(gate, version=(await self.gates.get(gate.key)).version))
        await self.looks(weight, key=gate.key, **more)
        return stored

    async def looks(self, weight: int | None, *, key: str = KEY, **more: Any) -> None:
        given = {"at": self.now(), "phase": "Progressing", "digest": "d", "going_on": True, "begun": True, **more}
        await self.gates.saw(key, Sighting(weight=weight, **given))

    def url(self, hook: str, *, key: str = KEY, token: str | None = None) -> str:
        return f"{self.door.url}/hooks/flagger/{token or self.door.token(key)}/{hook}"

    async def ask(self, hook: str, *, key: str = KEY, token: str | None = None, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=10.0) as client:
            return await client.post(self.url(hook, key=key, token=token), **({"json": ASKS} | more))

    async def answers(self, **more: Any) -> dict[str, int]:
        return {hook.value: (await self.ask(hook, **more)).status_code for hook in Hook}


@asynccontextmanager
async def running(url: str, *, secret: str = SECRET, gates: type[StoredGates] = StoredGates) -> AsyncIterator[Bot]:
    """A bot that has just begun."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(url))
        await migrate(database)
        listening = bind("127.0.0.1", 0)
        stack.callback(listening.close)
        door = Door(url=f"http://127.0.0.1:{listening.getsockname()[1]}", secret=secret)
        found = Bot(gates(database), door, None)  # type: ignore[arg-type]  # the next line
        found.served = FlaggerHooks(gates=found.gates, door=door, now=found.now)
        stack.push_async_callback(found.served.close)
        http = HttpServer(build_api(readiness=_ready, slack=None, webhooks=found.served.routes()), listening)
        stack.push_async_callback(http.stop)
        http.start()
        yield found


async def _ready() -> dict[str, str]:
    return {}


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with running(f"sqlite:///{tmp_path / 'gates.sqlite'}") as found:
        yield found


def every(code: int, **others: int) -> dict[str, int]:
    return {hook.value: code for hook in Hook} | {hook.replace("_", "-"): one for hook, one in others.items()}


async def test_a_bot_goes_on_where_it_was_killed_and_knows_nothing_better_than_before(database_url: str) -> None:
    async with running(database_url) as bot:
        assert await bot.answers() == every(404), "no place of ours"
        await bot.holds()
        assert (await bot.ask(Hook.TRAFFIC)).text == "40 % of the traffic was approved."
    async with running(database_url) as bot:  # again at once: its yes may have been used
        assert await bot.answers() == every(403, event=200, confirm_rollout=200)
        bot.ahead = SETTLES + timedelta(seconds=1)
        assert await bot.answers() == every(403, event=200), "what was seen before the restart is too old"
        await bot.looks(20)
        assert (await bot.ask(Hook.TRAFFIC)).status_code == 200, "it was never used"
        await bot.looks(40)
        assert (await bot.ask(Hook.TRAFFIC)).status_code == 403
        await bot.holds(replace(UP_TO_40, ceiling=100, promote=True, checksum="c"), weight=60)
    async with running(database_url) as bot:
        bot.ahead = SETTLES + timedelta(seconds=2)
        assert await bot.answers() == every(200, rollback=403)
        await bot.holds(replace(UP_TO_40, goal=Goal.BACK, rollback=True))
    async with running(database_url) as bot:
        bot.ahead = timedelta(hours=1)
        assert await bot.answers() == every(403, event=200, rollback=200), "a decision does not grow old"
        await bot.looks(0, phase="Failed", going_on=False)
        assert await bot.answers() == every(403, event=200), "and ends when it was carried out"
    async with running(database_url, secret="another-secret-of-length") as bot:
        assert await bot.answers(token=Door(secret=SECRET).token(KEY)) == every(404)


async def test_two_bots_before_one_database_give_one_yes(database_url: str) -> None:
    async with running(database_url) as one, running(database_url) as two:
        await one.holds()
        answers = await asyncio.gather(*(each.ask(Hook.TRAFFIC) for each in (one, two) * 6))
        assert sorted(answer.status_code for answer in answers) == [200] + [403] * 11
        assert (await two.gates.get(KEY)).granted == 20
        with pytest.raises(SomebodyWasFaster):
            await one.gates.put(UP_TO_40)


async def test_a_token_opens_its_own_canary_and_no_other(bot: Bot) -> None:
    await bot.holds(replace(UP_TO_40, ceiling=100, promote=True))
    await bot.holds(replace(UP_TO_40, key=OTHER, rollback=True))
    right = bot.door.token(KEY)
    assert await bot.answers(token=bot.door.token(OTHER)) == every(403), "another canary's"
    for wrong in (right[:-1], right + "0", right.upper(), right[::-1], "0" * 64, right.replace(right[0], "\u0660", 1)):
        assert await bot.answers(token=wrong) == every(404), wrong
    for asks in (
        {**ASKS, "namespace": "other"},
        {**ASKS, "name": "checkout\n"},
        {**ASKS, "name": ["checkout"]},
        {**ASKS, "namespace": "shop/checkout", "name": ""},
        {"checksum": "c"},
    ):
        assert await bot.answers(json=asks) == every(403), asks
    assert await bot.answers() == every(200, rollback=403)


async def test_how_long_a_look_for_a_token_takes_tells_nothing(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bool] = []

    def spying(one: bytes, other: bytes) -> bool:
        compared.append(hmac.compare_digest(one, other))
        return compared[-1]

    for number in range(5):
        await bot.gates.put(Gate(key=f"shop/c{number}@main"))
    monkeypatch.setattr(module, "hmac", type("Spied", (), {"compare_digest": staticmethod(spying)}))
    for number in (0, 4, 9):
        compared.clear()
        await bot.ask(Hook.EVENT, key=f"shop/c{number}@main")
        assert len(compared) == 5, "every one is compared, whichever it is"
        assert compared.count(True) == (number < 5)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_only_a_question_is_answered(bot: Bot, method: str) -> None:
    await bot.holds(replace(UP_TO_40, ceiling=100, promote=True, rollback=True))
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        for hook in Hook:
            assert (await client.request(method, bot.url(hook))).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/flagger/{token}/ROLLBACK",
        "/hooks/flagger/{token}/rollback%00",
        "/hooks/flagger/{token}/rollback;x",
        "/hooks/flagger/{token}/event/../rollback",
        "/hooks/flagger/{token}/event%2f..%2frollback",
        "/hooks/flagger//{token}/rollback",
        "//hooks/flagger/{token}/rollback",
        "/hooks/flagger/{token}/",
        "/hooks/flagger/{token}",
        "/hooks/flagger/{other}/rollback?token={token}",
        "/hooks/flagger/%20{token}/rollback",
        "/HOOKS/flagger/{token}/rollback",
        "/healthz/../hooks/flagger/{token}/rollback",
    ],
)
async def test_no_other_path_leads_to_a_gate(bot: Bot, path: str) -> None:
    await bot.holds(replace(UP_TO_40, rollback=True))
    target = path.format(token=bot.door.token(KEY), other=bot.door.token(OTHER))
    code, _ = await raw(bot, target, json.dumps(ASKS).encode())
    assert code in (404, 405), target
    assert (await bot.ask(Hook.ROLLBACK)).status_code == 200, "the right one does"


async def raw(bot: Bot, target: str, body: bytes, *, length: int | None = None) -> tuple[int, float]:
    """The status and the seconds until it, sent as it is: no client tidies the path up."""
    host, port = bot.door.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    begun = time.monotonic()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    try:
        async with asyncio.timeout(20):
            line = await reader.readline()
    finally:
        writer.close()
    return int(line.split()[1]), time.monotonic() - begun


async def test_a_body_that_never_ends_is_a_no_within_a_second_and_leaves_nothing(bot: Bot) -> None:
    await bot.holds(replace(UP_TO_40, ceiling=100, promote=True, rollback=True))
    target = f"/hooks/flagger/{bot.door.token(KEY)}/rollback"
    many = await asyncio.gather(*(raw(bot, target, b'{"name":', length=1000) for _ in range(20)))
    assert {code for code, _ in many} == {403}
    assert max(seconds for _, seconds in many) < 2.0  # one, and what a busy machine adds
    async with asyncio.timeout(10):
        while bot.served._asking:
            await asyncio.sleep(0.01)
    assert (await bot.ask(Hook.ROLLBACK)).status_code == 200


async def test_what_is_too_large_is_not_read_to_its_end(bot: Bot) -> None:
    await bot.holds(replace(UP_TO_40, rollback=True))
    fits = json.dumps({**ASKS, "metadata": {"x": "y" * (LARGEST - 200)}}).encode()
    assert (await bot.ask(Hook.ROLLBACK, json=None, content=fits)).status_code == 200
    assert (await bot.ask(Hook.ROLLBACK, json=None, content=fits + b" " * LARGEST)).status_code == 403

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 8192

    async with asyncio.timeout(20):
        with contextlib.suppress(httpx.HTTPError):  # the connection may be closed before the answer is read
            assert (await bot.ask(Hook.ROLLBACK, json=None, content=endless())).status_code == 403
        with contextlib.suppress(httpx.HTTPError):
            answer = await bot.ask(Hook.ROLLBACK, token="0" * 64, json=None, content=endless())
            assert answer.status_code == 404


NAMES = [
    "<!channel>",
    "a\r\nHTTP/1.1 200 OK",
    "\x1b[31mred",
    "\ud800",
    "\x00",
    "%s%n{0}",
    "x" * 5_000,
    {"a": [1]},
    10**400,
]


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_sent_is_told_to_nobody(bot: Bot, name: Any, caplog: pytest.LogCaptureFixture) -> None:
    await bot.holds()
    with caplog.at_level(logging.DEBUG):
        asks = {"name": name, "namespace": name, "phase": name, "checksum": name, "metadata": {"eventMessage": name}}
        foreign = [await bot.ask(hook, json=None, content=json.dumps(asks).encode()) for hook in Hook]
        mine = json.dumps({**asks, **{key: ASKS[key] for key in ("name", "namespace")}}).encode()
        answers = [await bot.ask(hook, json=None, content=mine) for hook in Hook]
    assert {answer.status_code for answer in foreign} == {403}
    assert [answer.status_code for answer in answers] == [200, 200, 403, 403, 200]
    told = [answer.text for answer in (*foreign, *answers)] + [
        each.getMessage() for each in caplog.records if each.name.startswith("bot")
    ]
    for each in told:
        assert each.isascii()
        assert each.isprintable()
        assert "channel" not in each
        assert len(each) < 200
    assert len((await bot.gates.get(KEY)).checksum) <= 128
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    everything = caplog.text + "".join(told)
    assert SECRET not in everything
    assert bot.door.token(KEY) not in "".join(told)


class Broken(StoredGates):
    """Fails where it is told to."""

    where = ""
    slow: asyncio.Event | None = None

    async def get(self, key: str) -> Gate:
        await self._maybe("get")
        return await super().get(key)

    async def put(self, gate: Gate, *, blind: bool = False) -> Gate:
        await self._maybe("put")
        return await super().put(gate, blind=blind)

    async def _maybe(self, where: str) -> None:
        if self.where == where:
            if self.slow is not None:
                await self.slow.wait()
            raise SomebodyWasFaster("Somebody else was.")


@pytest.mark.long
@pytest.mark.parametrize("where", ["get", "put"])
async def test_wherever_the_database_fails_or_hangs_the_answer_is_no(tmp_path: Path, where: str) -> None:
    async with running(f"sqlite:///{tmp_path / 'gates.sqlite'}", gates=Broken) as bot:
        gates = bot.gates
        assert isinstance(gates, Broken)
        await bot.holds()
        gates.where = where
        assert (await bot.ask(Hook.TRAFFIC)).text == "Closed: the bot's database does not answer."
        gates.slow = asyncio.Event()
        begun = time.monotonic()
        answers = await asyncio.gather(*(bot.ask(Hook.TRAFFIC) for _ in range(100)))
        assert time.monotonic() - begun < 10.0
        assert {answer.status_code for answer in answers} == {403}
        assert any("too much is asked at once" in answer.text for answer in answers), "nobody waits for ever"
        gates.slow.set()
        gates.where = ""
        async with asyncio.timeout(10):
            while bot.served._asking:
                await asyncio.sleep(0.01)
        assert (await bot.ask(Hook.TRAFFIC)).status_code == 200


async def test_there_are_no_gates_without_a_secret(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'gates.sqlite'}", secret="") as bot:
        await bot.holds(replace(UP_TO_40, rollback=True))
        for token in ("", "x", "None", "0" * 64):
            code, _ = await raw(bot, f"/hooks/flagger/{token}/rollback", json.dumps(ASKS).encode())
            assert code == 404


async def test_whoever_reads_the_addresses_and_asks_first_shuts_flagger_out_for_a_moment_only(bot: Bot) -> None:
    await bot.holds(weight=0)
    assert (await bot.ask(Hook.TRAFFIC, json={**ASKS, "checksum": "foreign"})).status_code == 200
    assert (await bot.ask(Hook.TRAFFIC)).status_code == 403
    bot.ahead = SETTLES + FRESH
    await bot.looks(0)
    assert (await bot.ask(Hook.TRAFFIC)).status_code == 200
    await bot.looks(20)
    assert (await bot.gates.get(KEY)).proven
    assert "not what was approved" in (await bot.ask(Hook.TRAFFIC, json={**ASKS, "checksum": "foreign"})).text


@pytest.mark.long
async def test_while_the_bot_is_busy_every_question_is_answered_within_a_second(database_url: str) -> None:
    """Two hundred canaries ask at once and again, while others write into the same database all the time."""
    async with running(database_url) as bot, httpx.AsyncClient(trust_env=False, verify=False, timeout=10.0) as client:
        keys = [place(namespace="shop", canary=f"c{number}", cluster="main") for number in range(200)]
        for key in keys:
            await bot.holds(replace(UP_TO_40, key=key, rollback=True, checksum="c"))
        busy = True

        async def write(key: str) -> None:
            while busy:
                await bot.looks(20, key=key)

        async def ask(key: str) -> tuple[int, float]:
            asks = {**ASKS, "name": key.partition("/")[2].partition("@")[0]}
            begun = time.monotonic()
            answer = await client.post(bot.url(Hook.ROLLBACK, key=key), json=asks)
            return answer.status_code, time.monotonic() - begun

        writing = [asyncio.create_task(write(key)) for key in keys[:20]]
        try:
            found = [
                await asyncio.gather(*(ask(key) for key in keys[start : start + 25])) for start in range(0, 200, 25)
            ]
        finally:
            busy = False
            await asyncio.gather(*writing)
        times = sorted(seconds for some in found for _, seconds in some)
        assert {code for some in found for code, _ in some} <= {200, 403}
        assert sum(code == 200 for some in found for code, _ in some) > 100, times
        assert times[-1] < 2.0, "one second, and what a busy machine adds"
