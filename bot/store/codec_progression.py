"""How a rollout of several steps stands, and the countdown of its rollback, within the body of a deployment.

Comes back exactly as it went in, since whoever changes it compares. Only what is no number at all becomes none: it is
not even equal to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.analysis.countdown import Countdown, CountdownState
from bot.domain.analysis.judgement import Judgement, Verdict
from bot.domain.analysis.watch import Look
from bot.domain.metric import Reading
from bot.domain.progression import Looks, Progression, Reached
from bot.domain.strategy.kinds import OnTimeout
from bot.domain.strategy.moves import Abort, AskApproval, Cause
from bot.domain.strategy.position import Held, Position, Waiver
from bot.store.body import actor_in, actor_out, enum_of, instant_in, instant_out, maybe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.store.body import Json


def progression_out(progression: Progression) -> Json:
    """A progression within a body."""
    return {
        "position": _position_out(progression.position),
        "looks": [_looks_out(one) for one in progression.looks],
        "before": {check: _reading_out(reading) for check, reading in progression.before.items()},
        "question": maybe(progression.question, _question_out),
        "why": progression.why,
        "steps": [_reached_out(one) for one in progression.steps],
    }


def progression_in(value: Mapping[str, Any]) -> Progression:
    """A progression from within a body."""
    return Progression(
        position=_position_in(value["position"]),
        looks=tuple(_looks_in(one) for one in value.get("looks", ())),
        before={check: _reading_in(reading) for check, reading in value.get("before", {}).items()},
        question=maybe(value.get("question"), _question_in),
        why=value.get("why", ""),
        steps=tuple(_reached_in(one) for one in value.get("steps", ())),
    )


def countdown_out(countdown: Countdown) -> Json:
    """A countdown within a body."""
    return {
        "why": countdown.why,
        "began": instant_out(countdown.began),
        "deadline": instant_out(countdown.deadline),
        "state": countdown.state.value,
        "by": maybe(countdown.by, actor_out),
        "snoozes": countdown.snoozes,
        "barred": countdown.barred,
        "ended": maybe(countdown.ended, instant_out),
    }


def countdown_in(value: Mapping[str, Any]) -> Countdown:
    """A countdown from within a body."""
    return Countdown(
        why=value.get("why", ""),
        began=instant_in(value["began"]),
        deadline=instant_in(value["deadline"]),
        state=enum_of(CountdownState, value["state"], "state of a countdown"),
        by=maybe(value.get("by"), actor_in),
        snoozes=value.get("snoozes", 0),
        barred=value.get("barred", ""),
        ended=maybe(value.get("ended"), instant_in),
    )


def _position_out(position: Position) -> Json:
    return {
        "step": position.step,
        "weight": position.weight,
        "since": instant_out(position.since),
        "approved": position.approved,
        "approved_by": maybe(position.approved_by, actor_out),
        "asked": maybe(position.asked, instant_out),
        "held": maybe(position.held, _held_out),
        "hurry": position.hurry,
        "leap": position.leap,
        "waived": [_waiver_out(waiver) for waiver in position.waived],
        "abort": maybe(position.abort, _abort_out),
        "promoted": position.promoted,
    }


def _position_in(value: Mapping[str, Any]) -> Position:
    return Position(
        step=value["step"],
        weight=value["weight"],
        since=instant_in(value["since"]),
        approved=value.get("approved", 0),
        approved_by=maybe(value.get("approved_by"), actor_in),
        asked=maybe(value.get("asked"), instant_in),
        held=maybe(value.get("held"), _held_in),
        hurry=value.get("hurry", False),
        leap=value.get("leap", False),
        waived=tuple(_waiver_in(waiver) for waiver in value.get("waived", ())),
        abort=maybe(value.get("abort"), _abort_in),
        promoted=value.get("promoted", False),
    )


def _held_out(held: Held) -> Json:
    return {"at": instant_out(held.at), "by": maybe(held.by, actor_out), "why": held.why}


def _held_in(value: Mapping[str, Any]) -> Held:
    return Held(at=instant_in(value["at"]), by=maybe(value.get("by"), actor_in), why=value.get("why", ""))


def _waiver_out(waiver: Waiver) -> Json:
    return {
        "check": waiver.check,
        "verdict": waiver.verdict.value,
        "to": waiver.to,
        "by": actor_out(waiver.by),
        "reason": waiver.reason,
    }


def _waiver_in(value: Mapping[str, Any]) -> Waiver:
    return Waiver(
        check=value["check"],
        verdict=enum_of(Verdict, value["verdict"], "verdict"),
        to=value["to"],
        by=actor_in(value["by"]),
        reason=value.get("reason", ""),
    )


def _abort_out(abort: Abort) -> Json:
    return {"cause": abort.cause.value, "why": abort.why, "by": maybe(abort.by, actor_out), "begun": abort.begun}


def _abort_in(value: Mapping[str, Any]) -> Abort:
    return Abort(
        cause=enum_of(Cause, value["cause"], "cause of an end"),
        why=value.get("why", ""),
        by=maybe(value.get("by"), actor_in),
        begun=value.get("begun", True),
    )


def _reached_out(reached: Reached) -> Json:
    return {
        "step": reached.step,
        "weight": reached.weight,
        "at": instant_out(reached.at),
        "elsewhere": reached.elsewhere,
        "left": maybe(reached.left, instant_out),
        "judgements": [_judgement_out(one) for one in reached.judgements],
        "waived": [_waiver_out(one) for one in reached.waived],
        "asked": reached.asked,
        "by": maybe(reached.by, actor_out),
        "kept": reached.kept,
    }


def _reached_in(value: Mapping[str, Any]) -> Reached:
    return Reached(
        step=value["step"],
        weight=value["weight"],
        at=instant_in(value["at"]),
        elsewhere=value.get("elsewhere", False),
        left=maybe(value.get("left"), instant_in),
        judgements=tuple(_judgement_in(one) for one in value.get("judgements", ())),
        waived=tuple(_waiver_in(one) for one in value.get("waived", ())),
        asked=value.get("asked", False),
        by=maybe(value.get("by"), actor_in),
        kept=value.get("kept", ""),
    )


def _looks_out(looks: Looks) -> Json:
    return {
        "check": looks.check,
        "looks": [{"at": instant_out(look.at), "verdict": look.verdict.value} for look in looks.looks],
        "last": maybe(looks.last, _judgement_out),
        "tripped": maybe(looks.tripped, instant_out),
        "why": looks.why,
    }


def _looks_in(value: Mapping[str, Any]) -> Looks:
    return Looks(
        check=value["check"],
        looks=tuple(
            Look(at=instant_in(look["at"]), verdict=enum_of(Verdict, look["verdict"], "verdict"))
            for look in value.get("looks", ())
        ),
        last=maybe(value.get("last"), _judgement_in),
        tripped=maybe(value.get("tripped"), instant_in),
        why=value.get("why", ""),
    )


def _judgement_out(judgement: Judgement) -> Json:
    return {
        "check": judgement.check,
        "verdict": judgement.verdict.value,
        "at": instant_out(judgement.at),
        "value": _number(judgement.value),
        "limit": _number(judgement.limit),
        "baseline": _number(judgement.baseline),
        "samples": _number(judgement.samples),
        "age": _number(judgement.age),
        "pre_existing": judgement.pre_existing,
        "sentence": judgement.sentence,
    }


def _judgement_in(value: Mapping[str, Any]) -> Judgement:
    return Judgement(
        check=value["check"],
        verdict=enum_of(Verdict, value["verdict"], "verdict"),
        at=instant_in(value["at"]),
        value=value.get("value"),
        limit=value.get("limit"),
        baseline=value.get("baseline"),
        samples=value.get("samples"),
        age=value.get("age"),
        pre_existing=value.get("pre_existing", False),
        sentence=value.get("sentence", ""),
    )


def _reading_out(reading: Reading) -> Json:
    return {
        "value": _number(reading.value),
        "at": instant_out(reading.at),
        "samples": _number(reading.samples),
        "why": reading.why,
    }


def _reading_in(value: Mapping[str, Any]) -> Reading:
    return Reading(
        value=value.get("value"), at=instant_in(value["at"]), samples=value.get("samples"), why=value.get("why", "")
    )


def _question_out(question: AskApproval) -> Json:
    return {
        "step": question.step,
        "weight": question.weight,
        "options": list(question.options),
        "why": question.why,
        "refused": question.refused,
        "asked": instant_out(question.asked),
        "nags_at": instant_out(question.nags_at),
        "escalates_at": instant_out(question.escalates_at),
        "until": instant_out(question.until),
        "otherwise": question.otherwise.value,
    }


def _question_in(value: Mapping[str, Any]) -> AskApproval:
    return AskApproval(
        step=value["step"],
        weight=value["weight"],
        options=tuple(value.get("options", ())),
        why=value.get("why", ""),
        refused=value.get("refused", ""),
        asked=instant_in(value["asked"]),
        nags_at=instant_in(value["nags_at"]),
        escalates_at=instant_in(value["escalates_at"]),
        until=instant_in(value["until"]),
        otherwise=enum_of(OnTimeout, value["otherwise"], "end of a question"),
    )


def _number(value: float | None) -> float | None:
    """The number; None for what is not equal to itself."""
    return None if value is None or value != value else value
