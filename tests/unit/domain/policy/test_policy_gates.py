"""All gates together: one order, fail closed, rollbacks exempt, exceptions recorded and good for once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import (
    ADA,
    CHECKOUT,
    GRACE,
    HOUR,
    LINUS,
    MINUTE,
    NOW,
    PAYMENTS,
    PRODUCTION,
    STAGING,
    everybody_may,
    member,
    proven,
    release,
    window,
)

from bot.domain.ids import DeploymentId, EnvironmentName
from bot.domain.policy.access import Action, Effect, Rule
from bot.domain.policy.approval import Tally, TallyState
from bot.domain.policy.freeze import Freeze, covering, ends_at
from bot.domain.policy.gates import Facts, GateResult, Verdict, check_gates, opens_at, stopping
from bot.domain.policy.lock import LockLevel, StickyLock
from bot.domain.policy.order import path, promoted
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.scope import EVERYTHING, Scope

if TYPE_CHECKING:
    from bot.domain.actor import Actor

MINE = DeploymentId("d42")
FREEZE = Freeze(id="f1", scope=Scope(environment=PRODUCTION), reason="the fair", by=GRACE, at=NOW - HOUR)
LOCK = StickyLock(id="l1", scope=Scope(environment=PRODUCTION), reason="hands off", owner=GRACE, at=NOW - HOUR)
CLOSED = window("allow", "0 3 * * *", 1, "UTC", name="night")
PENDING = Tally(state=TallyState.PENDING, have=0, need=1, sentence="One more person must approve it.")
APPROVED = Tally(state=TallyState.APPROVED, have=1, need=1, by=(GRACE,), sentence="Grace approved it.")
GOOD = Facts(
    at=NOW,
    requester=ADA,
    member=member(ADA),
    rules=everybody_may(ADA),
    service=CHECKOUT,
    environment=PRODUCTION,
    release=release(),
    deployment=MINE,
    after=STAGING,
    proven=(proven(release()),),
    needs_approval=True,
    tally=APPROVED,
)
NAMES = ["access", "order", "artifact", "lock", "freeze", "window", "approval"]


def override(kind: OverrideKind = OverrideKind.FREEZE, **fields: Any) -> Override:
    facts: dict[str, Any] = {
        "id": "o1",
        "service": CHECKOUT,
        "environment": PRODUCTION,
        "digest": release().artifact.digest,
        "by": ADA,
        "reason": "the site is down",
        "at": NOW - MINUTE,
        "until": NOW + HOUR,
        "seconded_by": GRACE,
    }
    return Override(kind=kind, **{**facts, **fields})


def stops(facts: Facts) -> list[str]:
    return [result.name for result in stopping(check_gates(facts))]


def result_of(name: str, facts: Facts) -> GateResult:
    return next(result for result in check_gates(facts) if result.name == name)


def test_all_gates_answer_in_one_order() -> None:
    results = check_gates(GOOD)
    assert [result.name for result in results] == NAMES
    assert {result.verdict for result in results} == {Verdict.PASS}
    assert opens_at(results) is None


BAD: dict[str, dict[str, Any]] = {
    "access": {"rules": ()},
    "order": {"proven": ()},
    "artifact": {"artifact_there": False},
    "lock": {"locks": (LOCK,)},
    "freeze": {"freezes": (FREEZE,)},
    "window": {"windows": (CLOSED,)},
    "approval": {"tally": PENDING},
}
UNKNOWN: dict[str, dict[str, Any]] = {
    "access": {"member": None},
    "order": {"proven": None},
    "artifact": {"artifact_there": None},
    "lock": {"locks": None},
    "freeze": {"freezes": None},
    "approval": {"tally": None},
}


@pytest.mark.parametrize("name", BAD)
def test_each_gate_stops_alone_and_says_why(name: str) -> None:
    facts = replace(GOOD, **BAD[name])
    assert stops(facts) == [name]
    answer = result_of(name, facts)
    assert answer.verdict is Verdict.BLOCK
    assert answer.sentence.endswith((".", "fair", "off"))


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_stops_it(name: str) -> None:
    facts = replace(GOOD, **UNKNOWN[name])
    assert stops(facts) == [name]
    answer = result_of(name, facts)
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.sentence.endswith("cannot be told right now. Not to know is a no.")


def test_somebody_elses_membership_is_no_membership() -> None:
    assert stops(replace(GOOD, member=member(GRACE))) == ["access"]


def test_all_gates_are_asked_even_when_the_first_stops() -> None:
    everything: dict[str, Any] = {key: value for bad in BAD.values() for key, value in bad.items()}
    assert stops(replace(GOOD, **everything)) == NAMES


def test_other_checks_stand_between_and_stop_when_they_are_unknown() -> None:
    checks = (
        GateResult(name="build", verdict=Verdict.PASS, sentence="The build is green."),
        GateResult(name="scan", verdict=Verdict.UNKNOWN, sentence="The scanner does not answer."),
    )
    facts = replace(GOOD, checks=checks)
    assert [result.name for result in check_gates(facts)] == [*NAMES[:3], "build", "scan", *NAMES[3:]]
    assert stops(facts) == ["scan"]


def test_when_it_opens_by_itself_is_when_the_last_one_opens() -> None:
    ends = replace(FREEZE, until=NOW + HOUR)
    assert opens_at(check_gates(replace(GOOD, freezes=(ends,)))) == NOW + HOUR
    both = replace(GOOD, freezes=(ends,), windows=(CLOSED,))
    assert opens_at(check_gates(both)) == result_of("window", both).until
    assert opens_at(check_gates(replace(both, tally=PENDING))) is None
    assert opens_at(check_gates(replace(both, freezes=(FREEZE,)))) is None


# -- rollbacks --------------------------------------------------------------------------------------------------------


def test_defect_12_a_freeze_or_a_window_never_blocks_the_fix() -> None:
    facts = replace(GOOD, rollback=True, freezes=(FREEZE,), windows=(CLOSED,), proven=(), tally=None)
    assert stops(facts) == []
    for name in ("freeze", "window"):
        answer = result_of(name, facts)
        assert answer.verdict is Verdict.WARN
        assert "A rollback is exempt" in answer.sentence
    assert stops(replace(facts, freezes=None)) == []


def test_a_rollback_still_needs_the_right_and_is_held_by_a_persons_lock() -> None:
    only_deploys = (Rule(role="deployer", users=frozenset({ADA.id}), actions=frozenset({Action.DEPLOY})),)
    assert stops(replace(GOOD, rollback=True, rules=only_deploys)) == ["access"]
    assert stops(replace(GOOD, rollback=True, locks=(LOCK,))) == ["lock"]
    assert stops(replace(GOOD, rollback=True, locks=(replace(LOCK, level=LockLevel.WARN),))) == []
    assert stops(replace(GOOD, rollback=True, locks=None)) == ["lock"]


def test_defect_11_a_rollback_needs_its_artifact() -> None:
    assert stops(replace(GOOD, rollback=True, artifact_there=False)) == ["artifact"]


# -- exceptions -------------------------------------------------------------------------------------------------------

FROZEN = replace(GOOD, freezes=(FREEZE,), windows=(CLOSED,))
HELD = replace(FROZEN, locks=(LOCK,), tally=PENDING)


def test_an_override_passes_freeze_and_window_and_nothing_else() -> None:
    assert stops(replace(FROZEN, overrides=(override(),))) == []
    assert stops(replace(HELD, overrides=(override(),))) == ["lock", "approval"]
    answer = result_of("freeze", replace(FROZEN, overrides=(override(),)))
    assert answer.verdict is Verdict.WARN
    assert answer.sentence.endswith("Ada overrides the freeze with Grace: the site is down")


@pytest.mark.parametrize(
    "fields",
    [
        {"seconded_by": None},
        {"seconded_by": ADA},
        {"by": GRACE, "seconded_by": ADA},
        {"by": GRACE, "seconded_by": GRACE},
        {"reason": " "},
        {"digest": "sha256:other"},
        {"environment": STAGING},
        {"service": PAYMENTS},
        {"until": NOW},
        {"used_by": DeploymentId("d41")},
    ],
)
def test_an_override_takes_two_people_and_a_reason_and_is_for_one_deployment(
    fields: dict[str, Any],
) -> None:
    assert stops(replace(FROZEN, overrides=(override(**fields),))) == ["freeze", "window"]


def test_an_override_that_this_deployment_used_in_time_stays_good_for_it() -> None:
    used = override(used_by=MINE, until=NOW - MINUTE, at=NOW - HOUR)
    assert stops(replace(FROZEN, overrides=(used,))) == []
    assert stops(replace(FROZEN, overrides=(used,), deployment=DeploymentId("d43"))) == ["freeze", "window"]
    assert stops(replace(FROZEN, overrides=(used,), deployment=None)) == ["freeze", "window"]


def test_defect_an_override_of_a_replica_whose_clock_runs_ahead_did_not_count_yet() -> None:
    assert stops(replace(FROZEN, overrides=(override(at=NOW + MINUTE),))) == []


def test_breaking_the_glass_passes_lock_freeze_window_and_approval_by_one_person() -> None:
    glass = override(OverrideKind.BREAK_GLASS, seconded_by=None)
    facts = replace(HELD, overrides=(glass,))
    assert stops(facts) == []
    for name in ("lock", "freeze", "window", "approval"):
        assert result_of(name, facts).verdict is Verdict.WARN
    assert "Ada broke the glass: the site is down" in result_of("approval", facts).sentence
    assert stops(replace(facts, locks=None, freezes=None)) == []


@pytest.mark.parametrize("name", ["access", "order", "artifact"])
def test_breaking_the_glass_never_passes_who_may_what_is_proven_or_what_is_there(name: str) -> None:
    glass = override(OverrideKind.BREAK_GLASS)
    assert stops(replace(GOOD, **BAD[name], overrides=(glass,))) == [name]
    assert stops(replace(GOOD, **UNKNOWN[name], overrides=(glass,))) == [name]


def test_a_deny_beats_the_broken_glass() -> None:
    deny = Rule(role="careful", effect=Effect.DENY, users=frozenset({ADA.id}), actions=frozenset(Action))
    glass = override(OverrideKind.BREAK_GLASS)
    assert stops(replace(HELD, rules=(*everybody_may(ADA), deny), overrides=(glass,))) == ["access"]


def test_who_passes_their_own_block_is_seen_to() -> None:
    facts = replace(GOOD, requester=GRACE, member=member(GRACE), rules=everybody_may(GRACE), locks=(LOCK,))
    assert result_of("lock", facts).verdict is Verdict.WARN


# -- freezes ----------------------------------------------------------------------------------------------------------


def test_a_freeze_covers_its_scope_while_it_lasts() -> None:
    ends = replace(FREEZE, id="f2", until=NOW + HOUR)
    line = replace(FREEZE, id="f3", scope=EVERYTHING)
    elsewhere = replace(FREEZE, id="f4", scope=Scope(service=PAYMENTS))
    over = replace(FREEZE, id="f5", until=NOW)
    found = covering([ends, FREEZE, line, elsewhere, over], CHECKOUT, PRODUCTION, NOW)
    assert [freeze.id for freeze in found] == ["f3", "f1", "f2"]
    assert ends_at(found) is None
    assert ends_at([ends, over]) == NOW + HOUR
    assert ends_at([]) is None
    assert line.sentence == "Everything is frozen by Grace: the fair"


def test_defect_a_freeze_of_a_replica_whose_clock_runs_ahead_did_not_count_yet() -> None:
    ahead = replace(FREEZE, at=NOW + MINUTE)
    assert covering([ahead], CHECKOUT, PRODUCTION, NOW) == (ahead,)
    assert result_of("freeze", replace(GOOD, freezes=(ahead,))).verdict is Verdict.BLOCK


def test_a_freeze_holds_from_its_very_instant_and_is_lifted_at_once() -> None:
    fresh = replace(FREEZE, at=NOW)
    assert fresh.active(NOW)
    assert not fresh.lifted(NOW).active(NOW)
    assert fresh.lifted(NOW).lifted(NOW + HOUR).until == NOW


# -- order ------------------------------------------------------------------------------------------------------------


def test_a_release_goes_where_the_very_same_bytes_have_succeeded() -> None:
    other = release("v1.2", "sha256:rebuilt")
    assert promoted(release(), PRODUCTION, after=STAGING, proven=[proven(release())]).allowed
    assert promoted(release(), PRODUCTION, after=None, proven=[]).allowed
    assert promoted(release("v1.0"), PRODUCTION, after=STAGING, proven=[], rollback=True).allowed
    rebuilt = promoted(other, PRODUCTION, after=STAGING, proven=[proven(release())])
    assert rebuilt.reason == (
        "v1.2 has succeeded in staging as another artifact; this one has not. Deploy it to staging first."
    )
    missing = promoted(release(), PRODUCTION, after=STAGING, proven=[proven(release(), PRODUCTION)])
    assert missing.reason == (
        "v1.2 has not succeeded in staging yet, which comes before production. Deploy it to staging first."
    )


def test_another_services_success_is_not_ones_own() -> None:
    theirs = replace(proven(release()), service=PAYMENTS)
    assert not promoted(release(), PRODUCTION, after=STAGING, proven=[theirs]).allowed


def test_the_way_to_an_environment_and_circles() -> None:
    qa = EnvironmentName("qa")
    assert path(PRODUCTION, {PRODUCTION: STAGING, STAGING: qa}) == (qa, STAGING, PRODUCTION)
    assert path(qa, {}) == (qa,)
    for circle in ({qa: qa}, {PRODUCTION: STAGING, STAGING: PRODUCTION}):
        with pytest.raises(ValueError, match="circle"):
            path(next(iter(circle)), circle)


# -- properties -------------------------------------------------------------------------------------------------------


@st.composite
def facts_of_all_kinds(draw: st.DrawFn) -> Facts:
    who: Actor = draw(st.sampled_from([ADA, GRACE, LINUS]))
    return replace(
        GOOD,
        requester=who,
        member=draw(st.sampled_from([None, member(who), member(GRACE)])),
        rules=draw(st.sampled_from([(), everybody_may(ADA, GRACE, LINUS)])),
        rollback=draw(st.booleans()),
        proven=draw(st.sampled_from([None, (), (proven(release()),)])),
        artifact_there=draw(st.sampled_from([None, False, True])),
        locks=draw(st.sampled_from([None, (), (LOCK,), (replace(LOCK, hard=True),)])),
        freezes=draw(st.sampled_from([None, (), (FREEZE,), (replace(FREEZE, until=NOW + HOUR),)])),
        windows=draw(st.sampled_from([(), (CLOSED,)])),
        needs_approval=draw(st.booleans()),
        tally=draw(st.sampled_from([None, PENDING, APPROVED])),
        overrides=draw(
            st.sampled_from([(), (override(),), (override(by=LINUS),), (override(OverrideKind.BREAK_GLASS),)])
        ),
    )


@given(facts=facts_of_all_kinds())
@settings(max_examples=500, deadline=None)
def test_property_nothing_passes_that_must_not(facts: Facts) -> None:
    results = check_gates(facts)
    assert [result.name for result in results] == NAMES
    assert all(result.sentence for result in results)
    assert all(result.until is None or result.verdict is Verdict.BLOCK for result in results)
    if stopping(results):
        return
    assert facts.member
    assert facts.rules
    assert facts.artifact_there
    glass = any(one.kind is OverrideKind.BREAK_GLASS for one in facts.overrides)
    if not facts.rollback:
        assert facts.proven
        assert glass or not facts.needs_approval or facts.tally is APPROVED
        assert facts.overrides or (facts.freezes == () and facts.windows == ())
    assert glass or facts.locks is not None


@given(facts=facts_of_all_kinds())
@settings(deadline=None)
def test_property_the_same_facts_give_the_same_answer(facts: Facts) -> None:
    assert check_gates(facts) == check_gates(facts)
