"""Identifiers, each its own type so that one is never taken for another."""

from __future__ import annotations

import secrets
import time
from typing import NewType

DeploymentId = NewType("DeploymentId", str)
"""Opaque, sorts by time of request: ``d`` + 9 base-32 characters of milliseconds + 5 random ones."""

OperationId = NewType("OperationId", str)
"""Names one mutation of a target. The same mutation repeated after a crash carries the same id."""

LockScope = NewType("LockScope", str)
"""What one deployment at a time may hold: ``production`` or ``checkout@production``."""

ServiceName = NewType("ServiceName", str)
EnvironmentName = NewType("EnvironmentName", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_deployment_id() -> DeploymentId:
    """A fresh id; unguessable enough to never collide, never used as authority."""
    milliseconds = time.time_ns() // 1_000_000
    clock = ""
    for _ in range(9):
        milliseconds, digit = divmod(milliseconds, 32)
        clock = _ALPHABET[digit] + clock
    return DeploymentId("d" + clock + "".join(secrets.choice(_ALPHABET) for _ in range(5)))


def operation_id(deployment: DeploymentId, step: str, attempt: int = 1) -> OperationId:
    """The id under which ``step`` of a deployment changes the world; ``attempt`` rises only by a person's Retry."""
    return OperationId(f"{deployment}-{step}-{attempt}")
