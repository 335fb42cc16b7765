"""Puts values into Datadog queries: as values of tags, which have no quotes and so only harmless characters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.errors import ProviderRejected
from integrations._shared.template import PLACEHOLDER, fill, whitelisted

if TYPE_CHECKING:
    from bot.domain.metric import Subject
    from integrations._shared.template import Slot

PROVIDER = "datadog"
MONITOR = "monitor:"
_ALLOWED = re.compile(r"[A-Za-z0-9_.:/-]+")
_TAG = re.compile(r"[A-Za-z][\w./-]*:$")


def tagged(query: str, *, subject: Subject, window: float) -> str:
    """``query`` about ``subject``. Raises `ProviderRejected` when a placeholder is not the value of a tag.

    What would be ``by {service}`` stays as it is: there it is Datadog's own grouping.
    """

    def put(slot: Slot) -> str:
        before = slot.template[: slot.start]
        if re.search(r"\bby\s*$", before):
            return "{" + slot.name + "}"
        plain = PLACEHOLDER.sub("", before)
        within = query.startswith(MONITOR) or plain.count("{") > plain.count("}")
        if not (within and _TAG.search(before)):
            raise ProviderRejected(
                f"{{{slot.name}}} at position {slot.start + 1} of the query must stand as the value of a tag, "
                "as in version:{version}.",
                provider=PROVIDER,
            )
        value = whitelisted(
            slot, _ALLOWED, provider=PROVIDER, where="a tag", characters="letters, digits and the marks _ . : / -"
        )
        return value.lower()  # Datadog keeps tags in lower case

    return fill(query, subject=subject, window=str(max(1, round(window))), put=put, provider=PROVIDER)
