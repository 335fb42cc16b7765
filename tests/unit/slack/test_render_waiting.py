"""What people are shown and can press before a change begins: on the card, in the thread, directly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from slack_scenes import (
    ADA,
    GRACE,
    START,
    SUBJECT,
    after,
    approval,
    deployment,
    forecast,
    gate,
    lock,
    override,
    release,
    scenes,
    schedule,
    view,
)  # fmt: skip

from bot.domain.ids import DeploymentId
from bot.domain.lifecycle import Phase
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.gates import Verdict
from bot.slack.names import SUBJECT_DIGITS, ActionId, ButtonValue, IdValue
from bot.slack.render import approval as direct
from bot.slack.render.buttons import buttons
from bot.slack.render.deployment import root
from bot.slack.render.notes import notes

if TYPE_CHECKING:
    from bot.domain.view import DeploymentView
    from bot.slack.render.limits import Block
    from bot.slack.render.note import Note

SCENES = scenes()
AWAITING = Phase.AWAITING_APPROVAL


def elements(blocks: list[Block]) -> list[dict[str, Any]]:
    found = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return found + [block["accessory"] for block in blocks if "accessory" in block]


def labels(blocks: list[Block]) -> list[str]:
    return [element["text"]["text"] for element in elements(blocks)]


def written(blocks: list[Block]) -> str:
    texts = []
    for block in blocks:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        texts += [part["text"] for part in parts if part and isinstance(part["text"], str)]
    return "\n".join(texts)


def by_key(shown: DeploymentView) -> dict[str, Note]:
    return {note.key: note for note in notes(shown)}


def test_the_plan_card_tells_everything_that_is_known_before_it_begins() -> None:
    card = root(SCENES["awaiting_approval.plan_card"])
    shown = written(card.blocks)
    for told in (
        "v1.1 → v1.2\n76312e317631 → 76312e327631",
        "2 instances are replaced one after another.",
        "0 of 1: one of @release-managers must approve it · expires <!date^1762164032^",
        "✓ *Promotion order* – Passed: v1.2 has succeeded in staging",
        "! *Lock* – Warning: staging is marked by Grace Hopper: Mind the load test",
        "✗ *Window* – Stops it: Deployments are let in only within office hours · opens <!date^",
        "Usually takes 4 m 12 s · 2 of the last 20 failed",
    ):
        assert told in shown
    assert shown.count("must approve it") == 1
    assert labels(card.blocks) == ["Approve", "Reject", "Abort"]
    assert "waiting for approval, step 2 of 6: 0 of 1: one of @release-managers must approve it" in card.text


def test_a_downgrade_is_flagged_and_little_history_is_not_made_up() -> None:
    shown = written(root(SCENES["awaiting_approval.downgrade"]).blocks)
    assert "! *Downgrade*: v1.2 is older than v1.3, which runs now." in shown
    assert "How long it takes is not known" in shown
    going_back = replace(SCENES["awaiting_approval.downgrade"])
    going_back = replace(going_back, deployment=replace(going_back.deployment, rollback_of=DeploymentId("d1")))
    assert "Downgrade" not in written(root(going_back).blocks)


@pytest.mark.parametrize(
    ("rate", "counted", "words"),
    [(0.1, 20, "2 of the last 20 failed"), (0.0, 3, "none of the last 3 failed"), (1.0, 4, "all of the last 4 failed")],
)
def test_how_often_it_failed_is_counted_not_rated(rate: float, counted: int, words: str) -> None:
    shown = view(Phase.REQUESTED, forecast=forecast(failure_rate=rate, counted=counted))
    assert words in written(root(shown).blocks)


def test_of_one_or_two_deployments_nothing_is_reckoned() -> None:
    shown = written(root(view(Phase.REQUESTED, forecast=forecast(failure_rate=1.0, counted=2))).blocks)
    assert "failed" not in shown
    assert "Usually takes 4 m 12 s" in shown


def test_once_it_began_the_card_is_compact_and_still_says_who_approved_and_what_was_passed() -> None:
    card = root(replace(SCENES["deploying.approved"], forecast=forecast(), overrides=(override(),)))
    shown = written(card.blocks)
    assert "*Approved by*\nGrace Hopper" in shown
    assert "! *Glass broken* by Grace Hopper: Payments are down · review is due" in shown
    assert "The glass was broken by Grace Hopper." in card.text
    for gone in ("Promotion order", "Usually takes", "Before it begins"):
        assert gone not in shown


def test_who_approved_is_told_by_the_timeline_when_the_configuration_has_changed_since() -> None:
    timeline = after(Phase.QUEUED, Phase.REQUESTED, AWAITING, by=GRACE).timeline
    began = replace(deployment(Phase.DEPLOYING).timeline[-1], at=START + timedelta(minutes=5))
    shown = view(
        Phase.DEPLOYING, approval=approval(), deployment=deployment(Phase.DEPLOYING, timeline=(*timeline, began))
    )
    assert "*Approved by*\nGrace Hopper" in written(root(shown).blocks)
    assert "Void" not in written(root(replace(shown, approval=approval(void="It has changed."))).blocks)


def test_an_approval_that_was_voided_is_said_on_the_card_and_told_once() -> None:
    shown = SCENES["awaiting_approval.void"]
    assert "! *Void* – Grace Hopper's approval was for something else" in written(root(shown).blocks)
    [key] = [key for key in by_key(shown) if key.startswith("void.1.")]
    again = replace(shown, approval=approval(void="Linus Torvalds may not approve this."))
    assert key not in by_key(again)
    assert len([found for found in by_key(again) if found.startswith("void.1.")]) == 1


def test_votes_carry_what_is_voted_on_and_the_protected_place_asks_twice() -> None:
    for protected in (False, True):
        yes, no = buttons(view(AWAITING, protected=protected, forecast=forecast()))[:2]
        for vote in (yes, no):
            value = ButtonValue.decode(vote["value"])
            assert value is not None
            assert value.subject == SUBJECT[:SUBJECT_DIGITS]
            assert "checkout in staging" in vote["accessibility_label"]
        assert ("style" in yes["confirm"]) is protected
        assert "changes from v1.1 to v1.2 (76312e327631)" in yes["confirm"]["text"]["text"]
        assert ("staging is protected." in yes["confirm"]["text"]["text"]) is protected
        assert no["action_id"] == ActionId.REJECT


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not AWAITING])
def test_nobody_can_vote_on_what_does_not_ask(phase: Phase) -> None:
    shown = view(phase, approval=approval())
    everywhere = [*root(shown).blocks, *(block for note in notes(shown) for block in note.message.blocks),
                  *direct.ask(shown, GRACE.id).blocks]  # fmt: skip
    assert {"Approve", "Reject"} & set(labels(everywhere)) == set()


def test_start_is_there_only_where_it_takes_a_person() -> None:
    assert labels(root(SCENES["held"]).blocks) == ["Start", "Abort"]
    assert labels(root(SCENES["held.window"]).blocks) == ["Abort"]
    assert "goes on by itself" in written(root(SCENES["held.window"]).blocks)


def test_a_hold_by_a_lock_tells_who_why_since_when_and_until_when() -> None:
    status = written(root(SCENES["held"]).blocks)
    assert "checkout@staging locked by Grace Hopper: The database is being moved · since <!date^" in status
    assert "until somebody ends it" in status
    note = by_key(SCENES["held"])["held.1"]
    assert labels(note.message.blocks) == ["Start", "Abort", "Ask Grace Hopper", "Take over"]
    take = next(one for one in elements(note.message.blocks) if one["action_id"] == ActionId.TAKE_OVER)
    assert IdValue.decode(take["value"]) == IdValue("l01lock", "#42")


def test_several_locks_have_a_row_of_buttons_each() -> None:
    shown = view(Phase.HELD, blocking=(lock(), lock(id="l02", owner=ADA)))
    blocks = by_key(shown)["held.1"].message.blocks
    for block in blocks:
        if block["type"] == "actions":
            ids = [element["action_id"] for element in block["elements"]]
            assert len(ids) == len(set(ids))
    assert labels(blocks).count("Take over") == 2


def test_the_question_is_put_to_those_who_may_answer_once_and_to_their_group_where_its_id_is_known() -> None:
    assert "<@U0GRACE>, please decide." in by_key(SCENES["awaiting_approval"])["approval.1"].message.text
    grouped = by_key(SCENES["awaiting_approval.group_id"])["approval.1"].message.text
    assert "<!subteam^S0RELEASE>, please decide." in grouped
    assert "one of the approvers' group must approve it" in grouped
    assert "<!subteam" not in str(root(SCENES["awaiting_approval.group_id"]).blocks)
    nobody = view(AWAITING, approval=approval(asked=(), rule=ApprovalRule()))
    assert "please decide" not in by_key(nobody)["approval.1"].message.text


def test_nobody_is_asked_what_nobody_can_answer_and_it_says_what_to_do() -> None:
    asks = approval(never="nobody but ada, who asked for it, has the right to approve it", asked=())
    shown = view(AWAITING, approval=replace(asks, nudged=True))
    said = (
        "0 of 1: it cannot be approved, for nobody but ada, who asked for it, has the right to approve it; let "
        "somebody else ask for it, or give one more person the right"
    )
    assert said in written(root(shown).blocks)
    asked, nudge = (note for key, note in by_key(shown).items() if key.startswith(("approval", "nudge")))
    for note in (asked, nudge):
        assert said in written(note.message.blocks)
        assert "please decide" not in written(note.message.blocks)
        assert "release-managers" not in written(note.message.blocks)


def test_one_nudge_then_the_fallback_group() -> None:
    found = by_key(view(AWAITING, approval=approval(nudged=True)))
    assert "nudge.1" in found
    assert "escalated.1" not in found
    assert "@platform may approve it too" in by_key(SCENES["awaiting_approval.escalated"])["escalated.1"].message.text


@pytest.mark.parametrize(
    ("scene", "key", "outcome"),
    [
        ("queued.approved", "approval.1", "– approved by Grace Hopper."),
        ("rejected.by_grace", "approval.1", "– rejected by Grace Hopper."),
        ("expired.unapproved", "approval.1", "– nobody decided in time."),
        ("queued.resumed", "held.1", "– started by Grace Hopper."),
    ],
)
def test_a_question_that_is_settled_is_edited_not_posted_and_has_no_button(scene: str, key: str, outcome: str) -> None:
    note = by_key(SCENES[scene])[key]
    assert note.live
    assert note.settled
    assert note.message.text.startswith(("○ Approval was asked: #42", "‖ Was held: #42"))
    assert note.message.text.endswith(outcome)
    assert labels(note.message.blocks) == []


def test_asked_anew_it_is_a_new_question() -> None:
    twice = after(AWAITING, Phase.REQUESTED, AWAITING, Phase.QUEUED)
    found = by_key(view(AWAITING, deployment=twice))
    assert found["approval.1"].settled
    assert not found["approval.2"].settled
    assert labels(found["approval.2"].message.blocks) == ["Approve", "Reject"]


def test_nobody_is_said_to_have_approved_what_went_on_without() -> None:
    went_on = view(Phase.QUEUED, deployment=after(Phase.QUEUED, Phase.REQUESTED, AWAITING), overrides=(override(),))
    assert "approved.1" not in by_key(went_on)
    assert "Approved" not in by_key(went_on)["approval.1"].message.text


def test_times_and_exceptions_are_told_in_the_thread() -> None:
    assert by_key(view(Phase.SCHEDULED))["scheduled.1"].message.text.startswith("○ Scheduled by Ada Lovelace: #42")
    assert by_key(SCENES["scheduled.moved"])["scheduled.2"].message.text.startswith("○ Moved by Ada Lovelace: #42")
    assert "<@U0ADA>" in by_key(SCENES["queued.its_time"])["started.1"].message.text
    assert by_key(SCENES["queued.resumed"])["resumed.1"].message.text.startswith("● Started by Grace Hopper: #42")
    assert "the fix for the outage" not in by_key(SCENES["queued"])
    assert "the fix for the outage" in by_key(SCENES["queued.hurried"])["hurried"].message.text
    broken = by_key(SCENES["deploying.glass_broken"])["glass.o01override"]
    assert broken.broadcast
    assert labels(broken.message.blocks) == ["Reviewed"]
    reviewed = by_key(SCENES["succeeded.glass_reviewed"])["glass.o01override"]
    assert "reviewed by Ada Lovelace" in reviewed.message.text
    assert labels(reviewed.message.blocks) == []
    assert "agreed by Grace Hopper" in by_key(SCENES["deploying.override"])["override.o01override"].message.text


def test_keys_of_notes_are_never_the_same() -> None:
    for shown in SCENES.values():
        keys = [note.key for note in notes(shown)]
        assert len(keys) == len(set(keys))


def test_an_approver_is_asked_directly_with_the_same_facts_and_told_when_it_is_decided() -> None:
    shown = SCENES["awaiting_approval.plan_card"]
    asked = direct.ask(shown, GRACE.id)
    assert asked.text.startswith(
        "#42 checkout v1.1 → v1.2 to staging waits for your approval, requested by Ada Lovelace."
    )
    assert "✗ *Window*" in written(asked.blocks)
    assert [one["value"] for one in elements(asked.blocks)] == [
        one["value"] for one in elements(root(shown).blocks) if one["action_id"] != ActionId.ABORT
    ]
    mine = direct.ask(view(AWAITING, approval=approval(GRACE, need=2)), GRACE.id)
    assert labels(mine.blocks) == []
    assert "has your approval and waits for another" in mine.text
    decided = direct.ask(SCENES["queued.approved"], GRACE.id)
    assert labels(decided.blocks) == []
    assert "✓ *Approved* by Grace Hopper." in written(decided.blocks)
    assert "✗ *Rejected* by Grace Hopper." in written(direct.ask(SCENES["rejected.by_grace"], GRACE.id).blocks)


def test_a_vote_is_answered_with_what_it_comes_to() -> None:
    waiting = deployment(AWAITING)
    assert direct.voted(waiting, approval(GRACE)).text.startswith("✓ Approved: #42 checkout to staging")
    assert "Approval – 1 of 2: one more" in direct.voted(waiting, approval(GRACE, need=2)).text
    rejected = SCENES["rejected.by_grace"]
    assert direct.voted(rejected.deployment, rejected.approval).text.startswith("✗ Rejected: #42")


def test_gates_that_only_pass_are_not_listed() -> None:
    quiet = forecast(
        gate("lock", Verdict.PASS, "Nothing is locked."),
        gate("signature", Verdict.UNKNOWN, "The signer cannot be reached. Not to know is a no."),
    )
    shown = written(root(view(Phase.REQUESTED, forecast=quiet)).blocks)
    assert "Nothing is locked" not in shown
    assert "? *Signature* – Unknown: The signer cannot be reached. Not to know is a no" in shown
    first = forecast()
    first = replace(first, gates=(gate("order", Verdict.PASS, "Nothing has to come before staging."),), current=None)
    assert "Promotion order" not in written(root(view(Phase.REQUESTED, forecast=first)).blocks)


def test_what_runs_is_told_by_the_forecast_before_there_is_a_plan() -> None:
    shown = view(Phase.REQUESTED, forecast=forecast(current=release("v1.0")))
    assert "v1.0 → v1.2" in written(root(shown).blocks)


def test_the_time_that_was_asked_for_is_shown_until_it_is_set() -> None:
    shown = written(root(view(Phase.SCHEDULED, schedule=schedule())).blocks)
    assert "○ *Scheduled* – begins <!date^1762191000^" in shown
