"""The direct message that asks one person to approve a deployment, edited in place until it is decided.

It shows what the card shows; whether its reader may decide is asked at the click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.lifecycle import Phase
from bot.slack.render import blocks as b
from bot.slack.render.buttons import votes
from bot.slack.render.deployment import facts, metadata, release_words, spoken, status, surroundings
from bot.slack.render.gates import approvers, missing
from bot.slack.render.message import Message, compose
from bot.slack.render.text import escape, instant, name, plain

if TYPE_CHECKING:
    from bot.domain.deployment import Deployment
    from bot.domain.view import ApprovalView, DeploymentView

    Block = b.Block

KEY = "ask"
"""Begins the keys of these messages; the id of the person follows."""


def ask(view: DeploymentView, viewer_id: str) -> Message:
    """The question to ``viewer_id``, who is told at once; when it is decided, by whom, and no button any more."""
    deployment = view.deployment
    title = f"{plain(deployment.service, 60)} to {plain(deployment.environment, 60)}"
    key = f"{KEY}.{viewer_id}"
    if deployment.phase is not Phase.AWAITING_APPROVAL:
        line = f"{_outcome(view)}\n{release_words(deployment)} · {status(view)}"
        content: list[Block] = [b.header(f"Approval: {title}"), b.section(line)]
        text = f"Your approval is not needed any more. {spoken(view)}"
        return compose(text, [*content, _identity(view)], metadata(view, key))
    content = [b.header(f"Approval: {title}"), b.fields(facts(view)), b.section(status(view)), *surroundings(view)]
    approval = view.approval
    said = approval is not None and any(actor.id == viewer_id for actor in approval.tally.by)
    done = approval is not None and approval.tally.approved
    if said:
        rest = "It goes on." if done else "Somebody else must too."
        content.append(b.section(f"✓ *You approved it*. {rest}"))
    elif row := votes(view):
        content.append(b.actions(row))
    ends = f" It expires {instant(approval.expires_at)}." if approval else ""
    what = f"{escape(deployment.service, 80)} {release_words(deployment)} to {escape(deployment.environment, 80)}"
    asks = "has your approval and waits for another" if said else "waits for your approval"
    text = f"#{deployment.number} {what} {asks}, requested by {name(deployment.requester)}.{ends}"
    return compose(text, [*content, _identity(view)], metadata(view, key))


def voted(deployment: Deployment, approval: ApprovalView | None) -> Message:
    """A person's yes or no was counted: what it comes to."""
    place = f"{escape(deployment.service, 80)} to {escape(deployment.environment, 80)}"
    if approval is None or approval.tally.approved:
        line = f"✓ *Approved*: #{deployment.number} {place} goes on as soon as every gate lets it."
    elif deployment.phase is Phase.REJECTED or approval.tally.state.value == "rejected":
        line = f"✗ *Rejected*: #{deployment.number} {place} ends here, and its requester is told why."
    else:
        line = f"✓ *Counted*: your word for #{deployment.number} {place}. Approval – {missing(approval)}."
    return compose(line.replace("*", ""), [b.section(line)])


def _outcome(view: DeploymentView) -> str:
    if by := approvers(view):
        return f"✓ *Approved* by {by}."
    if view.deployment.phase is Phase.REJECTED:
        return f"✗ *Rejected* by {name(view.deployment.timeline[-1].actor)}."
    return "– *Not asked any more*."


def _identity(view: DeploymentView) -> Block:
    deployment = view.deployment
    return b.context(f"#{deployment.number} · {escape(deployment.id, 64)} · requested by {name(deployment.requester)}")
