"""What a Canary says of itself. Reading only, and it judges nothing.

Written by whoever may change Canaries in the cluster: every part may be missing or of another shape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations._shared.kube import raw

if TYPE_CHECKING:
    from integrations._shared.kube.raw import Object

API = "flagger.app/v1beta1"
TERMINAL = frozenset({"Initialized", "Succeeded", "Failed"})
GOING_ON = frozenset({"Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising"})
ASKED_FOR_ROLLBACK = frozenset({"Waiting", "Progressing", "WaitingPromotion"})
"""In these it can still be taken back by the rollback hook; Waiting leads to Progressing first."""
GONE = frozenset({"Terminating", "Terminated"})
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Canary:
    """One look at a Canary."""

    one: Object

    @property
    def name(self) -> str:
        """What it is called."""
        return raw.name(self.one)

    @property
    def phase(self) -> str:
        """Where Flagger is with it; empty before it has looked at it, and for what is no word."""
        found = raw.text(self.one, "status", "phase")
        return found if re.fullmatch(r"[A-Za-z]{1,40}", found) else ""

    @property
    def going_on(self) -> bool:
        """Whether an analysis goes on."""
        return self.phase in GOING_ON

    @property
    def weight(self) -> int | None:
        """Per cent of the traffic that the canary gets; None where the status does not tell."""
        if self.phase in ("WaitingPromotion", "Promoting", "Finalising"):
            return None  # the status says 0, and the traffic is split all the same
        return min(max(raw.count(self.one, "status", "canaryWeight"), 0), 100)

    @property
    def failed_checks(self) -> int:
        """How many checks of the analysis have failed."""
        return raw.count(self.one, "status", "failedChecks")

    @property
    def applied(self) -> str:
        """What was analysed last, by Flagger's own hash."""
        return raw.text(self.one, "status", "lastAppliedSpec")

    @property
    def promoted(self) -> str:
        """What was promoted last, by Flagger's own hash."""
        return raw.text(self.one, "status", "lastPromotedSpec")

    @property
    def decided_at(self) -> str:
        """When Flagger last came to another phase: of a failure that is the old one, this does not change."""
        for condition in raw.items(self.one, "status", "conditions"):
            if raw.text(condition, "type") == "Promoted":
                return raw.text(condition, "lastUpdateTime")
        return ""

    @property
    def before(self) -> tuple[str, str, str]:
        """What has to change before anything in the status is about a later change."""
        return self.phase, self.applied, self.decided_at

    @property
    def suspended(self) -> bool:
        """Whether Flagger leaves it alone."""
        return raw.at(self.one, "spec", "suspend") is True

    @property
    def skips(self) -> bool:
        """Whether its releases are promoted without analysis."""
        return raw.at(self.one, "spec", "skipAnalysis") is True

    @property
    def provider(self) -> str:
        """What splits its traffic; empty where Flagger itself was told."""
        return raw.text(self.one, "spec", "provider")[:40]

    @property
    def target(self) -> tuple[str, str]:
        """Kind and name of what it analyses."""
        return raw.text(self.one, "spec", "targetRef", "kind"), raw.text(self.one, "spec", "targetRef", "name")

    @property
    def has_weights(self) -> bool:
        """Whether its traffic is split at all, or switched after some rounds of checks."""
        return self.provider != "kubernetes" and raw.count(self._analysis, "iterations") == 0 and bool(self.steps)

    @property
    def steps(self) -> tuple[int, ...]:
        """The weights that Flagger goes through before it promotes, rising."""
        analysis = self._analysis
        listed = raw.at(analysis, "stepWeights")
        found: list[int] = []
        if isinstance(listed, list) and listed:
            for each in listed[:_MOST_STEPS]:
                if isinstance(each, int) and 0 < each <= 100 and each > (found[-1] if found else 0):
                    found.append(each)
            return tuple(found)
        step, most = raw.count(analysis, "stepWeight"), raw.count(analysis, "maxWeight") or 100
        while step > 0 and (found[-1] if found else 0) < min(most, 100):
            found.append(min((found[-1] if found else 0) + step, 100))
        return tuple(found)

    @property
    def interval(self) -> float:
        """Seconds between two looks of Flagger's."""
        return seconds(raw.text(self._analysis, "interval")) or 60.0

    def hooks(self, kind: str) -> list[str]:
        """The addresses that are asked; a webhook without a type is one of ``rollout``."""
        return [
            raw.text(each, "url")
            for each in raw.items(self._analysis, "webhooks")
            if (raw.text(each, "type") or "rollout") == kind
        ]

    @property
    def _analysis(self) -> object:
        return raw.at(self.one, "spec", "analysis") or raw.at(self.one, "spec", "canaryAnalysis") or {}

    def said(self) -> str:
        """Where it is, for people."""
        weight = f", {self.weight} % of the traffic" if self.going_on and self.weight is not None else ""
        skipped = ", without analysis" if self.going_on and self.skips else ""
        failed = self.failed_checks
        checks = f", {failed} failed check{'s' * (failed != 1)}" if failed and self.going_on else ""
        return f"Flagger: {_WORDS.get(self.phase, 'starting')}{skipped}{weight}{checks}"


_WORDS = {
    "Initialized": "ready",
    "Initializing": "initializing",
    "Waiting": "waiting to begin",
    "Progressing": "progressing",
    "WaitingPromotion": "waiting for the promotion",
    "Promoting": "promoting",
    "Finalising": "finalising",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Terminating": "terminating",
    "Terminated": "terminated",
}


def seconds(duration: str) -> float:
    """Go's durations, as ``1m30s``; 0 for what is none."""
    if not re.fullmatch(r"(?:[0-9]{1,6}(?:\.[0-9]{1,6})?(?:ms|s|m|h)){1,4}", duration):
        return 0.0
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", duration)
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
