"""What the gates are told about a deployment of a real bot, and who may do what; what is not known counts as no."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from unit.engine.simulation.outside import (
    PRODUCTION,
    SERVICES,
    STAGING,
    Weather,
    actor,
    catalog,
    nobody_may,
    release,
)

from bot.domain.actor import BOT
from bot.domain.audit import Deed
from bot.domain.errors import NotAuthorized, UnknownEnvironment
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, Rule
from bot.domain.policy.gates import Verdict
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.scope import EVERYTHING, Scope
from bot.domain.policy.window import Window, WindowKind

if TYPE_CHECKING:
    from unit.conftest import Happens
    from unit.engine.simulation.hands import Hands

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment

CHECKOUT, SEARCH = SERVICES
GATES = ["access", "order", "artifact", "lock", "freeze", "window", "approval"]


async def ask(hands: Hands, one: Deployment, **more: bool) -> dict[str, Verdict]:
    """What every gate says."""
    found = await hands.do(hands.engine.gatekeeper.ask(await hands.now(one), **more))
    return {result.name: result.verdict for result in found}


def no(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    """Those that do not just pass."""
    return {name: verdict for name, verdict in verdicts.items() if verdict is not Verdict.PASS}


async def exception(hands: Hands, kind: OverrideKind, one: Deployment, **changes: object) -> Override:
    """A recorded exception that fits the deployment, apart from the changes."""
    made = Override(
        id=f"o{hands.acts}",
        kind=kind,
        service=one.service,
        environment=one.environment,
        digest=one.release.artifact.digest,
        by=actor("Linus"),
        reason="it burns",
        at=hands.world.now(),
        until=hands.world.now() + timedelta(hours=1),
        seconded_by=actor("Grace") if kind is OverrideKind.FREEZE else None,
    )
    hands.acts += 1
    deed = Deed(actor=actor("Linus"), at=hands.world.now(), reason="it burns")
    return await hands.world.store.overrides.add(replace(made, **changes), deed=deed)  # type: ignore[arg-type]  # by name


def test_every_gate_is_asked_in_one_order(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        verdicts = await ask(hands, one)
        assert list(verdicts) == GATES
        assert no(verdicts) == {"approval": Verdict.BLOCK}

    happens(story)


def test_what_cannot_be_told_is_a_no(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        hands.world.outside.people.unknown.add("Ada")
        hands.world.weather = Weather(dark=True)
        assert no(await ask(hands, one)) == {
            "access": Verdict.UNKNOWN,
            "artifact": Verdict.UNKNOWN,
            "approval": Verdict.BLOCK,
        }
        # At the last moment the artifact is taken to be there: it was looked for when its turn came.
        assert (await ask(hands, one, artifact=False))["artifact"] is Verdict.PASS

    happens(story)


def test_what_was_only_remembered_of_somebody_is_on_record(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        ada = hands.who("Ada")
        place = CHECKOUT, STAGING
        assert hands.engine.gatekeeper.authorise(ada, Action.ROLLBACK, *place) == "developer"
        remembered = replace(ada, remembered=True)
        assert hands.engine.gatekeeper.authorise(remembered, Action.ROLLBACK, *place) == (
            "developer (groups as last known)"
        )

    happens(story)


def test_somebody_who_is_gone_may_nothing_any_more(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        hands.world.outside.people.gone.add("Ada")
        assert (await ask(hands, one))["access"].stops

    happens(story)


def test_a_right_that_was_taken_meanwhile_counts(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        hands.world.outside.configure(rules=(nobody_may(Action.DEPLOY),))
        assert (await ask(hands, one))["access"] is Verdict.BLOCK

    happens(story)


def test_a_release_must_have_succeeded_where_it_is_to_succeed_first(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        gatekeeper, member = hands.engine.gatekeeper, hands.who("Ada")

        async def order(version: str) -> Verdict:
            found = await hands.do(gatekeeper.foresee(release(CHECKOUT, version), PRODUCTION, member=member))
            return next(result.verdict for result in found if result.name == "order")

        assert await order("v1") is Verdict.BLOCK
        await hands.until(await hands.deploy("v1", "staging"), Phase.SUCCEEDED)
        assert await order("v1") is Verdict.PASS
        assert await order("v2") is Verdict.BLOCK

    happens(story, configuration=catalog(after=STAGING))


def test_an_agreed_override_passes_a_freeze_once_and_only_there(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        other = await hands.awaited("v2")
        await hands.freeze()
        assert (await ask(hands, one))["freeze"] is Verdict.BLOCK
        freeze = OverrideKind.FREEZE
        await exception(hands, freeze, one, seconded_by=None)
        await exception(hands, freeze, one, seconded_by=actor("Linus"))
        await exception(hands, freeze, one, seconded_by=one.requester)
        await exception(hands, freeze, one, environment=STAGING)
        await exception(hands, freeze, one, digest="sha256:another")
        await exception(hands, freeze, one, until=hands.world.now())
        await exception(hands, freeze, one, used_by=other.id)
        assert (await ask(hands, one))["freeze"] is Verdict.BLOCK
        await exception(hands, freeze, one)
        assert no(await ask(hands, one)) == {"freeze": Verdict.WARN, "approval": Verdict.BLOCK}

    happens(story)


def test_broken_glass_passes_approval_freeze_and_lock_and_never_who_may(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.freeze()
        await hands.lock()
        await exception(hands, OverrideKind.BREAK_GLASS, one, used_by=one.id)
        hands.world.outside.people.gone.add("Ada")
        verdicts = no(await ask(hands, one))
        assert verdicts.pop("access").stops
        assert verdicts == {"lock": Verdict.WARN, "freeze": Verdict.WARN, "approval": Verdict.WARN}

    happens(story)


def test_glass_that_was_broken_and_not_used_is_of_no_use_to_anybody(happens: Happens) -> None:
    """Who broke it died over it, and asked again: what they left behind must not let the next one pass."""

    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await exception(hands, OverrideKind.BREAK_GLASS, one)
        assert no(await ask(hands, one)) == {"approval": Verdict.BLOCK}
        await hands.freeze()
        await hands.lock()
        held = {"lock": Verdict.BLOCK, "freeze": Verdict.BLOCK, "approval": Verdict.BLOCK}
        assert no(await ask(hands, one)) == held
        at_last = await hands.do(hands.engine.gatekeeper.ask_at_last(await hands.now(one)))
        assert no({result.name: result.verdict for result in at_last}) == held

    happens(story)


def test_of_two_of_one_artifact_an_exception_lets_one_pass(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one, other = await hands.awaited(), await hands.awaited()
        await hands.freeze()
        made = await exception(hands, OverrideKind.FREEZE, one)
        assert (await ask(hands, other))["freeze"] is Verdict.WARN, "it is there for whoever comes first"

        async def at_last(which: Deployment) -> Verdict:
            found = await hands.do(hands.engine.gatekeeper.ask_at_last(await hands.now(which)))
            return next(result.verdict for result in found if result.name == "freeze")

        assert await at_last(one) is Verdict.WARN
        assert await at_last(one) is Verdict.WARN, "what is used stays good for who has used it"
        assert (await hands.world.store.overrides.get(made.id)).used_by == one.id
        assert await at_last(other) is Verdict.BLOCK
        assert (await ask(hands, other))["freeze"] is Verdict.BLOCK

    happens(story)


def test_before_there_is_a_deployment_only_the_exception_that_is_named_counts(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.freeze()
        found = await exception(hands, OverrideKind.FREEZE, one)

        async def foreseen(override: str | None) -> Verdict:
            results = await hands.do(
                hands.engine.gatekeeper.foresee(
                    one.release, one.environment, member=hands.who("Ada"), override=override
                )
            )
            return next(result.verdict for result in results if result.name == "freeze")

        assert await foreseen(None) is Verdict.BLOCK
        assert await foreseen("another") is Verdict.BLOCK
        assert await foreseen(found.id) is Verdict.WARN

    happens(story)


def with_window(made: Catalog) -> Catalog:
    """Production takes deployments on weekdays between 14 and 16 h, UTC."""
    window = Window(
        name="afternoons", kind=WindowKind.ALLOW, rule=read_recurrence("0 14 * * 1-5"), duration=7200.0, zone="UTC"
    )
    production = replace(made.environments[PRODUCTION], windows=(window,))
    return replace(made, environments={**made.environments, PRODUCTION: production})


def test_a_window_is_asked_about_the_instant_at_which_it_is_to_begin(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        gatekeeper, member, at = hands.engine.gatekeeper, hands.who("Ada"), hands.world.now()
        now = await hands.do(gatekeeper.foresee(release(CHECKOUT, "v1"), PRODUCTION, member=member))
        closed = next(result for result in now if result.name == "window")
        opens = at.replace(hour=14, minute=0, second=0, microsecond=0)
        assert (closed.verdict, closed.until) == (Verdict.BLOCK, opens)
        then = await hands.do(gatekeeper.foresee(release(CHECKOUT, "v1"), PRODUCTION, member=member, at=opens))
        assert next(result.verdict for result in then if result.name == "window") is Verdict.PASS
        back = await hands.do(gatekeeper.foresee(release(CHECKOUT, "v1"), PRODUCTION, member=member, rollback=True))
        assert next(result.verdict for result in back if result.name == "window") is Verdict.WARN

    happens(story, configuration=with_window(catalog()))


def test_a_rollback_passes_freeze_and_approval_and_is_held_by_anothers_lock(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        await hands.freeze()

        async def foreseen(who: str) -> dict[str, Verdict]:
            found = await hands.do(
                hands.engine.gatekeeper.foresee(
                    release(CHECKOUT, "v1"), PRODUCTION, member=hands.who(who), rollback=True
                )
            )
            return no({result.name: result.verdict for result in found})

        assert await foreseen("Ada") == {"freeze": Verdict.WARN}
        await hands.lock(by="Linus")
        assert await foreseen("Ada") == {"freeze": Verdict.WARN, "lock": Verdict.BLOCK}
        assert await foreseen("Linus") == {"freeze": Verdict.WARN, "lock": Verdict.WARN}

    happens(story)


def test_of_what_the_configuration_lost_nothing_else_is_said(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        hands.world.outside.catalogs.reload(replace(hands.world.outside.catalogs.now, revision="r2", services={}))
        found = await hands.do(hands.engine.gatekeeper.ask(await hands.now(one)))
        assert [(result.name, result.verdict, result.sentence) for result in found] == [
            (
                "configuration",
                Verdict.BLOCK,
                "The configuration does not have checkout in production any more.",
            )
        ]

    happens(story)


def test_a_word_of_who_lost_the_right_does_not_count(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Grace")
        tally = await hands.do(hands.engine.gatekeeper.tally_of(await hands.now(one)))
        assert tally is not None
        assert (tally.have, tally.approved) == (1, False)
        hands.world.outside.people.gone.add("Grace")
        tally = await hands.do(hands.engine.gatekeeper.tally_of(await hands.now(one)))
        assert tally is not None
        assert (tally.have, tally.void[0].why) == (0, "Grace may not approve this.")
        hands.world.outside.people.gone.clear()
        hands.world.outside.people.unknown.add("Grace")
        tally = await hands.do(hands.engine.gatekeeper.tally_of(await hands.now(one)))
        assert tally is not None
        assert (tally.have, tally.sentence) == (0, "Who may approve cannot be told right now, so nobody has.")
        staged = await hands.deploy("v1", "staging")
        assert await hands.do(hands.engine.gatekeeper.tally_of(staged)) is None

    happens(story, configuration=catalog(quorum=2))


def test_the_role_that_allows_it_is_named_and_none_is_a_no(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        gatekeeper = hands.engine.gatekeeper
        assert gatekeeper.authorise(hands.who("Ada"), Action.DEPLOY, CHECKOUT, PRODUCTION) == "developer"
        with pytest.raises(NotAuthorized, match="It takes the role manager") as refusal:
            gatekeeper.authorise(hands.who("Ada"), Action.APPROVE, CHECKOUT, PRODUCTION)
        assert refusal.value.hint == "Ask somebody who has it, or an operator for the role."
        for action in Action:
            with pytest.raises(NotAuthorized):
                gatekeeper.authorise(hands.who("Mallory"), action, CHECKOUT, PRODUCTION)
        bot = replace(hands.who("Ada"), actor=BOT, groups=frozenset())
        with pytest.raises(NotAuthorized):
            gatekeeper.authorise(bot, Action.DEPLOY, CHECKOUT, PRODUCTION)

    happens(story)


def test_ones_own_needs_no_right_unless_a_row_denies_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        gatekeeper, ada = hands.engine.gatekeeper, hands.who("Ada")
        with pytest.raises(NotAuthorized):
            gatekeeper.authorise(ada, Action.SCHEDULE, CHECKOUT, PRODUCTION)
        assert gatekeeper.authorise(ada, Action.SCHEDULE, CHECKOUT, PRODUCTION, own=True) == "their own request"
        hands.world.outside.configure(rules=(nobody_may(Action.SCHEDULE),))
        with pytest.raises(NotAuthorized, match="The role nobody denies schedule"):
            gatekeeper.authorise(ada, Action.SCHEDULE, CHECKOUT, PRODUCTION, own=True)

    happens(story)


def test_for_a_scope_the_right_is_needed_in_every_place_of_it(happens: Happens) -> None:
    row = Rule(
        role="stager", users=frozenset({"UMallory"}), environments=("staging",), actions=frozenset({Action.LOCK})
    )

    async def story(hands: Hands) -> None:
        gatekeeper, mallory = hands.engine.gatekeeper, hands.who("Mallory")
        assert gatekeeper.authorise_scope(mallory, Action.LOCK, Scope(environment=STAGING)) == "stager"
        for scope in (EVERYTHING, Scope(service=CHECKOUT), Scope(environment=PRODUCTION)):
            with pytest.raises(NotAuthorized, match="in production"):
                gatekeeper.authorise_scope(mallory, Action.LOCK, scope)
        with pytest.raises((NotAuthorized, UnknownEnvironment), match="Nothing of the catalog"):
            gatekeeper.authorise_scope(mallory, Action.LOCK, Scope(service=type(CHECKOUT)("gone")))

    happens(story, configuration=catalog(rules=(row,)))
