"""People, places and values that the policy's tests share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.domain.actor import Actor, Membership
from bot.domain.history import ProvenRelease
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.policy.access import Action, Rule
from bot.domain.policy.recurrence import read_recurrence
from bot.domain.policy.window import Window, WindowKind
from bot.domain.release import Artifact, Release

CHECKOUT, PAYMENTS = ServiceName("checkout"), ServiceName("payments")
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")
NOW = datetime(2026, 5, 6, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def person(name: str) -> Actor:
    return Actor(workspace="T1", id=f"U0{name.upper()}", name=name)


ADA, GRACE, LINUS = person("Ada"), person("Grace"), person("Linus")


def member(actor: Actor, *groups: str) -> Membership:
    return Membership(actor=actor, groups=frozenset(groups))


def release(version: str = "v1.2", digest: str | None = None) -> Release:
    artifact = Artifact(digest=digest or f"sha256:{version}", location=f"images/{version}")
    return Release(service=CHECKOUT, version=version, artifact=artifact)


def proven(what: Release, environment: EnvironmentName = STAGING) -> ProvenRelease:
    return ProvenRelease(
        service=what.service,
        environment=environment,
        release=what,
        proven_at=NOW - HOUR,
        deployment=DeploymentId("d1"),
        by=ADA,
    )


def everybody_may(*actors: Actor) -> tuple[Rule, ...]:
    return (Rule(role="deployer", users=frozenset(actor.id for actor in actors), actions=frozenset(Action)),)


def window(kind: str, rule: str, hours: float, zone: str = "Europe/Paris", name: str | None = None) -> Window:
    return Window(
        name=name or f"{kind} {rule}",
        kind=WindowKind(kind),
        rule=read_recurrence(rule),
        duration=hours * 3600,
        zone=zone,
    )
