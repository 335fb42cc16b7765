"""In what order a release goes through the environments: it must have been proven in the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.policy.access import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.history import ProvenRelease
    from bot.domain.ids import EnvironmentName
    from bot.domain.release import Release


def promoted(
    release: Release,
    environment: EnvironmentName,
    *,
    after: EnvironmentName | None,
    proven: Iterable[ProvenRelease],
    rollback: bool = False,
) -> Decision:
    """Whether the very bytes of ``release`` were proven in ``after``, the environment before ``environment``.

    ``proven`` are releases that count: one that was found bad since must not be among them. Rollbacks are exempt.
    """
    if after is None:
        return Decision(allowed=True, reason=f"Nothing has to come before {environment}.")
    if rollback:
        return Decision(allowed=True, reason="A rollback needs no other environment first.")
    there = [one for one in proven if one.environment == after and one.service == release.service]
    if any(one.release.same_as(release) for one in there):
        return Decision(allowed=True, reason=f"{release.version} has succeeded in {after}.")
    if any(one.release.version == release.version for one in there):
        reason = f"{release.version} has succeeded in {after} as another artifact; this one has not."
    else:
        reason = f"{release.version} has not succeeded in {after} yet, which comes before {environment}."
    return Decision(allowed=False, reason=f"{reason} Deploy it to {after} first.")


def path(environment: EnvironmentName, after: Mapping[EnvironmentName, EnvironmentName]) -> tuple[EnvironmentName, ...]:
    """The environments on the way to ``environment``, first one first and it last. Raises `ValueError` on a circle."""
    way = [environment]
    while (before := after.get(way[-1])) is not None:
        if before in way:
            circle = [*way[way.index(before) :], before]
            raise ValueError(f"The order goes in a circle: {' after '.join(circle)}.")
        way.append(before)
    return tuple(reversed(way))
