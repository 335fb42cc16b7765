"""Deny by default, deny over allow, and every answer with its reason."""

from __future__ import annotations

import pytest

from bot.domain.actor import Actor, Membership
from bot.domain.ids import EnvironmentName, ServiceName
from bot.domain.policy.access import Action, Effect, Rule, may

CHECKOUT, STAGING, PRODUCTION = ServiceName("checkout"), EnvironmentName("staging"), EnvironmentName("production")
ADA = Membership(actor=Actor(workspace="T", id="U0ADA", name="Ada"), groups=frozenset({"deployers", "S1"}))
LINUS = Membership(actor=Actor(workspace="T", id="U0LINUS", name="Linus"))


def rule(**fields: object) -> Rule:
    defaults: dict[str, object] = {
        "role": "deployer",
        "groups": frozenset({"deployers"}),
        "actions": frozenset({Action.DEPLOY}),
    }
    return Rule(**{**defaults, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("action", list(Action))
def test_no_rule_no_right(action: Action) -> None:
    answer = may([], ADA, action, service=CHECKOUT, environment=STAGING)
    assert not answer.allowed
    assert "No role allows it" in answer.reason


def test_a_group_by_handle_or_id_and_a_user_are_subjects() -> None:
    for subject in (
        {"groups": frozenset({"deployers"})},
        {"groups": frozenset({"S1"})},
        {"groups": frozenset[str](), "users": frozenset({"U0ADA"})},
    ):
        assert may([rule(**subject)], ADA, Action.DEPLOY, service=CHECKOUT, environment=STAGING).allowed
        assert not may([rule(**subject)], LINUS, Action.DEPLOY, service=CHECKOUT, environment=STAGING).allowed


def test_deny_wins_wherever_it_stands() -> None:
    allow = rule(role="deployer")
    deny = rule(role="careful", effect=Effect.DENY, environments=("prod*",))
    for rules in ([allow, deny], [deny, allow]):
        assert may(rules, ADA, Action.DEPLOY, service=CHECKOUT, environment=STAGING).allowed
        answer = may(rules, ADA, Action.DEPLOY, service=CHECKOUT, environment=PRODUCTION)
        assert not answer.allowed
        assert "careful" in answer.reason


def test_the_refusal_names_the_role_that_it_takes() -> None:
    answer = may([rule()], LINUS, Action.DEPLOY, service=CHECKOUT, environment=STAGING)
    assert answer.reason == "You may not deploy checkout in staging. It takes the role deployer."


def test_one_action_does_not_bring_another() -> None:
    assert not may([rule()], ADA, Action.ROLLBACK, service=CHECKOUT, environment=STAGING).allowed


def test_who_may_roll_back_may_stop_what_is_under_way_and_not_the_other_way_round() -> None:
    back = rule(role="on-call", actions=frozenset({Action.ROLLBACK}))
    stop = rule(role="stopper", actions=frozenset({Action.ABORT}))
    for one in (back, stop):
        assert may([one], ADA, Action.ABORT, service=CHECKOUT, environment=STAGING).role == one.role
        assert not may([one], LINUS, Action.ABORT, service=CHECKOUT, environment=STAGING).allowed
    assert not may([stop], ADA, Action.ROLLBACK, service=CHECKOUT, environment=STAGING).allowed
    answer = may([stop, back], LINUS, Action.ABORT, service=CHECKOUT, environment=STAGING)
    assert answer.reason == "You may not abort checkout in staging. It takes the role stopper or on-call."


@pytest.mark.parametrize("denied", [Action.ABORT, Action.ROLLBACK])
def test_a_deny_of_either_denies_to_stop(denied: Action) -> None:
    both = rule(actions=frozenset({Action.ABORT, Action.ROLLBACK}))
    deny = rule(role="careful", effect=Effect.DENY, actions=frozenset({denied}))
    for rules in ([both, deny], [deny, both]):
        answer = may(rules, ADA, Action.ABORT, service=CHECKOUT, environment=STAGING)
        assert answer.reason == f"The role careful denies {denied} of checkout in staging."
    # What only stops is not what brings back: that one is denied by its own name alone.
    back = may([both, deny], ADA, Action.ROLLBACK, service=CHECKOUT, environment=STAGING)
    assert back.allowed == (denied is Action.ABORT)


def test_globs_are_case_sensitive_and_whole() -> None:
    narrow = rule(services=("check*",), environments=("staging",))
    assert may([narrow], ADA, Action.DEPLOY, service=CHECKOUT, environment=STAGING).allowed
    assert not may([narrow], ADA, Action.DEPLOY, service=ServiceName("xcheckout"), environment=STAGING).allowed
    assert not may([narrow], ADA, Action.DEPLOY, service=CHECKOUT, environment=EnvironmentName("staging2")).allowed
