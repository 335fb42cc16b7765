"""Which step comes next when a preview is opened, durably. Decides only by what its steps returned."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from bot.domain.errors import StoreError
from bot.engine.showing import Brought

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.engine.showing import Asked, Showing

T = TypeVar("T")
log = logging.getLogger(__name__)


@DBOS.dbos_class()
class PreviewFlow(DBOSConfiguredInstance):
    """The workflow of a preview, bound to the use case of this process."""

    def __init__(self, showing: Showing) -> None:
        super().__init__("previews")
        self.showing = showing

    async def begin(self, asked: Asked) -> None:
        """Start it; the same request again changes nothing."""
        with SetWorkflowID(asked["key"]):
            await DBOS.start_workflow_async(self.preview, asked)

    @DBOS.workflow(name="preview", max_recovery_attempts=None)
    async def preview(self, asked: Asked) -> None:
        """Record it, make the preview, wait until it is up, and say so."""
        await self._step("record the preview", self.showing.record, asked)
        try:
            brought = await self._step("make the preview", self.showing.bring, asked)
            if not brought["trouble"]:
                brought = await self._step("watch the preview", self.showing.watch, asked, brought["identity"])
        except Exception as error:
            log.exception("the workflow of a preview broke")
            brought = Brought(identity="", trouble=f"The bot itself broke ({type(error).__name__}); its log says more.")
        await self._step("tell of the preview", self.showing.tell, asked, brought)

    async def _step(self, name: str, function: Callable[..., Coroutine[object, object, T]], *given: object) -> T:
        """Run one step whose result the journal keeps; a database that is away is waited for."""

        async def outlasting(*arguments: object) -> T:
            pause = 0.5
            while True:
                try:
                    return await function(*arguments)
                except StoreError as error:
                    log.warning("the step %r waits for the database: %s", name, error.message)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10.0)

        return await DBOS.run_step_async({"name": name}, outlasting, *given)
