"""A canary at the very step that a word to it is about, and what shows that the word took effect.

One canary in each environment is kept for as long as it is where the next act needs it: what is refused changes
nothing, and most of what is allowed leaves another step to speak of. Must not decide who may do what.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from matrix_rows import CHIEF, REASON, ROLLS, SECOND, Somebody
from matrix_stage import Stage, Subject
from world import until

from bot.domain.analysis.countdown import CountdownState
from bot.domain.deployment import Deployment

WELL, BAD = "v1.2", "v1.3"
"""What the probe says of them."""
LAST = 90
"""Per cent of the step at which it bakes for longer than any test: nobody is asked any more."""

_Is: TypeAlias = Callable[[Deployment], bool]


@asynccontextmanager
async def probed() -> AsyncIterator[str]:
    """A server that answers 500 to whoever asks about the bad version, and 200 otherwise; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            status = b"500 Internal Server Error" if BAD.encode() in head.split(b"\r\n", 1)[0] else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.close()
        await server.wait_closed()


# Where it is.


def _asks(found: Deployment) -> bool:
    """People are asked whether it goes on, and nothing speaks against it."""
    progression = found.progression
    return found.phase == "paused" and bool(progression and progression.question and not progression.question.refused)


def _is_held(found: Deployment) -> bool:
    position = found.progression.position if found.progression else None
    return found.phase == "paused" and position is not None and position.held is not None


def _counts(found: Deployment) -> bool:
    return found.countdown is not None and found.countdown.state is CountdownState.RUNNING


def _fails(found: Deployment) -> bool:
    """Its check fails, nobody has taken that upon themselves, and nothing moves."""
    progression, countdown = found.progression, found.countdown
    asked = bool(progression and progression.question and progression.question.refused)
    called_off = countdown is not None and countdown.state is CountdownState.CANCELLED
    return _counts(found) or (called_off and found.phase == "paused" and asked)


async def _at(stage: Stage, environment: str, version: str, place: _Is) -> Subject:
    """A canary of that version there: the one that is under way if it is in that place, else another."""
    found = await stage.active(ROLLS, environment)
    if not (len(found) == 1 and found[0].release.version == version and place(found[0])):
        for old in found:
            await stage.command(CHIEF, f"abort #{old.number}")

        async def none() -> bool:
            return not await stage.active(ROLLS, environment)

        await until(none, what=f"an end of the last canary in {environment}\n{stage.world.log_tail()}")
        made = await stage.order(ROLLS, environment, f"{version} strategy=canary {REASON}", phase="awaiting_approval")
        await stage.command(SECOND, f"approve #{made.number}")
        return await _once(stage, made.id, place)
    return _subject(found[0])


async def _once(stage: Stage, deployment: str, place: _Is) -> Subject:
    """The canary, once it is in that place."""

    async def there() -> Deployment | None:
        found = await stage.one(deployment)
        return found if place(found) else None

    return _subject(await until(there, what=f"a canary where it is needed\n{stage.world.log_tail()}"))


def _subject(found: Deployment) -> Subject:
    position = found.progression.position if found.progression else None
    snoozes = found.countdown.snoozes if found.countdown else 0
    return Subject(found.id, found.number, step=position.step if position else -1, snoozes=snoozes)


async def paused(stage: Stage, environment: str) -> Subject:
    """At a step at which people are asked."""
    held = [found for found in await stage.active(ROLLS, environment) if _is_held(found)]
    if held and held[0].release.version == WELL:
        await stage.command(CHIEF, f"resume #{held[0].number}")
        return await _once(stage, held[0].id, _asks)
    return await _at(stage, environment, WELL, _asks)


async def held_still(stage: Stage, environment: str) -> Subject:
    """At a step at which somebody holds it."""
    found = [found for found in await stage.active(ROLLS, environment) if _is_held(found)]
    if found:
        return _subject(found[0])
    asking = await paused(stage, environment)
    await stage.command(CHIEF, f"hold #{asking.number}")
    return await _once(stage, asking.id, _is_held)


async def counting(stage: Stage, environment: str) -> Subject:
    """Its check fails, and its automatic rollback is counted down."""
    return await _at(stage, environment, BAD, _counts)


async def failing(stage: Stage, environment: str) -> Subject:
    """Its check fails, whether that is counted down or was called off."""
    return await _at(stage, environment, BAD, _fails)


# What becomes of it. Each is true only when nothing moves any more: what follows looks for changes.


async def _sends(stage: Stage, environment: str, percent: int | None, kind: str = "weight") -> bool:
    """Whether that is the last thing that the platform was told to do there."""
    last = (await stage.world.journal(ROLLS, environment))[-1]
    return (last["kind"], last["percent"]) == (kind, percent)


async def went_on(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """By one step, on their word, and so does the traffic."""
    found = await stage.one(subject.id)
    progression = found.progression
    assert progression is not None
    if progression.position.step != subject.step + 1 or not _asks(found):
        return False
    by = progression.steps[-2].by
    return by is not None and by.id == who.person and await _sends(stage, environment, progression.position.weight)


async def went_up(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """To the last step, on their word, without anybody being asked again."""
    found = await stage.one(subject.id)
    assert found.progression is not None
    position = found.progression.position
    if (position.weight, position.approved, found.phase) != (LAST, 100, "deploying"):
        return False
    by = position.approved_by
    return by is not None and by.id == who.person and await _sends(stage, environment, LAST)


async def was_forced(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """By one step although its check fails, which is theirs now."""
    found = await stage.one(subject.id)
    assert found.progression is not None
    position = found.progression.position
    if position.step != subject.step + 1 or not _asks(found):
        return False
    waived = [waiver.by.id for waiver in position.waived]
    return waived == [who.person] and await _sends(stage, environment, position.weight)


async def is_held(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """By them."""
    found = await stage.one(subject.id)
    held = found.progression.position.held if found.progression else None
    return _is_held(found) and held is not None and held.by is not None and held.by.id == who.person


async def goes_on_again(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """On their word, people are asked again."""
    return _asks(await stage.one(subject.id)) and await _said_last(stage, subject, "resumed", who)


async def was_put_off(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """Once more, by them."""
    found = await stage.one(subject.id)
    later = found.countdown is not None and found.countdown.snoozes == subject.snoozes + 1
    return later and _counts(found) and await _said_last(stage, subject, "countdown", who)


async def was_called_off(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """For good, by them."""
    found = await stage.one(subject.id)
    countdown = found.countdown
    assert countdown is not None
    by = countdown.by.id if countdown.by else None
    return (countdown.state, by) == (CountdownState.CANCELLED, who.person) and _fails(found)


async def was_taken_back(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    """At once, on their word, and the platform was told to."""
    found = await stage.one(subject.id)
    countdown = found.countdown
    assert countdown is not None
    by = countdown.by.id if countdown.by else None
    done = (countdown.state, by, found.phase) == (CountdownState.FIRED, who.person, "failed")
    return done and await _sends(stage, environment, None, "take_back")


async def _said_last(stage: Stage, subject: Subject, kind: str, who: Somebody) -> bool:
    events = [event for event in await stage.world.events(subject.id) if event.kind == kind]
    return bool(events) and events[-1].actor.id == who.person
