"""Every way to use a right: how it is prepared, what is said or pressed, and what shows that it took effect."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from matrix_rows import CHIEF, REASON, SECOND, STUCK, WAITS, Somebody
from matrix_stage import Stage, Subject
from world import until

from bot.domain.actor import Door
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.access import Action
from bot.slack import names
from bot.slack.names import ActionId

DOORS = (Door.COMMAND, Door.MENTION, Door.BUTTON, Door.FORM, Door.HOME)

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
    late: bool = False
    """Whether it comes too late for anybody: who may is told so, and who may not is told that."""
    quick: bool = False
    """Whether it is part of every run, not only of the long ones."""


def _nothing(service: str = WAITS) -> Prepare:
    async def prepare(stage: Stage, environment: str) -> Subject:
        return Subject()

    return prepare


def _waiting(service: str = WAITS) -> Prepare:
    async def prepare(stage: Stage, environment: str) -> Subject:
        return await stage.order(service, environment, phase="awaiting_approval")

    return prepare


async def _held(stage: Stage, environment: str) -> Subject:
    """Locked only after it was asked for, so that it does not go on by itself."""
    made = await stage.order(WAITS, environment, phase="awaiting_approval")
    await _locked(stage, environment)
    await stage.approve(made, phase="held")
    return made


async def _queued(stage: Stage, environment: str) -> Subject:
    """Second in the queue."""
    for _ in range(2):
        made = await stage.order(STUCK, environment, phase="awaiting_approval")
        await stage.approve(made, phase="queued")
    return made


async def _scheduled(stage: Stage, environment: str) -> Subject:
    made = await stage.order(WAITS, environment, 'v1.0 at="in 2h"', phase="awaiting_approval")
    await stage.approve(made, phase="scheduled")
    return made


async def _stuck(stage: Stage, environment: str) -> Subject:
    (found,) = [d for d in await stage.active(STUCK, environment) if d.phase == "needs_attention"]
    return Subject(found.id, found.number)


async def _runs(stage: Stage, environment: str) -> Subject:
    place = await stage.world.placement(STUCK, environment)
    assert place is not None
    assert place.deployment is not None
    return Subject(place.deployment, (await stage.one(place.deployment)).number)


async def _locked(stage: Stage, environment: str) -> Subject:
    await stage.command(SECOND, f"lock {WAITS} {environment} {REASON}")

    async def there() -> list[tuple[Any, ...]]:
        return stage.ask("SELECT id FROM locks WHERE scope = ? AND ended_at IS NULL", [f"{WAITS}@{environment}"])

    return Subject((await until(there, what="a lock"))[0][0])


async def _frozen(stage: Stage, environment: str) -> Subject:
    await stage.command(SECOND, f"freeze {WAITS} {environment} {REASON}")

    async def there() -> list[tuple[Any, ...]]:
        return stage.ask("SELECT id FROM freezes WHERE scope = ? AND ended_at IS NULL", [f"{WAITS}@{environment}"])

    return Subject((await until(there, what="a freeze"))[0][0])


async def _broken(stage: Stage, environment: str) -> Subject:
    made = await stage.order(STUCK, environment, f"v1.0 break-glass {REASON} confirm={STUCK}", phase="queued")
    [(override,)] = stage.ask("SELECT id FROM overrides WHERE used_by = ?", [made.id])
    return Subject(override, made.number)


def _pressed(prepare: Prepare, action: ActionId, words: str = "status #{n}") -> Prepare:
    """The button in the answer to a command of the first operator; ``words`` none: where it is told by itself."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        asked = words.format(n=made.number, e=environment)
        about = environment if action.carries is names.OrderValue else made.id
        return Subject(made.id, made.number, await stage.button(CHIEF, action, about, answer_to=asked))

    return prepared


def _at_home(prepare: Prepare, action: ActionId, viewer: Somebody = CHIEF) -> Prepare:
    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        button = await stage.home(viewer, action, made.id)
        view = copy.deepcopy(stage.world.server.workspace.homes[viewer.person])  # it is drawn anew any moment
        return Subject(made.id, made.number, button, view)

    return prepared


def _form(prepare: Prepare, callback: str) -> Prepare:
    """The form that the prepared button opens."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        made = await prepare(stage, environment)
        assert made.button is not None
        await stage.press(CHIEF, made.button)
        return Subject(made.id, made.number, view=await stage.opened(CHIEF, callback))

    return prepared


def _form_of(words: str, callback: str) -> Prepare:
    """The form that a command opens."""

    async def prepared(stage: Stage, environment: str) -> Subject:
        await stage.command(CHIEF, words.format(e=environment))
        return Subject(view=await stage.opened(CHIEF, callback))

    return prepared


async def _kept(stage: Stage, environment: str) -> Subject:
    """The owner of a lock, asked about it, sees *Keep* in what they are told directly."""
    asking = await _pressed(_locked, ActionId.ASK_OWNER, f"{WAITS} v1.2 {{e}}")(stage, environment)
    assert asking.button is not None
    await stage.press(CHIEF, asking.button)
    return Subject(asking.id, 0, await stage.button(SECOND, ActionId.KEEP, asking.id))


async def _asked_override(stage: Stage, environment: str) -> Subject:
    before = {one for (one,) in stage.ask("SELECT id FROM overrides")}
    # One that was agreed to lets a deployment of the same artifact pass from then on.
    [(asked,)] = stage.ask("SELECT count(*) FROM overrides WHERE kind = 'freeze' AND environment = ?", [environment])
    version = ("v1.4", "v1.3", "v1.0", "v1.5-rc1")[asked % 4]
    ordered = f"{WAITS} {version} {{e}}"
    opened = await _form(_pressed(_frozen, ActionId.ASK_OVERRIDE, ordered), names.OVERRIDE_FORM)(stage, environment)
    assert opened.view is not None
    mine = stage.hand_over(opened, CHIEF).view
    assert mine is not None
    await stage.world.server.hands.submit(CHIEF.person, mine.id, {"reason": "it cannot wait"})

    async def there() -> set[str]:
        return {one for (one,) in stage.ask("SELECT id FROM overrides")} - before

    (made,) = await until(there, what="an override")
    return Subject(made, 0, await stage.button(CHIEF, ActionId.AGREE, made))


async def _to_review(stage: Stage, environment: str) -> Subject:
    made = await _broken(stage, environment)
    return Subject(made.id, made.number, await stage.button(CHIEF, ActionId.REVIEW, made.id))


async def _ordered(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    found = await stage.active(WAITS, environment)
    return any(deployment.requester.id == who.person for deployment in found)


async def _broke(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    made = [d for d in await stage.active(STUCK, environment) if d.requester.id == who.person and d.phase == "queued"]
    return bool(made and stage.ask("SELECT 1 FROM overrides WHERE used_by = ?", [made[0].id]))


async def _rolls_back(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    found = await stage.active(STUCK, environment)
    return any(d.requester.id == who.person and d.rollback_of is not None for d in found)


def _moment(phase: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        last = (await stage.one(subject.id)).timeline[-1]
        return last.phase == phase and last.actor.id == who.person

    return happened


def _event(kind: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        events = await stage.world.events(subject.id)
        return any(event.kind == kind and event.actor.id == who.person for event in events)

    return happened


async def _resolved(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    asked = bool(await _event("resolved")(stage, subject, who, environment))
    return asked and (await stage.one(subject.id)).phase != "needs_attention"


async def _goes_on(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    hold = (await stage.one(subject.id)).hold
    return hold is not None and hold.resumes


def _row(query: str) -> Happened:
    """A row that says so; it takes the subject's id, the person's and the place's scope by name."""

    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        values = {"id": subject.id, "who": who.person, "scope": f"{WAITS}@{environment}", "like": f"%{who.person}%"}
        return bool(stage.ask(query, values))

    return happened


def _shown(callback: str) -> Happened:
    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        view = stage.world.server.hands.modal(who.person)
        return view is not None and view.body.get("callback_id") == callback

    return happened


_MINE = "SELECT 1 FROM locks WHERE scope = :scope AND ended_at IS NULL AND body LIKE :like"
_ENDED = "SELECT 1 FROM {table} WHERE id = :id AND ended_at IS NOT NULL"
_AUDITED = "SELECT 1 FROM audit WHERE actor LIKE :like AND action = '{action}'"


def _said(
    name: str, right: Action, verb: Verb, words: str, prepare: Prepare, happened: Happened, **more: Any
) -> list[Act]:
    """The same words as a command and as a mention."""
    quick = more.pop("quick", True)
    more |= {"right": right, "by": verb, "words": words, "prepare": prepare, "happened": happened}
    return [
        Act(name=name, door=Door.COMMAND, quick=quick, **more),
        Act(name=name, door=Door.MENTION, **more),
    ]


def _both(name: str, right: Action, action: ActionId, prepare: Prepare, happened: Happened, **more: Any) -> list[Act]:
    """The same button below a card and on the Home tab."""
    quick = more.pop("quick", False)
    more |= {"right": right, "by": action, "happened": happened}
    return [
        Act(name=name, door=Door.BUTTON, prepare=_pressed(prepare, action), quick=quick, **more),
        Act(name=name, door=Door.HOME, prepare=_at_home(prepare, action, SECOND), **more),
    ]


async def _never(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    return False


def _too_late(name: str, right: Action, action: ActionId) -> list[Act]:
    """A button of a rollout that has long been over: as if it had stood where another one stands now."""

    def instead(prepare: Prepare) -> Prepare:
        async def prepared(stage: Stage, environment: str) -> Subject:
            return replace(await prepare(stage, environment), instead=action)

        return prepared

    more: dict[str, Any] = {"right": right, "by": action, "happened": _never, "service": STUCK, "late": True}
    return [
        Act(name=name, door=Door.BUTTON, prepare=instead(_pressed(_stuck, ActionId.ABORT)), **more),
        Act(name=name, door=Door.HOME, prepare=instead(_at_home(_stuck, ActionId.ABORT)), **more),
    ]


def _button(name: str, right: Action, action: ActionId, prepare: Prepare, happened: Happened, **more: Any) -> Act:
    return Act(name=name, right=right, door=Door.BUTTON, by=action, prepare=prepare, happened=happened, **more)


def _sent(name: str, right: Action, form: str, prepare: Prepare, happened: Happened, **more: Any) -> Act:
    return Act(name=name, right=right, door=Door.FORM, by=form, prepare=prepare, happened=happened, **more)


_BLOCKED = f"{WAITS} v1.2 {{e}}"
"""An order that a lock or a freeze stops; the answer has buttons."""
_GLASS = f"break-glass {STUCK} v1.0 {{e}} {REASON} confirm={STUCK}"

ACTS: Sequence[Act] = (
    *_said("order", Action.DEPLOY, Verb.DEPLOY, f"{WAITS} v1.2 {{e}}", _nothing(), _ordered),
    *_said("start", Action.DEPLOY, Verb.START, "start #{n}", _held, _goes_on, quick=False),
    *_both("start", Action.DEPLOY, ActionId.START, _held, _goes_on),
    _button("wait", Action.DEPLOY, ActionId.WAIT, _pressed(_locked, ActionId.WAIT, _BLOCKED), _ordered, quick=True),
    _sent("order", Action.DEPLOY, names.DEPLOY_FORM, _form_of("", names.DEPLOY_FORM), _ordered, quick=True,
          fields={"service": WAITS, "version": "v1.2", "environment": "{e}"}),
    *_said("roll back", Action.ROLLBACK, Verb.ROLLBACK, f"rollback {STUCK} {{e}}", _nothing(), _rolls_back,
           service=STUCK),
    _button("roll back", Action.ROLLBACK, ActionId.ROLL_BACK, _pressed(_runs, ActionId.ROLL_BACK), _rolls_back,
            service=STUCK),
    *_both("put back", Action.ROLLBACK, ActionId.PUT_BACK, _stuck, _resolved, service=STUCK),
    *_said("abort", Action.ABORT, Verb.ABORT, "abort #{n}", _waiting(), _moment("aborted"), also=(Action.APPROVE,)),
    *_both("abort", Action.ABORT, ActionId.ABORT, _waiting(), _moment("aborted"), also=(Action.APPROVE,)),
    *_said("promote", Action.PROMOTE, Verb.PROMOTE, "promote #{n}", _stuck, _never, service=STUCK, late=True),
    *_said("hold", Action.PROMOTE, Verb.HOLD, "hold #{n}", _stuck, _never, service=STUCK, late=True),
    *_said("resume", Action.PROMOTE, Verb.RESUME, "resume #{n}", _stuck, _never, service=STUCK, late=True),
    *_too_late("promote", Action.PROMOTE, ActionId.PROMOTE),
    *_too_late("promote fully", Action.PROMOTE, ActionId.PROMOTE_FULL),
    *_too_late("hold", Action.PROMOTE, ActionId.HOLD),
    *_too_late("resume", Action.PROMOTE, ActionId.RESUME),
    *_too_late("cancel", Action.ROLLBACK, ActionId.CANCEL_COUNTDOWN),
    *_too_late("snooze", Action.ROLLBACK, ActionId.SNOOZE),
    *_too_late("roll back now", Action.ROLLBACK, ActionId.ROLL_BACK_NOW),
    *_both("retry", Action.RESOLVE, ActionId.RETRY, _stuck, _resolved, service=STUCK, quick=True),
    *_both("mark", Action.RESOLVE, ActionId.MARK_SUCCEEDED, _stuck, _resolved, service=STUCK),
    *_said("approve", Action.APPROVE, Verb.APPROVE, "approve #{n}", _waiting(STUCK), _moment("queued"), service=STUCK),
    *_said("reject", Action.APPROVE, Verb.REJECT, f"reject #{{n}} {REASON}", _waiting(), _moment("rejected"),
           quick=False),
    *_both("approve", Action.APPROVE, ActionId.APPROVE, _waiting(STUCK), _moment("queued"), service=STUCK, quick=True),
    *_both("reject", Action.APPROVE, ActionId.REJECT, _waiting(), _shown(names.REJECT_FORM)),
    _sent("reject", Action.APPROVE, names.REJECT_FORM,
          _form(_pressed(_waiting(), ActionId.REJECT), names.REJECT_FORM), _moment("rejected"), quick=True,
          fields={"reason": "not like this"}),
    *_said("lock", Action.LOCK, Verb.LOCK, f"lock {WAITS} {{e}} {REASON}", _nothing(), _row(_MINE)),
    _button("take over", Action.LOCK, ActionId.TAKE_OVER, _pressed(_locked, ActionId.TAKE_OVER, _BLOCKED),
            _shown(names.TAKE_OVER_FORM)),
    _sent("take over", Action.LOCK, names.TAKE_OVER_FORM,
          _form(_pressed(_locked, ActionId.TAKE_OVER, _BLOCKED), names.TAKE_OVER_FORM), _row(_MINE),
          fields={"reason": "I need it"}),
    _button("ask the owner", Action.LOCK, ActionId.ASK_OWNER, _pressed(_locked, ActionId.ASK_OWNER, _BLOCKED),
            _row("SELECT 1 FROM notices WHERE key LIKE 'lock_asked:' || :id || ':' || :who || ':%'"),
            also=(Action.DEPLOY, Action.ROLLBACK), says="may not deploy anything"),
    *_said("unlock", Action.UNLOCK, Verb.UNLOCK, f"unlock {WAITS} {{e}}", _locked, _row(_ENDED.format(table="locks"))),
    _button("unlock", Action.UNLOCK, ActionId.UNLOCK, _pressed(_locked, ActionId.UNLOCK, "locks"),
            _row(_ENDED.format(table="locks"))),
    Act(name="unlock", right=Action.UNLOCK, door=Door.HOME, by=ActionId.UNLOCK,
        prepare=_at_home(_locked, ActionId.UNLOCK), happened=_row(_ENDED.format(table="locks")), quick=True),
    _sent("ask for an override", Action.DEPLOY, names.OVERRIDE_FORM,
          _form(_pressed(_frozen, ActionId.ASK_OVERRIDE, _BLOCKED), names.OVERRIDE_FORM),
          _row("SELECT 1 FROM overrides WHERE kind = 'freeze' AND body LIKE :like"), quick=True,
          fields={"reason": "it cannot wait"}),
    _button("agree", Action.OVERRIDE_FREEZE, ActionId.AGREE, _asked_override,
            _row("SELECT 1 FROM overrides WHERE id = :id AND body LIKE :like"), quick=True),
    *_said("break the glass", Action.BREAK_GLASS, Verb.BREAK_GLASS, _GLASS, _nothing(), _broke, service=STUCK,
           needs=(Action.DEPLOY,)),
    _sent("break the glass", Action.BREAK_GLASS, names.BREAK_GLASS_FORM,
          _form_of(f"break-glass {STUCK} v1.0 {{e}}", names.BREAK_GLASS_FORM), _broke, service=STUCK,
          needs=(Action.DEPLOY,), fields={"reason": "it burns", "confirm": STUCK}),
    _button("review", Action.BREAK_GLASS, ActionId.REVIEW, _to_review,
            _row("SELECT 1 FROM overrides WHERE id = :id AND reviewed_at IS NOT NULL AND body LIKE :like"),
            service=STUCK, also=(Action.CONFIGURE,), says="may not review broken glass for"),
    Act(name="review", right=Action.BREAK_GLASS, door=Door.HOME, by=ActionId.REVIEW,
        prepare=_at_home(_broken, ActionId.REVIEW, SECOND),
        happened=_row("SELECT 1 FROM overrides WHERE id = :id AND reviewed_at IS NOT NULL AND body LIKE :like"),
        service=STUCK, also=(Action.CONFIGURE,), says="may not review broken glass for"),
    *_said("run next", Action.RUN_NEXT, Verb.RUN_NEXT, f"run-next #{{n}} {REASON}", _queued, _event("run_next"),
           service=STUCK),
    *_said("move", Action.SCHEDULE, Verb.SCHEDULE, 'schedule #{n} at="in 5h"', _scheduled,
           _row("SELECT 1 FROM schedules WHERE deployment_id = :id AND version > 1")),
    *_said("freeze", Action.CONFIGURE, Verb.FREEZE, f"freeze {WAITS} {{e}} {REASON}", _nothing(),
           _row("SELECT 1 FROM freezes WHERE scope = :scope AND ended_at IS NULL AND body LIKE :like")),
    *_said("unfreeze", Action.CONFIGURE, Verb.UNFREEZE, f"unfreeze {WAITS} {{e}}", _frozen,
           _row(_ENDED.format(table="freezes")), quick=False),
    _button("lift", Action.CONFIGURE, ActionId.UNFREEZE, _pressed(_frozen, ActionId.UNFREEZE, "locks"),
            _row(_ENDED.format(table="freezes"))),
    Act(name="lift", right=Action.CONFIGURE, door=Door.HOME, by=ActionId.UNFREEZE,
        prepare=_at_home(_frozen, ActionId.UNFREEZE), happened=_row(_ENDED.format(table="freezes"))),
)  # fmt: skip

_LASTS = "SELECT 1 FROM locks WHERE id = :id AND body LIKE '%kept_until%' AND body NOT LIKE '%kept_until\": null%'"
KEEP = _button("keep", Action.LOCK, ActionId.KEEP, _kept, _row(_LASTS))
"""Takes no right, and only the lock's owner may."""
NO_DOOR = {
    (Action.PROMOTE, Door.FORM),
    (Action.ROLLBACK, Door.FORM),
    (Action.ABORT, Door.FORM),
    (Action.RESOLVE, Door.COMMAND),
    (Action.RESOLVE, Door.MENTION),
    (Action.RESOLVE, Door.FORM),
    (Action.LOCK, Door.HOME),
    (Action.UNLOCK, Door.FORM),
    (Action.OVERRIDE_FREEZE, Door.COMMAND),
    (Action.OVERRIDE_FREEZE, Door.MENTION),
    (Action.OVERRIDE_FREEZE, Door.FORM),
    (Action.OVERRIDE_FREEZE, Door.HOME),
    (Action.RUN_NEXT, Door.BUTTON),
    (Action.RUN_NEXT, Door.FORM),
    (Action.RUN_NEXT, Door.HOME),
    (Action.SCHEDULE, Door.BUTTON),
    (Action.SCHEDULE, Door.FORM),
    (Action.SCHEDULE, Door.HOME),
    (Action.CONFIGURE, Door.FORM),
}
"""Where there is no way to use a right."""
ELSEWHERE = {
    ActionId.KEEP: "only the owner may, which takes no right: test_only_its_owner_keeps_a_lock",
    ActionId.ASK_OVERRIDE: "only opens the form, where the right is asked for",
}
CHANGES_NOTHING = {
    Verb.STATUS,
    Verb.HISTORY,
    Verb.QUEUE,
    Verb.WHERE,
    Verb.LOCKS,
    Verb.MAY,
    Verb.DIFF,
    Verb.STATS,
    Verb.HELP,
}
