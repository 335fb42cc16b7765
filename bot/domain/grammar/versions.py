"""What a version looks like, and what a deployment's name looks like. Looks nothing up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.ids import DeploymentId

if TYPE_CHECKING:
    from bot.domain.grammar.intents import DeploymentRef

MAX_VERSION = 200

# A tag, a branch, a commit or a digest; never an option, a path that climbs, or anything that a shell would read.
_WELL_FORMED = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/@:+#-]*[A-Za-z0-9_+#-])?")
_UNMISTAKABLE = re.compile(r"[vV]?[0-9]\S*|[0-9a-f]{7,40}|(?i:latest)|sha256:\S*")
_BRANCHES = frozenset({"main", "master", "trunk", "develop", "head"})
_NUMBER = re.compile(r"#?([1-9][0-9]{0,8})")
_ID = re.compile(r"d[0-9a-hjkmnp-tv-z]{14}")

#: Words of a sentence. They are never taken for a branch.
NEVER_VERSIONS = frozenset(
    {"a", "all", "an", "and", "as", "at", "both", "by", "deployment", "env", "environment", "everything", "for", "from"}
    | {"in", "into", "it", "new", "now", "of", "on", "or", "service", "the", "then", "this", "to", "until", "version"}
    | {"with"}
)


def is_well_formed(word: str) -> bool:
    """Whether a version can be called that at all."""
    return len(word) <= MAX_VERSION and ".." not in word and bool(_WELL_FORMED.fullmatch(word))


def is_unmistakable(word: str) -> bool:
    """Whether only a version looks like this: ``v1.2``, ``2026-11-01``, ``4f0c2aa``, ``latest``, ``sha256:…``."""
    return bool(_UNMISTAKABLE.fullmatch(word))


def is_likely(word: str) -> bool:
    """Whether this is a version unless it is a misspelt name: ``release-7``, ``feature/login``, ``main``."""
    return "/" in word or word.casefold() in _BRANCHES or any(c in "0123456789" for c in word)


def is_branch(word: str) -> bool:
    """Whether this is a branch whatever names resemble it: ``main``, ``feature/login``."""
    return word.casefold() in _BRANCHES or "/" in word


def deployment_ref(word: str) -> DeploymentRef | None:
    """The deployment that ``42``, ``#42`` or ``d1jk…`` names."""
    if number := _NUMBER.fullmatch(word):
        return int(number[1])
    return DeploymentId(word.lower()) if is_deployment_id(word) else None


def is_deployment_id(word: str) -> bool:
    """Whether this is a deployment's id."""
    return bool(_ID.fullmatch(word.lower()))
