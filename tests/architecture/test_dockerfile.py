"""The Dockerfile's instructions against what exists: there may be no engine at hand to build it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]  # type: ignore[misc]


def test_everything_that_is_copied_exists_and_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in shlex.split(rest)[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, f"{source} is not let through by .dockerignore"


def test_it_does_not_run_as_root() -> None:
    last_stage = instructions()[max(i for i, (name, _) in enumerate(instructions()) if name == "FROM") :]
    [user] = [rest for name, rest in last_stage if name == "USER"]
    assert user.isdecimal()
    assert int(user) > 0
    names = [name for name, _ in last_stage]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_base_is_slim_and_new_enough() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    for base in bases:
        version = re.fullmatch(r"python:(\d+)\.(\d+)-slim", base)
        assert version, base
        assert (int(version[1]), int(version[2])) >= (3, 11)


def test_the_entry_point_is_the_command_that_the_package_installs() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entry = next(json.loads(rest) for name, rest in instructions() if name == "ENTRYPOINT")
    command = next(json.loads(rest) for name, rest in instructions() if name == "CMD")
    assert entry[0] in project["scripts"]
    from bot.cli import main

    assert command[0] in main.commands


def test_the_health_check_is_python_that_compiles_and_asks_a_path_that_exists() -> None:
    from bot.api.app import build_api

    check = next(rest for name, rest in instructions() if name == "HEALTHCHECK")
    words = json.loads(check[check.index("[") :])
    assert words[:2] == ["python", "-c"]
    compile(words[2], "healthcheck", "exec")
    path = re.search(r"\}(/\w+)'", words[2])
    assert path is not None

    async def nothing() -> dict[str, str]:
        return {}

    api = build_api(readiness=nothing, slack=None)
    assert path[1] in {getattr(route, "path", None) for route in api.routes}


def test_settings_that_it_sets_are_settings_of_the_bot() -> None:
    from bot.settings import Settings

    known = {name.upper() for name in Settings.model_fields} | {"PATH", "PYTHONUNBUFFERED"}
    last_stage = instructions()[max(i for i, (name, _) in enumerate(instructions()) if name == "FROM") :]
    names = {word.split("=")[0] for name, rest in last_stage if name == "ENV" for word in rest.split()}
    assert names <= known


def test_only_pinned_packages_are_installed() -> None:
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install, install


@pytest.mark.parametrize("name", ["runtime.lock", "dev.lock", "all.lock"])
def test_locks_name_no_host(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert "--hash=sha256:" in text
