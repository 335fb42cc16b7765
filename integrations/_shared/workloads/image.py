"""References to images: what is pinned, and which two mean the same bytes."""

from __future__ import annotations

import re

from bot.domain.release import Artifact, Release

_PINNED = re.compile(r"@(sha256:[0-9a-f]{64})$")
_TAG = re.compile(r":([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$")
_WORDS = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?/)?{_WORDS}(?:/{_WORDS})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_SHOWABLE = re.compile(r"[!-~]{1,512}")


def digest_of(image: str) -> str | None:
    """The digest that an image is pinned to, or that a runtime says it runs."""
    found = _PINNED.search(image)
    return found.group(1) if found else None


def same(one: str, other: str) -> bool:
    """Whether both are the same bytes: also from a mirror, when both are pinned."""
    return one == other or (digest_of(one) is not None and digest_of(one) == digest_of(other))


def shown(image: str) -> str:
    """An image as people read it, its digest cut short."""
    if not _SHOWABLE.fullmatch(image):
        return "an image that cannot be shown"
    digest = digest_of(image)
    return image if digest is None else f"{image.partition('@')[0]}@{digest[:19]}"


def tag_of(image: str) -> str | None:
    """The tag of an image, if it has one."""
    found = _TAG.search(image.partition("@")[0].rpartition("/")[2])
    return found.group(1) if found else None


def location(release: Release) -> str | None:
    """The image of a release, pinned; None when it is not an image."""
    image, digest = release.artifact.location, release.artifact.digest
    if len(image) > 512 or not _REFERENCE.fullmatch(image) or not _PINNED.fullmatch(f"@{digest}"):
        return None
    if digest_of(image) is not None:
        return image if digest_of(image) == digest else None
    return f"{image}@{digest}"


def artifact(image: str, running: str | None) -> Artifact:
    """What an image of a template is, where ``running`` is the digest that pods of it run.

    One whose bytes nobody knows gets a digest that no release has.
    """
    digest = digest_of(image) or running
    if digest is None:
        return Artifact(digest=f"tag:{image[:512]}", location=image)
    return Artifact(digest=digest, location=f"{image.partition('@')[0]}@{digest}")
