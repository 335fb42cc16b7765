"""Service accounts in the catalog: members of a role by name, and nobody who could approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.catalog.load import parse
from bot.catalog.problems import CatalogError
from bot.domain.policy.access import Action

if TYPE_CHECKING:
    from bot.catalog.load import Providers

GOOD = """\
version: 1
channel: "#deployments"
environments:
  staging: {}
  production:
    approval: { quorum: 1 }
services:
  checkout: { target: { type: local, root: p }, images: { type: local, folder: a } }
roles:
  release-manager:
    members: ["@release-managers"]
    allow: [{ actions: [approve, lock] }]
  incidents:
    members: ["sa:incident", "@on-call", U0ADA]
    allow: [{ actions: lock }]
"""


def test_it_is_a_member_beside_people(providers: Providers) -> None:
    catalog = parse(GOOD, "c.yaml", providers)
    (row,) = (rule for rule in catalog.rules if rule.role == "incidents")
    assert (row.accounts, row.groups, row.users) == (
        frozenset({"incident"}),
        frozenset({"on-call"}),
        frozenset({"U0ADA"}),
    )
    assert row.actions == {Action.LOCK}


def test_who_could_approve_is_never_only_a_service_account(providers: Providers) -> None:
    text = GOOD.replace('["@release-managers"]', '["sa:release-manager"]')
    with pytest.raises(CatalogError) as refusal:
        parse(text, "c.yaml", providers)
    assert str(refusal.value) == (
        "c.yaml:6:5: environments.production.approval: nobody could approve anything in production; give a role the "
        "action 'approve' there."
    )
