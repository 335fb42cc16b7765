"""What a script needs of the world, as Protocols: hands, eyes, trouble, the bot's process, the deployments' phases.

The sandbox's own classes fit the first three; the last two are given by whoever assembles the demo. Nothing here
lets a script look into the bot itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from bot.domain.history import Touch
    from bot.sandbox.model import Button, Change, Channel, Message, MessageRef, Person, Receipt, Seen, ViewRef

T = TypeVar("T")


class Hands(Protocol):
    """What a person can do and see; `who` is a name or a Slack user id. SandboxError refuses the impossible."""

    async def command(self, who: str, command: str, text: str, *, channel: str) -> Receipt: ...

    async def say(self, who: str, text: str, *, channel: str, thread_ts: str | None = None) -> Receipt: ...

    async def click(
        self, who: str, *, container: MessageRef | ViewRef, action_id: str, block_id: str | None = None
    ) -> Receipt: ...

    async def click_old(self, who: str, button: Button) -> Receipt: ...

    async def submit(self, who: str, view_id: str, values: Mapping[str, str]) -> Receipt: ...

    async def open_home(self, who: str) -> Receipt: ...

    def visible_buttons(self, who: str) -> Sequence[Button]: ...

    def can_see(self, who: str) -> Sequence[Seen]: ...


class Workspace(Protocol):
    """The workspace's change feed and what its records are called."""

    bot_user: str

    @property
    def seq(self) -> int: ...

    def changes(self, since: int = 0) -> AsyncIterator[Change]: ...

    async def wait_for(self, look: Callable[[], T], timeout: float = 10.0) -> T: ...

    def person(self, who: str) -> Person: ...

    def channel(self, which: str) -> Channel: ...

    def direct(self, users: Iterable[str]) -> Channel: ...

    def find_message(self, channel: str, ts: str, viewer: str | None = None) -> Message | None: ...


class Faults(Protocol):
    """Trouble on request, by the names that scripts use."""

    def start(self, name: str, seconds: float = 10.0) -> None: ...


class BotProcess(Protocol):
    """The bot's process. Both calls are safe to repeat; `start` raises OSError or RuntimeError when it cannot."""

    @property
    def running(self) -> bool: ...

    async def start(self) -> None: ...

    async def kill(self) -> None: ...


class DeploymentFeed(Protocol):
    """The deployments as the bot's own record has them; read only. Event numbers only grow.

    A StoreError is waited out until the deadline; any other DeploymentArchitectError misses the line.
    """

    async def marker(self) -> int:
        """The number of the newest event."""
        ...

    async def touched(self, *, actor: str, since: int) -> Sequence[Touch]:
        """What this Slack user started or acted on after event `since`, oldest first."""
        ...

    async def reached(self, deployment_id: str, phase: str, *, since: int) -> bool:
        """Whether it is in that phase now or entered it after event `since`."""
        ...

    async def phase(self, deployment_id: str) -> str:
        """The phase that it is in now."""
        ...
