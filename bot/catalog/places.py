"""From the blocks of environments to the domain's. What the domain refuses becomes a problem at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalog.times import in_file, recurrence
from bot.domain.catalog import Environment, QueuePolicy
from bot.domain.errors import ConfigurationError
from bot.domain.ids import EnvironmentName
from bot.domain.policy.approval import ApprovalRule
from bot.domain.policy.freeze import WhileRunning
from bot.domain.policy.window import Window, WindowKind

if TYPE_CHECKING:
    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem
    from bot.catalog.schema import ApprovalBlock, CatalogFile, EnvironmentBlock, WindowBlock


class Places:
    """Makes the environments of one document and gathers what is wrong with them."""

    def __init__(self, file: CatalogFile, root: Node, source: Source) -> None:
        self._file = file
        self._root = root
        self._source = source
        self.problems: list[Problem] = []

    def environments(self) -> dict[EnvironmentName, Environment]:
        """Every environment; not to be used if there are problems."""
        return {
            EnvironmentName(name): self._environment(EnvironmentName(name), block)
            for name, block in self._file.environments.items()
        }

    def _environment(self, name: EnvironmentName, block: EnvironmentBlock | None) -> Environment:
        if block is None:
            return Environment(name=name)
        windows = [self._window(name, number, window) for number, window in enumerate(block.windows)]
        return Environment(
            name=name,
            description=block.description,
            protected=block.protected,
            shared_lock=block.lock == "environment",
            after=EnvironmentName(block.after) if block.after is not None else None,
            approval=self._approval(name, block.approval) if block.approval else None,
            queue=QueuePolicy(block.queue),
            windows=tuple(window for window in windows if window is not None),
            strategy=block.strategy,
            freeze_running=WhileRunning(block.freeze_running),
        )

    def _window(self, environment: str, number: int, block: WindowBlock) -> Window | None:
        try:
            return Window(
                name=block.name,
                kind=WindowKind.ALLOW if block.allow is not None else WindowKind.DENY,
                rule=recurrence(block.allow or block.deny or ""),
                duration=block.duration,
                zone=block.zone or self._file.zone,
                services=tuple(block.services),
            )
        except ConfigurationError as error:
            self._refused(error, environment, "windows", number)
            return None

    def _approval(self, environment: str, block: ApprovalBlock) -> ApprovalRule | None:
        try:
            return ApprovalRule(quorum=block.quorum, group=block.group, fallback=block.fallback, expires=block.expires)
        except ConfigurationError as error:
            self._refused(error, environment, "approval")
            return None

    def _refused(self, error: ConfigurationError, environment: str, *path: str | int) -> None:
        node = self._root.get("environments", environment, *path) or self._root
        self.problems.append(self._source.problem(node.key_at, node.path, in_file(error)))
