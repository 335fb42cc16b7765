"""Whatever is done to a good file: a catalog, or problems that lie within the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot.catalog.document import compose
from bot.catalog.json_schema import json_schema
from bot.catalog.load import parse
from bot.catalog.problems import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.catalog.load import Providers
    from bot.catalog.problems import Problem
    from bot.domain.catalog import Catalog

#: What tends to upset readers of YAML, and whole lines and words of the format in wrong places.
FRAGMENTS = st.sampled_from(
    [
        *"\t\n\r:,[]{}&*!|>'\"%@`#-?~<\\ \ufeff\x00\x07\x85\u2028\xa0é😀",
        *("- ", ": ", "? ", "<<: *a", "&a", "*a", "!!str ", "!x ", "---\n", "...\n", "%YAML 1.2\n---\n", "|\n", ">-\n"),
        *("\r\n", "null", "~", "true", "yes", "0", "-1", "1e9", ".inf", ".nan", "0x1F", "0o17", "9" * 400, "\\ud800"),
        *(
            '"\\UFFFFFFFF"',
            '"\\x1b"',
            "services:\n",
            "  staging: {}\n",
            "type: ",
            "  target:\n",
            "deadline: 1h\n",
            "after: production\n",
            "for: 2d\n",
            "0 9 * * 1-5",
            "RRULE:FREQ=DAILY",
            "2%",
            "150 %",
            "canary: {}\n",
            "recreate",
            "bake: 0\n",
            "{}",
        ),
        *("[[[[", "}}}}", "environments", "roles", "''", '""', "*", "  ", "x" * 70, "../..", "#name", "[key]"),
    ]
)
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@st.composite
def mutation(draw: st.DrawFn) -> Callable[[str], str]:
    """One to four small accidents."""
    accidents = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["cut", "insert", "replace", "double", "drop line", "swap lines", "word", "truncate"]),
                st.integers(0, 10_000),
                st.integers(0, 40),
                FRAGMENTS,
            ),
            min_size=1,
            max_size=4,
        )
    )

    def mutate(text: str) -> str:
        for kind, where, length, fragment in accidents:
            at = where % (len(text) + 1)
            lines = text.splitlines(keepends=True) or [""]
            line = where % len(lines)
            if kind == "cut":
                text = text[:at] + text[at + length :]
            elif kind == "insert":
                text = text[:at] + fragment + text[at:]
            elif kind == "replace":
                text = text[:at] + fragment + text[at + length :]
            elif kind == "double":
                text = "".join([*lines[:line], lines[line], *lines[line:]])
            elif kind == "drop line":
                text = "".join(lines[:line] + lines[line + 1 :])
            elif kind == "swap lines":
                other = (line + length) % len(lines)
                lines[line], lines[other] = lines[other], lines[line]
                text = "".join(lines)
            elif kind == "word":
                words = list(re.finditer(r"[\w./#*@-]+", text))
                if words:
                    word = words[where % len(words)]
                    text = text[: word.start()] + fragment + text[word.end() :]
            else:
                text = text[:at]
        return text

    return mutate


@given(mutate=mutation())
@settings(max_examples=600, deadline=None, suppress_health_check=SLOW)
def test_a_damaged_file_is_a_catalog_or_problems_within_it(
    good: str, providers: Providers, mutate: Callable[[str], str]
) -> None:
    _holds(mutate(good), providers)


@given(mutate=mutation())
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_damaged_rules_are_a_catalog_or_problems_within_it(
    policy: str, providers: Providers, mutate: Callable[[str], str]
) -> None:
    _holds(mutate(policy), providers)


@given(mutate=mutation())
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_damaged_rollouts_are_a_catalog_or_problems_within_them(
    rollouts: str, providers: Providers, mutate: Callable[[str], str]
) -> None:
    _holds(mutate(rollouts), providers)


@given(text=st.text(max_size=300) | st.lists(FRAGMENTS, max_size=30).map("".join))
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
def test_any_text_is_answered(providers: Providers, text: str) -> None:
    _holds(text, providers)


def _holds(text: str, providers: Providers) -> None:
    catalog, problems = _answer(text, providers)
    if catalog is not None:
        assert catalog.services
        assert all(name in catalog.environments for service in catalog.services.values() for name in service.targets)
        return
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    assert problems
    for problem in problems:
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert len(str(problem)) < 1500
        assert str(problem).isprintable()
    assert len(set(problems)) == len(problems)


def _answer(text: str, providers: Providers) -> tuple[Catalog | None, tuple[Problem, ...]]:
    try:
        return parse(text, "c.yaml", providers), ()
    except CatalogError as error:
        return None, error.problems


@given(mutate=mutation())
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_the_json_schema_is_never_stricter(good: str, providers: Providers, mutate: Callable[[str], str]) -> None:
    _is_no_stricter(mutate(good), providers)


@given(mutate=mutation())
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_the_json_schema_of_rules_is_never_stricter(
    policy: str, providers: Providers, mutate: Callable[[str], str]
) -> None:
    _is_no_stricter(mutate(policy), providers)


@given(mutate=mutation())
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_the_json_schema_of_rollouts_is_never_stricter(
    rollouts: str, providers: Providers, mutate: Callable[[str], str]
) -> None:
    _is_no_stricter(mutate(rollouts), providers)


def _is_no_stricter(text: str, providers: Providers) -> None:
    if _answer(text, providers)[0] is None:
        return
    Draft202012Validator(json_schema(providers)).validate(compose(text, "c.yaml").root.plain())
