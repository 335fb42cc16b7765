"""Whatever the world calls its services, versions and people: nothing pings, nothing formats, nothing overflows."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollout_scenes import rollout_scenes
from slack_scenes import (
    ADA,
    START,
    approval,
    deployment,
    forecast,
    freeze,
    gate,
    lock,
    override,
    proven,
    queue,
    release,
    rollback_of_it,
    running,
    schedule,
    view,
)  # fmt: skip

from bot.domain import dora
from bot.domain.actor import Actor
from bot.domain.deployment import Deployment, Request
from bot.domain.errors import BadCommand, Blocked, NotAuthorized, ProviderUnavailable, StoreError
from bot.domain.grammar.help import HelpEntry
from bot.domain.history import Placement
from bot.domain.ids import DeploymentId, EnvironmentName, LockScope, ServiceName
from bot.domain.insight import Difference, Drift, DriftKind, Explanation, Relation, Stats
from bot.domain.lifecycle import Phase
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action
from bot.domain.policy.approval import ApprovalRule, Tally, TallyState
from bot.domain.policy.gates import GateResult, Verdict
from bot.domain.policy.override import Override, OverrideKind
from bot.domain.policy.scope import Scope
from bot.domain.policy.window import WindowDecision
from bot.domain.rollout import Plan, Progress
from bot.domain.view import ApprovalView, DeploymentView, Forecast, Overview
from bot.sandbox import blocks as sandbox
from bot.slack.names import ButtonValue, FormValue, IdValue, OrderValue
from bot.slack.render import answers, form, forms, limits, notices, plans, rules
from bot.slack.render import approval as approval_dm
from bot.slack.render.deployment import root
from bot.slack.render.home import home
from bot.slack.render.message import Message, explained
from bot.slack.render.notes import notes
from bot.slack.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.domain.analysis.judgement import Judgement
    from bot.domain.policy.freeze import Freeze
    from bot.domain.policy.lock import StickyLock

ROLLOUTS = rollout_scenes()

#: What the bot itself may write between angle brackets.
OURS = re.compile(
    r"<@[UW][A-Z0-9]{2,20}>|<!subteam\^S[A-Z0-9]{2,20}>"
    r"|<!date\^\d+\^(?:\{date_short_pretty\} \{time\}|\{time_secs\})\|[^<>]*>"
)
NASTY = [
    "<!channel>", "<!here|x>", "<!subteam^S0RELEASE>", "S0RELEASE|x>", "@here",
    "<@U0GRACE>", "<#C0ADMIN>", "<https://evil.example|click me>", "&lt;!channel&gt;",
    "*bold*", "_slanted_", "~gone~", "`code`", "```block```", ":tada:", ":100:", "> quote", "a\n> quote",
    "\u202egnp.exe", "\ud800", "\x00\x07", "𝕒" * 50, "👩‍👩‍👧‍👦" * 30, '"\\' * 200, "&" * 3_000, "<" * 3_000,
    "*" * 3_000, "x" * 50_000, "\n" * 4_000, ":a" * 5_000, "{date}|<!date^1^{x}|y>", " ", "",
]  # fmt: skip
hostile = st.one_of(st.sampled_from(NASTY), st.text(max_size=200), st.text(alphabet="<>!@#|&*_~`:\n x", max_size=400))


def mrkdwn(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for value in node.values():
            yield from mrkdwn(value)
    elif isinstance(node, list):
        for item in node:
            yield from mrkdwn(item)


def harmless(text: str, *, links: bool = False) -> None:
    bare = OURS.sub("", text)
    if links:
        bare = re.sub(r"<https://example\.com/[^<>|]*\|[^<>]*>", "", bare)
    assert "<" not in bare
    assert ">" not in bare
    assert not re.search(r"&(?!amp;|lt;|gt;)", bare)


def checked(message: Message) -> None:
    assert limits.problems(message.text, message.blocks) == []
    assert sandbox.message_faults(message.blocks) == []
    for text in (message.text, *mrkdwn(message.blocks)):
        harmless(text)
    message.digest.encode()
    repr(message.blocks).encode()


def drawn(data: st.DataObject) -> Callable[[], str]:
    """A few drawn texts, over and over: many fields, little to draw."""
    texts = cycle(data.draw(st.lists(hostile, min_size=1, max_size=6)))
    return lambda: next(texts)


class BadPolicy(NamedTuple):
    approval: ApprovalView
    forecast: Forecast
    gates: tuple[GateResult, ...]
    locks: tuple[StickyLock, ...]
    freezes: tuple[Freeze, ...]
    overrides: tuple[Override, ...]


def bad_policy(text: Callable[[], str], actor: Actor) -> BadPolicy:
    scope = Scope(service=ServiceName(text()), environment=EnvironmentName(text()) if text() else None)
    gates = tuple(GateResult(name=text(), verdict=verdict, sentence=text(), until=START) for verdict in Verdict)
    tally = Tally(state=TallyState.PENDING, have=1, need=3, by=(actor,), sentence=text())
    asked = approval(
        tally=tally, rule=ApprovalRule(quorum=3, group=text(), fallback=text()), asked=(text(), text()), void=text(),
        nudged=True, escalated=True, subject=text(),
    )  # fmt: skip
    return BadPolicy(
        approval=asked,
        forecast=forecast(*gates, downgrade=True, current=replace(release("v"), version=text())),
        gates=gates,
        locks=(lock(scope=scope, reason=text(), owner=actor, incident=text(), hard=True),) * 3,
        freezes=(freeze(scope=scope, reason=text(), by=actor),) * 3,
        overrides=tuple(
            override(kind, service=ServiceName(text()), environment=EnvironmentName(text()), by=actor,
                     reason=text(), seconded_by=actor if text() else None, reviewed_by=actor if text() else None)
            for kind in OverrideKind
        ),
    )  # fmt: skip


def bad_view(phase: Phase, text: Callable[[], str]) -> DeploymentView:
    actor = Actor(workspace="T0SANDBOX", id=text() or "U", name=text())
    bad_release = replace(release("v"), version=text())
    bad_running = replace(running("v"), release=replace(bad_release, version=text()))

    def spoil(base: Deployment) -> Deployment:
        return replace(
            base,
            id=DeploymentId(base.id),
            service=ServiceName(text()),
            environment=EnvironmentName(text()),
            scope=LockScope(text()),
            release=bad_release,
            strategy=text(),
            reason=text(),
            requester=actor,
            note=text(),
            plan=Plan(current=bad_running, changes=tuple(text() for _ in range(7)), warnings=(text(), text())),
            previous=bad_running if base.previous_recorded else None,
            progress=Progress(done=1, total=2, message=text()),
            timeline=(*base.timeline[:-1], replace(base.timeline[-1], actor=actor, note=text())),
        )

    shown = view(phase, deployment=spoil(deployment(phase)))
    policy = bad_policy(text, actor)
    asked = Request(actor=actor, at=START, reason=text()) if text() else None
    return replace(
        shown,
        deployment=replace(shown.deployment, request=asked) if phase.holds_lock else shown.deployment,
        protected=bool(text()),
        approval=policy.approval,
        forecast=policy.forecast,
        blocking=policy.locks if phase is Phase.HELD else (),
        overrides=policy.overrides,
        queue=replace(queue(), ahead=spoil(deployment(Phase.QUEUED))) if phase is Phase.QUEUED else None,
        rollback_to=replace(proven(), release=bad_release, by=actor) if shown.rollback_to else None,
        taken_back_by=spoil(rollback_of_it()) if shown.taken_back_by else None,
    )


def spoiled(shown: DeploymentView, text: Callable[[], str]) -> DeploymentView:
    """A rollout in which everything that comes from elsewhere is something else."""
    actor = Actor(workspace="T0SANDBOX", id=text() or "U", name=text())
    names = {check.name: f"{text()}x{check.name}" for check in shown.checks}
    checks = tuple(replace(check, name=names[check.name], unit=text()) for check in shown.checks)

    def said(judgement: Judgement | None) -> Judgement | None:
        return judgement and replace(judgement, check=names.get(judgement.check, "x"), sentence=text())

    going, countdown = shown.deployment.progression, shown.deployment.countdown
    if going is not None:
        waived = tuple(replace(one, check=names.get(one.check, "x"), by=actor, reason=text()) for one in
                       going.position.waived)  # fmt: skip
        held = going.position.held and replace(going.position.held, by=actor, why=text())
        going = replace(
            going,
            position=replace(going.position, held=held, waived=waived, approved_by=actor),
            looks=tuple(replace(one, check=names.get(one.check, "x"), last=said(one.last)) for one in going.looks),
            question=going.question and replace(going.question, why=text(), refused=text()),
            why=text(),
            before={names.get(check, "x"): reading for check, reading in going.before.items()},
            steps=tuple(
                replace(one, by=actor, waived=waived, judgements=tuple(filter(None, map(said, one.judgements))))
                for one in going.steps
            ),
        )
    return replace(
        shown,
        checks=checks,
        readings={names.get(check, "x"): tracks for check, tracks in shown.readings.items()},
        deployment=replace(
            shown.deployment,
            service=ServiceName(text()),
            environment=EnvironmentName(text()),
            release=replace(shown.deployment.release, version=text()),
            requester=actor,
            note=text(),
            progression=going,
            countdown=countdown and replace(countdown, why=text(), barred=text(), by=actor),
        ),
    )


@pytest.mark.parametrize("phase", list(Phase))
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_breaks_the_card_or_its_thread(phase: Phase, data: st.DataObject) -> None:
    shown = bad_view(phase, drawn(data))
    checked(root(shown))
    checked(explained(root(shown), "Told here because <@U0ADA> asked."))
    for note in notes(shown):
        checked(note.message)
        if note.file and isinstance(note.file.content, str):
            note.file.content.encode()
        if note.picture:
            note.picture.alt.encode()
    checked(answers.status(shown))
    checked(approval_dm.ask(shown, "U0GRACE"))
    checked(approval_dm.voted(shown.deployment, shown.approval))


@pytest.mark.parametrize("name", sorted(ROLLOUTS))
@given(data=st.data())
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_breaks_a_rollout_or_its_thread(name: str, data: st.DataObject) -> None:
    text = drawn(data)
    shown = spoiled(ROLLOUTS[name], text)
    checked(root(shown))
    for note in notes(shown):
        checked(note.message)
        if note.picture:
            note.picture.alt.encode()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_breaks_an_answer_about_rules_or_a_form(data: st.DataObject) -> None:
    text = drawn(data)
    actor = Actor(workspace="T0SANDBOX", id=text() or "U", name=text())
    policy = bad_policy(text, actor)
    held = [bad_view(Phase.HELD, text).deployment, bad_view(Phase.HELD, text).deployment]
    order = OrderValue(text(), text(), text(), reason=text())
    placement = Placement(
        service=ServiceName(text()), environment=EnvironmentName(text()), release=held[0].release, since=START,
        deployment=None, by=actor,
    )  # fmt: skip
    one, other = placement.environment, EnvironmentName(text())
    drifts = [
        Drift(service=ServiceName(text()), environment=EnvironmentName(text()), kind=kind, recorded=placement,
              running=None, sentence=text(), at=START)
        for kind in DriftKind
    ]  # fmt: skip
    differences = [
        Difference(service=placement.service, one=placement, other=None, relation=relation, sentence=text())
        for relation in Relation
    ]
    figures = dora.figures([], since=START, until=START + timedelta(days=30), service=placement.service,
                           environment=placement.environment)  # fmt: skip
    explanations = [
        Explanation(action=action, subject=actor, allowed=allowed, places=((placement.service, one),), where=text(),
                    reason=text(), role=text(), row=text())
        for action, allowed in zip(Action, cycle([True, False, None]), strict=False)
    ]  # fmt: skip
    blocked = [
        Blocked(text() or "x", hint=text(), gates=[*policy.gates, gate(name, Verdict.BLOCK, text(), START)])
        for name in ("lock", "freeze", "order")
    ]
    rows = [(schedule(), found) for found in held]
    for message in (
        *(answers.blocked(error, order, locks=policy.locks[: len(text()) % 4], viewer=actor) for error in blocked),
        *(answers.blocked(error, order, locks=policy.locks[:1], viewer=ADA) for error in blocked),
        answers.schedule(rows),
        answers.where([placement], drifts),
        answers.diff(differences, one, other),
        answers.stats(Stats(figures=figures, days=(), definitions={text(): text()}, chart=None)),
        plans.dry_run(text(), text(), held[0].release, Plan(current=None, changes=(text(),)), policy.forecast),
        rules.locked(policy.locks[0]),
        rules.unlocked(policy.locks),
        rules.kept(policy.locks[0]),
        rules.taken_over(policy.locks[0]),
        rules.owner_asked(policy.locks[0]),
        rules.locks(policy.locks, policy.freezes, at=START),
        rules.frozen(policy.freezes[0], held, held),
        rules.unfrozen(policy.freezes, held),
        rules.may(explanations),
        *(rules.overridden(found) for found in policy.overrides),
        *(
            notices.notice(
                Notice(key=text(), to="user:U0ADA", kind=kind, at=START, by=actor, sentence=text(),
                       deployment=DeploymentId(text()),
                       facts={name: text() for name in ("lock", "freeze", "override", "held", "scope", "number")})
            )
            for kind in NoticeKind
        ),
    ):  # fmt: skip
        checked(message)
    for carried in (ButtonValue(held[0].id, 3), IdValue(text(), text()), order):
        for shown in (
            forms.reject(FormValue(carried), deployment=held[0]),
            forms.take_over(FormValue(carried), lock=policy.locks[0]),
            forms.override(FormValue(carried)),
            forms.break_glass(FormValue(carried), reason=text()),
        ):
            if len(shown["private_metadata"]) <= limits.METADATA:  # what is longer was never offered a button
                assert sandbox.view_faults(shown) == []
            for line in mrkdwn(shown):
                harmless(line)
    assert all(0 < len(line) <= 300 for line in forms.errors(blocked[0]).values())


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_breaks_an_answer_the_home_tab_or_the_form(data: st.DataObject) -> None:
    text = drawn(data)
    views = [bad_view(Phase.QUEUED, text), bad_view(Phase.DEPLOYING, text), bad_view(Phase.NEEDS_ATTENTION, text)]
    one = views[0].deployment
    placements = [
        Placement(
            service=ServiceName(text()), environment=EnvironmentName(text()), release=one.release, since=START,
            deployment=None, by=one.requester,
        )
        for _ in range(4)
    ]  # fmt: skip
    refusal = BadCommand(text() or "x", token=text(), suggestions=[text(), text(), text()], hint=text())
    found = Plan(current=None, changes=(text(), text()), warnings=(text(),))
    for message in (
        answers.refused(refusal),
        answers.refused(NotAuthorized(text() or "x", hint=text())),
        answers.failure(ProviderUnavailable(text(), provider=text(), retry_after=3.0), reference=text()),
        answers.failure(StoreError(text()), reference=text()),
        answers.unexpected(text()),
        answers.accepted(one, text()),
        answers.help_([HelpEntry(syntax=text(), meaning=text(), example=text()) for _ in range(12)], intro=text()),
        answers.statuses(text() or "x", views, placements),
        answers.history(one.service, one.environment, [item.deployment for item in views]),
        answers.queue(one.scope, one, views),
        answers.where(placements),
        answers.no_queue(),
        answers.notice(text(), text()),
        plans.dry_run(one.service, one.environment, one.release, found),
    ):
        checked(message)
    policy = bad_policy(text, one.requester)
    overview = Overview(
        running=views, placements=placements, at=START, to_approve=[one.id], locks=policy.locks,
        freezes=policy.freezes, scheduled=[schedule()], to_review=policy.overrides,
        windows=[(EnvironmentName(text()), WindowDecision(open=not text(), name=None, reason=text(), opens_at=START))],
    )  # fmt: skip
    tab = home(overview, viewer=one.requester)
    assert sandbox.view_faults(tab) == []
    for line in mrkdwn(tab):
        harmless(line)
    values = form.FormValues(service=text(), version=text(), environment=text(), reason=text())
    assert sandbox.view_faults(form.form(["staging", text(), text()], values=values, context=text())) == []
    assert sandbox.options_faults(form.options([text() for _ in range(5)])) == []
    assert all(0 < len(message) <= 300 for message in form.errors(refusal).values())


@given(hostile, st.integers(min_value=1, max_value=500))
def test_escaping_stays_in_its_limit_and_whole(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert len(escaped) <= limit
    harmless(escaped)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("v1.2", "v1.2"),
        ("snake_case_name", "snake_case_name"),
        ("v1.2~rc1", "v1.2~rc1"),
        ("a & b", "a &amp; b"),
        ("12:30:45", "12:30:45"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("*x*", "\u200b*\u200bx\u200b*\u200b"),
        ("`x`", "ˋxˋ"),
        (":tada:", ":\u200btada:"),
        ("> q", "\u200b&gt; q"),
        ("a\nb", "a b"),
    ],
)
def test_foreign_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_long_reason_becomes_a_file_with_its_tail_in_the_note() -> None:
    log = "\n".join(f"line {number} <!channel>" for number in range(1_000))
    [note] = notes(view(Phase.FAILED, deployment=deployment(Phase.FAILED, note=log)))
    assert note.file is not None
    assert note.file.name == "checkout-42-failed.log"
    assert note.file.content == log
    shown = str(note.message.blocks)
    assert "line 999" in shown
    assert "line 10 " not in shown
    checked(note.message)


def test_an_enormous_log_keeps_its_tail() -> None:
    [note] = notes(view(Phase.FAILED, deployment=deployment(Phase.FAILED, note="x" * 3_000_000 + "the end")))
    assert note.file is not None
    assert len(note.file.content) < 1_100_000
    assert str(note.file.content).endswith("the end")


def test_the_home_tab_keeps_within_100_blocks_and_says_what_is_missing() -> None:
    views = [
        replace(
            view(Phase.DEPLOYING),
            deployment=deployment(Phase.DEPLOYING, number=number, id=DeploymentId(f"d{number:03}")),
        )
        for number in range(200)
    ]
    placements = [
        Placement(
            service=ServiceName(f"s{number}"), environment=EnvironmentName(f"e{number % 7}"), release=release("v1"),
            since=START, deployment=None, by=ADA,
        )
        for number in range(900)
    ]  # fmt: skip
    tab = home(Overview(running=views, placements=placements, at=START + timedelta(hours=1)))
    assert len(tab["blocks"]) <= 100
    assert sandbox.view_faults(tab) == []
    shown = str(tab["blocks"])
    assert re.search(r"… and \d+ more\. /deploy status", shown)
    assert re.search(r"… and \d+ more\. /deploy where", shown)
