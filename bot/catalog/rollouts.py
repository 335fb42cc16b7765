"""From the blocks of checks and strategies to the domain's. What the domain refuses becomes a problem at its place."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bot.catalog.problems import described
from bot.catalog.times import in_file
from bot.domain.analysis.check import Check, Comparison, Good, Kind
from bot.domain.errors import ConfigurationError
from bot.domain.strategy.kinds import BlueGreen, Canary, OnTimeout, Recreate, Rolling, Step

if TYPE_CHECKING:
    from bot.catalog.document import Node, Source
    from bot.catalog.problems import Problem
    from bot.catalog.rollout_schema import (
        BlueGreenBlock,
        CanaryBlock,
        CheckBlock,
        ComparisonBlock,
        StepBlock,
        StrategyBlock,
    )
    from bot.catalog.schema import CatalogFile
    from bot.domain.strategy.kinds import Strategy


class Rollouts:
    """Makes the checks and strategies of one document and gathers what is wrong with them."""

    def __init__(self, file: CatalogFile, root: Node, source: Source) -> None:
        self._file = file
        self._root = root
        self._source = source
        self.problems: list[Problem] = []

    def strategies(self) -> dict[str, Strategy]:
        """Every strategy that the file defines and that is one; those that are built in are not among them."""
        made = {name: self._strategy(name, block) for name, block in self._file.strategies.items()}
        return {name: strategy for name, strategy in made.items() if strategy is not None}

    def checks(self) -> dict[str, Check]:
        """Every check that is one."""
        made = {name: self._check(name, block) for name, block in self._file.checks.items()}
        return {name: check for name, check in made.items() if check is not None}

    def _strategy(self, name: str, block: StrategyBlock) -> Strategy | None:
        if block.canary is not None:
            return self._canary(name, block.canary)
        if block.blue_green is not None:
            return self._blue_green(name, block.blue_green)
        return Recreate() if block.recreate is not None else Rolling()

    def _canary(self, name: str, block: CanaryBlock) -> Canary | None:
        steps = [self._step(name, number, step) for number, step in enumerate(block.steps)]
        rises = [self._rises(name, number, *pair) for number, pair in enumerate(pairwise(block.steps), start=1)]
        good = [step for step in steps if step is not None]
        if len(good) < len(steps) or not all(rises):
            return None
        try:
            return Canary(steps=tuple(good), timeout=block.timeout, on_timeout=OnTimeout(block.on_timeout))
        except ConfigurationError as error:
            self._refused(in_file(error), "strategies", name, "canary")
            return None

    def _step(self, name: str, number: int, block: StepBlock) -> Step | None:
        path: tuple[str | int, ...] = ("strategies", name, "canary", "steps", number)
        try:
            return Step(weight=block.weight, bake=block.bake, approval=block.approval)
        except ConfigurationError as error:
            path = (*path, "approval") if block.weight == 100 and block.approval else path
            self._refused(in_file(error), *path)
            return None

    def _rises(self, name: str, number: int, before: StepBlock, step: StepBlock) -> bool:
        if step.weight > before.weight:
            return True
        message = f"must be more than the {before.weight} % of the step before it, not {step.weight} %: weights rise"
        self._refused(message, "strategies", name, "canary", "steps", number, "weight")
        return False

    def _blue_green(self, name: str, block: BlueGreenBlock) -> BlueGreen | None:
        try:
            return BlueGreen(
                keep=block.keep,
                verify=block.verify,
                approval=block.approval,
                timeout=block.timeout,
                on_timeout=OnTimeout(block.on_timeout),
            )
        except ConfigurationError as error:
            self._refused(in_file(error), "strategies", name, "blue_green")
            return None

    def _check(self, name: str, block: CheckBlock) -> Check | None:
        told = len(self.problems)
        self._measures(name, block)
        stable = self._comparison(block.against_stable, "checks", name, "against_stable")
        before = self._comparison(block.against_before, "checks", name, "against_before")
        if block.of < block.failures:
            at = "of" if self._root.get("checks", name, "of") else "failures"
            message = f"{block.failures} failing looks of {block.of} can never be; 'of' must be at least 'failures'"
            self._refused(message, "checks", name, at)
        if len(self.problems) > told:
            return None
        try:
            return Check(
                name=name,
                source=block.source,
                query=block.query,
                kind=Kind(block.kind),
                good=Good(block.good),
                unit=block.unit,
                limit=block.limit,
                against_stable=stable,
                against_before=before,
                min_samples=block.min_samples,
                interval=block.interval,
                window=block.window,
                failures=block.failures,
                of=block.of,
                max_age=block.max_age,
                required=block.required,
                needs_traffic=block.needs_traffic,
            )
        except ConfigurationError as error:
            self._refused(in_file(error), "checks", name)
            return None

    def _measures(self, name: str, block: CheckBlock) -> None:
        """What is a share is from 0 to 1, and nothing else is written in per cent."""
        share = Kind(block.kind) is Kind.SHARE
        if share and block.limit is not None and not 0 <= block.limit <= 1:
            written = self._root.get("checks", name, "limit")
            shown = described(written.value) if written else f"{block.limit:g}"
            bare = written is not None and not isinstance(written.value, str)
            near = f"{block.limit:g}%" if bare and 1 < block.limit <= 100 else None
            message = f"must be from 0 to 1, or from 0% to 100%, as it is of a share, not {shown}"
            self._refused(message, "checks", name, "limit", nearest=near)
        if share:
            return
        for path in (("limit",), ("against_stable", "tolerance"), ("against_before", "tolerance")):
            node = self._root.get("checks", name, *path)
            if node is not None and isinstance(node.value, str):
                message = f"{node.value!r} is a share; write 'kind: share' beside it, or a number without %"
                self._refused(message, "checks", name, *path)

    def _comparison(self, block: ComparisonBlock | None, *path: str) -> Comparison | None:
        if block is None:
            return None
        try:
            return Comparison(ratio=block.ratio, tolerance=block.tolerance)
        except ConfigurationError as error:
            self._refused(in_file(error), *path)
            return None

    def _refused(self, message: str, *path: str | int, nearest: str | None = None) -> None:
        node = self._root.get(*path) or self._root
        at = node.key_at if isinstance(node.value, dict | list) else node.at
        self.problems.append(self._source.problem(at, node.path, message, nearest=nearest))
