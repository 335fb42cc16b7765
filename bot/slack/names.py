"""Names by which Slack calls back: actions, blocks, views; and what a button carries.

A button carries which deployment it speaks of and the version that its presser saw, never a right to do anything: who
may press is decided at the click. What comes back from Slack is read with suspicion.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bot.domain.deployment import Resolution
from bot.domain.ids import DeploymentId

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND: Final = "/deploy"
METADATA_EVENT: Final = "deployment"
ROOT_KEY: Final = "root"


class ActionId(StrEnum):
    """Buttons of a deployment."""

    ABORT = "deployment.abort"
    #: A new deployment of the earlier release; offered once this one has succeeded.
    ROLL_BACK = "deployment.roll_back"
    RETRY = "deployment.retry"
    MARK_SUCCEEDED = "deployment.mark_succeeded"
    #: The decision to bring back what ran before; offered while this one needs attention.
    PUT_BACK = "deployment.put_back"


RESOLUTIONS: Final[Mapping[ActionId, Resolution]] = MappingProxyType(
    {
        ActionId.RETRY: Resolution.RETRY,
        ActionId.MARK_SUCCEEDED: Resolution.MARK_SUCCEEDED,
        ActionId.PUT_BACK: Resolution.ROLL_BACK,
    }
)


class FormField(StrEnum):
    """Inputs of the deploy form; each name is its block's id and, with ``form.`` in front, its action's."""

    SERVICE = "service"
    VERSION = "version"
    ENVIRONMENT = "environment"
    REASON = "reason"

    @property
    def action_id(self) -> str:
        """The id of the element inside the block."""
        return f"form.{self.value}"


DEPLOY_FORM: Final = "form.deploy"
LOADING_FORM: Final = "form.loading"
HOME: Final = "home"

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class ButtonValue:
    """What a button carries."""

    deployment: DeploymentId
    version: int
    """Of the deployment as its presser saw it."""

    def encode(self) -> str:
        """Compact JSON for the button's ``value``."""
        return json.dumps({"d": self.deployment, "v": self.version}, separators=(",", ":"))

    @classmethod
    def decode(cls, raw: object) -> ButtonValue | None:
        """Read a ``value`` that came back; None when it is not one of ours."""
        if not isinstance(raw, str) or len(raw) > _LONGEST:
            return None
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        deployment, version = data.get("d"), data.get("v")
        if not isinstance(deployment, str) or not _ID.fullmatch(deployment):
            return None
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            return None
        return cls(DeploymentId(deployment), version)
