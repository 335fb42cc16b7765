"""Service accounts as subjects of the policy: by name alone, never a person, and never a second opinion."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from bot.domain.actor import Actor, ActorKind, Membership, service_account
from bot.domain.explanation import row_in_words
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import FOR_PEOPLE, Action, Effect, Rule, may
from bot.domain.policy.approval import ApprovalRule, Ballot, Subject, tally
from bot.slack.identity import Identity

CHECKOUT, PRODUCTION = ServiceName("checkout"), EnvironmentName("production")
BOT = Membership(actor=service_account("incident-bot"))
LOCKS = Rule(role="incidents", accounts=frozenset({"incident-bot"}), actions=frozenset({Action.LOCK}))
ALL = Rule(role="everything", accounts=frozenset({"incident-bot"}), actions=frozenset(Action))


def allowed(member: Membership, action: Action, *rules: Rule) -> bool:
    return may(rules, member, action, service=CHECKOUT, environment=PRODUCTION).allowed


def test_it_may_what_a_row_gives_it_and_nothing_else() -> None:
    assert not allowed(BOT, Action.LOCK)
    assert allowed(BOT, Action.LOCK, LOCKS)
    assert not allowed(BOT, Action.UNLOCK, LOCKS)
    assert not allowed(BOT, Action.LOCK, replace(LOCKS, environments=("staging",)))
    assert not allowed(BOT, Action.LOCK, replace(LOCKS, services=("web",)))
    assert not allowed(Membership(actor=service_account("incident")), Action.LOCK, LOCKS)


def test_a_deny_beats_every_allow() -> None:
    deny = replace(LOCKS, role="not-there", effect=Effect.DENY, environments=("prod*",))
    for rules in ((LOCKS, deny), (deny, LOCKS)):
        answer = may(rules, BOT, Action.LOCK, service=CHECKOUT, environment=PRODUCTION)
        assert (answer.allowed, answer.role) == (False, "not-there")
        assert may(rules, BOT, Action.LOCK, service=CHECKOUT, environment=EnvironmentName("staging")).allowed


def test_nobody_in_slack_is_one_by_any_name() -> None:
    for person in (
        Actor(workspace="T", id="incident-bot", name="sa:incident-bot"),
        Actor(workspace="", id="incident-bot", name="incident-bot"),
        Actor(workspace="T", id="sa:incident-bot", name="incident-bot"),
        Actor(kind=ActorKind.BOT, workspace="", id="incident-bot", name="incident-bot"),
    ):
        groups = frozenset({"incident-bot", "sa:incident-bot"})
        assert not allowed(Membership(actor=person, groups=groups), Action.LOCK, LOCKS)
        assert not person.same_as(BOT.actor)


def test_it_is_nobody_in_slack() -> None:
    people = Rule(
        role="people",
        users=frozenset({"incident-bot", "sa:incident-bot"}),
        groups=frozenset({"incident-bot", "sa:incident-bot"}),
        actions=frozenset(Action),
    )
    assert not allowed(BOT, Action.LOCK, people)
    assert not allowed(replace(BOT, groups=frozenset({"incident-bot"})), Action.LOCK, people)


@pytest.mark.parametrize("action", list(Action))
def test_what_takes_a_person_no_row_gives_it(action: Action) -> None:
    answer = may([ALL], BOT, action, service=CHECKOUT, environment=PRODUCTION)
    assert answer.allowed is (action not in FOR_PEOPLE)
    if action in FOR_PEOPLE:
        assert answer.reason == f"A service account may not {action.words} anything: it takes a person."


def test_a_row_names_it_with_its_prefix() -> None:
    assert row_in_words(LOCKS) == (
        "incidents: allows lock; service accounts sa:incident-bot; every service; every environment"
    )


async def test_who_it_is_needs_no_question_to_slack() -> None:
    identity = Identity(client=cast("object", None))  # type: ignore[arg-type]  # there is nobody to ask
    found = await identity.member(BOT.actor)
    assert (found.actor, found.groups) == (BOT.actor, frozenset())


def test_its_approval_never_counts_even_where_it_is_said_to_be_entitled() -> None:
    subject = Subject(digest="sha256:1", environment=PRODUCTION, plan_hash="p", catalog_revision="c")
    at = datetime(2031, 5, 17, 12, tzinfo=UTC)
    ballot = Ballot(actor=BOT.actor, approve=True, reason="", at=at, subject_hash=subject.hash)
    requester = Actor(workspace="T", id="U0ADA", name="Ada")
    counted = tally(ApprovalRule(quorum=1), subject, [ballot], requester=requester, members=[BOT])
    assert (counted.approved, counted.have) == (False, 0)
    assert [one.why for one in counted.void] == ["sa:incident-bot is not a person."]
