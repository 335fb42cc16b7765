"""Says at once when something happened that must never happen. Knows nothing of how the engine works.

What counts is what people were told (a freeze was confirmed), what is written in the database, and the instant at which
a target begins to change. Where something outside changed in the very moment between the last question and the change,
either answer is right, so both are allowed there and nowhere else.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, select

from bot.domain.errors import RequestRefused
from bot.domain.lifecycle import Phase
from bot.domain.policy.access import Action, may
from bot.domain.policy.approval import Ballot, Subject
from bot.domain.policy.lock import LockLevel
from bot.domain.policy.override import Override, OverrideKind
from bot.store import ballots, codec, overrides, questions, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.engine.simulation.outside import Place
    from unit.engine.simulation.world import World

    from bot.domain.catalog import Catalog
    from bot.domain.deployment import Deployment
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import StickyLock
    from bot.domain.policy.scope import Scope
    from bot.domain.release import Release


_A_MOMENT = timedelta(seconds=2)
"""Between looking at the clock and writing down what follows."""


@dataclass
class ConfirmedFreeze:
    """A freeze of which somebody was told that it stands."""

    freeze: Freeze
    at: float
    writing: frozenset[str]
    """Deployments of which they were told that a change is on its way."""
    lifted: bool = False


@dataclass
class ConfirmedLock:
    """A lock of which somebody was told that it stands."""

    lock: StickyLock
    at: float
    lifted: bool = False


@dataclass(frozen=True)
class State:
    """What was so from an instant on."""

    at: float
    catalog: Catalog
    unknown: frozenset[str]
    gone: frozenset[str]


@dataclass
class Watch:
    """Watches the world and the rows."""

    world: World
    freezes: list[ConfirmedFreeze] = field(default_factory=list)
    locks: list[ConfirmedLock] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    permits: dict[str, float] = field(default_factory=dict)
    """When each deployment was given its last permit."""
    unlocking: list[Scope] = field(default_factory=list)
    """Where somebody takes locks away just now, be they there yet or not."""
    thawing: list[Scope] = field(default_factory=list)
    """Where somebody lifts freezes just now."""
    sends: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    """When the first request of each operation was sent, and when the permit had been given that it was sent under."""
    forward: dict[str, int] = field(default_factory=dict)
    """How many forward changes were made."""

    def __post_init__(self) -> None:
        # Its own connection, and no task: nothing can happen while it looks.
        self._engine = create_engine(f"sqlite:///{self.world.path}")

    @contextlib.contextmanager
    def unlocked(self, scope: Scope) -> Iterator[None]:
        """Within it somebody takes locks away: whatever comes of it, they cannot be counted on."""

        def mark() -> None:
            for one in self.locks:
                one.lifted = one.lifted or one.lock.scope == scope

        with _lifting(self.unlocking, scope, mark):
            yield

    @contextlib.contextmanager
    def thawed(self, scope: Scope) -> Iterator[None]:
        """Within it somebody lifts freezes: whatever comes of it, they cannot be counted on."""

        def mark() -> None:
            for one in self.freezes:
                one.lifted = one.lifted or one.freeze.scope == scope

        with _lifting(self.thawing, scope, mark):
            yield

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def remember(self) -> None:
        """The outside has changed."""
        outside = self.world.outside
        self.states.append(
            State(
                self.world.loop.time(),
                outside.catalogs.now,
                frozenset(outside.people.unknown),
                frozenset(outside.people.gone),
            )
        )

    def permit(self, deployment: str) -> None:
        """A permit was given."""
        self.permits[deployment] = self.world.loop.time()

    def sent(self, operation: str) -> None:
        """A request for a change leaves."""
        deployment = operation.rsplit("-", 2)[0]
        self.sends[operation] = (self.world.loop.time(), self.permits.get(deployment))

    def deployment(self, deployment_id: str) -> Deployment:
        """Its row."""
        with self._engine.connect() as connection:
            found = connection.execute(select(*questions.COLUMNS).where(tables.deployments.c.id == deployment_id))
            return codec.deployment_of(found.mappings().one())

    def active(self) -> list[Deployment]:
        """Every deployment whose work is not over."""
        with self._engine.connect() as connection:
            found = connection.execute(questions.active_deployments()).mappings()
            return [codec.deployment_of(row) for row in found]

    def look(self) -> None:
        """Never have two deployments the same place for themselves."""
        holders: dict[str, int] = {}
        for one in self.active():
            if not one.phase.holds_lock:
                continue
            if one.scope in holders:
                self.world.fail(f"#{holders[one.scope]} and #{one.number} both have {one.scope} for themselves")
            holders[one.scope] = one.number

    def mutation(self, place: Place, operation: str, release: Release | None, *, forward: bool) -> None:
        """A target begins to change."""
        self.look()
        one = self.deployment(operation.rsplit("-", 2)[0])
        what = f"{place.name} begins to change for #{one.number}"
        if not one.phase.holds_lock:
            self.world.fail(f"{what}, which does not have {one.scope} for itself: it is {one.phase.words}")
        for other in self.world.outside.places.values():
            if self.world.outside.catalogs.now.lock_scope(other.service, other.environment) != one.scope:
                continue
            for change in other.under_way:
                if change.deployment != one.id and not self._closed_by_a_person(change.deployment):
                    number = self.deployment(change.deployment).number
                    self.world.fail(f"{what} while {other.name} is still being changed for #{number}")
        if not forward:
            return
        if one.phase not in {Phase.DEPLOYING, Phase.NEEDS_ATTENTION}:
            self.world.fail(f"{what}, which is {one.phase.words}")
        self.forward[one.id] = self.forward.get(one.id, 0) + 1
        if self.forward[one.id] > one.attempt:
            self.world.fail(f"{what} once more than anybody asked for")
        if release is None or not release.same_as(one.release):
            self.world.fail(f"{what} to {release}, and not to {one.release}")
        if not one.is_rollback:
            self._rules(place, one, operation, what)

    def _closed_by_a_person(self, deployment_id: str) -> bool:
        """Whether a person said that it be taken for done, whatever the target still does."""
        one = self.deployment(deployment_id)
        return one.phase is Phase.SUCCEEDED and one.timeline[-1].actor.id != "bot"

    def _rules(self, place: Place, one: Deployment, operation: str, what: str) -> None:
        sent, permit = self.sends[operation]
        if permit is None:
            self.world.fail(f"{what} without a permit")
            return
        now = self.world.now()
        glass = self._override(one, OverrideKind.BREAK_GLASS)
        passes = glass or self._override(one, OverrideKind.FREEZE)
        for frozen in self.freezes:
            if (
                frozen.freeze.scope.covers(one.service, one.environment)
                and not frozen.lifted
                and frozen.freeze.active(now)
                and one.id not in frozen.writing
                and not passes
            ):
                self.world.fail(
                    f"{what} after a freeze was confirmed at {frozen.at:.2f}: {frozen.freeze.sentence} "
                    f"(permit at {permit:.2f}, sent at {sent:.2f})"
                )
        for locked in self.locks:
            if (
                locked.lock.scope.covers(one.service, one.environment)
                and not locked.lifted
                and locked.lock.active(now)
                and locked.lock.level is LockLevel.BLOCK
                and (locked.lock.hard or not locked.lock.owner.same_as(one.requester))
                and locked.at < permit
                and not glass
            ):
                self.world.fail(f"{what} under a lock that was confirmed before it was asked: {locked.lock.sentence}")
        during = self._during(permit, sent)
        if not any(self._entitled(state, one.requester.name, Action.DEPLOY, one) for state in during):
            self.world.fail(f"{what} for {one.requester.name}, who may not deploy there, or of whom nobody knows")
        if not glass and not any(self._approved(state, one) for state in during):
            self.world.fail(
                f"{what} without an approval of exactly that: {[str(b) for b in self._ballots(one)]}, "
                f"subjects {[self._subject(state, one).hash[:8] for state in during]}"
            )
        queued = [moment.at for moment in one.timeline if moment.phase is Phase.QUEUED][-1]
        if one.wish and not one.wish.at <= queued < one.wish.expires + _A_MOMENT:
            self.world.fail(f"{what}, which was to begin within {one.wish} and was let go at {queued}")
        planned = one.plan.current.release if one.plan and one.plan.current else None
        begun = [moment.at for moment in one.timeline if moment.phase is Phase.DEPLOYING][-1]
        runs = place.running.release if place.running else None
        moved = self.world.instant(place.touched) >= begun or one.attempt > 1
        if runs is not None and not runs.same_as(planned) and not moved:
            self.world.fail(f"{what}: it was planned from {planned}, and {runs} runs")

    def _during(self, since: float, until: float) -> list[State]:
        """What was so at some instant between these two."""
        found = [state for state in self.states if since <= state.at <= until]
        before = [state for state in self.states if state.at < since]
        return [*before[-1:], *found]

    def _entitled(self, state: State, name: str, action: Action, one: Deployment) -> bool:
        if name in state.unknown or name in state.gone:
            return False
        people = replace(self.world.outside.people, unknown=set(), gone=set())
        try:
            member = people.door(name)
        except RequestRefused:
            return False
        answer = may(state.catalog.rules, member, action, service=one.service, environment=one.environment)
        return answer.allowed

    def _subject(self, state: State, one: Deployment) -> Subject:
        return Subject(
            digest=one.release.artifact.digest,
            environment=one.environment,
            plan_hash=one.plan.hash if one.plan else "",
            catalog_revision=state.catalog.revision,
        )

    def _approved(self, state: State, one: Deployment) -> bool:
        rule = state.catalog.environments[one.environment].approval
        if rule is None:
            return True
        if one.asked_at is None:
            return False
        subject, yes = self._subject(state, one).hash, set()
        for ballot in self._ballots(one):
            late = ballot.at >= rule.expires_at(one.asked_at)
            if ballot.subject_hash != subject or late or not self._may_say(state, ballot, one):
                continue
            if not ballot.approve:
                return False
            if not ballot.actor.same_as(one.requester):
                yes.add(ballot.actor.id)
        return len(yes) >= rule.quorum

    def _may_say(self, state: State, ballot: Ballot, one: Deployment) -> bool:
        return self._entitled(state, ballot.actor.name, Action.APPROVE, one)

    def _ballots(self, one: Deployment) -> list[Ballot]:
        with self._engine.connect() as connection:
            return [ballots._ballot(row) for row in connection.execute(ballots.ballots_of(one.id)).mappings()]

    def _override(self, one: Deployment, kind: OverrideKind) -> Override | None:
        """One that it has used and that lets it pass; for a freeze, with two people who are not the requester."""
        statement = overrides.overrides_at(one.service, one.environment, one.release.artifact.digest)
        with self._engine.connect() as connection:
            found = [overrides._override(row) for row in connection.execute(statement).mappings()]
        for override in found:
            if override.kind is not kind or override.used_by != one.id:
                continue  # what nobody has used lets nobody pass: it is used up before the change
            second = override.seconded_by
            agreed = second is not None and not second.same_as(override.by) and not second.same_as(one.requester)
            if kind is OverrideKind.BREAK_GLASS or agreed:
                return override
        return None


@contextlib.contextmanager
def _lifting(scopes: list[Scope], scope: Scope, mark: Callable[[], None]) -> Iterator[None]:
    scopes.append(scope)
    mark()
    try:
        yield
    except RequestRefused:
        scopes.remove(scope)
        raise
    # Who dies over it stays in the list: they may have done it, or their next life may.
    scopes.remove(scope)
    mark()
