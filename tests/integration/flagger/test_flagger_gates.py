"""The gate server over HTTP: who may ask, what is answered when, and no to whatever is not certain."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from kube.flagger_world import KEY, SECRET, V1, V2, V3, World, seen, step, until, world

from bot.api.hooks.flagger import PATIENCE
from bot.domain.errors import ProviderError, StoreError
from bot.domain.gate import Door, Gate, Hook
from bot.domain.ids import OperationId
from bot.domain.rollout import OutcomeKind
from bot.store.gates import StoredGates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.long

DONE = OutcomeKind.SUCCEEDED
ASKS = {"name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": "abc"}


async def ask(one: World, hook: str, *, token: str | None = None, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        url = f"{one.door.url}/hooks/flagger/{token or one.door.token(KEY)}/{hook}"
        return await client.post(url, **({"json": ASKS} | more))


async def test_nobody_who_does_not_know_a_token_learns_anything(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        never = {hook: (await ask(one, hook)).status_code for hook in Hook}
        assert set(never.values()) == {404}, "nothing of ours was ever there"
        await step(one, 20)
        other = Door(url=one.door.url, secret="another-secret-than-ours")
        for token in (other.token(KEY), one.door.token("shop/other@main"), KEY, "x" * 5000, "%2e%2e", "ü"):
            answer = await ask(one, "rollback", token=token)
            assert answer.status_code == 404, token
        for hook in ("rollback2", "", "metrics"):
            assert (await ask(one, hook)).status_code == 404
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(one.door.address(KEY, Hook.ROLLBACK))).status_code == 405
        answer = await ask(one, "confirm-traffic-increase", json={**ASKS, "name": "payments"})
        assert answer.status_code == 403
        assert "another canary" in answer.text
        assert SECRET not in repr(one.door)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b"1", b"{}" + b" " * 70_000, b"\xff\xfe"])
async def test_what_is_sent_is_not_trusted(tmp_path: Path, body: bytes) -> None:
    async with world(tmp_path) as one:
        await step(one, 20)
        for hook in Hook:
            assert (await ask(one, hook, json=None, content=body)).status_code == 403, hook


async def test_a_repeated_question_opens_no_second_step(tmp_path: Path) -> None:
    """One yes for each step that is seen: asking twice before the next look gets no further than was said."""
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        await one.flagger.stop()
        target = one.target()
        await target.set_weight(release=V2, percent=40, operation=OperationId("d1-weight40-2"))
        checksum = one.flagger.hooks.asked[-1].payload["checksum"]
        asks = {**ASKS, "checksum": checksum}
        await target.weight(release=V2)
        answers = [await ask(one, "confirm-traffic-increase", json=asks) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 403, 403]
        assert answers[0].text == "40 % of the traffic was approved."
        assert answers[1].text == "Closed: 60 % of the traffic is not approved yet; 40 % is."
        await target.weight(release=V2)  # a look so soon does not show whether the yes was used
        assert (await ask(one, "confirm-traffic-increase", json=asks)).status_code == 403
        other = await ask(one, "confirm-traffic-increase", json={**asks, "checksum": "other"})
        assert "not what was approved" in other.text
        assert (await ask(one, "confirm-promotion", json=asks)).status_code == 403
        assert (await ask(one, "event", json=asks)).status_code == 200


async def test_two_at_once_get_one_yes(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        await one.flagger.stop()
        target = one.target()
        await target.set_weight(release=V2, percent=40, operation=OperationId("d1-weight40-2"))
        await target.weight(release=V2)
        asks = {**ASKS, "checksum": one.flagger.hooks.asked[-1].payload["checksum"]}
        answers = await asyncio.gather(*(ask(one, "confirm-traffic-increase", json=asks) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [403] * 7


async def test_nothing_opens_on_an_old_look(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        assert (await step(one, 20)).kind is DONE
        await one.flagger.stop()
        operation = OperationId("d1-weight40-2")
        await one.target().set_weight(release=V2, percent=40, operation=operation)
        gate = await one.gate()
        assert gate.seen is not None
        late = datetime.fromtimestamp(gate.seen.at.timestamp() - 60, UTC)
        await one.gates.put(gate, blind=True)
        for hook in ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion"):
            assert "not looked at the canary yet" in (await ask(one, hook)).text
        await one.gates.saw(KEY, _at(gate, late))
        for hook in ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion"):
            answer = await ask(one, hook)
            assert answer.status_code == 403
            assert "s old" in answer.text
        assert (await ask(one, "rollback")).text == "Closed: nobody has decided to roll back."


def _at(gate: Gate, at: datetime) -> Any:
    from dataclasses import replace

    assert gate.seen is not None
    return replace(gate.seen, at=at)


class Dead(StoredGates):
    """A database that does not answer, or only after a long while."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.hangs: asyncio.Event | None = None
        self.down = False

    async def keys(self) -> Sequence[str]:
        if self.hangs is not None:
            await self.hangs.wait()
        if self.down:
            raise StoreError
        return await super().keys()


@pytest.mark.long
async def test_without_its_database_everything_is_closed_within_a_second(tmp_path: Path) -> None:
    async with world(tmp_path, gates=Dead) as one:
        dead = one.gates
        assert isinstance(dead, Dead)
        assert (await step(one, 20)).kind is DONE
        dead.down = True
        for hook in Hook:
            answer = await ask(one, hook)
            assert (answer.status_code, answer.text) == (403, "Closed: the bot's database does not answer.")
        dead.down, dead.hangs = False, asyncio.Event()
        async with asyncio.timeout(30):  # that there is an answer while it hangs is by patience alone
            answers = await asyncio.gather(*(ask(one, hook) for hook in Hook))
        assert PATIENCE < 1
        assert {answer.status_code for answer in answers} == {403}
        assert "not answer in time" in answers[0].text
        held = len(one.flagger.rounds)
        await one.rounds(1)
        assert set(one.flagger.rounds[held:]) == {20}
        dead.hangs.set()
        dead.hangs = None
        assert (await step(one, 40)).kind is DONE


async def test_a_rollback_is_answered_until_it_is_over_and_never_again(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        assert (await step(one, 40)).kind is DONE
        assert True not in one.asked(Hook.ROLLBACK)
        operation = OperationId("d1-restore-1")
        handle = await target.take_back(to=before, operation=operation)
        assert await one.target().take_back(to=before, operation=operation) == handle, "by whoever repeats it"
        told, outcome = await seen(one.target(), handle)
        assert outcome.kind is DONE, outcome.message
        assert "being taken back" in told[0].message
        assert (one.phase, one.weight) == ("Failed", 0)
        assert one.image() == one.image("checkout-primary") == V1.artifact.location
        assert one.asked(Hook.ROLLBACK).count(True) == 1
        assert (await ask(one, "rollback")).status_code == 403
        # Somebody else's release is none of ours: it waits, and nobody takes it back.
        one.set_image(V3.artifact.location)
        await until(lambda: one.phase == "Waiting")
        asked = len(one.flagger.hooks.asked)
        await one.rounds(4)
        assert one.phase == "Waiting"
        assert not any(each.ok for each in one.flagger.hooks.asked[asked:] if each.kind != "event")


async def test_what_was_not_taken_up_yet_can_be_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        await one.flagger.stop()
        await target.set_weight(release=V2, percent=20, operation=OperationId("d1-weight20-1"))
        handle = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        assert (await seen(target, handle))[1].kind is DONE
        assert one.image() == V1.artifact.location
        one.flagger.start()
        await one.rounds(4)
        assert (one.phase, one.weight) == ("Initialized", 0)


async def test_waiting_at_the_first_gate_can_be_taken_back(tmp_path: Path) -> None:
    """Flagger asks for no rollback there: what it waits with is made what ran before, then let in and rolled back."""
    async with world(tmp_path) as one:
        target = one.target()
        before = await target.current()
        await target.set_weight(release=V2, percent=20, operation=OperationId("d1-weight20-1"))
        await until(lambda: one.phase == "Waiting")  # nobody looks, so nothing opens
        handle = await target.take_back(to=before, operation=OperationId("d1-restore-1"))
        _, outcome = await seen(target, handle)
        assert outcome.kind is DONE, outcome.message
        assert (one.phase, one.image()) == ("Failed", V1.artifact.location)
        assert {0} == set(one.flagger.rounds)


async def test_another_bot_goes_on_where_one_died(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        operation = OperationId("d1-weight20-1")
        handle = await one.target().set_weight(release=V2, percent=20, operation=operation)
        generation = one.get()["metadata"]["generation"]
        again = one.target()
        assert await again.find(operation=operation) == handle
        assert await again.set_weight(release=V2, percent=20, operation=operation) == handle
        assert one.get()["metadata"]["generation"] >= generation
        assert await again.find(operation=OperationId("d1-weight40-2")) is None
        assert (await seen(again, handle))[1].kind is DONE
        assert (await seen(one.target(), handle))[1].kind is DONE, "and once more"
        second = OperationId("d1-weight40-2")
        next_one = await again.set_weight(release=V2, percent=40, operation=second)
        assert await one.target().find(operation=second) == next_one
        assert (await seen(one.target(), next_one))[1].kind is DONE
        assert one.weight == 40


@pytest.mark.long
async def test_a_crash_between_the_gate_and_the_patch_has_begun_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        operation = OperationId("d1-weight20-1")
        one.server.faults.refuse(503, verb="patch", path="/deployments/", times=1000)
        with pytest.raises(ProviderError):
            await one.target().set_weight(release=V2, percent=20, operation=operation)
        assert (await one.gate()).operation == operation
        assert await one.target().find(operation=operation) is None
        await one.rounds(3)
        assert (one.phase, one.image()) == ("Initialized", V1.artifact.location)
        one.server.faults.clear()
        assert (await step(one, 20)).kind is DONE


async def test_an_answer_that_was_lost_is_looked_up(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.server.faults.lose_answer(path="/deployments/")
        assert (await step(one, 20)).kind is DONE
        history = one.get()["metadata"]["annotations"]["deployment-architect.io/history"]
        assert len(history.split()) == 1


async def test_somebody_with_kubectl_supersedes_it_and_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        target = one.target()
        assert (await step(one, 20)).kind is DONE
        handle = await target.set_weight(release=V2, percent=40, operation=OperationId("d1-weight40-2"))
        one.set_image(V3.artifact.location)
        _, outcome = await seen(target, handle)
        assert outcome.kind is OutcomeKind.SUPERSEDED
        assert "kubectl-set" in outcome.message
        assert await target.weight(release=V2) == 0
        await one.rounds(6)
        assert one.weight == 0, "what nobody has approved gets no traffic"
        assert one.image() == V3.artifact.location, "and is left to whoever brought it"
        assert not (await one.gate()).held
