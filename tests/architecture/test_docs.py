"""What the documentation shows works: examples are read by the code that users give them to."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from pathlib import Path

import click
import pytest

from bot.bootstrap import provider_models
from bot.catalog.load import parse as parse_catalog
from bot.cli import main
from bot.domain.errors import RequestRefused
from bot.domain.grammar import Vocabulary, parse
from bot.domain.ids import EnvironmentName, ServiceName
from bot.sandbox.script.grammar import parse as parse_script
from bot.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def examples(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}", textwrap.dedent(match["body"]))
        for page in PAGES
        for match in FENCE.finditer(page.read_text())
        if match["language"] == language
    ]


@pytest.mark.parametrize(("page", "text"), examples("yaml"))
def test_catalogs_are_good(page: str, text: str) -> None:
    assert parse_catalog(text, page, provider_models()).services


@pytest.mark.parametrize(("page", "text"), examples("script"))
def test_scripts_are_good(page: str, text: str) -> None:
    assert parse_script(text, name=page, people=("ada", "grace", "linus")).lines


@pytest.mark.parametrize(("page", "text"), examples("json"))
def test_json_is_json(page: str, text: str) -> None:
    assert json.loads(text), page


def test_there_are_examples_of_each_kind() -> None:
    assert len(examples("yaml")) >= 2
    assert examples("script")
    assert examples("json")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for command in re.findall(r"deployment-architect ([a-z]+)", page.read_text()):
        assert command in main.commands, f"{page.name} names `{command}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_commands_exist(page: Path) -> None:
    for line in re.findall(r"(?<![\w/-])deployment-architect [a-z][^`|\n#]*", page.read_text()):
        words = line.split()[1:]
        command: click.Command = main
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            if word.startswith("--") and word != "--":
                assert word.partition("=")[0].rstrip(".,;:)") in known, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_extras_and_files_exist(page: Path) -> None:
    text = page.read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for listed in re.findall(r"(?:deployment-architect|\.)\[([a-z,]+)\]", text):
        assert set(listed.split(",")) <= set(project["optional-dependencies"]), listed
    for path in re.findall(r"(?<![\w/.])(?:deploy|tests|docs|bench|bot|integrations)/[\w./-]*[\w/]", text):
        near = [ROOT / path, page.parent / path]
        assert any(each.exists() for each in near), f"{page.name} names {path}"


def test_every_setting_is_explained() -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    for name in Settings.model_fields:
        if name != "slack_api_url":  # for sandboxes and proxies, not for operators
            assert f"`{name.upper()}`" in text, name


def test_what_one_can_say_is_understood() -> None:
    vocabulary = Vocabulary(
        services=(ServiceName("checkout"),),
        environments=(EnvironmentName("staging"), EnvironmentName("production")),
        strategies=("rolling", "canary", "blue-green"),  # those of the pages that say how releases take over in steps
    )
    said = {text for page in PAGES for text in re.findall(r"/deploy( [^`\n]*)?`", page.read_text())}
    said -= {" …"}  # stands for any of them
    assert len(said) >= 6
    for text in said:
        try:
            parse(text, vocabulary=vocabulary)
        except RequestRefused as refusal:
            pytest.fail(f"/deploy{text}: {refusal.message}")
