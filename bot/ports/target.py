"""Where a service runs in an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.catalog import HealthCheck
    from bot.domain.finding import Finding
    from bot.domain.ids import OperationId
    from bot.domain.release import Release
    from bot.domain.rollout import Handle, Health, Outcome, Plan, Progress, Running, TakenBack


class Target(Protocol):
    """One service in one environment.

    Every method raises `ProviderError` and nothing else. ``retryable`` promises that the same call may be sent again;
    a mutation that may or may not have happened and cannot be looked up raises `OutcomeUnknown`.
    """

    async def current(self) -> Running | None:
        """What runs now; None when nothing does."""

    async def plan(self, *, release: Release) -> Plan:
        """What `apply` would do; changes nothing."""

    async def apply(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to bring ``release`` there; returns as soon as the platform has accepted it.

        The same ``operation`` again changes nothing and returns the handle of the first time.
        """

    async def find(self, *, operation: OperationId) -> Handle | None:
        """The change that was begun under ``operation``; None when certainly none was. Reading only."""

    async def restore(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Begin to bring back what ran before (None: nothing did). Idempotent like `apply`."""

    def observe(self, *, handle: Handle) -> AsyncIterator[Progress | Outcome]:
        """Tell how the change goes; ends with exactly one `Outcome`. Reading only, safe to begin again."""

    async def health(self, *, release: Release, check: HealthCheck) -> Health:
        """One look at whether ``release`` serves there in good health."""


@runtime_checkable
class SupportsRollback(Protocol):
    """A target whose platform tries out each release by itself; one that was proven there has no need of that."""

    async def roll_back(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to bring back ``release`` at once, without being tried out. Idempotent like `apply`."""


@runtime_checkable
class SupportsTrafficWeight(Protocol):
    """A target that can split traffic between two releases."""

    async def set_weight(self, *, release: Release, percent: int, operation: OperationId) -> Handle:
        """Send ``percent`` of the traffic to ``release`` and the rest to the stable one; at 0 it only starts it."""

    async def weight(self, *, release: Release) -> int | None:
        """How many per cent of the traffic go to ``release`` now; None while that is being changed."""


@runtime_checkable
class TellsTakenBack(Protocol):
    """A target whose platform judges a canary too, and may take it back between two changes of ours."""

    async def taken_back(self, *, release: Release) -> TakenBack | None:
        """Why ``release`` gets no traffic any more; None while nobody has taken it back. Reading only."""


@runtime_checkable
class SupportsPromote(Protocol):
    """A target that can make what gets a part of the traffic the stable release."""

    async def promote(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to make ``release``, which gets traffic already, the stable one. Idempotent like `Target.apply`."""


@runtime_checkable
class SupportsAbort(Protocol):
    """A target that can take a canary back without replacing the stable release."""

    async def take_back(self, *, to: Running | None, operation: OperationId) -> Handle:
        """Begin to send all traffic to what ran before and to stop the canary. Idempotent like `Target.apply`."""


@runtime_checkable
class SupportsRecreate(Protocol):
    """A target that can stop what runs before it starts the next."""

    async def recreate(self, *, release: Release, operation: OperationId) -> Handle:
        """Begin to stop what runs and then to start ``release``. Idempotent like `Target.apply`."""


@runtime_checkable
class ChecksSteps(Protocol):
    """A target whose platform has steps of its own, between which it waits for somebody's word."""

    async def check_steps(self, *, weights: Sequence[int]) -> None:
        """Raise `ProviderRejected` unless a strategy with these ``weights`` can pace the platform's steps; reading
        only. None of them means that the strategy has no steps and nobody is asked on the way.
        """


@runtime_checkable
class Examines(Protocol):
    """A target that can tell, without changing anything, whether it may do all that it will have to do."""

    async def examine(self) -> Sequence[Finding]:
        """A finding for each thing that a deployment here needs: that it is there, and that we may read or change it.

        Raises `ProviderError` when the platform cannot be asked at all.
        """
