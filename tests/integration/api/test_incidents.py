"""Incidents that another system tells to a bot that runs: one lock for each, lifted with it, and no other one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from house import CATALOG
from pydantic import ValidationError

from bot.api.webhooks.incidents import LARGEST
from bot.sandbox import seed
from bot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from house import House

    from bot.sandbox.model import Seen

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.long]

TOKEN = "incidents-0123456789abcdef"
PATH = "/webhooks/incident"
PATIENCE = 20.0
ROLES = """\
  incidents:
    members: ["sa:incident"]
    allow: [{ actions: lock, services: "*", environments: production }]
    deny: [{ actions: lock, services: "*", environments: staging }]
  owner:
    members: ["@deployers"]
    allow: [{ actions: [lock, unlock], services: "*", environments: "*" }]
"""


def told(incident: str = "INC-42", **changes: Any) -> dict[str, Any]:
    return {
        "incident": incident,
        "state": "open",
        "service": "checkout",
        "environment": "production",
        "title": "Payments fail",
        "url": "https://incidents.example/INC-42?a=1&b=2",
        **changes,
    }


def words(text: str) -> str:
    """As a person reads it."""
    return text.replace("*", "").replace("\u200b", "")


class Sender:
    """Tells a bot of incidents and reads what it shows."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def send(self, body: object, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.house.client.post(
            f"http://127.0.0.1:{self.house.port}{PATH}",
            content=content,
            headers={"Authorization": f"Bearer {TOKEN}", **headers},
        )

    async def ok(self, body: object) -> dict[str, Any]:
        answer = await self.send(body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def says(self, text: str, who: str = "ada") -> None:
        receipt = await self.house.server.hands.command(who, "/deploy", text, channel="deployments")
        assert receipt.acked, receipt.error

    def seen(self, part: str) -> list[Seen]:
        return [seen for seen in self.house.server.hands.can_see("ada") if part in words(seen.text)]

    async def reads(self, part: str) -> Seen:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := self.seen(part):
                return found[0]
            await asyncio.sleep(0.05)
        raise AssertionError(f"{part!r} never came: {[seen.text for seen in self.house.server.hands.can_see('ada')]}")

    def locks(self) -> list[tuple[str, bool]]:
        """Scope and whether it stands, of every lock there ever was."""
        with contextlib.closing(sqlite3.connect(self.house.folder / "bot.sqlite")) as database:
            rows = database.execute("SELECT scope, ended_at IS NULL FROM locks ORDER BY at").fetchall()
        return [(scope, bool(stands)) for scope, stands in rows]

    def audit(self) -> list[tuple[str, ...]]:
        with contextlib.closing(sqlite3.connect(self.house.folder / "bot.sqlite")) as database:
            return database.execute(
                "SELECT act, actor_kind, actor_id, door, rule FROM audit WHERE act LIKE 'lock.%' ORDER BY sequence"
            ).fetchall()

    def raw(self, part: str) -> list[str]:
        """The texts of blocks as they were sent to Slack."""
        messages = self.house.server.workspace.channel("deployments").messages.values()
        sent = [json.dumps(message.blocks or [], ensure_ascii=False) for message in messages]
        return [text for text in sent if part in text]


@pytest.fixture
async def sender(house: House) -> Sender:
    house.config.write_text(CATALOG + ROLES)
    await house.begin(incident_token=TOKEN)
    return Sender(house)


async def test_an_incident_locks_one_place_once_and_resolved_lifts_exactly_that(sender: Sender) -> None:
    first = await sender.ok(told())
    assert (first["scope"], first["locked"], first["changed"]) == ("checkout@production", True, True)
    assert first["says"] == "checkout@production is locked by sa:incident: Incident INC-42: Payments fail."
    again = await asyncio.gather(*(sender.ok(told(title=f"Title {number}")) for number in range(4)))
    assert {(one["lock"], one["changed"]) for one in again} == {(first["lock"], False)}

    shown = await sender.reads("Locked for an incident")
    assert shown.where == "channel"
    assert "checkout@production is locked by sa:incident: Incident INC-42: Payments fail" in words(shown.text)
    (raw,) = sender.raw("Locked for an incident")
    assert "<https://incidents.example/INC-42?a=1&amp;b=2>" in raw

    # The lock holds, and its own incident alone lifts it.
    await sender.says("checkout v1.1 production")
    await sender.reads("locked by sa:incident: Incident INC-42")
    await sender.says('lock production reason="looking at it"')
    await sender.reads("looking at it")
    other = await sender.ok(told("INC-43"))
    assert other["lock"] != first["lock"]
    nothing = await sender.ok(told("INC-99", state="resolved"))
    assert (nothing["lock"], nothing["changed"]) == (None, False)
    over = await sender.ok(told(state="resolved", service="no-such", environment=None))
    assert (over["lock"], over["locked"], over["changed"]) == (first["lock"], False, True)
    assert (await sender.ok(told(state="resolved")))["changed"] is False
    assert sender.locks() == [("checkout@production", False), ("*@production", True), ("checkout@production", True)]
    await sender.reads("not locked for incident INC-42 any more")
    assert len(sender.raw("Locked for an incident")) == 2, "one for each incident"
    assert len(sender.raw("Unlocked")) == 1
    assert [act for act in sender.audit() if act[1] == "service_account"] == [
        ("lock.placed", "service_account", "incident", "api", "incidents"),
        ("lock.placed", "service_account", "incident", "api", "incidents"),
        ("lock.lifted", "service_account", "incident", "api", "incidents"),
    ]
    anew = await sender.ok(told())
    assert (anew["changed"], anew["lock"] != first["lock"]) == (True, True)


async def test_told_many_times_at_once_it_is_one_lock(sender: Sender) -> None:
    answers = await asyncio.gather(*(sender.ok(told()) for _ in range(8)))
    assert len({one["lock"] for one in answers}) == 1
    assert sum(one["changed"] for one in answers) == 1
    assert sender.locks() == [("checkout@production", True)]


async def test_where_no_role_lets_it_nothing_is_locked_and_it_says_why(sender: Sender) -> None:
    denied = await sender.send(told(environment="staging"))
    assert denied.status_code == 403
    assert denied.json()["error"] == (
        "The role incidents denies lock of checkout in staging. The service account sa:incident needs a role with the "
        "action lock there."
    )
    everywhere = await sender.send({"incident": "INC-1", "state": "open"})
    assert everywhere.status_code == 403
    assert sender.locks() == []
    await sender.says("may sa:incident lock checkout production")
    await sender.reads("sa:incident may lock checkout in production: the role incidents allows it")
    await sender.says("may sa:incident lock checkout staging")
    await sender.reads("sa:incident may not lock checkout in staging: the role incidents denies it")
    await sender.says("may sa:nobody lock checkout production")
    await sender.reads("sa:nobody may not lock checkout in production: no row allows it")


async def test_what_a_person_does_with_the_lock_stands(sender: Sender) -> None:
    await sender.ok(told())
    await sender.says('unlock checkout production reason="false alarm"')
    await sender.reads("Unlocked: 1 lock ended")
    again = await sender.ok(told(title="still told"))
    assert (again["locked"], again["changed"]) == (False, False)
    assert "has lifted the lock of checkout@production" in again["says"]
    assert sender.locks() == [("checkout@production", False)]
    # Another place for the same incident is no repetition, but a mistake.
    await sender.ok(told("INC-7"))
    elsewhere = await sender.send(told("INC-7", service=None))
    assert elsewhere.status_code == 409
    assert elsewhere.json()["error"] == "INC-7 locks checkout@production already; resolve it first."


async def test_who_may_send(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house.config.write_text(CATALOG + ROLES)
    await house.begin(alertmanager_token="alerts-0123456789abcdef")
    assert (await Sender(house).send(told())).status_code == 404, "without a token there is no such door"
    await house.end()
    await house.begin(incident_token=TOKEN)
    sender = Sender(house)
    for shown in ("", f"Bearer {TOKEN[:-1]}g", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}é", TOKEN):
        headers = {b"Authorization": shown.encode()}
        answer = await house.client.post(f"http://127.0.0.1:{house.port}{PATH}", json=told(), headers=headers)
        assert answer.status_code == 401, shown
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await house.get(PATH)).status_code == 405
    assert sender.locks() == []
    assert TOKEN not in caplog.text


DEEP = b'{"incident":"I","state":"open","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
VAST = b"{" + b" " * LARGEST + b"}"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "It is no JSON."),
        (b"\xff\xfe", 400, "It is no JSON."),
        (b"[]", 400, "the body is not what it should be."),
        (DEEP, 400, "It is no JSON."),
        (VAST, 413, "It is larger than 64 KiB."),
        (b'{"state":"open"}', 400, "incident is missing."),
        (told(""), 400, "incident must be a name"),
        (told("two words"), 400, "incident must be a name"),
        (told("x" * 81), 400, "incident must be a name"),
        (told("<!channel>\n"), 400, "incident must be a name"),
        (told(42), 400, "incident must be a name"),  # type: ignore[arg-type]  # what is wrong with it
        (told(state="OPEN"), 400, "state must be open or resolved."),
        (told(state=None), 400, "state must be open or resolved."),
        (told(service=""), 400, "service must be the name of a service; leave it out for all of them."),
        (told(environment=["production"]), 400, "environment must be the name of an environment"),
        (told(environment="e" * 101), 400, "environment must be the name of an environment"),
        (told(title={"a": 1}), 400, "title must be text."),
        (told(url=1), 400, "url must be text."),
        ({"incident": "I", "state": "open", "enviroment": "production"}, 400, "One key is unknown."),
        (told(service="chekout"), 400, "There is no service 'chekout'."),
        (told(environment="prodction"), 400, "There is no environment 'prodction'."),
        (told(service="<!channel>"), 400, "There is no service '<!channel>'."),
    ],
)
async def test_what_cannot_be_read_is_refused(sender: Sender, body: object, status: int, says: str) -> None:
    answer = await sender.send(body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].startswith(says)
    assert len(answer.text) < 300
    assert sender.locks() == []


async def test_what_was_perhaps_meant_is_said(sender: Sender) -> None:
    for body, meant in (
        (told(service="chekout"), ["checkout"]),
        (told(environment="prodction"), ["production"]),
        ({"incident": "I", "state": "open", "enviroment": "production"}, ["environment"]),
        (told(service="nothing-near"), None),
    ):
        assert (await sender.send(body)).json().get("did_you_mean") == meant


async def test_hostile_words_are_words_and_only_https_is_a_link(sender: Sender) -> None:
    hostile = "<!channel> *x* <https://evil.example|click> `code` & \u202e :tada: <@U0GRACE>\n\x00> " + "x" * 5_000
    await sender.ok(told("<!here>", title=hostile, url="http://incidents.example/1"))
    await sender.reads("Locked for an incident")
    for number, url in enumerate(
        (
            "javascript:alert(1)",
            "https://incidents.example/|<!channel>",
            "https://a@evil.example/",
            "https://x.example/> <!channel>",
            "https://" + "x" * 60_000,
            "https:///x",
        )
    ):
        await sender.ok(told(f"INC-{number}", title="t", url=url))
        await sender.reads(f"Incident INC-{number}: t")
    everything = sender.raw("Locked for an incident")
    assert len(everything) == 7
    for text in everything:
        assert "<!channel>" not in text
        assert "<!here>" not in text
        assert "<http" not in text
        assert "<@U0GRACE>" not in text
        assert "\u202e" not in text
        assert "javascript" not in text
        assert len(text) < 3_000


async def test_what_is_sent_in_pieces_is_cut_off_when_it_is_too_much(sender: Sender) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        answer = await sender.house.client.post(
            f"http://127.0.0.1:{sender.house.port}{PATH}",
            content=endless(),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert answer.status_code == 413
    assert (await sender.house.get("/readyz")).status_code == 200


@pytest.mark.parametrize("state", ["open", "resolved"])
async def test_while_the_database_is_away_nothing_changes_and_it_has_to_be_sent_again(
    sender: Sender, state: str
) -> None:
    stands: Callable[[], list[tuple[str, bool]]] = sender.locks
    if state == "resolved":
        await sender.ok(told())
    before = stands()
    other = sqlite3.connect(
        sender.house.folder / "bot.sqlite", isolation_level=None, timeout=60, check_same_thread=False
    )
    # Not in this thread: the bot lives in it, and must be able to end what it is writing just now.
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        answer = await sender.send(told(state=state))
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert stands() == before
    assert (await sender.ok(told(state=state)))["changed"] is True
    assert stands() == [("checkout@production", state == "open")]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("incident_token", "short", "nobody can tell of incidents"),
        ("incident_token", "a secret with spaces in it", "nobody can tell of incidents"),
        ("incident_account", "sa:incident", "incident_account"),
        ("incident_account", "U0ADA", "incident_account"),
    ],
)
def test_settings_that_let_anybody_in_are_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"slack_bot_token": seed.BOT_TOKEN, "slack_app_token": seed.APP_TOKEN, name: value})
