"""All connections of a probe, one after the other at the plan's pace, some of them at once. Those of one JVM have ended
when those of the next begin: each is alone with the pool, as a run of its own would be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from inspector.probe.conversation import Conversation, Probing
from inspector.probe.destination import Destination
from inspector.probe.transcript import TcpEvent, Transcript


class ProbeRun:
    """A probe that runs. ``transcripts``: of all connections so far, in the order of their beginnings;
    ``unsent``: connections for which there was no socket, or no way, as the system says.
    """

    def __init__(
        self, probings: Sequence[Probing], on_begun: Callable[[int, int], None] = lambda begun, total: None
    ) -> None:
        """``probings``: as ``probings_of`` says. ``on_begun``: is called with how many connections have begun, of how
        many.
        """
        self._plan = probings[0].plan
        self._probings = probings
        self._on_begun = on_begun
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self.transcripts: list[Transcript] = []
        self.unsent: list[str] = []

    @property
    def is_answered(self) -> bool:
        """Whether a server said anything at all."""
        return any(transcript.has(TcpEvent.DATA, from_client=False) for transcript in self.transcripts)

    def run(self) -> None:
        """Ask all, or as many as there is time for until ``stop``."""
        if not self._is_stopped:
            asyncio.run(self._ask_all())

    def stop(self) -> None:
        """End soon: no further connection begins, and those that are open are left where they are. Signal handlers and
        other threads may call it, also where it has ended.
        """
        self._is_stopped = True
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # of a loop that is closed
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _ask_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._in_turn())
        if self._is_stopped:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _in_turn(self) -> None:
        next_at = asyncio.get_running_loop().time()
        for probing, (_, destinations) in zip(self._probings, self._plan.turns(), strict=True):
            next_at = await self._ask_as(probing, destinations, next_at)

    async def _ask_as(self, probing: Probing, destinations: Sequence[Destination], next_at: float) -> float:
        """Ask as one JVM, until all these connections have ended. ``next_at``: when the first may begin, by the loop's
        clock; when the next one may.
        """
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(self._plan.at_once)
        async with asyncio.TaskGroup() as group:
            for destination in destinations:
                await asyncio.sleep(max(next_at - loop.time(), 0))
                await room.acquire()
                next_at = max(next_at, loop.time()) + 1 / self._plan.per_second
                try:
                    conversation = Conversation(probing, destination)
                except OSError as error:
                    room.release()
                    self.unsent.append(f"{destination.address}: {error.strerror or error}")
                else:
                    self.transcripts.append(conversation.transcript)
                    group.create_task(_hold(conversation, room))
                self._number += 1
                self._on_begun(self._number, self._plan.total)
        return next_at


async def _hold(conversation: Conversation, room: asyncio.Semaphore) -> None:
    try:
        await conversation.hold()
    finally:
        room.release()
