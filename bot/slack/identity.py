"""Who a Slack user is to us: an actor with groups. Everything that is not certainly a member is refused.

This is `bot.ports.people.People` as Slack answers it. Memberships are at most a minute old. When Slack cannot be asked,
the answer is no, but for rollbacks, for which groups known within the last hour will do: a Slack that is down must not
keep a bad release in production.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.actor import Actor, ActorKind, Membership
from bot.domain.errors import IdentityUnknown, NotAuthorized
from bot.slack.trouble import TROUBLE, code_of, insistently

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

_FRESH = 60.0
_STALE = 3600.0
_UNREADABLE = "Slack cannot be asked right now who you are and which groups you are in, so the answer is no."
_NOBODY = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


@dataclass(frozen=True, slots=True)
class _Groups:
    of_user: Mapping[str, frozenset[str]]
    """Ids and handles of the groups that somebody is in."""
    users: Mapping[str, tuple[str, ...]]
    """Who is in a group, by its id and by its handle."""
    read_at: float


@dataclass(frozen=True, slots=True)
class _Person:
    actor: Actor | None
    refusal: str
    read_at: float
    zone: str


@dataclass(kw_only=True)
class Identity:
    """Looks people up in Slack and remembers them for a minute."""

    client: AsyncWebClient
    default_zone: Callable[[], str] = lambda: "UTC"
    """For people of whom Slack does not tell where they live."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that only rise; tests bring their own."""
    patience: float = 12.0
    """Seconds for which a Slack that limits us or is away for a moment is asked again, while somebody waits."""
    bot_user: str | None = None
    """Ourselves, once Slack has told."""
    bot_id: str | None = None
    _team: str | None = None
    _people: dict[str, _Person] = field(default_factory=dict)
    _groups: _Groups | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def membership(self, user_id: str, *, team_id: str | None, for_rollback: bool = False) -> Membership:
        """The person with their groups.

        Raises `NotAuthorized` for guests, bots, strangers and deactivated accounts, `IdentityUnknown` when Slack cannot
        be asked.
        """
        ours = await self._our_team()
        if team_id is not None and team_id != ours:
            raise NotAuthorized("People of other workspaces cannot deploy from here.")
        patience = _STALE if for_rollback else _FRESH
        person, groups = await asyncio.gather(self._person(user_id, ours, patience), self._membership(patience))
        if person.actor is None:
            raise NotAuthorized(person.refusal)
        remembered = self.clock() - min(person.read_at, groups.read_at) >= _FRESH
        return Membership(
            actor=person.actor, groups=groups.of_user.get(user_id, frozenset()), remembered=remembered and for_rollback
        )

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        """The actor with their groups now; raises like `membership`. A service account is nobody whom Slack knows."""
        if actor.kind is ActorKind.SERVICE_ACCOUNT:
            return Membership(actor=actor)
        return await self.membership(actor.id, team_id=actor.workspace or None, for_rollback=for_rollback)

    async def in_groups(self, groups: Collection[str]) -> Sequence[str]:
        """Ids of the people in any of these groups, each once, in the groups' order. Raises `IdentityUnknown`."""
        if not groups:
            return ()
        known = await self._membership(_FRESH)
        found = (user for group in groups for user in known.users.get(group.removeprefix("@"), ()))
        return tuple(dict.fromkeys(found))

    async def zone(self, user_id: str) -> str:
        """The IANA time zone in which somebody lives, or the catalog's where Slack does not tell."""
        try:
            person = await self._person(user_id, await self._our_team(), _STALE)
        except IdentityUnknown:
            return self.default_zone()
        return person.zone or self.default_zone()

    async def warm(self) -> None:
        """Read the groups once, so that the first command need not wait for them."""
        await self._our_team()
        await self._membership(_FRESH)

    async def _our_team(self) -> str:
        """The workspace that the bot is installed in; it never changes for a token."""
        if self._team is None:
            try:
                self.learn(await insistently(self.client.auth_test, within=self.patience))
            except TROUBLE as error:
                raise IdentityUnknown(_UNREADABLE) from error
        assert self._team is not None
        return self._team

    def learn(self, answer: AsyncSlackResponse) -> None:
        """Who we are and where, from Slack's answer to ``auth.test``."""
        self._team = str(answer["team_id"])
        self.bot_user, self.bot_id = answer.get("user_id"), answer.get("bot_id")

    async def _person(self, user_id: str, team: str, patience: float) -> _Person:
        known = self._people.get(user_id)
        if known and self.clock() - known.read_at < _FRESH:
            return known
        will_do = known is not None and self.clock() - known.read_at < patience
        try:
            answer = await insistently(
                lambda: self.client.users_info(user=user_id), within=0.0 if will_do else self.patience
            )
        except TROUBLE as error:
            if code_of(error) in _NOBODY:
                raise NotAuthorized("Slack knows nobody of that name, so the answer is no.") from error
            if known and will_do:
                return known
            raise IdentityUnknown(_UNREADABLE) from error
        person = self._read(user_id, team, answer["user"])
        if len(self._people) > 10_000:
            self._people.clear()
        self._people[user_id] = person
        return person

    def _read(self, user_id: str, team: str, user: dict[str, Any]) -> _Person:
        profile = user.get("profile") or {}
        name = profile.get("display_name") or user.get("real_name") or user.get("name") or user_id
        refusal = ""
        if user.get("deleted"):
            refusal = "A deactivated account cannot do that."
        elif user.get("is_bot") or user_id == "USLACKBOT":
            refusal = "Bots cannot do that."
        elif user.get("is_restricted") or user.get("is_ultra_restricted") or user.get("is_stranger"):
            refusal = "Guests cannot do that."
        elif user.get("team_id") not in {None, team}:
            refusal = "People of other workspaces cannot deploy from here."
        actor = None if refusal else Actor(workspace=team, id=user_id, name=name)
        return _Person(actor, refusal, self.clock(), str(user.get("tz") or ""))

    async def _membership(self, patience: float) -> _Groups:
        known = self._groups
        if known and self.clock() - known.read_at < _FRESH:
            return known
        async with self._reading:
            known = self._groups
            if known and self.clock() - known.read_at < _FRESH:
                return known
            will_do = known is not None and self.clock() - known.read_at < patience
            try:
                answer = await insistently(
                    lambda: self.client.usergroups_list(include_users=True), within=0.0 if will_do else self.patience
                )
            except TROUBLE as error:
                if known and will_do:
                    return known
                raise IdentityUnknown(_UNREADABLE) from error
            self._groups = _read_groups(answer.get("usergroups") or [], self.clock())
            return self._groups


def _read_groups(groups: Iterable[Mapping[str, Any]], at: float) -> _Groups:
    of_user: dict[str, set[str]] = {}
    users: dict[str, tuple[str, ...]] = {}
    for group in groups:
        if group.get("date_delete"):
            continue
        names = {str(group["id"]), str(group["handle"])}
        here = tuple(dict.fromkeys(str(user) for user in group.get("users") or []))
        users.update(dict.fromkeys(names, here))
        for user in here:
            of_user.setdefault(user, set()).update(names)
    return _Groups({user: frozenset(found) for user, found in of_user.items()}, users, at)
