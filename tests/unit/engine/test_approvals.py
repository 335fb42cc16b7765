"""Who says yes to what, when, and what becomes of it: the approvals of a whole bot, on a clock that the tests turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.engine.simulation.outside import catalog, release

from bot.domain.errors import InvalidTransition, NotAuthorized, RequestRefused, SomebodyWasFaster
from bot.domain.lifecycle import Phase
from bot.domain.policy.scope import EVERYTHING

if TYPE_CHECKING:
    from unit.conftest import Happens
    from unit.engine.simulation.hands import Hands

    from bot.domain.catalog import Catalog


def test_one_yes_of_somebody_entitled_lets_it_go_on(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.wait(20)
        assert hands.changes() == []
        await hands.approve(one)
        done = await hands.until(one, Phase.SUCCEEDED)
        queued = done.reached(Phase.QUEUED)
        assert queued is not None
        assert (queued.actor.name, queued.note) == ("Grace", "Grace approved it.")
        view = await hands.do(hands.engine.approvals.view(done))
        assert view is not None
        assert (view.tally.have, view.tally.need, view.asked) == (1, 1, ())

    happens(story)


def test_a_quorum_counts_each_person_once(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Grace")
        for _ in range(2):
            await hands.wait(1)
            with pytest.raises(SomebodyWasFaster, match=r"You already approved #1, .*each person counts once"):
                await hands.approve(one, by="Grace")
        await hands.wait(5)
        found = await hands.now(one)
        assert found.phase is Phase.AWAITING_APPROVAL
        view = await hands.do(hands.engine.approvals.view(found))
        assert view is not None
        assert (view.tally.have, view.tally.need, view.tally.sentence) == (1, 2, "One more person must approve it.")
        assert len(await hands.world.store.ballots.of(one.id)) == 1
        await hands.approve(one, by="Hedy")
        done = await hands.until(one, Phase.SUCCEEDED)
        assert done.reached(Phase.QUEUED) is not None

    happens(story, configuration=catalog(quorum=2))


def test_of_a_group_one_must_be_among_them(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Hedy")
        await hands.wait(5)
        found = await hands.now(one)
        view = await hands.do(hands.engine.approvals.view(found))
        assert view is not None
        assert view.tally.sentence == "One of @ops must approve it too."
        await hands.approve(one, by="Grace")
        await hands.until(one, Phase.SUCCEEDED)

    happens(story, configuration=catalog(group="@ops"))


def test_nobody_approves_their_own_request(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited(by="Grace")
        with pytest.raises(NotAuthorized, match="nobody approves their own request"):
            await hands.approve(one, by="Grace")
        await hands.wait(5)
        assert (await hands.now(one)).phase is Phase.AWAITING_APPROVAL
        assert await hands.world.store.ballots.of(one.id) == []
        assert not hands.engine.gatekeeper.may_approve(hands.who("Grace"), one)
        assert hands.engine.gatekeeper.may_approve(hands.who("Hedy"), one)

    happens(story)


@pytest.mark.parametrize("who", ["Linus", "Mallory"])
def test_who_has_no_right_changes_nothing_and_is_told_who_has(happens: Happens, who: str) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        with pytest.raises(NotAuthorized, match="It takes the role manager"):
            await hands.approve(one, by=who)
        with pytest.raises(NotAuthorized, match="It takes the role manager"):
            await hands.reject(one, by=who)
        assert await hands.world.store.ballots.of(one.id) == []

    happens(story)


def test_one_no_ends_it_and_takes_a_reason(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        with pytest.raises(RequestRefused, match="needs a reason"):
            await hands.reject(one, reason="  ")
        await hands.reject(one, reason="the index is not there")
        done = await hands.until(one, Phase.REJECTED)
        assert done.note == "Grace rejected it: the index is not there"
        assert done.timeline[-1].actor.name == "Grace"
        assert hands.changes() == []
        with pytest.raises(SomebodyWasFaster, match=r"Grace already rejected #1, (just now|\d+ s ago)"):
            await hands.approve(one, by="Hedy")

    happens(story)


def test_a_secret_in_a_reason_is_shown_to_nobody(happens: Happens) -> None:
    """People paste what they have at hand; what they give as a reason, everybody reads."""

    async def story(hands: Hands) -> None:
        pasted, shown = "see api_key=Zm9vYmFy", "see api_key=[hidden]"
        one = await hands.awaited(reason=pasted)
        assert one.reason == shown
        await hands.reject(one, reason=pasted)
        assert (await hands.until(one, Phase.REJECTED)).note == f"Grace rejected it: {shown}"
        lock = await hands.do(hands.engine.locking.lock(scope=EVERYTHING, requester=hands.who("Linus"), reason=pasted))
        assert lock.reason == shown

    happens(story)


def test_the_second_of_two_clicks_is_told_who_was_faster(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.approved()
        await hands.until(one, Phase.DEPLOYING)
        with pytest.raises(SomebodyWasFaster, match=r"Grace already approved #1, (just now|\d+ s ago)") as refusal:
            await hands.approve(one, by="Hedy")
        assert refusal.value.hint == "`/deploy abort #1` stops it."
        with pytest.raises(SomebodyWasFaster, match="You already approved #1"):
            await hands.approve(one, by="Grace")
        with pytest.raises(SomebodyWasFaster, match="Grace already approved"):
            await hands.reject(one, by="Hedy")
        await hands.until(one, Phase.SUCCEEDED)
        assert len(hands.changes()) == 1

    happens(story)


def test_a_click_on_what_was_shown_before_it_changed_counts_for_nothing(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        seen = hands.engine.gatekeeper.subject_of(one).hash[:16]
        hands.place().change_outside(release("checkout", "v3"))
        await hands.wait(32)
        with pytest.raises(InvalidTransition, match="is not what you saw"):
            await hands.approve(one, subject=seen)
        assert await hands.world.store.ballots.of(one.id) == []
        fresh = hands.engine.gatekeeper.subject_of(await hands.now(one)).hash[:16]
        assert fresh != seen
        await hands.approve(one, subject=fresh)
        await hands.until(one, Phase.SUCCEEDED)

    happens(story)


def test_nobody_deciding_in_time_expires_it(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.later(minutes=29)
        assert (await hands.now(one)).phase is Phase.AWAITING_APPROVAL
        await hands.later(minutes=1)
        done = await hands.until(one, Phase.EXPIRED)
        assert done.note == "Nobody decided in time. One more person must approve it."
        with pytest.raises(InvalidTransition, match="#1 is expired; it asks for no approval now"):
            await hands.approve(one)
        assert hands.changes() == []

    happens(story)


def test_a_yes_at_the_last_instant_is_too_late(happens: Happens) -> None:
    """Whoever clicks when it has just run out is not counted, whatever anybody has written about it so far."""

    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        expires = catalog().environments[one.environment].approval
        assert expires is not None
        assert one.asked_at is not None
        await hands.world.jump(expires.expires_at(one.asked_at) - hands.world.now())
        await hands.approve(one)
        done = await hands.until(one, Phase.EXPIRED)
        assert "Nobody decided in time" in done.note
        assert hands.changes() == []

    happens(story)


def test_people_are_reminded_once_then_others_are_asked(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()

        async def shown() -> tuple[int, bool, bool, list[str]]:
            found = await hands.now(one)
            view = await hands.do(hands.engine.approvals.view(found))
            assert view is not None
            return found.view, view.nudged, view.escalated, sorted(view.asked)

        first, *rest = await shown()
        assert rest == [False, False, ["UGrace", "UHedy", "URoot"]]
        await hands.later(minutes=15)
        second, *rest = await shown()
        assert rest == [True, False, ["UGrace", "UHedy", "URoot"]]
        await hands.wait(60)
        assert (await shown())[0] == second == first + 1
        await hands.later(minutes=7)
        third, *rest = await shown()
        assert rest == [True, True, ["UGrace", "UHedy", "ULinus", "URoot"]]
        assert third == second + 1

    happens(story, configuration=catalog(group="managers"))


def test_who_asked_is_never_among_those_who_are_asked(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited(by="Hedy")
        view = await hands.do(hands.engine.approvals.view(one))
        assert view is not None
        assert sorted(view.asked) == ["UGrace", "URoot"]

    happens(story)


@pytest.mark.parametrize(
    ("configuration", "gone", "never"),
    [
        (catalog(group="ops"), (), ""),
        (catalog(group="ops"), ("Root",), "nobody but Grace, who asked for it, is in the group that must approve it"),
        (catalog(), ("Root",), ""),
        (catalog(), ("Root", "Hedy"), "nobody but Grace, who asked for it, has the right to approve it"),
        (catalog(quorum=2), (), ""),
        (
            catalog(quorum=2),
            ("Root",),
            "it takes 2 people, and no more than 1 beside Grace, who asked for it, may approve it",
        ),
    ],
)
def test_what_nobody_can_ever_approve_says_so(
    happens: Happens, configuration: Catalog, gone: tuple[str, ...], never: str
) -> None:
    async def story(hands: Hands) -> None:
        hands.world.outside.people.gone |= set(gone)
        one = await hands.awaited(by="Grace")
        view = await hands.do(hands.engine.approvals.view(one))
        assert view is not None
        assert view.never == never

    happens(story, configuration=configuration)


def test_what_was_said_about_something_else_is_told_once(happens: Happens) -> None:
    """Between the change and the note of it in the row, nothing is told that would be told anew in other words."""

    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Grace")
        hands.world.outside.configure(quorum=2)
        view = await hands.do(hands.engine.approvals.view(one))
        assert view is not None
        assert (view.tally.have, view.void) == (0, "")
        await hands.do(hands.engine.admission.wake_all())
        await hands.wait(2)
        view = await hands.do(hands.engine.approvals.view(await hands.now(one)))
        assert view is not None
        assert view.void == "Grace's approval does not count any more: the configuration has changed."

    happens(story, configuration=catalog(quorum=2))


def test_another_configuration_takes_back_what_was_said_and_says_so(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Grace")
        hands.world.outside.configure(quorum=2)
        await hands.do(hands.engine.admission.wake_all())
        await hands.wait(2)
        found = await hands.now(one)
        assert found.phase is Phase.AWAITING_APPROVAL
        assert found.catalog_revision == "r2"
        assert await hands.world.store.ballots.of(one.id) == []
        voided = [row async for row in hands.world.store.audit.export(format="json")]
        assert "Changed since: the configuration." in "".join(voided)
        view = await hands.do(hands.engine.approvals.view(found))
        assert view is not None
        assert (view.tally.have, view.tally.need) == (0, 2)
        assert view.void == "Grace's approval does not count any more: the configuration has changed."

    happens(story, configuration=catalog(quorum=2))


def test_another_plan_takes_back_what_was_said(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.approve(one, by="Grace")
        hands.place().change_outside(release("checkout", "v3"))
        await hands.wait(32)
        found = await hands.now(one)
        assert found.plan is not None
        assert found.plan.changes == ("v3 -> v1",)
        assert await hands.world.store.ballots.of(one.id) == []
        view = await hands.do(hands.engine.approvals.view(found))
        assert view is not None
        assert view.void == "Grace's approval does not count any more: the plan has changed."
        await hands.approve(one, by="Hedy")
        await hands.wait(2)
        assert (await hands.now(one)).phase is Phase.AWAITING_APPROVAL
        assert "the plan" in "".join([row async for row in hands.world.store.audit.export(format="json")])

    happens(story, configuration=catalog(quorum=2))


def test_a_change_while_it_waits_in_the_queue_asks_anew_and_says_why(happens: Happens) -> None:
    """What was approved is not what would be deployed by the time that its turn has come."""

    async def story(hands: Hands) -> None:
        first = await hands.approved("v1")
        await hands.until(first, Phase.DEPLOYING)
        second = await hands.awaited("v2")
        await hands.approve(second)
        await hands.until(second, Phase.QUEUED)
        await hands.until(first, Phase.SUCCEEDED)
        asked = await hands.been(second, Phase.AWAITING_APPROVAL, times=2)
        assert asked.plan is not None
        assert asked.plan.changes == ("v1 -> v2",)
        assert asked.note == "Grace's approval does not count any more: the plan has changed."
        view = await hands.do(hands.engine.approvals.view(asked))
        assert view is not None
        assert view.void == asked.note
        assert len(hands.changes()) == 1
        await hands.approve(asked, by="Hedy")
        done = await hands.until(second, Phase.SUCCEEDED)
        assert sum(moment.phase is Phase.QUEUED for moment in done.timeline) == 2

    happens(story)


def test_who_loses_the_right_before_it_is_deployed_has_not_approved(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.approved("v1")
        await hands.until(first, Phase.DEPLOYING)
        second = await hands.awaited("v2", force=True)
        hands.world.outside.people.gone.add("Hedy")
        with pytest.raises(NotAuthorized):
            await hands.approve(second, by="Hedy")
        hands.world.outside.people.gone.clear()
        await hands.approve(second, by="Hedy")
        await hands.until(second, Phase.QUEUED)
        hands.world.outside.people.gone.add("Hedy")
        hands.world.watch.remember()
        await hands.until(first, Phase.SUCCEEDED)
        await hands.been(second, Phase.AWAITING_APPROVAL, times=2)
        assert len(hands.changes()) == 1

    happens(story)


def test_a_no_in_the_very_moment_of_the_yes_still_stops_it_before_anything_changed(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        yes = hands.replica.act(hands.engine.approvals.approve(one.id, requester=hands.who("Grace")))
        no = hands.replica.act(hands.engine.approvals.reject(one.id, requester=hands.who("Hedy"), reason="stop"))
        await hands.wait(1)
        assert yes.done()
        assert no.done()
        done = await hands.until(one, Phase.REJECTED, Phase.SUCCEEDED)
        refused = no.exception()
        # Either the no was in time and nothing was changed, or who said it was told that it came too late.
        assert (done.phase is Phase.REJECTED and hands.changes() == []) or isinstance(refused, RequestRefused)

    for seed in range(8):
        happens(story, seed=seed, haste=0.7)


def test_an_approver_may_stop_what_waits_for_them(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        one = await hands.awaited()
        await hands.do(hands.engine.requests.abort(one.id, requester=hands.who("Hedy")))
        done = await hands.now(one)
        assert (done.phase, done.timeline[-1].actor.name) == (Phase.ABORTED, "Hedy")

    happens(story)


def test_a_rollback_asks_nobody(happens: Happens) -> None:
    async def story(hands: Hands) -> None:
        first = await hands.approved("v1")
        await hands.until(first, Phase.SUCCEEDED)
        second = await hands.approved("v2")
        await hands.until(second, Phase.SUCCEEDED)
        back = await hands.do(hands.engine.requests.roll_back(second.id, requester=hands.who("Ada"), origin="back:1"))
        done = await hands.until(back, Phase.SUCCEEDED)
        assert done.reached(Phase.AWAITING_APPROVAL) is None
        assert await hands.do(hands.engine.approvals.view(done)) is None
        assert (await hands.now(second)).phase is Phase.ROLLED_BACK

    happens(story)
