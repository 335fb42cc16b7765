"""A good catalog file, and providers whose options have every shape that options come in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.catalog.load import Providers

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


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def policy() -> str:
    return POLICY


@pytest.fixture
def providers() -> Providers:
    return Providers(targets={"local": LocalTarget, "cluster": ClusterTarget}, images={"local": Folder})
