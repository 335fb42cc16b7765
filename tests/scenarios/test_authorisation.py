"""Everything that takes a right, tried by everybody, everywhere, at every door, over the wire against the real bot.

`ACTS` is the table of what there is to try. Who may do it is worked out from the rows of the catalog's own text by
`Rows`, which knows nothing of the bot's code. What is refused must change nothing and say why; what is allowed must
take effect. An action, a button, a form or a word of the grammar that has no row fails `test_the_table_…`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import pytest_asyncio
import yaml
from world import CHANNEL, World, until

from bot.domain.actor import Door
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.access import Action
from bot.sandbox import payloads, seed
from bot.sandbox.model import Message, MessageRef, Person, UserGroup, View, ViewRef
from bot.slack import names
from bot.slack.names import ActionId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from bot.domain.deployment import Deployment
    from bot.sandbox.model import Button, Receipt

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("authorisation"),
    pytest.mark.timeout(300),
]

ENVIRONMENTS = ("staging", "production")
DOORS = (Door.COMMAND, Door.MENTION, Door.BUTTON, Door.FORM, Door.HOME)
REASON = 'reason="for the test"'

# -- who there is, and what the catalog says about them

ONLY = {action: f"only-{action.replace('_', '-')}" for action in Action}
"""A role for each action, with that action alone and one member."""
_EVERY = ", ".join(Action)
_ROLES = f"""\
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - {{ actions: [deploy, rollback, abort, resolve, lock, schedule], environments: [staging] }}
      - {{ actions: [deploy, abort, lock], services: ["*"], environments: [production] }}
  release-manager:
    members: ["@release-managers"]
    allow:
      - {{ actions: "*" }}
      - {{ actions: [configure, override_freeze, break_glass], services: "*", environments: "prod*" }}
  operator:
    members: [U0CHIEF, U0SECOND]
    allow:
      - {{ actions: [{_EVERY}] }}
  suspended:
    members: [U0DORA]
    deny:
      - {{ actions: "*" }}
"""
_ONLY = """\
  {role}:
    members: [{person}]
    allow:
      - {{ actions: [{action}] }}
"""
_CATALOG = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
  staging: { approval: { expires: 12h } }
  production: { protected: true, approval: { expires: 12h } }
defaults:
  health: { path: /health, interval: 0.05, timeout: 2s, passes: 1, deadline: 60s }
  deadline: 120s
services:
  catalog:
    health: { path: /health, interval: 0.05, timeout: 2s, passes: 40, deadline: 60s }
    target: { type: local, root: platform, instances: 1, start_timeout: 60 }
    images: { type: local, folder: artifacts/catalog }
  payments:
    target: { type: local, root: platform, instances: 1, start_timeout: 60 }
    images: { type: local, folder: artifacts/payments }
"""
ONLY_PEOPLE = {action: f"U0ONLY{number:02d}" for number, action in enumerate(Action)}
TEXT = _CATALOG + _ROLES + "".join(
    _ONLY.format(role=role, person=ONLY_PEOPLE[action], action=action) for action, role in ONLY.items()
)  # fmt: skip
STUCK, WAITS = "catalog", "payments"
"""Of the one service a deployment needs attention in each environment, and whatever follows is queued behind it; of
the other nothing is under way."""

WORDS = {
    Action.DEPLOY: "deploy",
    Action.ROLLBACK: "roll back",
    Action.ABORT: "abort",
    Action.RESOLVE: "resolve",
    Action.APPROVE: "approve",
    Action.LOCK: "lock",
    Action.UNLOCK: "unlock",
    Action.OVERRIDE_FREEZE: "override a freeze for",
    Action.BREAK_GLASS: "break the glass for",
    Action.RUN_NEXT: "change the queue of",
    Action.SCHEDULE: "schedule",
    Action.CONFIGURE: "configure",
}
"""How a refusal calls what somebody may not do."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the catalog's roles."""

    role: str
    denies: bool
    members: frozenset[str]
    actions: frozenset[str]
    services: tuple[str, ...]
    environments: tuple[str, ...]

    def speaks_of(self, action: Action, service: str, environment: str) -> bool:
        return (
            action.value in self.actions
            and any(fnmatchcase(service, glob) for glob in self.services)
            and any(fnmatchcase(environment, glob) for glob in self.environments)
        )


@dataclass(frozen=True)
class Rows:
    """Who may do what, by the catalog's text."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, text: str) -> Rows:
        found = []
        for role, block in yaml.safe_load(text)["roles"].items():
            for effect in ("allow", "deny"):
                for row in block.get(effect, []):
                    actions = row["actions"]
                    if actions == "*" and effect == "allow":
                        actions = {*Action} - {"break_glass", "override_freeze", "configure"}
                    elif actions == "*":
                        actions = {*Action}
                    found.append(
                        Row(
                            role=role,
                            denies=effect == "deny",
                            members=frozenset(block["members"]),
                            actions=frozenset(str(action) for action in actions),
                            services=_globs(row.get("services", "*")),
                            environments=_globs(row.get("environments", "*")),
                        )
                    )
        return cls(tuple(found))

    def answer(self, who: Somebody, action: Action, service: str, environment: str) -> tuple[bool, list[str]]:
        """Whether somebody may, and if not what the refusal must hold."""
        about = [row for row in self.rows if row.speaks_of(action, service, environment)]
        mine = [row for row in about if row.members & who.called]
        if denying := [row.role for row in mine if row.denies]:
            return False, [f"role {denying[0]} denies {action}", service, environment]
        if mine:
            return True, []
        holders = [row.role for row in about if not row.denies]
        assert holders, f"nobody holds {action}: the catalog of this test is too small"
        return False, [f"may not {WORDS[action]} {service} in {environment}", *holders]


def _globs(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True)
class Somebody:
    """A person of the matrix."""

    person: str
    what: str
    groups: tuple[str, ...] = ()

    @property
    def called(self) -> set[str]:
        """What a row may call them by."""
        return {self.person, *(f"@{handle}" for handle in self.groups)}


CHIEF, SECOND = Somebody("U0CHIEF", "the operator"), Somebody("U0SECOND", "the other operator")
ADA = Somebody("U0ADA", "a deployer", ("deployers",))
GRACE = Somebody("U0GRACE", "a release manager", ("release-managers",))
LINUS = Somebody("U0LINUS", "nobody in particular")
DORA = Somebody("U0DORA", "a suspended release manager", ("release-managers",))


def people_for(right: Action) -> list[Somebody]:
    """Who tries an act: two roles, the right alone, another right alone, no role, and one who is denied everything."""
    others = [action for action in Action if action is not right]
    another = others[list(Action).index(right) % len(others)]
    return [
        ADA,
        GRACE,
        Somebody(ONLY_PEOPLE[right], f"somebody who may {right} and nothing else"),
        Somebody(ONLY_PEOPLE[another], f"somebody who may {another} and nothing else"),
        LINUS,
        DORA,
    ]


# -- what there is to try


@dataclass(frozen=True)
class Subject:
    """What an act is about: a deployment, a lock, a freeze or an exception."""

    id: str = ""
    number: int = 0
    button: Button | None = None
    """Where it is pressed, as somebody else sees it."""
    view: View | None = None
    """The form or the Home tab, as somebody else has it before them."""


Prepare: TypeAlias = Callable[["Stage", str], Awaitable[Subject]]
Happened: TypeAlias = Callable[["Stage", Subject, Somebody, str], Awaitable[object]]


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


@dataclass(kw_only=True)
class Stage:
    """The world with the bot, and what people can do in it."""

    world: World
    rows: Rows

    # Looking.

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the bot's database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.world.folder}/deployments.sqlite?mode=ro", uri=True)) as it:
            return it.execute(query, values).fetchall()

    def picture(self) -> dict[str, object]:
        """Everything that an act could change: the rows of all tables, and what the platform was told to do."""
        # Not when it was told of: that goes on in the background.
        columns = {"deployments": "id, phase, version, rank, turn, body", "notices": "key"}
        tables = ("deployments", "events", "ballots", "locks", "freezes", "schedules", "overrides", "notices")
        found: dict[str, object] = {
            table: self.ask(f"SELECT {columns.get(table, '*')} FROM {table} ORDER BY 1") for table in tables
        }
        found["audit"] = self.ask("SELECT sequence FROM audit ORDER BY 1")
        for journal in sorted((self.world.folder / "platform").glob("places/*/journal.jsonl")):
            found[journal.parent.name] = journal.read_text()
        return found

    async def active(self, service: str, environment: str) -> list[Deployment]:
        """What is under way there, the oldest first."""
        found = [d for d in await self.world.under_way() if (d.service, d.environment) == (service, environment)]
        return sorted(found, key=lambda deployment: deployment.number)

    async def one(self, deployment_id: str) -> Deployment:
        """The deployment of that id."""
        for service in (STUCK, WAITS):
            for found in await self.world.deployments(service):
                if found.id == deployment_id:
                    return found
        raise AssertionError(f"there is no deployment {deployment_id}")

    def heard(self, who: Somebody) -> list[str]:
        """What somebody reads that they alone see, the oldest first."""
        seen = self.world.server.hands.can_see(who.person)
        return [" ".join(one.text.split()) for one in seen if one.where in {"ephemeral", "dm", "modal"}]

    # Acting, as the operators do to prepare something.

    async def command(self, who: Somebody, text: str) -> None:
        await self.world.command(who.person, text)

    async def order(self, service: str, environment: str, more: str = "v1.0", *, phase: str) -> Subject:
        """A new deployment of the first operator, once it is in that phase."""
        before = {d.id for d in await self.active(service, environment)}
        await self.command(CHIEF, f"{service} {environment} {more}")

        async def there() -> Deployment | None:
            new = [d for d in await self.active(service, environment) if d.id not in before]
            return new[0] if new and new[0].phase == phase else None

        made = await until(there, what=f"a deployment of {service} in {environment} that is {phase}")
        return Subject(made.id, made.number)

    async def approve(self, subject: Subject, *, phase: str) -> None:
        await self.command(SECOND, f"approve #{subject.number}")

        async def there() -> bool:
            return (await self.one(subject.id)).phase == phase

        await until(there, what=f"#{subject.number} {phase}")

    async def button(self, who: Somebody, action: ActionId, about: str, *, answer_to: str = "") -> Button:
        """The newest such button of somebody that carries ``about``; it may be in the answer to a command."""
        earlier = {button.container for button in self.buttons(who, action, about)} if answer_to else set()
        if answer_to:
            await self.command(who, answer_to)
        return await self.wait(
            lambda: next((one for one in self.buttons(who, action, about) if one.container not in earlier), None),
            f"{action} about {about} for {who.what}",
        )

    def buttons(self, who: Somebody, action: ActionId, about: str) -> list[Button]:
        found = self.world.server.hands.visible_buttons(who.person)
        return [one for one in found if one.action_id == action and about in (one.value or "") and one.where != "home"]

    async def home(self, who: Somebody, action: ActionId, about: str) -> Button:
        """A button on the Home tab that somebody opens now."""
        await self.world.server.hands.open_home(who.person)

        def there() -> Button | None:
            found = self.world.server.hands.visible_buttons(who.person)
            return next(
                (b for b in found if b.where == "home" and b.action_id == action and about in (b.value or "")), None
            )

        return await self.wait(there, f"{action} about {about} on the Home tab of {who.what}")

    async def opened(self, who: Somebody, callback: str) -> View:
        """The form that somebody has before them, taken off their screen."""

        def there() -> View | None:
            view = self.world.server.hands.modal(who.person)
            return view if view is not None and view.body.get("callback_id") == callback else None

        view = await self.wait(there, f"the form {callback} for {who.what}")
        self.world.server.workspace.close_modals(who.person)
        return view

    async def wait(self, look: Callable[[], Any], what: str, *, within: float = 30.0) -> Any:
        try:
            return await self.world.server.workspace.wait_for(look, within)
        except TimeoutError:
            raise AssertionError(f"there is no {what}\n{self.world.log_tail()}") from None

    async def press(self, who: Somebody, button: Button) -> Receipt:
        receipt = await self.world.click(who.person, button)
        assert receipt.acked, receipt.error
        return receipt

    # Giving somebody what somebody else has before them: as if they had opened it while they were allowed to.

    def hand_over(self, subject: Subject, who: Somebody) -> Subject:
        ws, button, view = self.world.server.workspace, subject.button, subject.view
        if view is not None and button is None:
            body = copy.deepcopy(view.body)
            mine = View(ws.new_id("V"), who.person, body, view.hash, "", values=copy.deepcopy(view.values))
            mine.root_id = mine.id
            ws.views[mine.id] = mine
            ws.modals.setdefault(who.person, []).append(mine)
            return Subject(subject.id, subject.number, view=mine)
        if button is None:
            return subject
        container = button.container
        if view is not None:
            home = View(ws.new_id("V"), who.person, copy.deepcopy(view.body), view.hash, "")
            home.root_id = home.id
            ws.views[home.id] = ws.homes[who.person] = home
            place: MessageRef | ViewRef = ViewRef(home.id)
        else:
            assert isinstance(container, MessageRef)
            owner = next(
                person for person in ws.people if ws.find_message(container.channel, container.ts, person) is not None
            )
            found = ws.find_message(container.channel, container.ts, owner)
            assert found is not None
            shown = Message(CHANNEL, ws.next_ts(), found.user, found.text, copy.deepcopy(found.blocks), is_bot=True)
            shown.ephemeral_for = who.person
            ws.whisper(shown)
            place = MessageRef(CHANNEL, shown.ts, None, True)
        return Subject(
            subject.id,
            subject.number,
            type(button)(**{name: getattr(button, name) for name in button.__slots__} | {"container": place}),
        )

    # The matrix.

    async def do(self, act: Act, subject: Subject, who: Somebody, environment: str) -> list[str]:
        """Do it as somebody; what the act itself was answered with at once."""
        hands, words = self.world.server.hands, act.words.format(n=subject.number, e=environment)
        if act.door is Door.COMMAND:
            await self.command(who, words)
        elif act.door is Door.MENTION:
            receipt = await hands.say(who.person, f"<@U0BOT> {words}", channel=CHANNEL)
            assert receipt.acked, receipt.error
        elif act.door is Door.FORM:
            mine = self.hand_over(subject, who).view
            assert mine is not None
            receipt = await hands.submit(who.person, mine.id, {k: v.format(e=environment) for k, v in act.fields.items()})
            return list(receipt.errors.values())
        else:
            button = self.hand_over(subject, who).button
            assert button is not None
            await self.press(who, button)
        return []

    async def refused(self, act: Act, subject: Subject, who: Somebody, environment: str, wanted: Collection[str]) -> None:
        """Try it as somebody who may not; fails unless they are told why."""
        before = len(self.heard(who))
        told = await self.do(act, subject, who, environment)

        def answered() -> str | None:
            texts = [*told, *self.heard(who)[before:]]
            return next((text for text in texts if all(part in text for part in wanted)), None)

        try:
            await self.world.server.workspace.wait_for(answered, 15)
        except TimeoutError:
            heard = [*told, *self.heard(who)[before:]]
            raise AssertionError(f"{who.what} should be told {wanted}, and reads {heard}") from None
        self.world.server.workspace.close_modals(who.person)

    async def allowed(self, act: Act, subject: Subject, who: Somebody, environment: str) -> None:
        """Do it as somebody who may; fails unless it takes effect."""
        before = len(self.heard(who))
        told = await self.do(act, subject, who, environment)

        async def happened() -> object:
            return await act.happened(self, subject, who, environment)

        try:
            await until(happened, within=20, what="an effect")
        except AssertionError:
            heard = [*told, *self.heard(who)[before:]]
            raise AssertionError(f"{who.what} may do it, and nothing came of it: {heard}") from None
        assert not [text for text in told + self.heard(who)[before:] if "Not allowed" in text]
        self.world.server.workspace.close_modals(who.person)

    async def tidy(self) -> None:
        """Nothing waits, is locked or is frozen any more, and in each environment one deployment needs attention."""
        deeds = [("unlock", scope) for (scope,) in self.ask("SELECT scope FROM locks WHERE ended_at IS NULL")]
        deeds += [("unfreeze", scope) for (scope,) in self.ask("SELECT scope FROM freezes WHERE ended_at IS NULL")]
        stuck = {d.id for d in await self.world.under_way() if d.phase == "needs_attention"}
        waiting = [d for d in await self.world.under_way() if d.id not in stuck]
        await asyncio.gather(
            *(self.command(CHIEF, f"{verb} {scope.replace('@', ' ')}") for verb, scope in deeds),
            *(self.command(CHIEF, f"abort #{deployment.number}") for deployment in waiting),
        )

        for (override,) in self.ask("SELECT id FROM overrides WHERE kind = 'break_glass' AND reviewed_at IS NULL"):
            await self.press(SECOND, await self.button(SECOND, ActionId.REVIEW, override))

        async def quiet() -> bool:
            left = [d for d in await self.world.under_way() if d.phase != "needs_attention"]
            busy = (
                "SELECT 1 FROM locks WHERE ended_at IS NULL",
                "SELECT 1 FROM freezes WHERE ended_at IS NULL",
                "SELECT 1 FROM deployments WHERE phase = 'rolling_back'",
                "SELECT 1 FROM overrides WHERE kind = 'break_glass' AND used_by IS NOT NULL AND reviewed_at IS NULL",
            )
            return not left and not any(self.ask(query) for query in busy)

        await until(quiet, what=f"rest\n{self.world.log_tail()}")
        await asyncio.gather(*(self.stick(environment) for environment in ENVIRONMENTS))

    async def begin(self, version: str, environment: str) -> None:
        """Let a version of the one service begin there."""
        made = await self.order(STUCK, environment, f"{version} force", phase="awaiting_approval")
        await self.command(SECOND, f"approve #{made.number}")

    async def stick(self, environment: str) -> None:
        """See to it that v1.2 of the one service runs, and that a deployment over it could not be put back."""
        if any(d.phase == "needs_attention" for d in await self.active(STUCK, environment)):
            return
        world = self.world

        async def runs() -> object:
            place = await world.placement(STUCK, environment)
            return place is not None and place.deployment is not None and place.release.version == "v1.2"

        if not await runs():
            await self.begin("v1.2", environment)
            await until(runs, what=f"v1.2 in {environment}\n{world.log_tail()}")

            async def idle() -> bool:
                return not await self.active(STUCK, environment)

            await until(idle, what=f"an end of it in {environment}")
        await self.begin("v1.4", environment)

        async def phase() -> str | None:
            found = await self.active(STUCK, environment)
            return found[0].phase if found else None

        async def verifying() -> bool:
            return await phase() == "verifying"

        await until(verifying, what=f"v1.4 under way in {environment}\n{world.log_tail()}")
        artifact = world.folder / "artifacts" / STUCK / "v1.2"
        async with _AWAY:
            away = artifact.rename(world.folder / "away")
            try:
                (found,) = await self.active(STUCK, environment)
                await self.command(CHIEF, f"abort #{found.number}")

                async def stuck() -> bool:
                    return await phase() == "needs_attention"

                await until(stuck, what=f"v1.4 stuck in {environment}\n{world.log_tail()}")
            finally:
                away.rename(artifact)


_AWAY = asyncio.Lock()

# -- how each act is prepared, and what shows that it took effect


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
        return stage.ask("SELECT id FROM locks WHERE scope = ? AND ended_at IS NULL", f"{WAITS}@{environment}")

    return Subject((await until(there, what="a lock"))[0][0])


async def _frozen(stage: Stage, environment: str) -> Subject:
    await stage.command(SECOND, f"freeze {WAITS} {environment} {REASON}")

    async def there() -> list[tuple[Any, ...]]:
        return stage.ask("SELECT id FROM freezes WHERE scope = ? AND ended_at IS NULL", f"{WAITS}@{environment}")

    return Subject((await until(there, what="a freeze"))[0][0])


async def _broken(stage: Stage, environment: str) -> Subject:
    made = await stage.order(STUCK, environment, f"v1.0 break-glass {REASON} confirm={STUCK}", phase="queued")
    [(override,)] = stage.ask("SELECT id FROM overrides WHERE used_by = ?", made.id)
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
    [(asked,)] = stage.ask("SELECT count(*) FROM overrides WHERE kind = 'freeze' AND environment = ?", environment)
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
    return bool(made and stage.ask("SELECT 1 FROM overrides WHERE used_by = ?", made[0].id))


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
    asked = await _event("resolved")(stage, subject, who, environment)
    return asked and (await stage.one(subject.id)).phase != "needs_attention"


async def _goes_on(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
    hold = (await stage.one(subject.id)).hold
    return hold is not None and hold.resumes


def _row(query: str) -> Happened:
    """A row that says so; it takes the subject's id, the person's and the place's scope by name."""

    async def happened(stage: Stage, subject: Subject, who: Somebody, environment: str) -> bool:
        values = {"id": subject.id, "who": who.person, "scope": f"{WAITS}@{environment}", "like": f"%{who.person}%"}
        with contextlib.closing(sqlite3.connect(f"file:{stage.world.folder}/deployments.sqlite?mode=ro", uri=True)) as it:
            return bool(it.execute(query, values).fetchall())

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
    return [
        Act(name=name, right=right, door=Door.COMMAND, by=verb, words=words, prepare=prepare, happened=happened, quick=quick, **more),
        Act(name=name, right=right, door=Door.MENTION, by=verb, words=words, prepare=prepare, happened=happened, **more),
    ]  # fmt: skip


def _both(name: str, right: Action, action: ActionId, prepare: Prepare, happened: Happened, **more: Any) -> list[Act]:
    """The same button below a card and on the Home tab."""
    quick = more.pop("quick", False)
    return [
        Act(name=name, right=right, door=Door.BUTTON, by=action, prepare=_pressed(prepare, action), happened=happened, quick=quick, **more),
        Act(name=name, right=right, door=Door.HOME, by=action, prepare=_at_home(prepare, action), happened=happened, **more),
    ]  # fmt: skip


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
    *_both("retry", Action.RESOLVE, ActionId.RETRY, _stuck, _resolved, service=STUCK),
    *_both("mark", Action.RESOLVE, ActionId.MARK_SUCCEEDED, _stuck, _resolved, service=STUCK),
    *_said("approve", Action.APPROVE, Verb.APPROVE, "approve #{n}", _waiting(STUCK), _moment("queued"), service=STUCK),
    *_said("reject", Action.APPROVE, Verb.REJECT, f"reject #{{n}} {REASON}", _waiting(), _moment("rejected"), quick=False),
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
        prepare=_at_home(_locked, ActionId.UNLOCK), happened=_row(_ENDED.format(table="locks"))),
    _sent("ask for an override", Action.DEPLOY, names.OVERRIDE_FORM,
          _form(_pressed(_frozen, ActionId.ASK_OVERRIDE, _BLOCKED), names.OVERRIDE_FORM),
          _row("SELECT 1 FROM overrides WHERE kind = 'freeze' AND body LIKE :like"), quick=True,
          fields={"reason": "it cannot wait"}),
    _button("agree", Action.OVERRIDE_FREEZE, ActionId.AGREE, _asked_override,
            _row("SELECT 1 FROM overrides WHERE id = :id AND body LIKE :like")),
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

NO_DOOR = {
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


# -- the table is complete


async def test_the_table_has_every_action_at_every_door() -> None:
    tried = {(act.right, act.door) for act in ACTS}
    for action in Action:
        assert action in WORDS, f"Action.{action.name} is new: say in WORDS how a refusal calls it, and add it to ACTS"
        assert any(right is action for right, _ in tried), f"nothing in ACTS tries {action}: add an Act"
        for door in DOORS:
            known = (action, door) in tried, (action, door) in NO_DOOR
            assert any(known), f"{action} is not tried at the door {door}: add an Act, or say in NO_DOOR that there is none"
            assert not all(known), f"{action} is tried at the door {door}, and NO_DOOR says that there is none"
    assert set(DOORS) == set(Door) - {Door.API, Door.ENGINE}, "there is a new door: add it to DOORS"


async def test_the_table_has_every_button_every_form_and_every_word() -> None:
    tried = {act.by for act in ACTS}
    for button in ActionId:
        assert (button in tried) != (button in ELSEWHERE), f"ActionId.{button.name}: add an Act that presses it"
    for name, form in vars(names).items():
        if name.endswith("_FORM") and not name.startswith("_") and form != names.LOADING_FORM:
            assert form in tried, f"names.{name}: add an Act that sends the form"
    for verb in Verb:
        said = verb in {act.by for act in ACTS if isinstance(act.by, Verb)}
        assert said != (verb in CHANGES_NOTHING), f"Verb.{verb.name}: add an Act, or say that it CHANGES_NOTHING"


# -- and everybody tries everything


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One bot for all of it."""
    world = await World.open(tmp_path_factory.mktemp("matrix") / "world", text=TEXT)
    ws = world.server.workspace
    only = [(person, f"only{number:02d}") for number, person in enumerate(ONLY_PEOPLE.values())]
    for person, name in [("U0CHIEF", "chief"), ("U0SECOND", "second"), ("U0DORA", "dora"), *only]:
        ws.add_person(Person(person, name, f"{name.title()} Sandbox", f"{name}@sandbox.example"))
        ws.channels[CHANNEL].members.add(person)
    for person in ("U0CHIEF", "U0SECOND"):
        ws.channels["C0ADMIN"].members.add(person)
    ws.groups["S0RELEASE"] = UserGroup("S0RELEASE", "release-managers", "Release managers", ["U0GRACE", "U0DORA"])
    try:
        await world.start()
        found = Stage(world=world, rows=Rows.of(TEXT))
        await found.tidy()
        yield found
    finally:
        await world.close()


def _cases() -> Iterator[Any]:
    for act in ACTS:
        for environment in ENVIRONMENTS:
            marks = () if act.quick else pytest.mark.long
            name = f"{act.right}-{act.door}-{act.name.replace(' ', '_')}-{environment}"
            yield pytest.param(act, environment, id=name, marks=marks)


@pytest.mark.parametrize(("act", "environment"), list(_cases()))
async def test_who_may_not_changes_nothing_and_is_told_why_and_who_may_does_it(
    stage: Stage, act: Act, environment: str
) -> None:
    may: list[Somebody] = []
    may_not: list[tuple[Somebody, list[str]]] = []
    for who in people_for(act.right):
        allowed, wanted = stage.rows.answer(who, act.right, act.service, environment)
        if not allowed and not any("denies" in part for part in wanted):
            allowed = any(stage.rows.answer(who, also, act.service, environment)[0] for also in act.also)
        if allowed and act.needs:
            allowed, wanted = stage.rows.answer(who, *act.needs, act.service, environment)
        if allowed:
            may.append(who)
        else:
            may_not.append((who, [act.says] if act.says else wanted))
    may = may or [CHIEF]  # who may everything
    assert len(may_not) >= 2, "somebody may not"

    subject = await act.prepare(stage, environment)
    before = await _settled(stage)
    await asyncio.gather(*(stage.refused(act, subject, who, environment, wanted) for who, wanted in may_not))
    assert stage.picture() == before, "who may not has changed something"

    for number, who in enumerate(may):
        if number:
            await stage.tidy()
            subject = await act.prepare(stage, environment)
        await stage.allowed(act, subject, who, environment)
    await stage.tidy()


async def _settled(stage: Stage) -> dict[str, object]:
    """The picture once nothing changes in it by itself any more."""
    pictures = [stage.picture()]

    async def same() -> bool:
        pictures.append(stage.picture())
        return len(pictures) > 3 and pictures[-1] == pictures[-4]

    await until(same, what="rest")
    return pictures[-1]
