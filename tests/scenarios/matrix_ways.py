"""What there is to do with a right: how it is prepared, and what shows that it took effect. `matrix_acts` lists it."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from matrix_rows import CHIEF, REASON, SECOND, STUCK, WAITS, Somebody
from matrix_stage import Stage, Subject
from world import until

from bot.slack import names
from bot.slack.names import ActionId

if TYPE_CHECKING:
    from bot.domain.actor import Door
    from bot.domain.grammar.verbs import Verb
    from bot.domain.policy.access import Action

Prepare: TypeAlias = Callable[[Stage, str], Awaitable[Subject]]
Happened: TypeAlias = Callable[[Stage, Subject, Somebody, str], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Act:
    """One way to use a right."""

    name: str
    right: Action
    door: Door
    by: Verb | ActionId | str
    """The word of the grammar, the button or the form."""
    service: str = WAITS
    prepare: Prepare
    happened: Happened
    """Whether it has taken effect, as the database has it."""
    words: str = ""
    """Of a command or a mention; ``{n}`` is the deployment's number, ``{e}`` the environment."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of a form."""
    also: tuple[Action, ...] = ()
    """Rights that do as well, unless a row denies the first."""
    needs: tuple[Action, ...] = ()
    """Rights that it takes besides."""
    says: str = ""
    """What a refusal says where it does not name the right."""
    quick: bool = False
    """Whether it is part of every run, not only of the long ones."""


def nothing() -> Prepare:
    async def prepare(stage: Stage, environment: str) -> Subject:
        return Subject()

    return prepare


def waiting(service: str = WAITS) -> Prepare:
    async def prepare(stage: Stage, environment: str) -> Subject:
        return await stage.order(service, environment, phase="awaiting_approval")

    return prepare


async def held(stage: Stage, environment: str) -> Subject:
    """Locked only after it was asked for, so that it does not go on by itself."""
    made = await stage.order(WAITS, environment, phase="awaiting_approval")
    await locked(stage, environment)
    await stage.approve(made, phase="held")
    return made


async def queued(stage: Stage, environment: str) -> Subject:
    """Second in the queue."""
    for _ in range(2):
        made = await stage.order(STUCK, environment, phase="awaiting_approval")
        await stage.approve(made, phase="queued")
    return made


async def scheduled(stage: Stage, environment: str) -> Subject:
    made = await stage.order(WAITS, environment, 'v1.0 at="in 2h"', phase="awaiting_approval")
    await stage.approve(made, phase="scheduled")
    return made


async def stuck(stage: Stage, environment: str) -> Subject:
    (found,) = [d for d in await stage.active(STUCK, environment) if d.phase == "needs_attention"]
    return Subject(found.id, found.number)


async def runs_there(stage: Stage, environment: str) -> Subject:
    place = await stage.world.placement(STUCK, environment)
    assert place is not None
    assert place.deployment is not None
    return Subject(place.deployment, (await stage.one(place.deployment)).number)


async def locked(stage: Stage, environment: str) -> Subject:
    await stage.command(SECOND, f"lock {WAITS} {environment} {REASON}")

    async def there() -> list[tuple[Any, ...]]:
        return stage.ask("SELECT id FROM locks WHERE scope = ? AND ended_at IS NULL", [f"{WAITS}@{environment}"])

    return Subject((await until(there, what="a lock"))[0][0])


async def frozen(stage: Stage, environment: str) -> Subject:
    await stage.command(SECOND, f"freeze {WAITS} {environment} {REASON}")

    async def there() -> list[tuple[Any, ...]]:
        return stage.ask("SELECT id FROM freezes WHERE scope = ? AND ended_at IS NULL", [f"{WAITS}@{environment}"])

    return Subject((await until(there, what="a freeze"))[0][0])


async def broken(stage: Stage, environment: str) -> Subject:
    made = await stage.order(STUCK, environment, f"v1.0 break-glass {REASON} confirm={STUCK}", phase="queued")
    [(override,)] = stage.ask("SELECT id FROM overrides WHERE used_by = ?", [made.id])
    return Subject(override, made.number)


def pressed(prepare: Prepare, action: ActionId, words: str = "status #{n}") -> Prepare:
    """The button in the answer to a command of the first operator; ``words`` none: where it is told by itself."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        asked = words.format(n=made.number, e=environment)
        about = environment if action.carries is names.OrderValue else made.id
        return replace(made, button=await stage.button(CHIEF, action, about, answer_to=asked, step=made.step))

    return prepared


def at_home(prepare: Prepare, action: ActionId, viewer: Somebody = CHIEF) -> Prepare:
    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        button = await stage.home(viewer, action, made.id, step=made.step)
        view = copy.deepcopy(stage.world.server.workspace.homes[viewer.person])  # it is drawn anew any moment
        return replace(made, button=button, view=view)

    return prepared


def form(prepare: Prepare, callback: str) -> Prepare:
    """The form that the prepared button opens."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        assert made.button is not None
        await stage.press(CHIEF, made.button)
        return Subject(made.id, made.number, view=await stage.opened(CHIEF, callback))

    return prepared


def form_of(words: str, callback: str) -> Prepare:
    """The form that a command opens."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        await stage.command(CHIEF, words.format(e=environment))
        return Subject(view=await stage.opened(CHIEF, callback))

    return prepared


async def kept(stage: Stage, environment: str) -> Subject:
    """The owner of a lock, asked about it, sees *Keep* in what they are told directly."""
    asking = await pressed(locked, ActionId.ASK_OWNER, f"{WAITS} v1.2 {{e}}")(stage, environment)
    assert asking.button is not None
    await stage.press(CHIEF, asking.button)
    return Subject(asking.id, 0, await stage.button(SECOND, ActionId.KEEP, asking.id))


async def asked_override(stage: Stage, environment: str) -> Subject:
    before = {one for (one,) in stage.ask("SELECT id FROM overrides")}
    # One that was agreed to lets a deployment of the same artifact pass from then on.
    [(asked,)] = stage.ask("SELECT count(*) FROM overrides WHERE kind = 'freeze' AND environment = ?", [environment])
    version = ("v1.4", "v1.3", "v1.0", "v1.5-rc1")[asked % 4]
    order = f"{WAITS} {version} {{e}}"
    opened = await form(pressed(frozen, ActionId.ASK_OVERRIDE, order), names.OVERRIDE_FORM)(stage, environment)
    assert opened.view is not None
    mine = stage.hand_over(opened, CHIEF).view
    assert mine is not None
    await stage.world.server.hands.submit(CHIEF.person, mine.id, {"reason": "it cannot wait"})

    async def there() -> set[str]:
        return {one for (one,) in stage.ask("SELECT id FROM overrides")} - before

    (made,) = await until(there, what="an override")
    return Subject(made, 0, await stage.button(CHIEF, ActionId.AGREE, made))


async def to_review(stage: Stage, environment: str) -> Subject:
    made = await broken(stage, environment)
    return Subject(made.id, made.number, await stage.button(CHIEF, ActionId.REVIEW, made.id))


async def ordered(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    found = await stage.active(WAITS, environment)
    return any(deployment.requester.id == who.person for deployment in found)


async def broke(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    made = [d for d in await stage.active(STUCK, environment) if d.requester.id == who.person and d.phase == "queued"]
    return bool(made and stage.ask("SELECT 1 FROM overrides WHERE used_by = ?", [made[0].id]))


async def rolls_back(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    found = await stage.active(STUCK, environment)
    return any(d.requester.id == who.person and d.rollback_of is not None for d in found)


def moment(phase: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        last = (await stage.one(subject.id)).timeline[-1]
        return last.phase == phase and last.actor.id == who.person

    return happened


def recorded(kind: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        events = await stage.world.events(subject.id)
        return any(event.kind == kind and event.actor.id == who.person for event in events)

    return happened


async def resolved(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    asked = bool(await recorded("resolved")(stage, subject, who, environment))
    return asked and (await stage.one(subject.id)).phase != "needs_attention"


async def goes_on(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    hold = (await stage.one(subject.id)).hold
    return hold is not None and hold.resumes


def row(query: str) -> Happened:
    """A row that says so; it takes the subject's id, the person's and the place's scope by name."""

    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        values = {"id": subject.id, "who": who.person, "scope": f"{WAITS}@{environment}", "like": f"%{who.person}%"}
        return bool(stage.ask(query, values))

    return happened


def shown(callback: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        view = stage.world.server.hands.modal(who.person)
        return view is not None and view.body.get("callback_id") == callback

    return happened
