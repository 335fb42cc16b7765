"""The recording of a real 1.36 control plane, played to the rules: at no prefix is an end told early.

`recorded/k8s136_deployment_watch.jsonl` holds a rollout that went well (generation 2), one that got stuck (3), the way
back (4) and the deletion. It was made without the bot, so what the bot would have written is put in here.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.ids import OperationId
from integrations._shared.kube.api import Event
from integrations._shared.kube.following import Known
from integrations._shared.kube.patches import images_of
from integrations._shared.workloads import marks
from integrations._shared.workloads.judging import Mine, Stand, View, judge

RECORDED = Path(__file__).parent / "recorded" / "k8s136_deployment_watch.jsonl"
DONE_AT = {2: "683", 4: "712"}
"""The first event of each generation at which kubectl would say that it is rolled out."""
FAILED_AT = {3: "699"}


def recorded() -> list[Event]:
    found = []
    for line in RECORDED.read_text().splitlines():
        event = json.loads(line)
        one = event["object"]
        generation = one["metadata"]["generation"]
        one["metadata"]["annotations"] |= {
            marks.OPERATION: f"op{generation}",
            marks.HISTORY: " ".join(f"op{number}@{number}" for number in range(2, generation + 1)),
            marks.IMAGES: json.dumps(images_of(one)),
        }
        found.append(Event(event["type"], one))
    return found


EVENTS = recorded()
UID = EVENTS[0].object["metadata"]["uid"]


def mine(generation: int) -> Mine:
    return Mine(name="web", operation=OperationId(f"op{generation}"), uid=UID, generation=generation)


def version(event: Event) -> int:
    return int(event.object["metadata"]["resourceVersion"])


def views(events: list[Event], generation: int) -> list[tuple[int, View]]:
    """What is told while the events arrive, each with the newest version that had arrived by then."""
    known, found, newest = Known(), [], 0
    for event in events:
        newest = max(newest, version(event))
        if known.happened(event):
            found.append((newest, judge(known.objects.get("web"), mine(generation))))
    return found


@pytest.mark.parametrize("generation", [2, 3, 4])
def test_each_rollout_ends_exactly_where_the_cluster_ended_it(generation: int) -> None:
    told = views(EVENTS, generation)
    ends = [(newest, view.stand) for newest, view in told if view.stand not in (Stand.WAITING, Stand.TROUBLED)]
    newest, stand = ends[0]
    if generation in DONE_AT:
        assert (str(newest), stand) == (DONE_AT[generation], Stand.DONE)
    else:
        assert (str(newest), stand) == (FAILED_AT[generation], Stand.FAILED)


def test_a_change_is_superseded_by_the_next_and_all_are_deleted_in_the_end() -> None:
    for generation in (2, 3):
        stands = [view.stand for _, view in views(EVENTS, generation)]
        assert Stand.SUPERSEDED in stands
        assert stands[-1] is Stand.DELETED
    assert [view.stand for _, view in views(EVENTS, 4)][-2:] == [Stand.DONE, Stand.DELETED]


def test_what_a_status_says_about_the_change_before_is_not_believed() -> None:
    """Directly after a change the status is all good (628), or tells the failure of the one before (701)."""
    at = {event.object["metadata"]["resourceVersion"]: event.object for event in EVENTS}
    for number, generation in (("628", 2), ("631", 2), ("686", 3), ("689", 3), ("701", 4), ("703", 4)):
        assert judge(at[number], mine(generation)).stand is Stand.WAITING


def test_progress_only_goes_forward_and_is_counted_in_new_pods() -> None:
    done = [view.done for newest, view in views(EVENTS, 2) if newest <= 683]
    assert all(before <= after for before, after in pairwise(done))
    assert done[0] == 0
    assert done[-1] == 3
    assert max(view.done for newest, view in views(EVENTS, 3) if newest < 701) == 0, "none of the bad ones ever came up"


@given(data=st.data(), generation=st.sampled_from([2, 3, 4]))
@settings(max_examples=100, deadline=None)
def test_at_no_prefix_is_an_end_told_early_whatever_comes_twice_or_late(data: Any, generation: int) -> None:
    """Echoes of what was told before are mixed into a prefix of the stream, as servers that lag behind send them."""
    length = data.draw(st.integers(1, len(EVENTS)))
    stream: list[Event] = []
    for index in range(length):
        stream.append(EVENTS[index])
        echoes = data.draw(st.lists(st.integers(0, index), max_size=3))
        stream += [EVENTS[echo] for echo in echoes]
    plain = dict(views(EVENTS[:length], generation))
    for newest, view in views(stream, generation):
        assert view == plain[newest], "an echo changed what is told"
        if view.stand is Stand.DONE:
            assert newest >= int(DONE_AT.get(generation, "99999"))
        if view.stand is Stand.FAILED:
            assert newest >= int(FAILED_AT.get(generation, "99999"))


@given(generation=st.sampled_from([2, 3, 4]), begin=st.integers(0, 20), end=st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_begun_in_the_middle_it_tells_the_same(generation: int, begin: int, end: int) -> None:
    """A bot that comes back lists what is there, and goes on from that."""
    known = Known()
    first = EVENTS[begin]
    if first.kind != "DELETED":
        known.listed([first.object], first.object["metadata"]["resourceVersion"])
    for event in EVENTS[begin : end + 1]:
        known.happened(event)
    last = EVENTS[max(begin, end)]
    wanted = judge(None if last.kind == "DELETED" else last.object, mine(generation))
    assert judge(known.objects.get("web"), mine(generation)) == wanted
