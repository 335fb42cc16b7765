"""What the bot measures about itself, and where that is counted.

Must not carry who did something, what was deployed or which deployment it was: every name here is one of the catalog's
or of the code's, so that there is an end to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from bot.domain.ids import EnvironmentName, ServiceName
    from bot.domain.lifecycle import Phase


class Kind(NamedTuple):
    """What deployments are told apart by."""

    service: ServiceName
    environment: EnvironmentName
    strategy: str


class Wait(StrEnum):
    """What took its time."""

    #: In the queue, once, until it had its turn or left.
    QUEUE = "queue"
    #: For people to approve it, once.
    APPROVAL = "approval"
    #: The lock was held, from when it was taken until it was given back.
    LOCK = "lock"
    #: From a person's word to the first change of the target on the way back.
    ROLLBACK = "rollback"


class Change(StrEnum):
    """What became of a change, as `bot.domain.dora` counts: no rollbacks, nothing that a person stopped."""

    SUCCEEDED = "succeeded"
    #: A check said no, or something broke after the change had begun.
    FAILED = "failed"
    #: It had succeeded and was taken back later.
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Deployments of one environment that are in the same phase."""

    count: int
    since: datetime
    """When the one came into it that is in it for longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand at one instant, read from the database: the same for every replica that asks."""

    at: datetime
    crowds: Mapping[tuple[EnvironmentName, Phase], Crowd] = field(default_factory=dict)
    """Deployments whose work is not over."""
    untold_since: datetime | None
    """Since when there is a change that Slack does not show yet; None: it shows all of them."""
    replicas: int
    """Replicas whose heart beats."""


class Overview(Protocol):
    """Reads how things stand."""

    async def standing(self, *, at: datetime) -> Standing:
        """How things stand; raises `StoreError`. Costs as much as there is under way, not as there ever was."""


class Instruments(Protocol):
    """Where it is counted. Every method returns at once, may be called from any thread, and does not raise."""

    def know(self, kinds: Collection[Kind], *, only: bool = False) -> None:
        """Count from zero whatever is not counted yet: a series that is born with its first event hides that event.

        With ``only``, forget all others that have counted nothing.
        """

    def ended(self, kind: Kind, status: Phase, *, seconds: float | None) -> None:
        """A deployment's own work ended; ``seconds`` since its change began, None if it never did."""

    def decided(self, service: ServiceName, environment: EnvironmentName, change: Change) -> None:
        """It is known what became of a change."""

    def waited(self, what: Wait, environment: EnvironmentName, *, seconds: float) -> None:
        """Something took so long."""


class Displays(Protocol):
    """Where it is shown how things are right now."""

    def stands(self, standing: Standing) -> None:
        """This is how things stand."""

    def lagged(self, seconds: float) -> None:
        """The event loop came so much later than it was asked to."""
