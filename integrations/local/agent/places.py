"""All places of one root: opens what is on the disk, makes new ones, closes them together."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from integrations.local.agent.model import Damaged, Refused
from integrations.local.agent.place import Place
from integrations.local.agent.requests import NAME

if TYPE_CHECKING:
    import aiohttp

    from integrations.local.files import Root

log = logging.getLogger(__name__)


class Places:
    """Every service@environment that this agent looks after."""

    def __init__(self, *, root: Root, session: aiohttp.ClientSession, epoch: str) -> None:
        self._root = root
        self._session = session
        self._epoch = epoch
        self._places: dict[tuple[str, str], Place] = {}
        self._damaged: dict[tuple[str, str], str] = {}
        self._opening = asyncio.Lock()
        self._closed = False

    async def load(self) -> None:
        """Open every place that was ever written down; one that cannot be read is set aside and says so when asked."""
        if not self._root.places.is_dir():
            return
        for folder in sorted(self._root.places.iterdir()):
            service, _, environment = folder.name.partition("@")
            if folder.is_dir() and NAME.fullmatch(service) and NAME.fullmatch(environment):
                await self._open(service, environment)

    async def _open(self, service: str, environment: str) -> None:
        folder = self._root.place(service, environment)
        place = Place(folder=folder, service=service, environment=environment, session=self._session, epoch=self._epoch)
        try:
            await place.open()
        except Damaged as damage:
            log.error("%s@%s is damaged: %s", service, environment, damage)
            self._damaged[service, environment] = (
                f"What is written down about {service} in {environment} is damaged: {damage}. "
                f"Look at {folder}; without its files the platform cannot tell what runs."
            )
            return
        self._places[service, environment] = place

    def all(self) -> list[Place]:
        """The places that can be used."""
        return list(self._places.values())

    def find(self, service: str, environment: str) -> Place:
        """The place; raises `Refused` when there is none yet, `Damaged`."""
        if self._closed:
            # Never "unknown": whoever watches would take that for deleted.
            raise Refused("internal", "The agent is stopping.")
        if (service, environment) in self._damaged:
            raise Damaged(self._damaged[service, environment])
        place = self._places.get((service, environment))
        if place is None:
            raise Refused("unknown", f"Nothing was ever deployed of {service} in {environment}.")
        return place

    async def open(self, service: str, environment: str) -> Place:
        """The place, made if there is none yet; raises `Damaged`, `OSError`."""
        async with self._opening:
            new = (service, environment) not in self._places and (service, environment) not in self._damaged
            if new and not self._closed:
                await self._open(service, environment)
            return self.find(service, environment)

    async def close(self, *, stop: bool) -> None:
        """Let go of every place; with ``stop`` end every instance."""
        async with self._opening:
            self._closed = True
            await asyncio.gather(*(place.close(stop=stop) for place in self._places.values()))
            self._places.clear()
