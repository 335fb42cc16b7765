"""Everything that takes a right, tried by everybody, everywhere, at every door, over the wire against the real bot.

`matrix_acts.ACTS` is the table of what there is to try. Who may do it is worked out from the rows of the catalog's
text by `matrix_rows.Rows`, which knows nothing of the bot's code. What is refused must change nothing and say why;
what is allowed must take effect. An action, a button, a form or a word of the grammar without a row fails here too.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from matrix_acts import ACTS, CHANGES_NOTHING, COUNTDOWN, DOORS, ELSEWHERE, KEEP, NO_DOOR, PLAIN, ROLLOUT
from matrix_canary import probed
from matrix_rows import CHIEF, GRACE, ONLY_PEOPLE, SECOND, WORDS, Rows, Somebody, catalog_text, only, people_for
from matrix_stage import ENVIRONMENTS, Stage
from world import CHANNEL, World, until

from bot.domain.actor import Door
from bot.domain.grammar.verbs import Verb
from bot.domain.policy.access import Action
from bot.sandbox import seed
from bot.sandbox.model import Person, UserGroup
from bot.slack import names
from bot.slack.names import ActionId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from matrix_ways import Act

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("authorisation"),
    pytest.mark.timeout(300),
]


# -- the table is complete


async def test_the_table_has_every_action_at_every_door() -> None:
    tried = {(act.right, act.door) for act in ACTS}
    for action in Action:
        assert action in WORDS, f"Action.{action.name} is new: say in WORDS how a refusal calls it, and add it to ACTS"
        assert any(right is action for right, _ in tried), f"nothing in ACTS tries {action}: add an Act"
        for door in DOORS:
            known = (action, door) in tried, (action, door) in NO_DOOR
            assert any(known), (
                f"{action} is not tried at the door {door}: add an Act, or say in NO_DOOR that there is none"
            )
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
        otherwise = verb in CHANGES_NOTHING or verb in ELSEWHERE
        assert said != otherwise, f"Verb.{verb.name}: add an Act, or say that it CHANGES_NOTHING"


# -- and everybody tries everything


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One bot for all of it."""
    async with probed() as probe:
        text = catalog_text(probe)
        world = await World.open(tmp_path_factory.mktemp("matrix") / "world", text=text)
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
            found = Stage(world=world, rows=Rows.of(text))
            await found.tidy()
            yield found
        finally:
            await world.close()


def _cases(acts: Iterable[Act]) -> Iterator[Any]:
    for act in acts:
        for environment in ENVIRONMENTS:
            marks = () if act.quick and environment == "production" else pytest.mark.long
            name = f"{act.right}-{act.door}-{act.name.replace(' ', '_')}-{environment}"
            yield pytest.param(act, environment, id=name, marks=marks)


@pytest.mark.parametrize(("act", "environment"), list(_cases(PLAIN)))
async def test_it_takes_the_right(stage: Stage, act: Act, environment: str) -> None:
    await _tried(stage, act, environment)


@pytest.mark.long
class TestWordsToARollout:
    """Together, whatever the order is, so that one canary serves many of them."""

    @pytest.mark.parametrize(("act", "environment"), list(_cases(ROLLOUT)))
    async def test_it_takes_the_right(self, stage: Stage, act: Act, environment: str) -> None:
        await _tried(stage, act, environment)


@pytest.mark.long
class TestWordsToACountdown:
    """Together for the same reason."""

    @pytest.mark.parametrize(("act", "environment"), list(_cases(COUNTDOWN)))
    async def test_it_takes_the_right(self, stage: Stage, act: Act, environment: str) -> None:
        await _tried(stage, act, environment)


async def _tried(stage: Stage, act: Act, environment: str) -> None:
    may: list[Somebody] = []
    may_not: list[tuple[Somebody, list[str]]] = []
    for who in dict.fromkeys([*people_for(act.right), *(only(also) for also in act.also)]):
        allowed, wanted = stage.rows.answer(who, act.right, act.service, environment)
        if not allowed and not any("denies" in part for part in wanted):
            allowed = any(stage.rows.answer(who, also, act.service, environment)[0] for also in act.also)
        for need in act.needs:
            if allowed:
                allowed, wanted = stage.rows.answer(who, need, act.service, environment)
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


async def test_only_its_owner_keeps_a_lock(stage: Stage) -> None:
    subject = await KEEP.prepare(stage, "production")
    before = await _settled(stage)
    for who in people_for(Action.LOCK):
        await stage.refused(KEEP, subject, who, "production", ["only its owner can keep it"])
    assert stage.picture() == before
    await stage.allowed(KEEP, subject, SECOND, "production")
    await stage.tidy()


@pytest.mark.parametrize(
    ("door", "name", "who", "why"),
    [
        (Door.COMMAND, "order", seed.guest(), "Guests cannot do that"),
        (Door.MENTION, "order", None, "People of other workspaces"),
        (Door.BUTTON, "approve", seed.deactivated(), "A deactivated account cannot do that"),
        (Door.FORM, "reject", Person("U0ROBOT", "robot", "Rob Robot", is_bot=True), "Bots cannot do that"),
    ],
    ids=["guest", "stranger", "deactivated", "bot"],
)
async def test_who_is_no_member_is_refused_at_the_door(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, door: Door, name: str, who: Person | None, why: str
) -> None:
    """Delivered as it would be, were Slack to let them: ``who``, or (None) a member's double of another workspace."""
    ws, delivery = stage.world.server.workspace, stage.world.server.delivery
    act = next(act for act in ACTS if (act.door, act.name) == (door, name))
    subject = await act.prepare(stage, "production")
    one, other = (GRACE.person, who.id) if who else (seed.TEAM_ID, "T0ELSEWHERE")
    if who is not None:
        ws.add_person(who)
        ws.channels[CHANNEL].members.add(who.id)
        # Their groups do not help them.
        ws.groups["S0RELEASE"].users.append(who.id)
    deliver = delivery.deliver

    async def disguised(kind: Any, payload: Any, **more: Any) -> Any:
        return await deliver(kind, json.loads(json.dumps(payload).replace(f'"{one}"', f'"{other}"')), **more)

    before = await _settled(stage)
    heard = {person: stage.seen(Somebody(person, "")) for person in (GRACE.person, other) if person in ws.people}
    monkeypatch.setattr(delivery, "deliver", disguised)
    told = await stage.do(act, subject, GRACE, "production")
    monkeypatch.undo()

    def answered() -> bool:
        texts = [*told, *(text for person, had in heard.items() for text in stage.heard(Somebody(person, ""), but=had))]
        return any(why in text for text in texts)

    await stage.wait(answered, f"refusal of {door} that says {why!r}")
    assert stage.picture() == before
    ws.close_modals(GRACE.person)
    if who is not None:
        ws.groups["S0RELEASE"].users.remove(who.id)
    await stage.tidy()


async def _settled(stage: Stage) -> dict[str, object]:
    """The picture once nothing changes in it by itself any more."""
    pictures = [stage.picture()]

    async def same() -> bool:
        pictures.append(stage.picture())
        return len(pictures) > 3 and pictures[-1] == pictures[-4]

    await until(same, what="rest")
    return pictures[-1]
