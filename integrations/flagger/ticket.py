"""What a handle says of a change under way: all that is needed to judge it, in a process that knows nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from bot.domain.gate import Goal
from bot.domain.rollout import Handle
from integrations._shared.kube.errors import PROVIDER
from integrations.flagger.canary import GOING_ON

if TYPE_CHECKING:
    from bot.domain.gate import Gate
    from bot.domain.ids import OperationId
    from integrations.flagger.canary import Canary

_REMEMBERED = 12
UNSEEN = "unseen"
"""Instead of a phase: what is taken back may not have been taken up by Flagger yet, and may still be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A change under way."""

    goal: Goal
    percent: int
    base: str
    """The operation that is written on the Deployment."""
    digest: str
    uid: str
    """Of the Deployment."""
    before: tuple[str, str, str]
    """Phase, hash and time of the Canary before the change; empty where nobody knows."""

    def anew(self, canary: Canary) -> bool:
        """Whether an analysis that goes on can be of this change, and not the one that it came upon.

        A way back is about the one that it came upon.
        """
        return self.goal is Goal.BACK or self.before[0] not in GOING_ON or canary.applied != self.before[1]

    @property
    def fails_anew(self) -> bool:
        """Whether a failure in the status cannot be the one of before."""
        return self.before[0] != "Failed"


def of(gate: Gate) -> Ticket:
    """The ticket of the operation that holds a gate."""
    phase, applied, decided = (*gate.before, "", "", "")[:3]
    return Ticket(
        goal=gate.goal,
        percent=gate.percent,
        base=gate.base,
        digest=gate.digest,
        uid=gate.uid,
        before=(phase, applied, decided),
    )


def handle(operation: OperationId, ticket: Ticket) -> Handle:
    """The handle with a ticket."""
    return Handle(operation=operation, generation=write(ticket))


def write(ticket: Ticket) -> str:
    """A ticket as text."""
    parts = [ticket.goal.value, ticket.percent, ticket.base, ticket.digest, ticket.uid, *ticket.before]
    return json.dumps(parts, separators=(",", ":"))


def handing_over(gate: Gate) -> tuple[tuple[str, str], ...]:
    """The operations of before, for a gate that another one takes over."""
    if not gate.operation:
        return gate.past
    others = [one for one in gate.past if one[0] != gate.operation]
    return (*others, (gate.operation, write(of(gate))))[-_REMEMBERED:]


def read(handle: Handle) -> Ticket:
    """The ticket of a handle; raises `ProviderRejected` when it is none of ours."""
    try:
        goal, percent, base, digest, uid, phase, applied, decided = json.loads(handle.generation)
        return Ticket(
            goal=Goal(goal),
            percent=int(percent),
            base=str(base),
            digest=str(digest),
            uid=str(uid),
            before=(str(phase), str(applied), str(decided)),
        )
    except (ValueError, TypeError):
        raise ProviderRejected("This change was not made by way of Flagger.", provider=PROVIDER) from None
