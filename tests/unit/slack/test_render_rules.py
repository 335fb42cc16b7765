"""What answers about locks, freezes, times, exceptions and rights say, what they offer, and what forms bring back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from slack_scenes import (
    ADA,
    CHECKOUT,
    GRACE,
    STAGING,
    START,
    deployment,
    forecast,
    freeze,
    gate,
    lock,
    override,
    release,
    running,
    scenes,
    schedule,
    view,
)  # fmt: skip

from bot.domain import dora
from bot.domain.actor import BOT
from bot.domain.errors import Blocked
from bot.domain.history import Placement
from bot.domain.ids import DeploymentId, EnvironmentName, ServiceName
from bot.domain.insight import Difference, Drift, DriftKind, Explanation, Relation, Stats
from bot.domain.lifecycle import Phase
from bot.domain.notice import Notice, NoticeKind
from bot.domain.policy.access import Action
from bot.domain.policy.gates import Verdict
from bot.domain.policy.lock import LockLevel
from bot.domain.policy.override import OverrideKind
from bot.domain.policy.window import WindowDecision
from bot.domain.rollout import Plan
from bot.domain.view import Overview
from bot.sandbox import blocks as sandbox
from bot.slack.names import (
    BREAK_GLASS_FORM,
    ActionId,
    ButtonValue,
    FormField,
    FormValue,
    IdValue,
    OrderValue,
)  # fmt: skip
from bot.slack.render import answers, forms, limits, notices, plans, rules
from bot.slack.render.home import home

if TYPE_CHECKING:
    from bot.slack.render.limits import Block

PRODUCTION = EnvironmentName("production")
ORDER = OrderValue("checkout", "v1.2", "production", reason="Fixes the rounding.")
LATER = START + timedelta(hours=20)


def elements(blocks: list[Block]) -> list[dict[str, Any]]:
    found = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return found + [block["accessory"] for block in blocks if "accessory" in block]


def labels(blocks: list[Block]) -> list[str]:
    return [element["text"]["text"] for element in elements(blocks)]


def stopped(*names: str, verdict: Verdict = Verdict.BLOCK) -> Blocked:
    return Blocked("It is stopped.", gates=[gate(name, verdict, f"The {name} says no.", LATER) for name in names])


def placement(version: str = "v1.1", environment: EnvironmentName = STAGING) -> Placement:
    return Placement(
        service=CHECKOUT, environment=environment, release=release(version), since=START, deployment=None, by=ADA
    )


def told(kind: NoticeKind, **facts: str) -> Notice:
    return Notice(
        key=f"{kind}:1", to="user:U0ADA", kind=kind, at=START, by=GRACE, sentence="It has happened.",
        deployment=DeploymentId("d01j9x2abcfghjk"), facts=facts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "offered"),
    [
        (("lock",), ["Queue behind it", "Ask Grace Hopper", "Take over"]),
        (("freeze",), ["Request override"]),  # nobody waits for its end: people choose what goes on then
        (("window",), ["Run when it opens", "Request override"]),
        (("lock", "window"), ["Queue behind it", "Ask Grace Hopper", "Take over", "Request override"]),
        (("order",), []),
        (("order", "freeze"), ["Request override"]),
    ],
)
def test_a_refusal_offers_what_would_help(names: tuple[str, ...], offered: list[str]) -> None:
    locks = [lock()] if "lock" in names else []
    shown = answers.blocked(stopped(*names), ORDER, locks=locks, viewer=ADA)
    assert labels(shown.blocks) == offered
    for element in elements(shown.blocks):
        carried = ActionId(element["action_id"]).carries.decode(element["value"])
        assert carried == (ORDER if isinstance(carried, OrderValue) else IdValue("l01lock", "checkout:v1.2"))


def test_a_refusal_says_who_why_since_when_and_until_when() -> None:
    shown = answers.blocked(stopped("lock", "window"), ORDER, locks=[lock(until=LATER)], viewer=ADA)
    whole = str(shown.blocks)
    assert (
        "✗ *checkout@staging* – Locked by Grace Hopper: The database is being moved · since <!date^1762158600^" in whole
    )
    assert f"until <!date^{int(LATER.timestamp())}^" in whole
    assert "✗ *Window* – Stops it: The window says no · opens <!date^" in whole
    assert "Locked by Grace Hopper: The database is being moved" in shown.text


def test_what_cannot_be_told_cannot_be_waited_for() -> None:
    assert labels(answers.blocked(stopped("lock", verdict=Verdict.UNKNOWN), ORDER, viewer=ADA).blocks) == []


def test_the_owner_is_offered_to_unlock_and_the_bots_own_lock_has_nobody_to_ask() -> None:
    mine = answers.blocked(stopped("lock"), ORDER, locks=[lock(owner=ADA, hard=True)], viewer=ADA)
    assert labels(mine.blocks) == ["Queue behind it", "Unlock"]
    bots = answers.blocked(stopped("lock"), ORDER, locks=[lock(owner=BOT, automatic=True)], viewer=ADA)
    assert labels(bots.blocks) == ["Queue behind it", "Take over"]
    assert "Locked after a rollback by Deployment Architect" in bots.text
    several = answers.blocked(stopped("lock"), ORDER, locks=[lock(), lock(id="l02")], viewer=ADA)
    assert sandbox.message_faults(several.blocks) == []
    assert labels(several.blocks).count("Take over") == 2


def test_locks_and_freezes_are_listed_with_what_ends_them_and_what_is_over_is_not() -> None:
    over = freeze(id="f02", until=START - timedelta(minutes=1), reason="Long gone.")
    marked = lock(id="l02", level=LockLevel.WARN, incident="INC-7", reason="Mind the load test.")
    shown = rules.locks([lock(), marked], [freeze(), over], at=START)
    whole = str(shown.blocks)
    assert labels(shown.blocks) == ["Lift the freeze", "Unlock", "Unlock"]
    assert "! *checkout@staging* – Marked by Grace Hopper: Mind the load test" in whole
    assert "incident INC-7" in whole
    assert "Long gone" not in whole
    assert shown.text.startswith("2 locks and 1 freeze now. Everything is frozen by Grace Hopper: The sale is on.")
    assert "nothing is locked and nothing is frozen" in str(rules.locks([], [], at=START).blocks)
    later = [(schedule(at=LATER), deployment(Phase.SCHEDULED, number=one)) for one in range(50)]
    for crowd in (answers.schedule(later), rules.unfrozen([freeze()], [deployment(Phase.HELD)] * 50)):
        assert limits.problems(crowd.text, crowd.blocks) == []
        assert "… and 42 more." in str(crowd.blocks)
        assert len(labels(crowd.blocks)) == 8
    many = rules.locks([lock(id=f"l{number}") for number in range(60)], [freeze()] * 30, at=START)
    assert limits.problems(many.text, many.blocks) == []
    assert "… and 82 more." in str(many.blocks)


def test_a_freeze_tells_what_goes_on_and_its_end_lists_what_can_be_started() -> None:
    writing, other = deployment(Phase.DEPLOYING), deployment(Phase.VERIFYING, number=43, id=DeploymentId("d43"))
    put = rules.frozen(freeze(), [writing], [writing, other])
    assert "! *Still changing something*: #42 checkout." in str(put.blocks)
    assert "● *Under way*: #43 checkout." in str(put.blocks)
    held = deployment(Phase.HELD)
    assert held.hold is not None
    alone = replace(held, number=44, hold=replace(held.hold, resumes=True))
    lifted = rules.unfrozen([freeze()], [held, alone])
    assert labels(lifted.blocks) == ["Start"]
    assert "#44 checkout v1.1 → v1.2 to staging by Ada Lovelace · goes on by itself" in str(lifted.blocks)


def test_an_exception_says_how_far_it_has_come() -> None:
    asked = override(OverrideKind.FREEZE, by=ADA, used_by=None)
    assert rules.overridden(asked).text.startswith("✓ Asked: a second person must agree")
    assert rules.overridden(replace(asked, seconded_by=GRACE)).text.startswith("✓ Agreed: one deployment of exactly")
    assert rules.overridden(override(reviewed_by=ADA)).text.startswith("✓ Reviewed.")


def test_a_right_is_explained_with_the_row_that_decides() -> None:
    def line(allowed: bool | None, reason: str, row: str = "") -> Explanation:
        return Explanation(
            action=Action.ROLLBACK, subject=GRACE, allowed=allowed, places=((CHECKOUT, PRODUCTION),),
            where="checkout in production", reason=reason, row=row,
        )  # fmt: skip

    shown = str(
        rules.may(
            [
                line(True, "Grace may roll back it all: the role sre allows it.", "sre: allows rollback"),
                line(False, "Grace may not."),
                line(None, "7 more places have other answers."),
            ]
        ).blocks
    )
    assert "✓ *Yes* – Grace may roll back it all: the role sre allows it.\\n→ sre: allows rollback" in shown
    assert "✗ *No* – Grace may not." in shown
    assert "– *More* – 7 more places" in shown


def test_a_dry_run_says_that_nothing_was_changed_and_what_would_stop_it() -> None:
    same = plans.dry_run(CHECKOUT, STAGING, release("v1.2"), Plan(current=running("v1.2"), no_change=True))
    assert "no change" in same.text
    assert "Nothing was changed, no lock was taken." in same.text
    known = forecast(gate("window", Verdict.BLOCK, "Closed.", LATER), downgrade=True, current=release("v1.3"))
    plan = Plan(current=running("v1.3"), changes=("a", "b"), warnings=("It is old.",))
    shown = plans.dry_run(CHECKOUT, STAGING, release("v1.2"), plan, known)
    assert "2 changes, 1 gate would stop it." in shown.text
    assert "! *Downgrade*: v1.2 is older than v1.3" in str(shown.blocks)
    assert labels(shown.blocks) == []


def test_the_schedule_is_in_order_and_each_can_be_cancelled() -> None:
    first, second = deployment(Phase.SCHEDULED), deployment(Phase.SCHEDULED, number=43)
    shown = answers.schedule([(schedule(at=LATER), second), (schedule(), first)])
    whole = str(shown.blocks)
    assert whole.index("#42") < whole.index("#43")
    assert labels(shown.blocks) == ["Abort", "Abort"]
    assert shown.text.startswith("2 scheduled. The next: checkout v1.1 → v1.2 to staging by Ada Lovelace")
    assert "*Nothing* waits" in str(answers.schedule([]).blocks)


def test_what_was_changed_outside_the_bot_is_said_where_it_runs_and_aloud() -> None:
    def drift(kind: DriftKind, service: str = "checkout") -> Drift:
        return Drift(
            service=ServiceName(service), environment=STAGING, kind=kind, recorded=placement(), running=running("v9"),
            sentence="It runs v9, changed outside the bot.", at=START,
        )  # fmt: skip

    shown = answers.where([placement()], [drift(DriftKind.CHANGED), drift(DriftKind.UNREADABLE, "catalog")])
    assert "! *Changed outside the bot* – It runs v9" in str(shown.blocks)
    assert "catalog: ? *Cannot be read*" in str(shown.blocks)
    assert "1 place changed outside the bot: checkout in staging." in shown.text
    quiet = answers.where([placement()], [drift(DriftKind.NONE), drift(DriftKind.UNDER_WAY)])
    assert "outside" not in str(quiet.blocks)


def test_differences_come_first_and_say_who_is_ahead() -> None:
    def found(service: str, relation: Relation) -> Difference:
        return Difference(
            service=ServiceName(service), one=placement(), other=placement("v1.2", PRODUCTION), relation=relation,
            sentence=f"Told of {service}.",
        )  # fmt: skip

    shown = answers.diff(
        [found("same", Relation.SAME), found("ahead", Relation.OTHER_AHEAD), found("gone", Relation.MISSING_IN_ONE)],
        STAGING,
        PRODUCTION,
    )
    whole = str(shown.blocks)
    assert whole.index("*ahead*") < whole.index("*gone*") < whole.index("*same*")
    assert "≠ *ahead* – Told of ahead · v1.1 in staging, v1.2 in production" in whole
    assert "≠ *gone* – Missing in staging" in whole
    assert shown.text.startswith("2 services of 3 differ between staging and production.")


def test_what_is_compared_and_does_not_run_is_said() -> None:
    """Two places that were recorded alike are not the same when one was changed outside the bot."""

    def drift(kind: DriftKind, environment: EnvironmentName) -> Drift:
        return Drift(
            service=ServiceName("checkout"), environment=environment, kind=kind, recorded=placement(),
            running=running("v9"), sentence="It runs v9, changed outside the bot.", at=START,
        )  # fmt: skip

    alike = Difference(
        service=ServiceName("checkout"), one=placement(), other=placement("v1.1", PRODUCTION), relation=Relation.SAME,
        sentence="Both run v1.1.",
    )  # fmt: skip
    elsewhere = drift(DriftKind.CHANGED, EnvironmentName("lab"))
    shown = answers.diff([alike], STAGING, PRODUCTION, [drift(DriftKind.CHANGED, STAGING), elsewhere])
    assert "checkout in staging: ! *Changed outside the bot* – It runs v9" in str(shown.blocks)
    assert "lab" not in str(shown.blocks)
    assert shown.text.endswith("Not as it was recorded: checkout in staging.")
    quiet = answers.diff([alike], STAGING, PRODUCTION, [drift(DriftKind.NONE, STAGING), elsewhere])
    assert "outside" not in str(quiet.blocks)


def test_figures_are_printed_with_their_definitions() -> None:
    figures = dora.figures(
        [deployment(Phase.SUCCEEDED), deployment(Phase.FAILED)], since=START, until=START + timedelta(days=1)
    )
    shown = answers.stats(Stats(figures=figures, days=(), definitions=dora.DEFINITIONS, chart=None))
    whole = str(shown.blocks)
    assert "Delivery of everything" in whole
    assert "*Change failure rate*\\n50%\\n1 of 2 changes" in whole
    for name in dora.DEFINITIONS:
        assert f"*{name.capitalize()}*: " in whole
    assert limits.problems(shown.text, shown.blocks) == []


@pytest.mark.parametrize(
    ("kind", "facts", "offered"),
    [
        (NoticeKind.LOCK_NAG, {"lock": "l1"}, ["Unlock", "Keep 2 h"]),
        (NoticeKind.LOCK_ASKED, {"lock": "l1"}, ["Unlock", "Keep 2 h"]),
        (NoticeKind.LOCK_TAKEN, {"lock": "l1"}, []),
        (NoticeKind.LOCK_ENDED, {"lock": "l1"}, []),
        (NoticeKind.LOCKED, {"lock": "l1", "scope": "*@production"}, ["Unlock"]),
        (NoticeKind.UNLOCKED, {"lock": "l1"}, []),
        (NoticeKind.FROZEN, {"freeze": "f1", "scope": "*@production"}, ["Lift the freeze"]),
        (NoticeKind.UNFROZEN, {"freeze": "f1", "held": "42 43"}, []),
        (NoticeKind.OVERRIDE_ASKED, {"override": "o1"}, ["Agree"]),
        (NoticeKind.OVERRIDE_AGREED, {"override": "o1"}, []),
        (NoticeKind.GLASS_BROKEN, {"override": "o1"}, ["Reviewed"]),
        (NoticeKind.FREED, {}, ["Start"]),
        (NoticeKind.OVERRIDE_ASKED, {}, []),
        (NoticeKind.FROZEN, {"freeze": "<!channel>"}, []),
    ],
)
def test_a_notice_has_the_buttons_that_fit(kind: NoticeKind, facts: dict[str, str], offered: list[str]) -> None:
    shown = notices.notice(told(kind, **facts))
    assert labels(shown.blocks) == offered
    assert "It has happened." in shown.text
    assert shown.metadata["event_payload"] == {"key": f"{kind}:1"}
    for element in elements(shown.blocks):
        assert ActionId(element["action_id"]).carries.decode(element["value"]) is not None


def test_a_notice_tells_places_times_and_numbers_as_people_read_them() -> None:
    frozen = notices.notice(told(NoticeKind.FROZEN, freeze="f1", scope="*@production", until=LATER.isoformat()))
    assert elements(frozen.blocks)[0]["accessibility_label"] == "Lift the freeze of production"
    assert f"Until <!date^{int(LATER.timestamp())}^" in frozen.text
    assert "started in its own message" in str(notices.notice(told(NoticeKind.UNFROZEN, held="42 43")).blocks)
    assert "started in its own" not in str(notices.notice(told(NoticeKind.UNFROZEN)).blocks)
    assert "Until" not in notices.notice(told(NoticeKind.FROZEN, until="2025-11-03T09:30:00")).text
    asked = told(NoticeKind.OVERRIDE_ASKED, override="o1", service="checkout", environment="production", version="v1.2")
    assert "checkout v1.2 to production" in elements(notices.notice(asked).blocks)[0]["accessibility_label"]


def test_forms_carry_ids_only_and_say_what_they_are_about() -> None:
    carried = FormValue(ButtonValue(DeploymentId("d1"), 3, "0" * 16), "C0DEPLOY", "1762162200.000100")
    shown = forms.reject(carried, deployment=deployment(Phase.AWAITING_APPROVAL))
    assert FormValue.decode(shown["private_metadata"], ButtonValue) == carried
    assert "#42 checkout v1.2 to staging" in str(shown["blocks"])
    override_form = forms.override(FormValue(ORDER))
    assert FormValue.decode(override_form["private_metadata"], OrderValue) == FormValue(replace(ORDER, reason=""))
    taking = forms.take_over(FormValue(IdValue("l1")), lock=lock())
    assert "is locked by Grace Hopper" in str(taking["blocks"])
    for form in (shown, override_form, taking, forms.reject(carried), forms.take_over(FormValue(IdValue("l1")))):
        assert sandbox.view_faults(form) == []


def test_breaking_the_glass_takes_a_reason_and_the_name_typed_by_hand() -> None:
    form = forms.break_glass(FormValue(ORDER), reason="Payments are down.")
    assert form["callback_id"] == BREAK_GLASS_FORM
    inputs = {block["block_id"]: block for block in form["blocks"] if block["type"] == "input"}
    assert inputs["reason"]["element"]["initial_value"] == "Payments are down."
    assert inputs["confirm"]["label"]["text"] == "Type checkout to confirm"
    assert "initial_value" not in inputs["confirm"]["element"]
    assert not any(block.get("optional") for block in inputs.values())


def test_what_was_written_is_read_back_and_rubbish_is_empty() -> None:
    state = {"reason": {"form.reason": {"value": " down \n"}}, "confirm": {"form.confirm": {"value": "checkout"}}}
    assert forms.filled({"state": {"values": state}}) == forms.Filled(reason="down", confirm="checkout")
    rubbish: list[dict[str, Any]] = [
        {},
        {"state": None},
        {"state": {"values": []}},
        {"state": {"values": {"reason": 1}}},
    ]
    for view_ in rubbish:
        assert forms.filled(view_) == forms.Filled()
    refused = forms.errors(Blocked("No", gates=[], hint="Wait"), at=FormField.CONFIRM)
    assert refused == {"confirm": "No. Wait."}


def test_home_puts_first_what_waits_for_its_reader() -> None:
    found = scenes()

    def numbered(scene: str, number: int) -> Any:
        shown = found[scene]
        changed = replace(shown.deployment, number=number, id=DeploymentId(f"d{number}"))
        return replace(shown, deployment=changed)

    overview = Overview(
        running=[numbered("deploying", 1), numbered("scheduled", 2), numbered("needs_attention", 3),
                 numbered("awaiting_approval.plan_card", 4), numbered("awaiting_approval", 5)],
        placements=[placement()], at=START, to_approve=[DeploymentId("d4")], locks=[lock()], freezes=[freeze()],
        windows=[
            (STAGING, WindowDecision(open=True, name=None, reason="No window keeps deployments out.", closes_at=LATER)),
            (PRODUCTION, WindowDecision(open=False, name=None, reason="Only at night.", opens_at=LATER)),
        ],
        to_review=[override()],
    )  # fmt: skip
    tab = home(overview, viewer=GRACE)
    assert sandbox.view_faults(tab) == []
    whole = str(tab["blocks"])
    order = ["Waits for your approval", "*#4 ", "Needs attention", "*#3 ", "Under way", "*#1 ", "*#5 ",
             "Scheduled", "*#2 ", "Broken glass to review", "Locks and freezes", "Windows",
             "What runs where"]  # fmt: skip
    assert [whole.index(word) for word in order] == sorted(whole.index(word) for word in order)
    assert "✓ *staging* – Open until <!date^" in whole
    assert "‖ *production* – Closed, opens <!date^" in whole
    approve = next(one for one in elements(tab["blocks"]) if one["action_id"] == ActionId.APPROVE)
    value = ButtonValue.decode(approve["value"])
    assert value is not None
    assert value.deployment == "d4"


def test_home_holds_a_hundred_blocks_whatever_there_is() -> None:
    views = [
        replace(
            view(Phase.AWAITING_APPROVAL), deployment=deployment(Phase.AWAITING_APPROVAL, id=DeploymentId(f"d{one}"))
        )
        for one in range(80)
    ]
    decision = WindowDecision(open=False, name=None, reason="Only at night.", opens_at=LATER)
    tab = home(
        Overview(
            running=views, placements=[placement("v1", EnvironmentName(f"e{one}")) for one in range(90)], at=START,
            to_approve=[found.deployment.id for found in views[:40]], locks=[lock()] * 50, freezes=[freeze()] * 50,
            windows=[(EnvironmentName(f"e{one}"), decision) for one in range(90)], to_review=[override()] * 50,
        )
    )  # fmt: skip
    assert len(tab["blocks"]) <= limits.VIEW_BLOCKS
    assert sandbox.view_faults(tab) == []
    whole = str(tab["blocks"])
    for word in (
        "Waits for your approval",
        "Broken glass to review",
        "Locks and freezes",
        "Windows",
        "What runs where",
    ):
        assert word in whole
    assert whole.count(" more. /deploy ") >= 4
