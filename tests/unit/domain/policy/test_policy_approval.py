"""Approvals: of exactly this, by enough people, who are people, distinct, and not the one who asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import ADA, GRACE, LINUS, MINUTE, NOW, PRODUCTION, STAGING, member, person

from bot.domain.actor import BOT, Actor
from bot.domain.errors import ConfigurationError
from bot.domain.policy.approval import ApprovalRule, Ballot, Subject, Tally, TallyState, identity, tally

if TYPE_CHECKING:
    from datetime import datetime

SUBJECT = Subject(digest="sha256:a", environment=PRODUCTION, plan_hash="p1", catalog_revision="c1")
GRACE_WEB = Actor(workspace="github", id="grace", name="Grace on the web")
MEMBERS = [member(ADA), member(GRACE, "release-managers"), member(LINUS), member(GRACE_WEB)]
ONE, TWO = ApprovalRule(), ApprovalRule(quorum=2)


def ballot(
    actor: Actor,
    *,
    approve: bool = True,
    reason: str = "",
    subject: Subject = SUBJECT,
    at: datetime = NOW,
    link: str = "",
) -> Ballot:
    linked = frozenset({link}) if link else frozenset[str]()
    return Ballot(actor=actor, approve=approve, reason=reason, at=at, subject_hash=subject.hash, linked=linked)


def count(rule: ApprovalRule, *ballots: Ballot, requester: Actor = ADA, **more: object) -> Tally:
    facts: dict[str, object] = {"members": MEMBERS, **more}
    return tally(rule, SUBJECT, ballots, requester=requester, **facts)  # type: ignore[arg-type]  # tests mix them freely


def test_one_yes_of_another_person_approves() -> None:
    result = count(ONE, ballot(GRACE))
    assert result.approved
    assert (result.have, result.need, result.by, result.sentence) == (1, 1, (GRACE,), "Grace approved it.")


def test_nobody_approves_what_they_asked_for() -> None:
    result = count(ONE, ballot(ADA))
    assert result.state is TallyState.PENDING
    assert result.have == 0
    assert result.void[0].why == "Ada asked for it and may not approve it."


def test_nor_do_its_authors() -> None:
    result = count(ONE, ballot(GRACE), excluded=[GRACE])
    assert not result.approved
    assert "is an author of it" in result.void[0].why


@pytest.mark.parametrize("via", ["ballot", "links"])
def test_nor_under_another_name(via: str) -> None:
    ada_web = Actor(workspace="github", id="ada", name="ada-web")
    links = [frozenset({identity(ada_web), identity(ADA)})] if via == "links" else []
    cast = ballot(ada_web, link=identity(ADA) if via == "ballot" else "")
    result = count(ONE, cast, members=[member(ada_web)], links=links)
    assert not result.approved
    assert "asked for it" in result.void[0].why


def test_one_person_counts_once_however_often_and_under_whatever_name() -> None:
    twice = count(TWO, ballot(GRACE), ballot(GRACE, at=NOW + MINUTE))
    linked = count(TWO, ballot(GRACE), ballot(GRACE_WEB, link=identity(GRACE)))
    by_a_third = count(TWO, ballot(GRACE, link="mail:g"), ballot(GRACE_WEB, link="mail:g"))
    for result in (twice, linked, by_a_third):
        assert (result.state, result.have) == (TallyState.PENDING, 1)
        assert "one person counts once" in result.void[0].why
        assert result.sentence == "One more person must approve it."
    assert count(TWO, ballot(GRACE), ballot(LINUS)).sentence == "Grace and Linus approved it."


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("digest", "sha256:b", "the artifact"),
        ("environment", STAGING, "the environment"),
        ("plan_hash", "p2", "the plan"),
        ("catalog_revision", "c2", "the configuration"),
    ],
)
def test_any_change_voids_it_visibly(field: str, value: str, word: str) -> None:
    other: dict[str, Any] = {field: value}
    before = replace(SUBJECT, **other)
    assert SUBJECT.changes(before) == (word,)
    for approve in (True, False):
        result = count(ONE, ballot(GRACE, approve=approve, reason="no", subject=before))
        assert (result.state, result.have) == (TallyState.PENDING, 0)
        assert "was for something else" in result.void[0].why


def test_two_subjects_that_read_alike_are_two() -> None:
    one = replace(SUBJECT, plan_hash="p,c", catalog_revision="d")
    other = replace(SUBJECT, plan_hash="p", catalog_revision="c,d")
    assert one.hash != other.hash


def test_one_rejection_with_a_reason_vetoes() -> None:
    for others in ([ballot(GRACE)], [ballot(GRACE), ballot(LINUS, at=NOW + MINUTE)]):
        result = count(ONE, ballot(LINUS, approve=False, reason="the graph"), *others)
        assert result.state is TallyState.REJECTED
        assert result.sentence == "Linus rejected it: the graph"


def test_a_rejection_without_reason_does_not_count() -> None:
    result = count(ONE, ballot(LINUS, approve=False, reason="  "))
    assert result.state is TallyState.PENDING
    assert "gave no reason" in result.void[0].why


def test_at_least_one_of_the_group() -> None:
    rule = ApprovalRule(quorum=1, group="@release-managers")
    assert count(rule, ballot(LINUS)).sentence == "One of @release-managers must approve it too."
    assert count(rule).sentence == "One more person of @release-managers must approve it."
    assert count(replace(rule, quorum=2)).sentence == "2 more people must approve it, one of @release-managers."
    assert count(rule, ballot(LINUS), ballot(GRACE)).approved
    assert count(rule, ballot(GRACE)).approved


def test_a_person_is_in_the_group_under_any_of_their_names() -> None:
    rule = ApprovalRule(group="@release-managers")
    result = count(rule, ballot(GRACE_WEB, link=identity(GRACE)), ballot(GRACE, at=NOW + MINUTE))
    assert (result.approved, result.have) == (True, 1)


def test_the_fallback_will_do_only_once_it_was_asked() -> None:
    rule = ApprovalRule(group="@release-managers", fallback="@platform-leads")
    members = [member(LINUS, "platform-leads")]
    assert not count(rule, ballot(LINUS), members=members).approved
    assert count(rule, ballot(LINUS), members=members, escalated=True).approved
    waiting = count(rule, members=members, escalated=True)
    assert waiting.sentence == "One more person of @release-managers or @platform-leads must approve it."
    anybody = ApprovalRule(fallback="@platform-leads")
    assert count(anybody, ballot(GRACE), escalated=True).approved


def test_who_may_not_or_cannot_be_told_has_not_approved() -> None:
    stranger = count(ONE, ballot(person("Mallory")))
    assert stranger.void[0].why == "Mallory may not approve this."
    unknown = count(ONE, ballot(GRACE), members=None)
    assert (unknown.approved, unknown.sentence) == (
        False,
        "Who may approve cannot be told right now, so nobody has.",
    )


def test_the_bot_is_nobody() -> None:
    result = count(ONE, ballot(BOT), members=[member(BOT)])
    assert not result.approved
    assert "is not a person" in result.void[0].why


def test_too_late_is_too_late() -> None:
    until = ONE.expires_at(NOW)
    assert count(ONE, ballot(GRACE, at=until - MINUTE), until=until).approved
    late = count(ONE, ballot(GRACE, at=until), until=until)
    assert not late.approved
    assert "too late" in late.void[0].why


def test_when_people_are_reminded() -> None:
    rule = ApprovalRule(expires=1800)
    assert rule.nudges_at(NOW) == NOW + 15 * MINUTE
    assert rule.nudges_at(NOW) < rule.escalates_at(NOW) < rule.expires_at(NOW) == NOW + 30 * MINUTE


@pytest.mark.parametrize("fields", [{"quorum": 0}, {"quorum": -1}, {"expires": 0}])
def test_a_rule_that_lets_everybody_through_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ApprovalRule(**fields)


# -- properties -------------------------------------------------------------------------------------------------------

PEOPLE = [ADA, GRACE, LINUS, person("Barbara"), person("Edsger"), GRACE_WEB]
OTHER = replace(SUBJECT, plan_hash="p2")
parts = st.text(alphabet="ab:,1", max_size=4)
subjects = st.builds(Subject, digest=parts, environment=parts, plan_hash=parts, catalog_revision=parts)
ballots = st.lists(
    st.builds(
        Ballot,
        actor=st.sampled_from([*PEOPLE, BOT]),
        approve=st.booleans() | st.just(True),
        reason=st.sampled_from(["", "because"]),
        at=st.integers(0, 60).map(lambda n: NOW + n * MINUTE),
        subject_hash=st.sampled_from([SUBJECT.hash, SUBJECT.hash, SUBJECT.hash, OTHER.hash]),
        linked=st.frozensets(st.sampled_from(["x", "y", *map(identity, PEOPLE)]), max_size=2),
    ),
    max_size=8,
)
rules = st.builds(
    ApprovalRule, quorum=st.integers(1, 3), group=st.sampled_from([None, "@g"]), fallback=st.sampled_from([None, "@f"])
)
members = st.lists(
    st.builds(
        lambda who, groups: member(who, *groups), st.sampled_from([*PEOPLE, BOT]), st.sets(st.sampled_from("gf"))
    ),
    max_size=8,
    unique_by=lambda one: one.actor.id,
)


def persons(cast: list[Ballot]) -> dict[str, frozenset[str]]:
    """Which identities are one person, found by joining sets until nothing changes."""
    groups = [frozenset({identity(one.actor)}) | one.linked for one in cast]
    joined = True
    while joined:
        joined = False
        for one in groups:
            for other in groups:
                if one is not other and one & other:
                    groups = [g for g in groups if g not in {one, other}] + [one | other]
                    joined = True
                    break
            if joined:
                break
    return {name: group for group in groups for name in group}


@given(cast=ballots, rule=rules, who=members, escalated=st.booleans())
@settings(max_examples=500, deadline=None)
def test_property_what_is_approved_was_approved(cast, rule, who, escalated) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them
    result = tally(rule, SUBJECT, cast, requester=ADA, members=who, escalated=escalated)
    one_of = persons(cast)
    ada = one_of.get(identity(ADA), frozenset({identity(ADA)}))
    entitled = {identity(one.actor) for one in who} - {identity(BOT)}
    good = [b for b in cast if b.subject_hash == SUBJECT.hash and identity(b.actor) in entitled]
    if result.approved:
        yes = {one_of[identity(b.actor)] for b in good if b.approve} - {ada}
        assert len(yes) >= rule.quorum
        assert result.have == len(yes) == len(result.by)
        assert not any(not b.approve and b.reason for b in good)
        if rule.group:
            accepted = {"g"} | ({"f"} if escalated and rule.fallback else set())
            assert any(one.groups & accepted and identity(one.actor) in entitled for one in who)
    if any(not b.approve and b.reason for b in good):
        assert result.state is TallyState.REJECTED
    # Every ballot counts or is said not to.
    assert len(result.void) == len(cast) - result.have - sum(not b.approve and bool(b.reason) for b in good)


@given(cast=ballots, rule=rules, who=members)
@settings(deadline=None)
def test_property_never_by_the_requester_alone(cast, rule, who) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them
    alone = [b for b in cast if b.actor.same_as(ADA)]
    result = tally(rule, SUBJECT, alone, requester=ADA, members=[*who, member(ADA, "g", "f")], escalated=True)
    assert not result.approved
    assert result.have == 0


@given(cast=ballots, rule=rules, who=members)
@settings(deadline=None)
def test_property_a_changed_subject_voids_everything(cast, rule, who) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them
    changed = replace(SUBJECT, digest="sha256:other")
    result = tally(rule, changed, cast, requester=ADA, members=who)
    assert (result.state, result.have, len(result.void)) == (TallyState.PENDING, 0, len(cast))


@given(cast=ballots, rule=rules, who=members, more=st.frozensets(st.sampled_from([identity(p) for p in PEOPLE])))
@settings(deadline=None)
def test_property_knowing_more_links_never_helps(cast, rule, who, more) -> None:  # type: ignore[no-untyped-def]  # hypothesis fills them
    before = tally(rule, SUBJECT, cast, requester=ADA, members=who)
    after = tally(rule, SUBJECT, cast, requester=ADA, members=who, links=[more])
    assert after.have <= before.have
    assert before.approved or not after.approved


@given(one=subjects, other=subjects)
def test_property_two_subjects_never_share_a_hash(one: Subject, other: Subject) -> None:
    assert (one == other) == (one.hash == other.hash)
    assert (one == other) == (one.changes(other) == ())
