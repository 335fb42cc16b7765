"""What a Canary's status means, and what it does not: Flagger's own traps, each as one look at it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.domain.errors import ProviderRejected
from bot.domain.gate import Door, Gate, Goal, Hook
from bot.domain.ids import OperationId
from bot.domain.rollout import Handle
from integrations._shared.kube.api import Kube
from integrations._shared.workloads.workload import Workload
from integrations.flagger import driving, hooks, ticket
from integrations.flagger.canary import Canary, seconds
from integrations.flagger.judging import Stand, judge
from integrations.flagger.options import FlaggerOptions
from integrations.flagger.place import Place, Seen
from integrations.flagger.ticket import Ticket

if TYPE_CHECKING:
    from integrations._shared.kube.access import Access

KEY = "shop/checkout@main"
DOOR = Door(url="http://bot.svc", secret="a-secret-of-some-length")
OPTIONS = FlaggerOptions(cluster="main", namespace="shop", canary="checkout", container="web")
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
BEFORE = ("Succeeded", "1", "10:00")


class Nowhere:
    """A cluster that nobody may ask: a judgement is made of one look, and of nothing else."""

    name = "main"

    async def access(self, *, fresh: bool = False) -> Access:
        raise AssertionError("it asked the cluster")

    async def close(self) -> None:
        """Nothing was opened."""


def at_place() -> Place:
    kube = Kube(Nowhere())
    return Place(
        kube=kube,
        options=OPTIONS,
        workload=Workload(kube, "shop", OPTIONS.of("checkout")),
        primary=Workload(kube, "shop", OPTIONS.of("checkout-primary")),
        gates=None,
        door=DOOR,
        key=KEY,
    )


def deployment(name: str, digest: str, *, updated: int = 2) -> dict[str, Any]:
    location = f"ghcr.io/acme/checkout@{digest}"
    return {
        "metadata": {
            "name": name,
            "uid": "u",
            "generation": 3,
            "annotations": {
                "deployment-architect.io/operation-id": "op",
                "deployment-architect.io/history": "op@3",
                "deployment-architect.io/images": json.dumps({"web": location}),
                "deployment-architect.io/version": "v2",
            },
        },
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": location}]}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": updated, "availableReplicas": updated},
    }


def canary(phase: str, *, applied: str = "2", promoted: str = "1", at: str = "11:00", **status: Any) -> Canary:
    return Canary(
        {
            "metadata": {"name": "checkout"},
            "spec": {"analysis": {"stepWeights": [20, 40]}, "suspend": status.pop("suspend", False)},
            "status": {
                "phase": phase,
                "lastAppliedSpec": applied,
                "lastPromotedSpec": promoted,
                "conditions": [{"type": "Promoted", "lastUpdateTime": at}],
                **status,
            },
        }
    )


def stands(
    seen: Canary, *, goal: Goal = Goal.APPLY, begun: bool = False, primary: str = NEW, updated: int = 2, **more: Any
) -> tuple[Stand, str]:
    given = {"goal": goal, "percent": 40, "base": "op", "digest": NEW, "uid": "u", "before": BEFORE}
    look = Seen(
        at=datetime(2026, 11, 23, tzinfo=UTC),
        canary=seen,
        one=deployment("checkout", NEW),
        primary=deployment("checkout-primary", primary, updated=updated),
    )
    view = judge(at_place(), Ticket(**{**given, **more}), look, begun=begun)
    return view.stand, view.message


PROMOTED = canary("Succeeded", promoted="2")


def test_the_success_of_before_is_not_ours() -> None:
    old = canary("Succeeded", applied="1", promoted="1", at="10:00")
    assert stands(old)[0] is Stand.UNSEEN
    assert stands(old, begun=True)[0] is Stand.DONE, "an analysis was seen, and promoted the same hash"
    assert stands(PROMOTED)[0] is Stand.DONE


def test_success_needs_its_own_books_the_primarys_image_and_its_pods() -> None:
    assert stands(canary("Succeeded", applied="2", promoted="1"))[0] is Stand.WAITING
    stand, message = stands(PROMOTED, primary=OLD)
    assert stand is Stand.FAILED
    assert "checkout-primary does not have the image" in message
    assert stands(PROMOTED, updated=1)[0] is Stand.WAITING


def test_the_failure_of_before_is_not_ours() -> None:
    before = ("Failed", "1", "10:00")
    same = canary("Failed", applied="1", at="10:00")
    # The hash follows the template while the phase is still the old one.
    followed = canary("Failed", applied="2", at="10:00")
    assert stands(same, before=before)[0] is Stand.UNSEEN
    assert stands(followed, before=before)[0] is Stand.UNSEEN
    assert stands(canary("Failed", applied="2", at="11:00"), before=before)[0] is Stand.FAILED
    assert stands(followed, before=before, begun=True)[0] is Stand.FAILED
    assert stands(canary("Failed", applied="2", at="10:00"))[0] is Stand.FAILED, "it had succeeded before"


def test_where_the_traffic_is_after_a_failure_is_told_by_the_weight() -> None:
    assert "no traffic goes to it" in stands(canary("Failed"), begun=True)[1]
    assert "100 % of the traffic stays on the canary" in stands(canary("Failed", canaryWeight=100), begun=True)[1]
    stand, _ = stands(canary("Failed", canaryWeight=100), goal=Goal.BACK, base="other")
    assert stand is Stand.FAILED, "it was not taken back"


def test_an_analysis_that_it_came_upon_is_not_its_own() -> None:
    before = ("Progressing", "1", "10:00")
    stand, message = stands(canary("Progressing", applied="1", canaryWeight=40), goal=Goal.WEIGHT, before=before)
    assert stand is Stand.WAITING
    assert "of what was before" in message
    assert stands(canary("Progressing", applied="2", canaryWeight=40), goal=Goal.WEIGHT, before=before)[0] is Stand.DONE


@pytest.mark.parametrize(
    ("phase", "weight", "percent", "wanted"),
    [
        ("Progressing", 20, 40, Stand.WAITING),
        ("Progressing", 40, 40, Stand.DONE),
        ("Progressing", 40, 100, Stand.DONE),
        ("Progressing", 0, 0, Stand.DONE),
        ("Waiting", 0, 0, Stand.WAITING),
        ("WaitingPromotion", 0, 40, Stand.DONE),
        ("Promoting", 40, 40, Stand.WAITING),
        ("Finalising", 0, 40, Stand.WAITING),
    ],
)
def test_a_step_is_reached_at_its_weight(phase: str, weight: int, percent: int, wanted: Stand) -> None:
    seen = canary(phase, canaryWeight=weight)
    assert stands(seen, goal=Goal.WEIGHT, percent=percent, begun=True)[0] is wanted
    assert stands(seen, begun=True)[0] is Stand.WAITING, "who goes to the end is not there yet"


@pytest.mark.parametrize("phase", ["WaitingPromotion", "Promoting", "Finalising"])
def test_where_the_status_says_0_the_weight_is_not_known(phase: str) -> None:
    assert canary(phase, canaryWeight=0).weight is None
    assert "%" not in canary(phase, canaryWeight=0).said()
    assert canary("Progressing", canaryWeight=0).weight == 0


@pytest.mark.parametrize("phase", ["Terminating", "Terminated"])
def test_one_that_ends_for_good_is_deleted(phase: str) -> None:
    assert stands(canary(phase))[0] is Stand.DELETED


def test_phases_and_weights_are_told() -> None:
    assert canary("Progressing", canaryWeight=20, failedChecks=1).said() == (
        "Flagger: progressing, 20 % of the traffic, 1 failed check"
    )
    assert "is suspended" in stands(canary("Succeeded", applied="1", at="10:00", suspend=True))[1]
    assert canary("<!channel>" * 9).said() == "Flagger: starting"
    for odd in ("x" * 5000, "<!channel>", "Failed\n", "Fai led", "\u0130", "Succeeded\x1b[0m"):
        assert canary(odd).phase == "", "it is told to people, and written into the log"
    assert canary("SomethingNew").phase == "SomethingNew"


def test_going_back_is_over_when_flagger_has_let_go_and_the_template_is_back() -> None:
    back = {"goal": Goal.BACK, "before": ("Progressing", "2", "10:00")}
    assert stands(canary("Progressing"), **back)[0] is Stand.WAITING
    assert stands(canary("Failed"), **back)[0] is Stand.DONE
    assert stands(canary("Failed"), **back, base="later")[0] is Stand.WAITING, "its template is still to be put back"
    assert stands(canary("Succeeded", promoted="2"), **back, primary=OLD)[0] is Stand.FAILED


# What is asked where.


def test_a_hook_counts_only_by_its_path_and_its_type() -> None:
    def one(*listed: tuple[str | None, str]) -> Canary:
        webhooks = [{"url": url, **({"type": kind} if kind else {})} for kind, url in listed]
        return Canary({"metadata": {"name": "checkout"}, "spec": {"analysis": {"webhooks": webhooks}}})

    right = [(hook.value, DOOR.address(KEY, hook)) for hook in hooks.ASKED]
    assert hooks.missing(one(*right), DOOR, KEY) == []
    moved = [(kind, url.replace("http://bot.svc", "https://mesh.local:8443")) for kind, url in right]
    assert hooks.missing(one(*moved), DOOR, KEY) == [], "a mesh may have another name for the bot"
    swapped = [(Hook.ROLLBACK.value, DOOR.address(KEY, Hook.PROMOTION)), *right[:3]]
    assert hooks.missing(one(*swapped), DOOR, KEY) == [Hook.ROLLBACK]
    foreign = [(kind, url.replace(DOOR.token(KEY), DOOR.token("shop/other@main"))) for kind, url in right]
    assert hooks.missing(one(*foreign), DOOR, KEY) == list(hooks.ASKED)
    untyped = [(None, url) for _, url in right]
    assert hooks.missing(one(*untyped), DOOR, KEY) == list(hooks.ASKED), "without a type it is asked as `rollout`"
    assert hooks.missing(one((Hook.ROLLBACK.value, "http://[")), DOOR, KEY) == list(hooks.ASKED)
    assert hooks.missing(one(*right), Door(), KEY) == list(hooks.ASKED)


def test_all_that_is_asked_in_one_round_is_over_before_the_next() -> None:
    webhooks = yaml.safe_load(hooks.as_yaml(DOOR, KEY))["webhooks"]
    assert [each["type"] for each in webhooks] == [*hooks.ASKED, Hook.EVENT]
    assert len({each["url"] for each in webhooks}) == 5, "each has its own address"
    at_once = [seconds(each["timeout"]) for each in webhooks if each["type"] not in (Hook.ROLLOUT, Hook.EVENT)]
    assert sum(at_once) < 10
    assert min(at_once) > 1, "the bot may take a second"


def test_only_weights_that_flagger_can_split_are_paced() -> None:
    def one(provider: str = "", **analysis: Any) -> bool:
        return Canary({"spec": {"provider": provider, "analysis": analysis}}).has_weights

    assert one(stepWeight=20)
    assert not one("kubernetes", stepWeight=20), "blue/green by rounds is all that it can"
    assert not one(stepWeight=20, iterations=3)
    assert not one()


# What a handle says.


def test_a_ticket_is_read_as_it_was_written() -> None:
    given = Ticket(goal=Goal.BACK, percent=20, base="b", digest=NEW, uid="u", before=BEFORE)
    handle = ticket.handle(OperationId("op"), given)
    assert ticket.read(handle) == given


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '["weight"]', '["other",1,"","","","","",""]', "[" * 9])
def test_a_handle_of_something_else_leads_nowhere(text: str) -> None:
    with pytest.raises(ProviderRejected, match="not made by way of Flagger"):
        ticket.read(Handle(operation=OperationId("op"), generation=text))


def test_operations_of_before_are_kept_and_the_oldest_go() -> None:
    gate = Gate(key=KEY)
    for number in range(30):
        gate = replace(gate, operation=f"op-{number}", past=ticket.handing_over(gate), goal=Goal.APPLY)
    assert [operation for operation, _ in gate.past] == [f"op-{number}" for number in range(17, 29)]


@pytest.mark.parametrize("spec", [{}, {"template": {}}, {"template": {"metadata": {"annotations": None}}}])
def test_the_mark_that_makes_a_template_another_one_finds_its_place(spec: dict[str, Any]) -> None:
    operations = driving._again({"spec": spec}, OperationId("op"))
    assert operations[-1]["value"] == "op"
    assert operations[-1]["path"].endswith("/deployment-architect.io~1retry")
    assert operations[0]["path"] == ("/spec/template/metadata" if "metadata" not in spec.get("template", {}) else (
        "/spec/template/metadata/annotations"
    ))  # fmt: skip
