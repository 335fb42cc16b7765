"""What is to run, as plain values with their JSON. No input or output."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations.local.wire import Kind, OperationPhase


class Refused(Exception):
    """The request was understood and nothing was changed; the text says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RolloutFailed(Exception):
    """A rollout cannot go on; the text says why in plain words."""


class Damaged(Exception):
    """What was written down cannot be read any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Exactly what one instance is started from. Instances of equal builds need no replacement."""

    version: str
    digest: str
    location: str
    command: tuple[str, ...]
    variables: Mapping[str, str]
    health_path: str

    @property
    def key(self) -> str:
        """A short name that equal builds share. Where the artifact lies does not matter, what is in it does."""
        text = json.dumps([self.version, self.digest, self.command, sorted(self.variables.items()), self.health_path])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Build:
        """The build that `asdict` wrote."""
        return cls(**{**value, "command": tuple(value["command"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """So many instances of a build, and what part of the traffic they are to get (None: by their number)."""

    build: Build
    count: int
    weight: int | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Group:
        """The group that `asdict` wrote."""
        return cls(build=Build.read(value["build"]), count=value["count"], weight=value["weight"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One mutation that was accepted: what is to be, and how it goes."""

    id: str
    kind: Kind
    number: int
    """Rises by one with each operation of the place."""
    fingerprint: str
    """What was asked for; the same id with another one is a mistake of the caller."""
    groups: tuple[Group, ...]
    percent: int | None
    start_timeout: float
    drain: float
    at: float
    phase: OperationPhase = "running"
    message: str = ""

    @property
    def running(self) -> bool:
        """Whether the place is still on its way there."""
        return self.phase == "running"

    @property
    def version(self) -> str | None:
        """The version that it is about; None when everything is to go."""
        return self.groups[-1].build.version if self.groups else None

    @property
    def total(self) -> int:
        """How many instances there are to be."""
        return sum(group.count for group in self.groups)

    def wanted(self, key: str) -> int:
        """How many instances of the build ``key`` there are to be."""
        return sum(group.count for group in self.groups if group.build.key == key)

    def ended(self, phase: OperationPhase, message: str) -> Operation:
        """The same, over."""
        return replace(self, phase=phase, message=message)

    def json(self) -> dict[str, Any]:
        """What the journal and the state keep."""
        return asdict(self)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Operation:
        """The operation that `json` wrote."""
        return cls(**{**value, "groups": tuple(Group.read(group) for group in value["groups"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """What the last successful apply or restore brought."""

    build: Build
    count: int
    operation: str

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Stable:
        """The value that `asdict` wrote."""
        return cls(build=Build.read(value["build"]), count=value["count"], operation=value["operation"])


@dataclass(slots=True, kw_only=True)
class PlaceRecord:
    """What a place writes down after every change of it."""

    uid: str
    port: int | None = None
    port_chosen: bool = True
    """The platform chose the port; a configured one must never be given up silently."""
    operation: Operation | None = None
    stable: Stable | None = None
    weights: dict[str, int] | None = None
    """Percent by build key while traffic is split; None: by the number of ready instances."""
    next_instance: int = 1
    instances: list[dict[str, Any]] = field(default_factory=list)

    @property
    def decided(self) -> Mapping[str, int]:
        """Percent of the traffic by build key, as it was last decided; nothing where nothing is stable."""
        if self.weights is not None:
            return self.weights
        return {} if self.stable is None else {self.stable.build.key: 100}

    def json(self) -> bytes:
        """The file's content."""
        return json.dumps(
            {
                "format": 1,
                "uid": self.uid,
                "port": self.port,
                "port_chosen": self.port_chosen,
                "operation": None if self.operation is None else self.operation.json(),
                "stable": None if self.stable is None else asdict(self.stable),
                "weights": self.weights,
                "next_instance": self.next_instance,
                "instances": self.instances,
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def read(cls, content: bytes) -> PlaceRecord:
        """The record that `json` wrote; raises `Damaged`."""
        try:
            value = json.loads(content)
            if value["format"] != 1:
                raise Damaged(f"its format is {value['format']!r}, which this version does not know")
            return cls(
                uid=value["uid"],
                port=value["port"],
                port_chosen=value["port_chosen"],
                operation=None if value["operation"] is None else Operation.read(value["operation"]),
                stable=None if value["stable"] is None else Stable.read(value["stable"]),
                weights=value["weights"],
                next_instance=value["next_instance"],
                instances=value["instances"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"it cannot be read ({type(error).__name__})") from None
