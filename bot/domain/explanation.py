"""Whether somebody may do something, told with the row that decides, for one place or for all of them at once.

Pure, and no second opinion: the row is found as `bot.domain.policy.access.may` decides; a test holds them together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.actor import ACCOUNT_PREFIX, Actor, Membership, service_account
from bot.domain.errors import UnknownEnvironment
from bot.domain.insight import Explanation
from bot.domain.policy.access import Action, Effect, for_people

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.domain.catalog import Catalog
    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.policy.access import Rule

    Place = tuple[ServiceName, EnvironmentName]

MOST_LINES = 20
_MOST_NAMES = 4
_OWN = {Action.ABORT: "abort", Action.SCHEDULE: "move"}
"""What everybody may do to what they have asked for themselves, unless a row denies it."""
_SOMEBODY = Actor(workspace="", id="", name="")


def explain(
    catalog: Catalog, action: Action, places: Sequence[Place], *, asker: Actor, subject: Membership
) -> list[Explanation]:
    """The answer for all of ``places``, those with the same answer in one line.

    ``subject`` comes with the groups that it is in now. At most `MOST_LINES`, of which the last one then sums up the
    rest.
    """
    about = [rule for rule in catalog.rules if rule.names(action) is not None and rule.speaks_of(subject)]
    found: dict[int | None, tuple[Rule | None, list[Place]]] = {}
    for place in places:
        row = deciding_row(about, subject, action, *place)
        found.setdefault(None if row is None else id(row), (row, []))[1].append(place)
    who = "You" if asker.same_as(subject.actor) else subject.actor.name
    lines = [_line(catalog, action, who, subject, row, of) for row, of in found.values()]
    if len(lines) <= MOST_LINES:
        return lines
    rest = [place for line in lines[MOST_LINES - 1 :] for place in line.places]
    told = Explanation(
        action=action,
        subject=subject.actor,
        allowed=None,
        places=tuple(rest),
        where=in_words(catalog, rest),
        reason=f"{len(rest)} more places have other answers; ask for a service or an environment by name.",
    )
    return [*lines[: MOST_LINES - 1], told]


def places_of(catalog: Catalog, service: str | None, environment: str | None) -> list[Place]:
    """The places of the catalog that fit; names that are None mean all of them.

    Raises `UnknownService` and `UnknownEnvironment`, also for a service that does not run in that environment.
    """
    one = catalog.service(service) if service is not None else None
    there = catalog.environment(environment) if environment is not None else None
    if one and there and there.name not in one.targets:
        raise UnknownEnvironment(
            f"{one.name} does not run in {there.name}.",
            token=there.name,
            hint=f"It runs in {', '.join(one.targets)}.",
        )
    return [
        (found.name, place.name)
        for found, place in catalog.places()
        if service in {None, found.name} and environment in {None, place.name}
    ]


def deciding_row(
    rules: Iterable[Rule], member: Membership, action: Action, service: ServiceName, environment: EnvironmentName
) -> Rule | None:
    """The row that decides: the first that denies it, else the first that allows it; None when none speaks about it."""
    allowing: Rule | None = None
    for rule in rules:
        if rule.covers(member, action, service, environment):
            if rule.effect is Effect.DENY:
                return rule
            allowing = allowing or rule
    return allowing


def row_in_words(rule: Rule) -> str:
    """A row of the policy in one line: role, effect, actions, people, groups, service accounts, services,
    environments.
    """
    actions = [action.value for action in Action if action in rule.actions]
    parts = [
        f"{rule.role}: {'allows' if rule.effect is Effect.ALLOW else 'denies'} "
        + ("every action" if len(actions) == len(Action) else _list(actions, most=len(actions))),
        f"users {', '.join(sorted(rule.users))}" if rule.users else "",
        f"groups {', '.join(sorted(rule.groups))}" if rule.groups else "",
        f"service accounts {', '.join(ACCOUNT_PREFIX + name for name in sorted(rule.accounts))}"
        if rule.accounts
        else "",
        _globs("service", rule.services),
        _globs("environment", rule.environments),
    ]
    return "; ".join(part for part in parts if part)


def _globs(noun: str, globs: Sequence[str]) -> str:
    return f"every {noun}" if "*" in globs else f"{noun}s {', '.join(globs)}"


def in_words(catalog: Catalog, places: Sequence[Place]) -> str:
    """Places of the catalog as people say them: ``checkout and web in staging; every service in production``."""
    chosen: dict[EnvironmentName, list[ServiceName]] = {}
    for service, environment in places:
        chosen.setdefault(environment, []).append(service)
    everywhere: dict[EnvironmentName, int] = {}
    for _, place in catalog.places():
        everywhere[place.name] = everywhere.get(place.name, 0) + 1
    together: dict[str, list[str]] = {}
    for environment, services in chosen.items():
        # One service is called by its name, even where there is no other.
        every = len(services) == everywhere.get(environment) and len(services) > 1
        together.setdefault("every service" if every else _list(services), []).append(environment)
    return "; ".join(
        f"{services} in " + ("every environment" if len(found) == len(everywhere) > 1 else _list(found))
        for services, found in together.items()
    )


def _line(
    catalog: Catalog, action: Action, who: str, subject: Membership, row: Rule | None, places: list[Place]
) -> Explanation:
    where = in_words(catalog, places)
    allowed = row is not None and row.effect is Effect.ALLOW
    if row is not None:
        why = f"the role {row.role} {'allows' if allowed else 'denies'} it."
    elif for_people(subject, action):
        why = "it takes a person, whatever a row says."
    else:
        roles = _holders(catalog, action, places)
        why = f"no row allows it. It takes the role {' or '.join(roles)}." if roles else "no role allows it."
        if own := _OWN.get(action):
            why += f" What one has asked for oneself, one may {own} all the same."
    return Explanation(
        action=action,
        subject=subject.actor,
        allowed=allowed,
        places=tuple(places),
        where=where,
        reason=f"{who} may {'' if allowed else 'not '}{action.words} {where}: {why}",
        role=row.role if row else None,
        row=row_in_words(row) if row else "",
        rule=row,
    )


def _holders(catalog: Catalog, action: Action, places: Sequence[Place]) -> list[str]:
    """Roles that would allow it in the first of the places."""
    roles = [
        rule.role
        for rule in catalog.rules
        if rule.effect is Effect.ALLOW
        for anybody in _anybody(rule)
        if rule.covers(anybody, action, *places[0])
    ]
    return list(dict.fromkeys(roles))[:_MOST_NAMES]


def _anybody(rule: Rule) -> Iterable[Membership]:
    """Somebody whom the row speaks of, if it speaks of anybody."""
    for name in sorted(rule.users)[:1] or ([""] if rule.groups else []):
        yield Membership(actor=replace(_SOMEBODY, id=name), groups=rule.groups)
    for account in sorted(rule.accounts)[:1]:
        yield Membership(actor=service_account(account))


def _list(names: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    shown = [str(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
