"""A good catalog file, and providers whose options have every shape that options come in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.catalog.load import Providers
from bot.domain.strategy.powers import Power

GOOD = """\
version: 1
channel: "#deployments"
admin_channel: "#deploy-admin"
environments:
  staging: {}
  production:
    description: What customers use
    protected: true
    lock: environment
defaults:
  health: { path: /health, passes: 2 }
  deadline: 10m
services:
  checkout:
    description: Takes the money
    channel: "#checkout"
    environments: [staging, production]
    target:
      type: local
      root: ../platform
      instances: 2
      environments:
        production: { instances: 3 }
    images:
      type: local
      folder: ../artifacts/checkout
    health: { path: /health }
    deadline: 5m
  payments:
    target:
      type: cluster
      context: blue
      limits:
        cpu: 2
    images: { type: local, folder: ../artifacts/payments }
roles:
  deployer:
    members: ["@deployers", U0ADA]
    allow:
      - { actions: [deploy, rollback], services: "*", environments: "*" }
    deny:
      - actions: deploy
        services: [pay*]
        environments: production
"""

#: Everything that an environment can ask for, and roles that can give it.
POLICY = """\
version: 1
channel: "#deployments"
security_channel: "#security"
zone: Europe/Paris
environments:
  staging: {}
  canary: { after: staging }
  production:
    protected: true
    after: canary
    approval: { quorum: 2, group: "@release-managers", fallback: "@platform-leads", expires: 45m }
    queue: newest
    windows:
      - name: office hours
        allow: "0 9 * * 1-5"
        for: 9h
      - name: month end
        deny: "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=0;BYMINUTE=0"
        for: 25h
        zone: America/New_York
        services: [pay*]
    freeze_running: pause
services:
  checkout:
    target: { type: local, root: a }
    images: { type: local, folder: b }
  payments:
    environments: [staging, canary, production]
    target: { type: local, root: a }
    images: { type: local, folder: b }
roles:
  deployer:
    members: ["@deployers"]
    allow:
      - { actions: [deploy, rollback] }
  release-manager:
    members: ["@release-managers", "@platform-leads"]
    allow:
      - { actions: "*" }
      - { actions: [configure, override_freeze, break_glass], environments: production }
"""


#: Metric sources, checks and strategies, on a target that can do everything and on one that can do nothing.
ROLLOUTS = """\
version: 1
channel: "#deployments"
environments:
  staging: {}
  production:
    strategy: careful
metrics:
  proxy: { type: local, root: platform }
  board:
    type: board
    address: https://board.example.com
checks:
  errors:
    source: proxy
    query: error_share
    kind: share
    limit: 2%
    against_stable: { ratio: 1.5, tolerance: 1% }
    min_samples: 20
    interval: 2s
    window: 6s
    failures: 2
    of: 3
  latency:
    source: board
    query: "avg:latency{service:{service}}"
    unit: ms
    limit: 250
    against_before: {}
    max_age: 1m
    required: false
strategies:
  careful:
    canary:
      steps:
        - { weight: 20, bake: 10s }
        - { weight: 50%, bake: 1m, approval: true }
      timeout: 2d
      on_timeout: hold
  switch:
    blue_green: { keep: 10m, verify: 10s, approval: true }
defaults:
  checks: errors
  bake: 30s
services:
  checkout:
    target: { type: local, root: platform }
    images: { type: local, folder: b }
    strategy: switch
    checks: [errors, latency]
    countdown: 0
  catalog:
    target: { type: local, root: platform }
    images: { type: local, folder: b }
  payments:
    environments: [staging]
    target: { type: cluster, context: blue, limits: { cpu: 2 } }
    images: { type: local, folder: b }
    checks: []
"""


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LocalTarget(Options):
    """Processes on this machine."""

    root: Path = Field(description="Folder of the platform.")
    instances: int = Field(default=2, ge=1, le=16)


class Limits(Options):
    cpu: float = Field(gt=0)
    memory: str | None = None


class ClusterTarget(Options):
    """A cluster."""

    context: Literal["blue", "green"]
    limits: Limits
    password: SecretStr | None = None
    labels: dict[str, str] = {}
    port: int | None = None

    @field_validator("labels")
    @classmethod
    def _no_blanks(cls, value: dict[str, str]) -> dict[str, str]:
        if any(" " in key for key in value):
            raise ValueError("a label may not have a blank in it.")
        return value


class Folder(Options):
    """Versions in a folder."""

    folder: Path


class Counters(Options):
    """The counters of a proxy."""

    root: Path = Field(description="Folder of the platform.")


class Board(Options):
    """A board of numbers."""

    address: str = Field(pattern="^https://")
    token: SecretStr | None = None


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def policy() -> str:
    return POLICY


@pytest.fixture
def rollouts() -> str:
    return ROLLOUTS


@pytest.fixture
def providers() -> Providers:
    return Providers(
        targets={"local": LocalTarget, "cluster": ClusterTarget},
        images={"local": Folder},
        metrics={"local": Counters, "board": Board},
        powers={"local": frozenset(Power), "cluster": frozenset()},
        queries={"local": ("error_share", "requests")},
    )
