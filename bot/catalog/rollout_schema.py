"""The shape of metric sources, checks and strategies in the catalog file. What may stand there and how it is said."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from bot.catalog.blocks import STRICT, NeverNull, something
from bot.catalog.problems import BadValue
from bot.catalog.quantities import Bake, Difference, Look, OptionalLook, OptionalNumber, Patience, Weight
from bot.catalog.values import Query, SourceName

_EITHER = "write {} for what is usual, or leave it out"
_USUAL = BeforeValidator(something(_EITHER))

MOST_STEPS = 20
MOST_CHECKS = 20
"""That one service may be watched by."""


class _Block(BaseModel):
    model_config = STRICT


class ComparisonBlock(_Block):
    """How far a number may be on the bad side of another: too far only when both bounds are passed."""

    ratio: float = Field(
        default=1.5, ge=1, le=1000, allow_inf_nan=False, description="How many times as bad it may be; at least 1."
    )
    tolerance: Difference = Field(default=0.0, description="A smaller difference is none, in the number's own unit.")


class CheckBlock(_Block):
    """One number that tells whether a release does well."""

    source: SourceName = Field(description="The metric source that answers, by its name under 'metrics'.")
    query: Query = Field(description="The question, in the source's own language.")
    kind: Literal["share", "amount"] = Field(
        default="amount", description="share: a part of all, from 0 to 1; amount: anything else."
    )
    good: Literal["at_most", "at_least"] = Field(default="at_most", description="Which side of the limit is good.")
    unit: str = Field(default="", max_length=20, description="Written behind an amount, such as ms.")
    limit: OptionalNumber = Field(default=None, description="A bound that the number itself must keep.")
    against_stable: Annotated[ComparisonBlock | None, _USUAL, NeverNull()] = Field(
        default=None, description="How the canary may differ from what serves beside it."
    )
    against_before: Annotated[ComparisonBlock | None, _USUAL, NeverNull()] = Field(
        default=None, description="How it may differ from what ran before the deployment."
    )
    min_samples: float = Field(
        default=20.0,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="Events that a number must be reckoned from; 0 for a source that does not tell.",
    )
    interval: Look = Field(default=30.0, description="Time between two looks.")
    window: Look = Field(default=30.0, description="Time that one look is about.")
    failures: int = Field(default=2, ge=1, le=60, description="Looks that must fail …")
    of: int = Field(default=3, ge=1, le=60, description="… of so many in a row, for the check to fail.")
    max_age: OptionalLook = Field(
        default=None, description="How old a number may be; two intervals and the window if left out."
    )
    required: bool = Field(default=True, description="Whether nothing goes on while it cannot tell.")
    needs_traffic: bool = Field(
        default=True, description="Whether it has something to say only where people's requests go."
    )


class StepBlock(_Block):
    """A weight, and what must be before the next one."""

    weight: Weight = Field(description="Per cent of the traffic that the new release gets.")
    bake: Bake = Field(default=0.0, description="Time for which the checks are watched at this weight.")
    approval: bool = Field(default=False, description="Whether a person must say yes before it goes further.")


class _Patient(_Block):
    timeout: Patience = Field(default=1800.0, description="Time for which people are waited for.")
    on_timeout: Literal["abort", "hold", "promote"] = Field(
        default="abort",
        description="What then: it is taken back, left as it is, or goes on if every check passes.",
    )


class CanaryBlock(_Patient):
    """A growing part of the traffic goes to the next release; after the last step all of it does."""

    steps: list[StepBlock] = Field(min_length=1, max_length=MOST_STEPS, description="Weights that rise.")


class BlueGreenBlock(_Patient):
    """The next release is verified without traffic beside the old one, then all traffic is switched."""

    keep: Bake = Field(default=600.0, description="Time for which the old release is kept after the switch.")
    verify: Bake = Field(default=0.0, description="Time for which the new one is watched before the switch.")
    approval: bool = Field(default=False, description="Whether a person must say yes before the switch.")


class PlainBlock(_Block):
    """A strategy that has nothing to choose."""


_KINDS = ("rolling", "recreate", "canary", "blue_green")


class StrategyBlock(_Block):
    """How a release takes the place of another: one of the four kinds."""

    rolling: Annotated[PlainBlock | None, _USUAL, NeverNull()] = Field(
        default=None, description="Instances are replaced one after the other."
    )
    recreate: Annotated[PlainBlock | None, _USUAL, NeverNull()] = Field(
        default=None, description="What runs is stopped before the next is started."
    )
    canary: Annotated[CanaryBlock | None, BeforeValidator(something("write its steps under 'steps'")), NeverNull()] = (
        Field(default=None, description="A growing part of the traffic goes to the next release.")
    )
    blue_green: Annotated[BlueGreenBlock | None, _USUAL, NeverNull()] = Field(
        default=None, description="All traffic is switched once the next release is verified."
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> StrategyBlock:
        there = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(there) > 1:
            raise BadValue(f"{' and '.join(map(repr, there))} are both there; make two strategies of it")
        if not there:
            raise BadValue("the strategy is empty; give it one of its kinds", allowed=_KINDS)
        return self
