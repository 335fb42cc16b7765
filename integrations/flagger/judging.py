"""How a change stands, from one look at the Canary, its Deployment and its primary. Pure.

Flagger's status is about what was before until its controller comes round: success and failure are believed only when
its own books have changed since, and success only when the primary runs what was wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bot.domain.gate import Goal
from bot.domain.ids import OperationId
from bot.domain.rollout import TakenBack
from integrations._shared.failures import told
from integrations._shared.kube import raw
from integrations._shared.workloads import judging, marks
from integrations._shared.workloads.workload import replicas
from integrations.flagger.canary import GONE
from integrations.flagger.place import rolled_out

if TYPE_CHECKING:
    from bot.domain.gate import Gate
    from integrations._shared.kube.raw import Object
    from integrations.flagger.canary import Canary
    from integrations.flagger.place import Place, Seen
    from integrations.flagger.ticket import Ticket


class Stand(Enum):
    """Where a change is."""

    #: Flagger has not taken it up yet.
    UNSEEN = "unseen"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look."""

    stand: Stand
    message: str


def judge(place: Place, ticket: Ticket, seen: Seen, *, begun: bool) -> View:
    """How the change of ``ticket`` stands; ``begun``: an analysis was seen to go on since it was made."""
    canary, one = seen.canary, seen.one
    if canary is None or canary.phase in GONE:
        return View(stand=Stand.DELETED, message=f"The Canary {place.options.canary} was deleted.")
    if one is None or raw.uid(one) != ticket.uid:
        again = "" if one is None else " and made anew by somebody"
        return View(stand=Stand.DELETED, message=f"The Deployment {place.workload.name} was deleted{again}.")
    taking_back = ticket.goal is Goal.BACK and ticket.base not in marks.history(one)
    base = marks.operation(one) if taking_back else OperationId(ticket.base)
    if base is not None and (other := superseded(one, base, place)):
        return View(stand=Stand.SUPERSEDED, message=other)
    if ticket.goal is Goal.BACK:
        return _back(place, ticket, canary, one, seen, taking_back=taking_back)
    return _forward(place, ticket, canary, one, seen, begun=begun)


def superseded(one: Object, operation: OperationId, place: Place) -> str:
    """Who put something else in the place of what ``operation`` brought; empty when nobody did."""
    mine = judging.Mine(name=place.workload.name, operation=operation, uid=raw.uid(one), generation=1)
    view = judging.judge(one, mine)
    return view.message if view.stand is judging.Stand.SUPERSEDED else ""


def _forward(place: Place, ticket: Ticket, canary: Canary, one: Object, seen: Seen, *, begun: bool) -> View:
    phase, said = canary.phase, canary.said()
    picked = begun or canary.applied != ticket.before[1]
    if canary.going_on and not ticket.anew(canary):
        return View(stand=Stand.WAITING, message=f"{said}, which is of what was before; waiting for it to begin anew")
    if canary.going_on:
        return _going_on(ticket, canary, one)
    if phase == "Succeeded" and picked:
        # A restore comes upon a success of what was before, when it meets a promotion on its way.
        settled = canary.applied == canary.promoted and (
            ticket.goal is not Goal.RESTORE or canary.applied != ticket.before[1]
        )
        if not settled:
            return View(stand=Stand.WAITING, message=said)
        if place.digest(seen.primary) != ticket.digest:
            return View(
                stand=Stand.FAILED,
                message=f"Flagger says that it succeeded, but {place.primary.name} does not have the image of it.",
            )
        if _sleeps(seen.primary):
            message = f"Flagger has promoted it; {place.primary.name} has 0 replicas, so none of it runs."
            return View(stand=Stand.DONE, message=message)
        if not rolled_out(seen.primary):
            return View(stand=Stand.WAITING, message=f"{said}, waiting for the pods of {place.primary.name}")
        return View(stand=Stand.DONE, message="Flagger has promoted it.")
    if phase == "Failed" and (begun or ticket.fails_anew or canary.decided_at != ticket.before[2]):
        return View(stand=Stand.FAILED, message=failed(canary, one))
    if canary.suspended:
        return View(stand=Stand.UNSEEN, message=f"the Canary {canary.name} is suspended, so Flagger does nothing")
    return View(stand=Stand.UNSEEN, message="waiting for Flagger to take it up")


def _sleeps(primary: Object | None) -> bool:
    """Whether none of its pods is wanted, and the cluster has seen so."""
    if primary is None or replicas(primary) > 0:
        return False
    return raw.count(primary, "status", "observedGeneration") >= raw.count(primary, "metadata", "generation")


def failed(canary: Canary, one: Object) -> str:
    """What became of the traffic."""
    what = marks.version(one) or "it"
    if canary.weight:
        return (
            f"Flagger could not finish the promotion of {what}: {canary.weight} % of the traffic stays on the canary, "
            "not on what ran before."
        )
    return f"Flagger has taken {what} back: no traffic goes to it any more."


def taken_back(place: Place, gate: Gate, seen: Seen, *, digest: str, begun: bool) -> TakenBack | None:
    """Why the release with ``digest`` gets no traffic any more; None while nobody has taken it back."""
    canary, one = seen.canary, seen.one
    if canary is None or one is None:
        return None  # who follows a change of it is told
    if place.digest(one) != digest:
        who = superseded(one, OperationId(gate.base), place) if gate.base else ""
        return TakenBack(by_platform=False, why=who or f"{place.workload.name} is to run another image now.")
    if canary.phase != "Failed" or canary.weight or not fails_now(gate, begun=begun):
        return None
    what, why = marks.version(one) or "it", _condition(canary).rstrip(".")
    return TakenBack(by_platform=True, why=f"Flagger took {what} back: {why or 'its analysis failed'}.")


def fails_now(gate: Gate, *, begun: bool) -> bool:
    """Whether a failure in the status is one of what the gate was opened for, not the one of before."""
    return begun or gate.before[:1] != ("Failed",)


def _condition(canary: Canary) -> str:
    """Flagger's own words for the phase that it came to."""
    conditions = raw.items(canary.one, "status", "conditions")
    return next((told(raw.text(each, "message")) for each in conditions if raw.text(each, "type") == "Promoted"), "")


def _going_on(ticket: Ticket, canary: Canary, one: Object) -> View:
    said = canary.said()
    if ticket.goal is not Goal.WEIGHT:
        return View(stand=Stand.WAITING, message=said)
    if canary.phase == "WaitingPromotion":
        return View(stand=Stand.DONE, message=said)
    top = max((step for step in canary.steps if step <= ticket.percent), default=0)
    weight = canary.weight
    if canary.phase != "Progressing" or weight is None or weight < top or (top == 0 and not rolled_out(one)):
        return View(stand=Stand.WAITING, message=said)
    message = f"The canary gets {weight} % of the traffic."
    if ticket.percent == 100 and weight < 100:
        message = f"{message[:-1]}, Flagger's highest step; the rest comes with the promotion."
    return View(stand=Stand.DONE, message=message)


def _back(place: Place, ticket: Ticket, canary: Canary, one: Object, seen: Seen, *, taking_back: bool) -> View:
    if canary.phase == "Failed" and canary.weight:
        return View(stand=Stand.FAILED, message=failed(canary, one))
    if canary.phase == "Succeeded" and ticket.digest and place.digest(seen.primary) != ticket.digest:
        return View(stand=Stand.FAILED, message="Flagger had promoted it before it could be taken back.")
    if canary.going_on or taking_back:
        return View(stand=Stand.WAITING, message=f"{canary.said()}; it is being taken back")
    return View(stand=Stand.DONE, message="All traffic goes to what ran before.")
