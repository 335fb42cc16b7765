"""The engine put together: every use case over one set of ports. The composition root gives the ports and starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.engine.admission import Admission
from bot.engine.alerts import Alerting
from bot.engine.approvals import Approvals
from bot.engine.baking import Baking
from bot.engine.checking import Checking
from bot.engine.durable import Durable
from bot.engine.freezing import Freezing
from bot.engine.gatekeeper import Gatekeeper
from bot.engine.insight import Insight
from bot.engine.ledger import Ledger, utc_now
from bot.engine.locking import Locking
from bot.engine.marking import Marking
from bot.engine.orders import Orders
from bot.engine.overriding import Overriding
from bot.engine.permits import Permits
from bot.engine.preview_flow import PreviewFlow
from bot.engine.previews import Previewing
from bot.engine.progressing import Progressing
from bot.engine.queries import Queries
from bot.engine.queueing import Queueing
from bot.engine.requests import Requests
from bot.engine.rollout import Rollout
from bot.engine.scheduling import Scheduling
from bot.engine.showing import Showing
from bot.engine.steering import Steering
from bot.engine.stepping import Stepping
from bot.engine.steps import Steps
from bot.engine.timetable import Timetable
from bot.engine.tracing import Tracing
from bot.engine.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.ports.alerts import Alerts
    from bot.ports.audit import AuditLog
    from bot.ports.ballots import Ballots
    from bot.ports.deployments import Deployments, Releases
    from bot.ports.freezes import Freezes
    from bot.ports.leases import Leases
    from bot.ports.locks import Locks
    from bot.ports.markers import Markers
    from bot.ports.notices import Notices
    from bot.ports.overrides import Overrides
    from bot.ports.people import People
    from bot.ports.previews import PreviewSource
    from bot.ports.providers import CatalogSource, Providers
    from bot.ports.readings import Readings
    from bot.ports.schedules import Schedules


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything that the engine asks of the world around it."""

    catalogs: CatalogSource
    providers: Providers
    people: People
    deployments: Deployments
    releases: Releases
    leases: Leases
    locks: Locks
    freezes: Freezes
    ballots: Ballots
    schedules: Schedules
    overrides: Overrides
    notices: Notices
    readings: Readings
    alerts: Alerts
    markers: Markers


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Every use case, and what carries them out."""

    ledger: Ledger
    gatekeeper: Gatekeeper
    approvals: Approvals
    admission: Admission
    requests: Requests
    queries: Queries
    insight: Insight
    locking: Locking
    freezing: Freezing
    overriding: Overriding
    scheduling: Scheduling
    queueing: Queueing
    progressing: Progressing
    alerting: Alerting
    marking: Marking
    durable: Durable
    timetable: Timetable
    showing: Showing | None = None
    """Previews; None where nobody says where they come from."""

    @classmethod
    def build(
        cls,
        ports: Ports,
        *,
        database_url: str,
        executor: str,
        shared: bool,
        now: Callable[[], datetime] = utc_now,
        tracing: Tracing | None = None,
        previews: PreviewSource | None = None,
        audit: AuditLog | None = None,
    ) -> Engine:
        """Put it together; nothing runs yet. ``shared`` says that other replicas may write to the same database.

        Without ``previews`` and the ``audit`` that they are recorded in there are none.
        """
        ledger = Ledger(deployments=ports.deployments, now=now)
        gatekeeper = Gatekeeper(
            ledger=ledger,
            releases=ports.releases,
            catalogs=ports.catalogs,
            providers=ports.providers,
            people=ports.people,
            locks=ports.locks,
            freezes=ports.freezes,
            ballots=ports.ballots,
            overrides=ports.overrides,
        )
        insight = Insight(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            providers=ports.providers,
        )
        queueing = Queueing(
            ledger=ledger, deployments=ports.deployments, catalogs=ports.catalogs, gatekeeper=gatekeeper
        )
        approvals = Approvals(
            ledger=ledger,
            deployments=ports.deployments,
            ballots=ports.ballots,
            gatekeeper=gatekeeper,
            people=ports.people,
        )
        admission = Admission(
            ledger=ledger,
            deployments=ports.deployments,
            gatekeeper=gatekeeper,
            approvals=approvals,
            schedules=ports.schedules,
            queueing=queueing,
            providers=ports.providers,
            look_again=1.0 if shared else 30.0,
        )
        permits = Permits(
            ledger=ledger,
            deployments=ports.deployments,
            leases=ports.leases,
            gatekeeper=gatekeeper,
            executor=executor,
        )
        rollout = Rollout(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            providers=ports.providers,
            permits=permits,
            look_again=1.0 if shared else 30.0,
        )
        look_again = 1.0 if shared else 30.0
        checking = Checking(ledger=ledger, catalogs=ports.catalogs, providers=ports.providers, readings=ports.readings)
        steering = Steering(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            rollout=rollout,
            checking=checking,
            look_again=look_again,
        )
        stepping = Stepping(ledger=ledger, deployments=ports.deployments, rollout=rollout, permits=permits)
        baking = Baking(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            checking=checking,
            look_again=look_again,
        )
        steps = Steps(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            rollout=rollout,
            admission=admission,
            locks=ports.locks,
            steering=steering,
            stepping=stepping,
            baking=baking,
            tracing=tracing or Tracing(),
        )
        durable = Durable(steps=steps, ledger=ledger, leases=ports.leases, database_url=database_url, executor=executor)
        orders = Orders(
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            providers=ports.providers,
            gatekeeper=gatekeeper,
            overrides=ports.overrides,
            insight=insight,
        )
        requests = Requests(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            providers=ports.providers,
            gatekeeper=gatekeeper,
            orders=orders,
            schedules=ports.schedules,
            durable=durable,
        )
        steps.roll_back = requests.roll_back_by_itself
        progressing = Progressing(
            ledger=ledger, deployments=ports.deployments, catalogs=ports.catalogs, gatekeeper=gatekeeper
        )
        queries = Queries(
            ledger=ledger,
            deployments=ports.deployments,
            releases=ports.releases,
            catalogs=ports.catalogs,
            gatekeeper=gatekeeper,
            approvals=approvals,
            insight=insight,
            schedules=ports.schedules,
            locks=ports.locks,
            freezes=ports.freezes,
            overrides=ports.overrides,
            readings=ports.readings,
            alerts=ports.alerts,
        )
        locking = Locking(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            locks=ports.locks,
            notices=ports.notices,
            gatekeeper=gatekeeper,
            freed=admission.look_again_at,
        )
        freezing = Freezing(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            freezes=ports.freezes,
            overrides=ports.overrides,
            leases=ports.leases,
            notices=ports.notices,
            gatekeeper=gatekeeper,
            freed=admission.look_again_at,
        )
        overriding = Overriding(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            providers=ports.providers,
            overrides=ports.overrides,
            notices=ports.notices,
            gatekeeper=gatekeeper,
            requests=requests,
            freed=admission.look_again_at,
        )
        upkeep = Upkeep(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            locks=ports.locks,
            freezes=ports.freezes,
            overrides=ports.overrides,
            locking=locking,
            freezing=freezing,
            overriding=overriding,
            freed=admission.look_again_at,
        )
        timetable = Timetable(schedules=ports.schedules, fire=durable.fire, upkeep=upkeep.look, now=ledger.now)
        ledger.listeners.append(timetable.heard)
        alerting = Alerting(ledger=ledger, deployments=ports.deployments, catalogs=ports.catalogs, kept=ports.alerts)
        marking = Marking(
            ledger=ledger,
            deployments=ports.deployments,
            catalogs=ports.catalogs,
            providers=ports.providers,
            kept=ports.markers,
        )
        ledger.listeners.append(marking.heard)
        scheduling = Scheduling(
            ledger=ledger,
            deployments=ports.deployments,
            schedules=ports.schedules,
            catalogs=ports.catalogs,
            gatekeeper=gatekeeper,
            changed=timetable.changed,
        )
        showing: Showing | None = None
        if previews is not None and audit is not None:
            showing = Showing(
                previewing=Previewing(
                    catalogs=ports.catalogs, providers=ports.providers, previews=previews, now=ledger.now
                ),
                catalogs=ports.catalogs,
                notices=ports.notices,
                audit=audit,
                leases=ports.leases,
                executor=executor,
                now=ledger.now,
            )
            showing.begin = PreviewFlow(showing).begin
        return cls(
            ledger=ledger,
            gatekeeper=gatekeeper,
            approvals=approvals,
            admission=admission,
            requests=requests,
            queries=queries,
            insight=insight,
            locking=locking,
            freezing=freezing,
            overriding=overriding,
            scheduling=scheduling,
            queueing=queueing,
            progressing=progressing,
            alerting=alerting,
            marking=marking,
            durable=durable,
            timetable=timetable,
            showing=showing,
        )

    async def start(self) -> None:
        """Take up what was left and begin to work."""
        await self.durable.start()
        await self.timetable.start()
        if self.showing is not None:
            await self.showing.start()

    async def stop(self) -> None:
        """Take nothing more up. What runs goes on with the next start."""
        if self.showing is not None:
            await self.showing.stop()
        await self.timetable.stop()
        await self.durable.stop()
