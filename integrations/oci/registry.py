"""Asks a registry for what it has, and believes no digest that it can check. Writes nothing there."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from integrations._shared.failures import told
from integrations._shared.http import Caller
from integrations.oci.challenge import PROVIDER
from integrations.oci.keys import Keys, words
from integrations.oci.reference import digest_of, is_digest, is_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations._shared.http import Answer
    from integrations.oci.options import OciOptions
    from integrations.oci.reference import Repository

# A registry answers 404 about an image whose kind is not among those asked for.
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MOST_TAGS = 50_000
_PAGE = 1000
_LARGEST_MANIFEST = 4 * 1024 * 1024
_LARGEST_PAGE = 8 * 1024 * 1024
_LONGEST_HOLD = 60.0
_NEXT = re.compile(r"<([^<>]*)>\s*;[^,]*?\brel\s*=\s*(?:\"next\"|next\b)", re.IGNORECASE)
_QUERY = re.compile(r"[!-~]{1,4096}")


class Registry:
    """One repository, as its registry's API shows it. Holds no connection."""

    def __init__(
        self, options: OciOptions, repository: Repository, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._repository = repository
        self._clock = clock
        self._keys = Keys(options, repository, clock)
        self._caller = Caller(PROVIDER, repository.registry, options.timeout, options.ca_file)
        scheme = "http" if options.insecure else "https"
        self._base = f"{scheme}://{repository.authority}/v2/{repository.name}"
        self._held_until = 0.0

    async def digest(self, reference: str) -> str | None:
        """The digest of the image under a tag or a digest, of all its platforms together; None if there is none.

        Raises `ProviderError`.
        """
        headers = {"Accept": ", ".join(KINDS)}
        path = f"/manifests/{reference}"
        answer = await self._call(path, headers, largest=None)
        if answer.status == 404:
            return None
        if answer.status == 200 and _kind(answer) in KINDS and is_digest(_digest(answer)):
            return self._same(_digest(answer), reference)
        if answer.status not in (200, 405, 501):
            raise self._refused(answer)
        # The registry does not say enough without the whole of it.
        answer = await self._call(path, headers, largest=_LARGEST_MANIFEST)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._refused(answer)
        found = digest_of(answer.content)
        said = _digest(answer)
        if said and said != found:
            raise self._broken(f"says that {told(reference)} is {told(said)[:80]}, but what it gives is {found}")
        self._check(answer, reference)
        return self._same(found, reference)

    async def tags(self) -> list[str] | None:
        """All tags in the order in which the registry gives them; None if it has no such repository.

        Raises `ProviderError`, also when there are more than can be looked through.
        """
        found: list[str] = []
        query, seen = f"n={_PAGE}", set[str]()
        while query:
            seen.add(query)
            answer = await self._call(f"/tags/list?{query}", {"Accept": "application/json"}, largest=_LARGEST_PAGE)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self._refused(answer)
            content = answer.json()
            # Where a repository is empty, some registries answer null.
            names = content["tags"] or [] if isinstance(content, dict) and "tags" in content else None
            if not isinstance(names, list):
                raise self._broken("gives a list of tags that cannot be read")
            found += [name for name in names if is_tag(name)]
            query = _next(answer.headers.get("link", ""))
            if query in seen or len(found) > MOST_TAGS or len(seen) > MOST_TAGS // 100:
                raise self._broken(f"lists more than {MOST_TAGS:,} tags, or the same ones again and again")
        return found

    async def _call(self, path: str, headers: dict[str, str], *, largest: int | None) -> Answer:
        """The answer to a GET, or to a HEAD if ``largest`` is None, once we were let in."""
        sent = await self._keys.known()
        answer = await self._send(path, headers, sent, largest)
        if answer.status == 401:
            sent = await self._keys.meet(answer, sent)
            if sent is not None:
                answer = await self._send(path, headers, sent, largest)
        return answer

    async def _send(self, path: str, headers: dict[str, str], sent: str | None, largest: int | None) -> Answer:
        left = self._held_until - self._clock()
        if left > 0:
            raise ProviderUnavailable(
                f"{self._repository.registry} says that we ask too often.", provider=PROVIDER, retry_after=left
            )
        if sent is not None:
            headers = {**headers, "Authorization": sent}
        if largest is None:
            answer = await self._caller.head(self._base + path, headers=headers)
        else:
            answer = await self._caller.get(self._base + path, headers=headers, largest=largest)
        if answer.status == 429:
            error = self._caller.refusal(answer)
            # Whoever asks meanwhile, such as a form that is being typed into, would only make it last longer.
            self._held_until = self._clock() + min(error.retry_after or 1.0, _LONGEST_HOLD)
            raise error
        return answer

    def _refused(self, answer: Answer) -> ProviderError:
        where, anonymous = self._repository, self._options.username is None
        if answer.status == 401 and anonymous:
            return ProviderRejected(
                f"{where.registry} does not show {where.name} to everybody (401); "
                "give username and password in the images of the service.",
                provider=PROVIDER,
            )
        return self._caller.refusal(answer, words(answer))

    def _check(self, answer: Answer, reference: str) -> None:
        """Refuse what is no image, or what two programs could take for different ones."""
        content = answer.json()
        kind = _kind(answer)
        if not isinstance(content, dict):
            raise self._broken(f"gives no manifest for {told(reference)}")
        if "manifests" in content and ("layers" in content or "config" in content):
            raise self._broken(f"gives a manifest for {told(reference)} that is an index and an image at once")
        inside = content.get("mediaType", kind)
        if inside not in KINDS or (kind in KINDS and kind != inside):
            raise self._broken(f"gives something for {told(reference)} that is no image")

    def _same(self, found: str, reference: str) -> str:
        if is_digest(reference) and found != reference:
            raise self._broken(f"answers with {found} when it is asked for {reference}")
        return found

    def _broken(self, what: str) -> ProviderRejected:
        return ProviderRejected(f"{self._repository.registry} {what} ({self._repository.name}).", provider=PROVIDER)


def _kind(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _digest(answer: Answer) -> str:
    return answer.headers.get("docker-content-digest", "").strip()


def _next(link: str) -> str:
    """The query that leads to the next page; empty if there is none.

    Nothing but the query is taken from a link, so that it cannot lead to another place.
    """
    match = _NEXT.search(link[:4096])
    if match is None:
        return ""
    try:
        query = urlsplit(match[1]).query
    except ValueError:
        return ""
    return query if _QUERY.fullmatch(query) else ""
