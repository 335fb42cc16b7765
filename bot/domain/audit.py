"""The audit: who did what, when, by which door and on whose authority, each row bound to the one before it.

Pure: makes rows and checks them. Must not store them, and must not let a secret into them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.actor import ActorKind, Door
from bot.domain.errors import RequestRefused
from bot.domain.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.actor import Actor
    from bot.domain.deployment import Deployment
    from bot.domain.history import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Who does something, when, and on what authority: what every change of the rules is recorded with."""

    actor: Actor
    at: datetime
    reason: str = ""
    """Why, in the actor's words."""
    door: Door | None = None
    rule: str = ""
    """The policy row that allows it."""
    override: bool = False
    """Done although a gate said no."""
    permalink: str = ""
    """Of the message that tells of it, below the address of the workspace: ``archives/C012AB/p1795…``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act, before it has its place in the chain."""

    act: str
    """What was done, as ``noun.verb``: ``deployment.requested``, ``lock.placed``."""
    object: str
    """To what, as ``noun:id``: ``deployment:d01…``."""
    about: str = ""
    """What that is to people: ``checkout v1.2 → production (sha256:…)``."""
    before: str = ""
    after: str = ""
    deed: Deed


COLUMNS = (
    "at",
    "actor_kind",
    "actor_workspace",
    "actor_id",
    "actor_name",
    "door",
    "act",
    "object",
    "about",
    "before",
    "after",
    "reason",
    "rule",
    "override",
    "permalink",
    "previous",
    "hash",
)
"""Every column of a row but its sequence. All are text and none is null: what is hashed is what is there."""

GENESIS = "0" * 64
"""Stands for the hash before the first row."""

_LONGEST = 4000
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest row of the chain. Kept elsewhere, it proves later that nothing before it was changed or cut off."""

    sequence: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> ChainHead:
        """The head that ``str`` wrote; raises `RequestRefused`."""
        number, _, digest = text.strip().partition(":")
        if not (number.isascii() and number.isdigit() and len(number) < 19 and len(digest) == len(GENESIS)):
            raise RequestRefused(f"{text!r} is not a head. One looks like 42:9f86d081… with 64 characters of hash.")
        return cls(int(number), digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """What a look at the whole chain found."""

    ok: bool
    rows: int
    """Rows that are as they were written."""
    head: ChainHead
    """The last good row."""
    broken: int | None = None
    """The sequence of the first row that is not; None also when only the stored head is damaged."""
    why: str = ""


def entry_of(event: Event, deployment: Deployment) -> AuditEntry:
    """What the audit says about an event of a deployment."""
    return AuditEntry(
        act=f"deployment.{event.kind}",
        object=f"deployment:{deployment.id}",
        about=about_deployment(deployment),
        before=event.before or "",
        after=event.after or "",
        deed=Deed(
            actor=event.actor,
            at=event.at,
            reason=event.note,
            door=event.door,
            rule=event.rule,
            override=event.override,
            permalink=event.permalink,
        ),
    )


def about_deployment(deployment: Deployment) -> str:
    """A deployment in one line, with exactly what it ships."""
    release = deployment.release
    return f"{deployment.service} {release.version} → {deployment.environment} ({release.artifact.digest})"


def link(entry: AuditEntry, after: ChainHead) -> tuple[dict[str, str], ChainHead]:
    """The row of an entry that follows ``after``, and the head that it makes. Raises `TypeError` for a naive time."""
    deed = entry.deed
    door = deed.door or (Door.ENGINE if deed.actor.kind is ActorKind.BOT else "")
    row = {
        "at": instant(deed.at),
        "actor_kind": deed.actor.kind.value,
        "actor_workspace": _clean(deed.actor.workspace),
        "actor_id": _clean(deed.actor.id),
        "actor_name": _clean(deed.actor.name),
        "door": str(door),
        "act": entry.act,
        "object": _clean(entry.object),
        "about": _clean(entry.about),
        "before": _clean(entry.before),
        "after": _clean(entry.after),
        "reason": _clean(deed.reason),
        "rule": _clean(deed.rule),
        "override": "yes" if deed.override else "no",
        "permalink": _clean(deed.permalink),
        "previous": after.hash,
    }
    sequence = after.sequence + 1
    row["hash"] = digest(sequence, row)
    return row, ChainHead(sequence, row["hash"])


def digest(sequence: int, row: Mapping[str, str]) -> str:
    """SHA-256 over the canonical form of a row: ASCII JSON of its fields, sorted, the empty ones left out.

    What is empty is left out so that a column which a later build adds leaves the hashes of older rows as they are.
    """
    fields: dict[str, str | int] = {name: value for name, value in row.items() if value and name != "hash"}
    fields["sequence"] = sequence
    return hashlib.sha256(_canonical(fields).encode("ascii")).hexdigest()


class ChainCheck:
    """Follows the chain row by row and stops at the first that is not as it was written."""

    def __init__(self, *, against: ChainHead | None = None) -> None:
        self._against = against
        self.head = ChainHead()
        self.broken: int | None = None
        self.why = ""

    def follow(self, sequence: int, row: Mapping[str, str] | None) -> bool:
        """Take the next row (None: it holds what was never written); False once the chain is broken."""
        expected = self.head.sequence + 1
        if sequence < expected:
            return self.fail(sequence, f"Row {sequence} was put in: the chain begins with row 1.")
        if sequence > expected:
            return self.fail(expected, f"Row {expected} is missing.")
        if row is None or digest(sequence, row) != row["hash"]:
            return self.fail(sequence, f"Row {sequence} was changed: its content does not match its hash.")
        if row["previous"] != self.head.hash:
            if sequence == 1:
                return self.fail(1, "Row 1 was changed: it does not begin the chain.")
            why = f"Row {sequence - 1} was replaced: row {sequence} was chained to another one."
            return self.fail(sequence - 1, why)
        self.head = ChainHead(sequence, row["hash"])
        against = self._against
        if against is not None and against.sequence == sequence and against.hash != row["hash"]:
            why = f"Row {sequence} or one before it was rewritten: the head that was kept says otherwise."
            return self.fail(sequence, why)
        return True

    def ends_at(self, stored: ChainHead) -> bool:
        """Whether the rows end where the stored head says; to be asked after the last row."""
        if self.broken is not None:
            return False
        if self.head.sequence < stored.sequence:
            missing = self.head.sequence + 1
            return self.fail(missing, f"Row {missing} is missing: the end was cut off.")
        if self.head != stored:
            return self.fail(
                self.head.sequence or None, f"Row {self.head.sequence} is not the one that the chain ends with."
            )
        return True

    def fail(self, sequence: int | None, why: str) -> bool:
        """Record the first thing that is wrong."""
        self.broken, self.why = sequence, why
        return False

    def verdict(self) -> AuditVerdict:
        """What was found, after the last row."""
        against = self._against
        if not self.why and against is not None and against.sequence > self.head.sequence:
            row = self.head.sequence + 1
            self.fail(row, f"Row {row} is missing: the head that was kept is row {against.sequence}.")
        if not self.why and against is not None and against.sequence == 0 and against.hash != GENESIS:
            self.fail(None, "The head that was kept never was one: nothing is chained to it.")
        return AuditVerdict(ok=not self.why, rows=self.head.sequence, head=self.head, broken=self.broken, why=self.why)


def instant(at: datetime) -> str:
    """An instant as the audit writes it: UTC with microseconds, so that text sorts like time."""
    if at.tzinfo is None:
        raise TypeError("A time without a time zone cannot be stored.")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _clean(text: str) -> str:
    """``text`` without secrets and without what no database can hold, and not endless."""
    if len(text) > 2 * _LONGEST:
        # At the end of a word: half of a secret does not look like one.
        text = text[: 2 * _LONGEST].rsplit(None, 1)[0]
    text = redact(text).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
