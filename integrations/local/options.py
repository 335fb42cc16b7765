"""What the catalog may say about a local target and its images. Must not touch the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

RESERVED = frozenset({"PORT", "SERVICE", "ENVIRONMENT", "VERSION"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class LocalTargetOptions(BaseModel):
    """Detached processes on this machine behind a proxy that can split traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Field(description="Folder that the platform keeps its state and logs in.")
    instances: Annotated[int, Field(ge=1, le=20, description="How many processes serve.")] = 2
    health_path: Annotated[
        str,
        Field(pattern=r"^/[!-~]*$", max_length=200, description="An instance is ready when this answers 2xx or 3xx."),
    ] = "/health"
    start_timeout: Annotated[
        float, Field(gt=0, le=600, description="Seconds within which an instance must be ready.")
    ] = 10.0
    drain: Annotated[
        float, Field(ge=0, le=600, description="Seconds that requests under way get before their instance is stopped.")
    ] = 5.0
    variables: dict[str, str] = Field(default_factory=dict, description="Environment variables for every instance.")
    port: Annotated[
        int | None,
        Field(ge=1, le=65535, description="Port of the proxy on 127.0.0.1; chosen once and kept if not given."),
    ] = None

    @field_validator("variables")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of an environment variable")
            if name in RESERVED:
                raise ValueError(f"{name} is set by the platform itself; choose another name")
            if "\0" in text:
                raise ValueError(f"the value of {name} has a NUL character in it")
        return value


class LocalMetricsOptions(BaseModel):
    """The counters of the proxies of one platform: error_share, latency, p95 and requests of each release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Field(description="Folder of the platform, as its targets name it.")
    timeout: Annotated[float, Field(gt=0, le=60, description="Seconds that one answer may take.")] = 5.0


class LocalImagesOptions(BaseModel):
    """Folders on this machine, one for each version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(description="Folder with one folder for each version of the service.")
