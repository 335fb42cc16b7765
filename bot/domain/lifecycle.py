"""The life of a deployment as one table. Nothing else decides which phase may follow which."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot.domain.errors import InvalidTransition

if TYPE_CHECKING:
    from collections.abc import Mapping


class Phase(StrEnum):
    """Where a deployment is in its life."""

    #: Accepted and being planned.
    REQUESTED = "requested"
    #: Planned; waits for people to approve it.
    AWAITING_APPROVAL = "awaiting_approval"
    #: Waits for its time.
    SCHEDULED = "scheduled"
    #: A lock, a freeze, a window or a right that it lost keeps it from going on; nothing was changed.
    HELD = "held"
    #: Waits for its turn in the environment.
    QUEUED = "queued"
    #: Holds the environment's lock and changes the target.
    DEPLOYING = "deploying"
    #: Holds the lock and waits between two steps of its rollout.
    PAUSED = "paused"
    #: The target says it is done; health is being proven.
    VERIFYING = "verifying"
    #: Runs and was proven healthy.
    SUCCEEDED = "succeeded"
    #: A check said no; the release before it serves again.
    FAILED = "failed"
    #: Something broke before the target was changed, or was put back after.
    ERRORED = "errored"
    #: A person said stop.
    ABORTED = "aborted"
    #: An approver said no.
    REJECTED = "rejected"
    #: Its time passed while it waited.
    EXPIRED = "expired"
    #: A newer request took its place, or somebody changed the target by hand.
    SUPERSEDED = "superseded"
    #: A rollback of this deployment is under way.
    ROLLING_BACK = "rolling_back"
    #: A rollback of this deployment succeeded.
    ROLLED_BACK = "rolled_back"
    #: What the target runs cannot be told or could not be put right; a person must decide. The lock is held.
    NEEDS_ATTENTION = "needs_attention"

    @property
    def words(self) -> str:
        """The phase as people read it."""
        return self.value.replace("_", " ")

    @property
    def holds_lock(self) -> bool:
        """Whether a deployment in this phase has the environment for itself."""
        return self in _LOCKED

    @property
    def final(self) -> bool:
        """Whether the deployment's own work is over. Only being rolled back can still happen to it."""
        return self in FINAL


P = Phase
_ENDS_BEFORE_THE_LOCK = frozenset({P.ABORTED, P.ERRORED, P.EXPIRED, P.SUPERSEDED})
_ENDS_UNDER_THE_LOCK = frozenset({P.FAILED, P.ERRORED, P.ABORTED, P.SUPERSEDED, P.NEEDS_ATTENTION})

TRANSITIONS: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        P.REQUESTED: frozenset({P.AWAITING_APPROVAL, P.SCHEDULED, P.HELD, P.QUEUED}) | _ENDS_BEFORE_THE_LOCK,
        P.AWAITING_APPROVAL: frozenset({P.SCHEDULED, P.HELD, P.QUEUED, P.REJECTED}) | _ENDS_BEFORE_THE_LOCK,
        P.SCHEDULED: frozenset({P.AWAITING_APPROVAL, P.HELD, P.QUEUED}) | _ENDS_BEFORE_THE_LOCK,
        P.HELD: frozenset({P.AWAITING_APPROVAL, P.SCHEDULED, P.QUEUED}) | _ENDS_BEFORE_THE_LOCK,
        P.QUEUED: frozenset({P.DEPLOYING, P.AWAITING_APPROVAL, P.HELD}) | _ENDS_BEFORE_THE_LOCK,
        # Back out of the lock only while nothing has been changed: a gate closed at the last moment.
        P.DEPLOYING: frozenset({P.PAUSED, P.VERIFYING, P.AWAITING_APPROVAL, P.HELD}) | _ENDS_UNDER_THE_LOCK,
        P.PAUSED: frozenset({P.DEPLOYING, P.VERIFYING}) | _ENDS_UNDER_THE_LOCK,
        P.VERIFYING: frozenset({P.SUCCEEDED, P.PAUSED}) | _ENDS_UNDER_THE_LOCK,
        P.NEEDS_ATTENTION: frozenset({P.DEPLOYING, P.VERIFYING, P.SUCCEEDED, P.FAILED, P.ERRORED, P.ABORTED}),
        # What a rollback takes back, and gets back when the rollback itself comes to nothing.
        P.SUCCEEDED: frozenset({P.ROLLING_BACK}),
        P.ROLLING_BACK: frozenset({P.ROLLED_BACK, P.SUCCEEDED}),
        P.FAILED: frozenset(),
        P.ERRORED: frozenset(),
        P.ABORTED: frozenset(),
        P.REJECTED: frozenset(),
        P.EXPIRED: frozenset(),
        P.SUPERSEDED: frozenset(),
        P.ROLLED_BACK: frozenset(),
    }
)

FINAL = frozenset(
    {
        P.SUCCEEDED,
        P.FAILED,
        P.ERRORED,
        P.ABORTED,
        P.REJECTED,
        P.EXPIRED,
        P.SUPERSEDED,
        P.ROLLING_BACK,
        P.ROLLED_BACK,
    }
)
ACTIVE = frozenset(Phase) - FINAL
WAITING = frozenset({P.REQUESTED, P.AWAITING_APPROVAL, P.SCHEDULED, P.HELD, P.QUEUED})
_LOCKED = frozenset({P.DEPLOYING, P.PAUSED, P.VERIFYING, P.NEEDS_ATTENTION})


def check_transition(old: Phase, new: Phase) -> None:
    """Raise `InvalidTransition` unless ``new`` may follow ``old``."""
    if new not in TRANSITIONS[old]:
        raise InvalidTransition(f"A deployment that is {old.words} cannot become {new.words}.")
