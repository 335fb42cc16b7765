"""Each mutation once, in the order in which they were decided, and every refusal in plain words."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import OutcomeUnknown, ProviderError, ProviderRejected, ProviderUnavailable
from bot.domain.ids import OperationId
from bot.domain.release import Artifact, Release
from bot.domain.rollout import OutcomeKind
from integrations.local.client import AgentClient

if TYPE_CHECKING:
    from conftest import World


pytestmark = pytest.mark.long


async def applied(world: World) -> list[str]:
    return [entry["operation"] for entry in await world.platform.journal("checkout", "staging")]


async def test_the_same_operation_twice_changes_nothing(world: World) -> None:
    target, release = world.target(), await world.release("v1.0")
    handle = await target.apply(release=release, operation=OperationId("a"))
    # Once while it is under way, once when it is over.
    assert await target.apply(release=release, operation=OperationId("a")) == handle
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    before = await world.pids()
    assert await target.apply(release=release, operation=OperationId("a")) == handle
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await world.pids() == before
    assert await applied(world) == ["a"]


async def test_an_operation_id_names_one_change_only(world: World) -> None:
    target = world.target()
    await target.apply(release=await world.release("v1.0"), operation=OperationId("a"))
    with pytest.raises(ProviderRejected, match="used for something else"):
        await target.apply(release=await world.release("v1.1"), operation=OperationId("a"))
    assert await applied(world) == ["a"]


async def test_a_newer_operation_supersedes_the_one_under_way(world: World) -> None:
    target = world.target()
    slow = await world.release("v1.0", warm_up=3000)
    first = await target.apply(release=slow, operation=OperationId("a"))
    watching = asyncio.create_task(world.story(target, first))
    second = await target.apply(release=await world.release("v1.1"), operation=OperationId("b"))
    assert (await world.outcome(target, second)).kind is OutcomeKind.SUCCEEDED
    _, outcome = await watching
    assert outcome.kind is OutcomeKind.SUPERSEDED
    assert outcome.message == "Another change, b, took its place."
    # Sent again late, it still changes nothing and still names its own generation.
    assert await target.apply(release=slow, operation=OperationId("a")) == first
    running = await target.current()
    assert running is not None
    assert running.release.version == "v1.1"
    assert await applied(world) == ["a", "b"]


async def test_a_request_that_was_overtaken_on_its_way_is_refused(world: World) -> None:
    target, late, newer = world.target(), await world.release("v1.0"), await world.release("v1.1")
    await world.platform.faults(before=1.0)
    overtaken = asyncio.create_task(target.apply(release=late, operation=OperationId("late")))
    # The agent has it as soon as its connection is open; then nothing delays the next one.
    await asyncio.sleep(0.5)
    await world.platform.faults()
    handle = await target.apply(release=newer, operation=OperationId("newer"))
    with pytest.raises(ProviderRejected, match="A newer operation, newer, came first"):
        await overtaken
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await applied(world) == ["newer"]


async def test_an_answer_that_got_lost_is_asked_for_again_and_nothing_is_applied_twice(world: World) -> None:
    target = world.target()
    await world.platform.faults(drop=2)
    handle = await target.apply(release=await world.release("v1.0"), operation=OperationId("a"))
    assert handle.generation.endswith(".1")
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await applied(world) == ["a"]
    assert len(world.instance_processes()) == 2


async def test_a_change_whose_answer_was_lost_is_found_by_its_operation(world: World) -> None:
    target, release = world.target(), await world.release("v1.0")
    await world.platform.faults(after=30)
    sent = asyncio.create_task(target.apply(release=release, operation=OperationId("a")))
    while await applied(world) != ["a"]:
        await asyncio.sleep(0)
    # The bot goes away while it waits for the answer. Its successor knows nothing but the name.
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    found = await world.target().find(operation=OperationId("a"))
    assert found is not None
    assert (await world.outcome(world.target(), found)).kind is OutcomeKind.SUCCEEDED
    await world.platform.faults()
    assert found == await target.apply(release=release, operation=OperationId("a"))
    # The agent goes away as well, and with it whatever it had not written down.
    await world.end_agent()
    assert await target.find(operation=OperationId("a")) == found


async def test_a_change_that_cannot_be_looked_up_is_not_called_missing(world: World) -> None:
    target, release = world.target(), await world.release("v1.0")
    handle = await target.apply(release=release, operation=OperationId("a"))
    await world.outcome(target, handle)
    await world.end_agent()
    journal = world.root / "places" / "checkout@staging" / "journal.jsonl"
    kept = journal.read_bytes()
    journal.write_bytes(b"what is this\n")
    with pytest.raises(ProviderError, match="is damaged"):
        await target.find(operation=OperationId("a"))
    await world.end_agent()
    journal.write_bytes(kept)
    assert await target.find(operation=OperationId("a")) == handle


async def test_an_agent_that_errs_is_asked_again_but_not_for_ever(world: World) -> None:
    target, release = world.target(), await world.release("v1.0")
    await world.platform.faults(fail=2)
    handle = await target.apply(release=release, operation=OperationId("a"))
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    await world.platform.faults(fail=100)
    with pytest.raises(ProviderUnavailable, match="A test asked for this failure") as caught:
        await target.apply(release=release, operation=OperationId("b"))
    assert caught.value.retryable
    assert await applied(world) == ["a"]


async def test_agent_killed_after_applying_and_before_answering(world: World) -> None:
    target = world.target()
    await world.platform.faults(after=30)
    sent = asyncio.create_task(target.apply(release=await world.release("v1.0"), operation=OperationId("a")))
    while await applied(world) != ["a"]:
        await asyncio.sleep(0)
    await world.end_agent()
    handle = await sent
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert await applied(world) == ["a"]
    assert len(world.instance_processes()) == 2


async def test_artifacts_that_cannot_be_deployed_are_refused_before_anything_changes(world: World) -> None:
    target = world.target()
    good = await world.release("v1.0")
    (world.folder / "artifacts" / "v1.0" / "service.py").write_text("print('tampered with')")
    with pytest.raises(ProviderRejected, match=r"has changed since v1\.0 was chosen"):
        await target.apply(release=good, operation=OperationId("a"))
    with pytest.raises(ProviderRejected, match=r"has changed since v1\.0 was chosen"):
        await target.plan(release=good)
    nowhere = Release(
        service=good.service,
        version="v9",
        artifact=Artifact(digest="sha256:0", location=str(world.folder / "artifacts" / "v9")),
    )
    with pytest.raises(ProviderRejected, match=r"has no release\.json"):
        await target.apply(release=nowhere, operation=OperationId("b"))
    outside = Release(service=good.service, version="../v1.0", artifact=Artifact(digest="sha256:0", location="/etc"))
    with pytest.raises(ProviderRejected, match="cannot be the name of a version"):
        await target.apply(release=outside, operation=OperationId("c"))
    assert await applied(world) == []
    assert world.instance_processes() == set()
    # The place exists now, under a name that outlives the agent: handles depend on it.
    uid = (await world.status())["uid"]
    await world.end_agent()
    handle = await target.apply(release=await world.release("v1.1"), operation=OperationId("d"))
    assert handle.generation == f"{uid}.1"


async def test_a_command_that_does_not_exist_fails_in_plain_words(world: World) -> None:
    place = world.folder / "artifacts" / "v1.0"
    place.mkdir(parents=True)
    (place / "release.json").write_text('{"command": ["no-such-program", "--serve"]}')
    outcome = await world.deploy(world.target(), await world.images.resolve(version="v1.0"))
    assert outcome.kind is OutcomeKind.FAILED
    assert "v1.0 cannot be started: 'no-such-program --serve'" in outcome.message
    assert "no such file or directory" in outcome.message


async def test_a_configured_port_that_is_taken_is_refused_and_can_be_had_later(world: World) -> None:
    release = await world.release("v1.0")
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        target = world.target(port=port)
        with pytest.raises(ProviderRejected, match=f"cannot listen on port {port}: address already in use"):
            await target.apply(release=release, operation=OperationId("a"))
        assert await applied(world) == []
    handle = await target.apply(release=release, operation=OperationId("a"))
    assert (await world.outcome(target, handle)).kind is OutcomeKind.SUCCEEDED
    assert (await world.status())["address"] == f"http://127.0.0.1:{port}"


async def test_a_folder_that_cannot_be_used_is_one_clear_sentence(world: World) -> None:
    world.root.write_text("a file where a folder should be")
    with pytest.raises(ProviderRejected, match=r"The folder .*platform cannot be used: file exists\."):
        await world.target().current()
    world.root.unlink()


async def test_records_that_are_damaged_are_never_guessed_at(world: World) -> None:
    target, release = world.target(instances=1), await world.release("v1.0")
    await world.deploy(target, release)
    pids = world.instance_processes()
    await world.end_agent()
    state = world.root / "places" / "checkout@staging" / "state.json"
    content = state.read_bytes()
    state.write_text("{")
    with pytest.raises(OutcomeUnknown, match="is damaged"):
        await target.apply(release=release, operation=OperationId("b"))
    assert world.instance_processes() == pids
    # Repaired by hand, it goes on as if nothing had been.
    await world.end_agent()
    state.write_bytes(content)
    running = await target.current()
    assert running is not None
    assert running.all_healthy
    assert world.instance_processes() == pids


async def test_requests_without_sense_or_token_are_refused(world: World) -> None:
    import aiohttp

    client = AgentClient(world.root)
    agent = await client.ensure()
    with pytest.raises(ProviderRejected, match="kind must be apply, restore, weight, promote, take_back or recreate"):
        await client.post("/places/checkout/staging/operations", {"kind": "destroy"})
    with pytest.raises(ProviderRejected, match="cannot be the name of a service"):
        await client.get("/places/..%2Fetc/staging")
    async with (
        aiohttp.ClientSession() as session,
        session.get(agent.url + "/v1/places", headers={"Authorization": "Bearer guess"}) as answer,
    ):
        assert answer.status == 401
    assert (world.root / "agent.token").stat().st_mode & 0o777 == 0o600
