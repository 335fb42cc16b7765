"""Who a Slack user is: whoever is not certainly a member is refused, and groups are never older than a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.actor import Actor
from bot.domain.errors import IdentityUnknown, NotAuthorized
from bot.sandbox import seed
from bot.sandbox.server import SandboxServer
from bot.sandbox.workspace import Workspace
from bot.slack.identity import Identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    workspace = Workspace()
    workspace.add_person(seed.guest())
    workspace.add_person(seed.deactivated())
    server = SandboxServer(workspace)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def identity(server: SandboxServer, clock: list[float]) -> Identity:
    client = AsyncWebClient(token=seed.BOT_TOKEN, base_url=f"{server.url}/api/", retry_handlers=[])
    return Identity(client=client, clock=lambda: clock[0], patience=1.0)


async def test_a_member_has_their_groups_by_id_and_handle(identity: Identity) -> None:
    ada = await identity.membership("U0ADA", team_id=seed.TEAM_ID)
    assert ada.groups == {"S0DEPLOY", "deployers"}
    assert (ada.actor.id, ada.actor.workspace) == ("U0ADA", seed.TEAM_ID)
    assert not (await identity.membership("U0LINUS", team_id=seed.TEAM_ID)).groups


@pytest.mark.parametrize(
    ("user", "team", "why"),
    [
        ("U0GUEST", seed.TEAM_ID, "Guests"),
        ("U0GONE", seed.TEAM_ID, "deactivated"),
        (seed.BOT_USER, seed.TEAM_ID, "Bots"),
        ("USLACKBOT", seed.TEAM_ID, "Bots"),
        ("U0ADA", "T0ELSEWHERE", "other workspaces"),
        ("U0NOBODY", seed.TEAM_ID, "the answer is no"),
    ],
)
async def test_everybody_else_is_refused(identity: Identity, user: str, team: str, why: str) -> None:
    with pytest.raises(NotAuthorized, match=why) as refused:
        await identity.membership(user, team_id=team)
    assert not isinstance(refused.value, IdentityUnknown), "that much is certain"


async def test_who_leaves_a_group_has_lost_it_within_a_minute(
    identity: Identity, server: SandboxServer, clock: list[float]
) -> None:
    await identity.membership("U0ADA", team_id=seed.TEAM_ID)
    server.workspace.groups["S0DEPLOY"].users.clear()
    clock[0] += 59
    assert (await identity.membership("U0ADA", team_id=seed.TEAM_ID)).groups
    clock[0] += 2
    assert not (await identity.membership("U0ADA", team_id=seed.TEAM_ID)).groups


async def test_when_slack_cannot_be_asked_the_answer_is_no_but_for_a_rollback_within_the_hour(
    identity: Identity, server: SandboxServer, clock: list[float]
) -> None:
    assert not (await identity.membership("U0ADA", team_id=seed.TEAM_ID, for_rollback=True)).remembered
    server.faults.down(60)
    clock[0] += 61
    with pytest.raises(IdentityUnknown, match="cannot be asked"):
        await identity.membership("U0ADA", team_id=seed.TEAM_ID)
    found = await identity.membership("U0ADA", team_id=seed.TEAM_ID, for_rollback=True)
    assert found.groups
    assert found.remembered, "it is on record that nobody could be asked"
    clock[0] += 3600
    with pytest.raises(IdentityUnknown, match="cannot be asked"):
        await identity.membership("U0ADA", team_id=seed.TEAM_ID, for_rollback=True)


async def test_an_actor_is_looked_up_anew_and_loses_everything_with_the_account(
    identity: Identity, server: SandboxServer, clock: list[float]
) -> None:
    ada = Actor(workspace=seed.TEAM_ID, id="U0ADA", name="Ada, as she was called then")
    assert (await identity.member(ada)).groups == {"S0DEPLOY", "deployers"}
    server.workspace.people["U0ADA"].deleted = True
    clock[0] += 61
    with pytest.raises(NotAuthorized, match="deactivated") as refused:
        await identity.member(ada)
    assert not isinstance(refused.value, IdentityUnknown)


async def test_who_is_in_a_group_is_known_by_its_id_and_by_its_handle(
    identity: Identity, server: SandboxServer, clock: list[float]
) -> None:
    assert await identity.in_groups(["@release-managers", "deployers", "S0DEPLOY", "nobody-knows"]) == (
        "U0GRACE",
        "U0ADA",
    )
    assert await identity.in_groups([]) == ()
    server.faults.down(60)
    clock[0] += 61
    with pytest.raises(IdentityUnknown):
        await identity.in_groups(["deployers"])


async def test_a_typed_time_is_on_the_clock_of_who_typed_it(identity: Identity, server: SandboxServer) -> None:
    identity.default_zone = lambda: "Europe/Paris"
    assert await identity.zone("U0ADA") == "Europe/London"
    assert await identity.zone("U0GRACE") == "America/New_York"
    server.workspace.people["U0LINUS"].tz = ""
    assert await identity.zone("U0LINUS") == "Europe/Paris"
