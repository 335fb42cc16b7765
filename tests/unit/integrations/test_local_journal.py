"""What was applied stays known: torn lines, damage, a full disk, a long life."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from integrations.local.agent.journal import KEPT, Journal
from integrations.local.agent.model import Build, Damaged, Group, Operation, PlaceRecord, Stable

if TYPE_CHECKING:
    from pathlib import Path

BUILD = Build(
    version="v1", digest="sha256:1", location="/a", command=("{python}", "x"), variables={"A": "1"}, health_path="/h"
)


def operation(number: int) -> Operation:
    return Operation(
        id=f"op{number}",
        kind="apply",
        number=number,
        fingerprint="f",
        groups=(Group(build=BUILD, count=2),),
        percent=None,
        start_timeout=1,
        drain=1,
        at=0.0,
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.load()
    assert journal.latest is None
    for number in (1, 2):
        journal.append(operation(number))
    again = Journal(tmp_path / "j")
    again.load()
    assert again.operations == (operation(1), operation(2))
    assert again.find("op1") == operation(1)
    assert again.find("op3") is None


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_was_never_acknowledged(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path / "j")
    for number in (1, 2):
        journal.append(operation(number))
    os.truncate(tmp_path / "j", (tmp_path / "j").stat().st_size - cut)
    again = Journal(tmp_path / "j")
    again.load()
    assert again.latest == operation(1)
    again.append(operation(3))
    last = Journal(tmp_path / "j")
    last.load()
    assert [entry.id for entry in last.operations] == ["op1", "op3"]


def test_damage_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(operation(1))
    (tmp_path / "j").write_bytes(b"garbage\n" + (tmp_path / "j").read_bytes())
    with pytest.raises(Damaged, match="line 1 of"):
        Journal(tmp_path / "j").load()


def test_a_long_life_does_not_grow_the_file_for_ever(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for number in range(1, 3 * KEPT):
        journal.append(operation(number))
    again = Journal(tmp_path / "j")
    again.load()
    assert KEPT <= len(again.operations) <= 2 * KEPT
    assert again.latest == operation(3 * KEPT - 1)
    assert again.operations == journal.operations


def test_a_record_is_read_as_it_was_written() -> None:
    record = PlaceRecord(
        uid="u",
        port=1,
        port_chosen=False,
        operation=operation(3).ended("failed", "because"),
        stable=Stable(build=BUILD, count=2, operation="op1"),
        weights={BUILD.key: 100},
        next_instance=7,
        instances=[{"id": "i1"}],
    )
    assert PlaceRecord.read(record.json()) == record
    for damaged in (b"", b"{", b"{}", b"[]", b'{"format": 2}', record.json()[:-20]):
        with pytest.raises(Damaged):
            PlaceRecord.read(damaged)


def test_builds_are_equal_by_what_they_run_not_by_where_they_lie() -> None:
    moved = Build(**{**{name: getattr(BUILD, name) for name in BUILD.__slots__}, "location": "/b"})
    changed = Build(**{**{name: getattr(BUILD, name) for name in BUILD.__slots__}, "variables": {"A": "2"}})
    assert moved.key == BUILD.key
    assert changed.key != BUILD.key
