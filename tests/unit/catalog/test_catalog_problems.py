"""Each kind of bad file is answered with the whole truth, at the right line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bad_catalogs import CASES, broken

from bot.catalog.load import load, parse
from bot.catalog.problems import CatalogError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from bot.catalog.load import Providers


@pytest.mark.parametrize(("old", "new", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_problem_is_told_at_its_place(good: str, providers: Providers, old: str, new: str, answer: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse(broken(good, old, new), "c.yaml", providers)
    assert str(caught.value) == answer


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", ":1:1: the file is empty; begin with"),
        (b"# nothing\n", ":1:1: the file is empty; begin with"),
        (b"- a\n- b\n", ":1:1: the file holds a list instead of keys with values; begin with"),
        (b"hello\n", ":1:1: the file holds a single value instead of keys with values; begin with"),
        (b"version: 1\nchannel: caf\xe9\n", ":2:13: the byte 0xe9 is not UTF-8; save the file as UTF-8."),
        ("version: 1".encode("utf-16"), ":1:1: the file is saved as UTF-16; save it as UTF-8."),
        (b"#" * (1 << 20) + b"\n", ": the file is larger than 1024 KiB."),
        (b"a: " + b"[" * 100_000, ":1:35: a"),
        (b"a: &a [" + b"1," * 500 + b"]\nb: &b [" + b"*a," * 300 + b"]\n", ":2:"),
        (b"a: 1\r\nb: [\r\n", ":2:5: b[0]: the file ends before this is complete."),
        (b"a: &a 1\nb: &a [*a]\n", ":2:8: b[0]: '*a' refers to '&a', which is not complete before this place"),
        (b"a: &a [*a]\n", ":1:8: a[0]: '*a' refers to '&a', which is not complete before this place"),
    ],
    ids=[
        "empty",
        "comments",
        "list",
        "scalar",
        "latin-1",
        "utf-16",
        "huge",
        "deep",
        "aliases",
        "unfinished",
        "late loop",
        "loop",
    ],
)
def test_a_file_that_is_no_document(tmp_path: Path, providers: Providers, data: bytes, answer: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(data)
    with pytest.raises(CatalogError) as caught:
        load(path, providers=providers)
    assert str(caught.value).startswith(f"{path}{answer}")
    assert len(caught.value.problems) == 1


def test_limits_say_what_they_are(providers: Providers) -> None:
    for text, answer in (
        ("a: " + "[" * 100, "nested more than 32 levels deep"),
        ("a: &a [" + "1," * 500 + "]\nb: [" + "*a," * 300 + "]", "more than 100000 values"),
    ):
        with pytest.raises(CatalogError, match=answer):
            parse(text, "c.yaml", providers)


def test_no_file(tmp_path: Path, providers: Providers) -> None:
    for path, answer in (
        (tmp_path / "none.yaml", "there is no such file; create it, or say where it is with --config"),
        (tmp_path, "the file cannot be read: Is a directory"),
    ):
        with pytest.raises(CatalogError) as caught:
            load(path, providers=providers)
        assert str(caught.value) == f"{path}: {answer}."


def test_all_problems_at_once_in_the_order_of_the_file(good: str, providers: Providers) -> None:
    bad = good
    for old, new in (
        ("[deploy, rollback]", "[deploy, rolback]"),
        ("version: 1", "version: 3"),
        ("context: blue", "context: red"),
        ("  staging: {}", "  staging: { lok: service }"),
        ("deadline: 5m", "deadline: 5m\n    deadline: 6m"),
    ):
        bad = broken(bad, old, new)
    with pytest.raises(CatalogError) as caught:
        parse(bad, "c.yaml", providers)
    assert [problem.path for problem in caught.value.problems] == [
        "version",
        "environments.staging.lok",
        "services.checkout.deadline",
        "services.payments.target.context",
        "roles.deployer.allow[0].actions[1]",
    ]
    assert str(caught.value).count("\n") == 4


def test_an_endless_list_of_problems_is_cut_in_the_message_only(good: str, providers: Providers) -> None:
    many = "".join(f"  bad_{number}: {{}}\n" for number in range(300))
    with pytest.raises(CatalogError) as caught:
        parse(good.replace("environments:\n", "environments:\n" + many, 1), "c.yaml", providers)
    assert len(caught.value.problems) == 300
    assert str(caught.value).endswith("c.yaml: … and 200 more problems.")


def test_windows_line_ends_and_a_byte_order_mark_move_nothing(good: str, providers: Providers) -> None:
    text = "\ufeff" + broken(good, "context: blue", "context: bleu").replace("\n", "\r\n")
    with pytest.raises(CatalogError) as caught:
        parse(text, "c.yaml", providers)
    assert [(p.line, p.column) for p in caught.value.problems] == [(32, 16)]


def test_a_hostile_name_stays_on_one_line_and_short(good: str, providers: Providers) -> None:
    hostile = '"evil\\n<!channel> \u202e' + "x" * 5000 + '": {}\n'
    with pytest.raises(CatalogError) as caught:
        parse(good.replace("  staging: {}\n", "  staging: {}\n  " + hostile, 1), "c.yaml", providers)
    text = str(caught.value)
    assert "\n" not in text
    assert "\u202e" not in text
    assert len(text) < 500


def test_a_problem_says_what_is_allowed_and_nearest() -> None:
    problem = Problem(file="c.yaml", line=2, column=3, path="a.b", message="no", allowed=("x", "y"), nearest="y")
    assert str(problem) == "c.yaml:2:3: a.b: no. Did you mean 'y'? Allowed: x, y."
    assert str(Problem(file="c.yaml", message="gone")) == "c.yaml: gone."
