"""Whether a deployment may go on, decided for a large organisation: every gate, with all that was found out before.

Choosing the rows, locks, freezes and windows that speak of the place is part of it; reading them from the store is not.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.report import Aim, Found, Row, percentile
from bench.world import environment, service
from bot.bootstrap import provider_models
from bot.catalog.watch import LiveCatalog
from bot.domain.actor import Actor, Membership
from bot.domain.history import ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.approval import Ballot, Subject, tally
from bot.domain.policy.freeze import Freeze
from bot.domain.policy.gates import Facts, check_gates, stopping
from bot.domain.policy.lock import ChangeType, LockLevel, StickyLock
from bot.domain.policy.scope import Scope
from bot.domain.release import Artifact, Release

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.catalog import Catalog

_SERVICES, _ENVIRONMENTS, _ROWS, _LOCKS, _WINDOWS, _FREEZES, _PEOPLE = 500, 20, 200, 1_000, 1_000, 20, 300
_DECISIONS = 5_000
_ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC")
_ACTIONS = ("[deploy, rollback]", "[approve]", "[deploy, abort, resolve]", "[lock, unlock]", '"*"')


async def measure(folder: Path) -> Found:
    """The decision as it is taken at a request, at a claim and before every change."""
    chance = random.Random(11)
    (folder / ".deploy").mkdir()
    path = folder / ".deploy" / "config.yaml"
    path.write_text(_catalog())
    began = time.perf_counter()
    catalog = LiveCatalog(path, providers=provider_models()).current()
    read = time.perf_counter() - began
    now = datetime.now(UTC)
    people = [Actor(workspace="T0SANDBOX", id=f"U{number:05}", name=f"Person {number}") for number in range(_PEOPLE)]
    locks = [_lock(number, now, people, chance) for number in range(_LOCKS)]
    freezes = [_freeze(number, now, people, chance) for number in range(_FREEZES)]
    taken: list[float] = []
    worked: list[float] = []
    said: Counter[str] = Counter()
    for _ in range(_DECISIONS):
        asked = _Asked(chance, people, now)
        began, before = time.perf_counter(), time.thread_time()
        results = check_gates(_facts(asked, catalog, locks, freezes))
        worked.append((time.thread_time() - before) * 1000)
        taken.append((time.perf_counter() - began) * 1000)
        said.update(result.name for result in stopping(results))
    if not {"access", "order", "lock", "freeze", "window", "approval"} <= said.keys():
        raise RuntimeError(f"not every gate ever said no, only {sorted(said)}: what was measured is no decision")
    return Found(
        rows=[
            Row(name="policy decision, p50", measured=percentile(taken, 0.5), unit="ms"),
            Row(name="policy decision, p99", measured=percentile(taken, 0.99), unit="ms", aim=Aim(limit=5)),
            Row(name="policy decision, the first", measured=taken[0], unit="ms"),
        ],
        details={
            "slowest in ms": max(taken),
            "p99 of the processor's time in ms": percentile(worked, 0.99),
            "seconds to read the catalog": read,
            "how often each gate said no": dict(said),
        },
    )


class _Asked:
    """Somebody asks for something somewhere."""

    def __init__(self, chance: random.Random, people: list[Actor], now: datetime) -> None:
        number = chance.randrange(_SERVICES)
        name = ServiceName(service(number))
        self.requester = chance.choice(people)
        self.groups = frozenset(f"team-{group}" for group in chance.sample(range(_ROWS // 2), 8))
        self.environment = EnvironmentName(environment(chance.randrange(_ENVIRONMENTS)))
        version = f"v1.{chance.randrange(4)}"
        artifact = Artifact(digest=f"sha256:{number:060}{version}", location=f"images/{name}:{version}")
        self.release = Release(service=name, version=version, artifact=artifact)
        self.rollback = chance.random() < 0.1
        self.at = now + timedelta(seconds=chance.randrange(3 * 86_400))
        self.approvers = chance.sample(people, 3)
        self.proven = chance.random() < 0.7


def _facts(asked: _Asked, catalog: Catalog, locks: list[StickyLock], freezes: list[Freeze]) -> Facts:
    """What there is to decide on, with the ballots counted: this is measured too."""
    place, release = catalog.environments[asked.environment], asked.release
    subject = Subject(
        digest=release.artifact.digest, environment=place.name, plan_hash="0" * 64, catalog_revision=catalog.revision
    )
    there = place.after and ProvenRelease(
        service=release.service,
        environment=place.after,
        release=release,
        proven_at=asked.at,
        deployment=DeploymentId("d1"),
        by=asked.requester,
    )
    rule = place.approval
    counted = (
        None
        if rule is None
        else tally(
            rule,
            subject,
            [Ballot(actor=one, approve=True, at=asked.at, subject_hash=subject.hash) for one in asked.approvers],
            requester=asked.requester,
            members=[Membership(actor=one, groups=asked.groups) for one in asked.approvers],
        )
    )
    return Facts(
        at=asked.at,
        requester=asked.requester,
        member=Membership(actor=asked.requester, groups=asked.groups),
        rules=catalog.rules,
        service=release.service,
        environment=place.name,
        release=release,
        rollback=asked.rollback,
        after=place.after,
        proven=[there] if there and asked.proven else [],
        locks=locks,
        freezes=freezes,
        windows=place.windows,
        needs_approval=rule is not None,
        tally=counted,
    )


def _lock(number: int, now: datetime, people: list[Actor], chance: random.Random) -> StickyLock:
    """Most are of one service in one environment, some of a service or an environment."""
    where = EnvironmentName(environment(chance.randrange(_ENVIRONMENTS)))
    what = ServiceName(service(chance.randrange(_SERVICES)))
    wide = number % 20
    return StickyLock(
        id=f"l{number}",
        scope=Scope(service=None if wide == 0 else what, environment=None if wide == 1 else where),
        change_type=ChangeType.CONFIG if number % 7 == 0 else ChangeType.ANY,
        level=LockLevel.WARN if number % 3 == 0 else LockLevel.BLOCK,
        reason=f"incident {number}",
        owner=chance.choice(people),
        at=now - timedelta(minutes=number),
        until=now + timedelta(minutes=number) if number % 2 else None,
    )


def _freeze(number: int, now: datetime, people: list[Actor], chance: random.Random) -> Freeze:
    where = EnvironmentName(environment(chance.randrange(_ENVIRONMENTS)))
    what = ServiceName(service(chance.randrange(_SERVICES)))
    return Freeze(
        id=f"f{number}",
        scope=Scope(service=what if number % 4 else None, environment=where),
        reason="an incident",
        by=chance.choice(people),
        at=now,
        until=now + timedelta(hours=number + 1),
    )


def _catalog() -> str:
    lines = ["version: 1", 'channel: "#deployments"', "zone: Europe/Paris", "environments:"]
    for number in range(_ENVIRONMENTS):
        lines.append(f"  {environment(number)}:")
        if number % 4:
            lines.append(f"    after: {environment(number - 1)}")
            lines.append(f"    approval: {{ quorum: {number % 4}, group: '@team-{number}', expires: 30m }}")
        lines.append("    windows:")
        lines += [f"      - {_window(window)}" for window in range(_WINDOWS // _ENVIRONMENTS)]
    lines.append("services:")
    block = "{ target: { type: local, root: platform }, images: { type: local, folder: artifacts } }"
    lines += [f"  {service(number)}: {block}" for number in range(_SERVICES)]
    lines.append("roles:")
    for number in range(_ROWS // 2):
        lines += [
            f"  role-{number}:",
            f"    members: ['@team-{number}', U{number:05}]",
            f"    allow: [{{ actions: {_ACTIONS[number % 5]}, services: 'service-{number % 5}*' }}]",
            f"    deny: [{{ actions: [break_glass, deploy], services: {service(number)}, environments: 'place-1?' }}]",
        ]
    lines += ["  approvers:", "    members: ['@team-0', U00000]", "    allow: [{ actions: approve }]"]
    return "\n".join(lines) + "\n"


def _window(number: int) -> str:
    """Half of them let in, and half keep out; some for some services only, some over midnight, in four zones."""
    rule, lasts = (
        (f'allow: "{number % 60} {6 + number % 3} * * *"', "2h"),
        (f'deny: "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR={number % 24};BYMINUTE=0"', "25h"),
        (f'allow: "0 {20 + number % 4} * * 2,4"', "3h"),
        (f'deny: "30 {number % 24} {1 + number % 28} {1 + number % 12} *"', "2d"),
        (f'deny: "0 12 * * {number % 7}"', "30m"),
    )[number % 5]
    services = f", services: 'service-{number % 5}*'" if number % 3 else ""
    return f"{{ name: window {number}, {rule}, for: {lasts}, zone: {_ZONES[number % 4]}{services} }}"
