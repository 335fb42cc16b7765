"""The bot's own questions, asked of a store without a bot around it: nothing is started, and nobody is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.bootstrap import RegisteredProviders
from bot.domain.errors import IdentityUnknown
from bot.engine.approvals import Approvals
from bot.engine.gatekeeper import Gatekeeper
from bot.engine.insight import Insight
from bot.engine.ledger import Ledger
from bot.engine.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bot.domain.actor import Actor, Membership
    from bot.domain.catalog import Catalog
    from bot.store.store import Store


def queries_of(store: Store, catalog: Catalog) -> Queries:
    """What people can ask of this store under this catalog."""
    # Piece by piece: of the whole engine there can be but one in a process.
    catalogs, people, providers = _Always(catalog), _Nobody(), RegisteredProviders()
    ledger = Ledger(deployments=store.deployments)
    gatekeeper = Gatekeeper(
        ledger=ledger,
        releases=store.releases,
        catalogs=catalogs,
        providers=providers,
        people=people,
        locks=store.locks,
        freezes=store.freezes,
        ballots=store.ballots,
        overrides=store.overrides,
    )
    return Queries(
        ledger=ledger,
        deployments=store.deployments,
        releases=store.releases,
        catalogs=catalogs,
        gatekeeper=gatekeeper,
        approvals=Approvals(
            ledger=ledger,
            deployments=store.deployments,
            ballots=store.ballots,
            gatekeeper=gatekeeper,
            people=people,
        ),
        insight=Insight(
            ledger=ledger,
            deployments=store.deployments,
            releases=store.releases,
            catalogs=catalogs,
            providers=providers,
        ),
        schedules=store.schedules,
        locks=store.locks,
        freezes=store.freezes,
        overrides=store.overrides,
        readings=store.readings,
    )


class _Always:
    """A catalog that never changes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def current(self) -> Catalog:
        return self._catalog

    async def at(self, revision: str) -> Catalog:
        del revision
        return self._catalog


class _Nobody:
    """No question that is measured asks who somebody is."""

    async def member(self, actor: Actor, *, for_rollback: bool = False) -> Membership:
        del for_rollback
        raise IdentityUnknown(f"{actor.name} is not known here.")

    async def in_groups(self, groups: Collection[str]) -> Sequence[str]:
        raise IdentityUnknown(f"Nobody knows who is in {', '.join(groups)}.")
