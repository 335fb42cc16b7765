"""The agent's answers, as both sides of its API type them. Definitions only.

Every path begins with ``/v1`` and needs ``Authorization: Bearer <agent.token>``:

    GET  /ping                                    who answers
    GET  /places                                  every service@environment, as `PlaceStatus`
    GET  /places/S/E?after=REVISION&wait=SECONDS  `PlaceStatus`; with ``after`` as soon as its revision is another
    GET  /places/S/E/health?digest&path&timeout   `HealthAnswer`, a fresh look at every instance
    GET  /places/S/E/stats                        version -> `VersionStats`
    GET  /places/S/E/recent?digest&version&since&until   `RecentAnswer`, one release second by second
    GET  /places/S/E/journal                      list of `JournalEntry`, oldest first
    POST /places/S/E/operations                   `OperationRequest` -> `OperationAnswer`
    POST /stop                                    stop every instance, every proxy and the agent
    POST /test/delay                              `Faults`; only with --allow-faults

An error is ``{"error": CODE, "message": SENTENCE}`` with a status of 400 or more; the codes are in `ErrorCode`.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

PROTOCOL = 2
"""Another number when a client of one version could not talk to an agent of the other."""

Kind = Literal["apply", "restore", "weight", "promote", "take_back", "recreate"]
OperationPhase = Literal["running", "succeeded", "failed"]
ErrorCode = Literal["bad_request", "unknown", "unauthorized", "rejected", "superseded", "damaged", "internal"]


class ReleaseWire(TypedDict):
    """A release as it travels."""

    version: str
    digest: str
    location: str


class SettingsWire(TypedDict):
    """How instances are to run."""

    instances: int
    health_path: str
    start_timeout: float
    drain: float
    variables: dict[str, str]
    port: int | None


class OperationRequest(TypedDict):
    """One mutation."""

    operation: str
    kind: Kind
    issued: int
    """Monotonic nanoseconds of this machine when the caller decided it: what was decided earlier loses."""
    release: ReleaseWire | None
    settings: SettingsWire
    percent: NotRequired[int]
    build: NotRequired[str | None]
    """For restore and take_back: the build that ran before, exactly."""
    instances: NotRequired[int | None]
    """For restore and take_back: how many of it ran."""


class OperationAnswer(TypedDict):
    """The mutation was accepted, now or earlier."""

    operation: str
    generation: str
    repeated: bool


class OperationStatus(TypedDict):
    """The latest operation."""

    id: str
    kind: Kind
    generation: str
    number: int
    phase: OperationPhase
    message: str
    done: int
    total: int
    version: str | None


class StableStatus(TypedDict):
    """What the place runs when no change is under way."""

    version: str
    digest: str
    location: str
    build: str
    instances: int
    operation: str


class InstanceStatus(TypedDict):
    """One process."""

    id: str
    version: str
    digest: str
    location: str
    build: str
    state: str
    pid: int | None
    port: int
    restarts: int
    message: str


class PlaceStatus(TypedDict):
    """One service in one environment."""

    service: str
    environment: str
    uid: str
    revision: str
    address: str | None
    """Where the proxy listens; None before the first operation was accepted."""
    operation: OperationStatus | None
    stable: StableStatus | None
    weights: dict[str, float]
    """Percent of the traffic by version, as it is sent now."""
    split: dict[str, int]
    """Percent by digest, as it was last decided: an instance that is just down takes nothing from its release."""
    instances: list[InstanceStatus]
    notes: list[str]


class HealthAnswer(TypedDict):
    """One look at the health of a release."""

    healthy: int
    instances: int
    message: str


class VersionStats(TypedDict):
    """What the proxy counted for one version since the agent started; the recent part covers the last minute."""

    requests: int
    errors: int
    connect_failures: int
    in_flight: int
    seconds: float
    """Sum of all durations."""
    buckets: dict[str, int]
    """Cumulative histogram: upper bound in milliseconds -> requests that took no longer."""
    recent_requests: int
    recent_errors: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


class RecentAnswer(TypedDict):
    """What the proxy counted for one release, in whole seconds since the epoch."""

    since: float
    """Since when it counts; it knows nothing of what was before that."""
    rows: list[SecondRow]
    """The oldest first; a second without a request has none."""


class SecondRow(TypedDict):
    """One second: requests whose answers ended in it."""

    second: int
    requests: int
    errors: int
    seconds: float
    """Sum of all durations."""
    buckets: list[tuple[int, int]]
    """Index of a bound in `stats.BOUNDS_MS` -> requests that took no longer, and longer than the bound before."""


class JournalEntry(TypedDict):
    """One operation that was applied, written once."""

    operation: str
    kind: Kind
    generation: int
    version: str | None
    percent: int | None
    at: float


class Faults(TypedDict, total=False):
    """What a test wants mutations to suffer, and whoever reads what the proxies count."""

    before: float
    """Seconds to wait before applying."""
    after: float
    """Seconds to wait after applying, before answering."""
    fail: int
    """How many mutations to answer with status 500, without applying."""
    drop: int
    """How many mutations to apply and then to close the connection of, without an answer."""
    read: float
    """Seconds to wait before telling what a proxy has counted."""
