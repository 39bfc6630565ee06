"""All connections of a probe, one after the other at the plan's pace, some of them at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from inspector.probe.conversation import Conversation, Probing
from inspector.probe.transcript import TcpEvent, Transcript


class ProbeRun:
    """A probe that runs. ``transcripts``: of all connections so far, in the order of their beginnings;
    ``unsent``: connections for which there was no socket, or no way, as the system says.
    """

    def __init__(self, probing: Probing, on_begun: Callable[[int, int], None] = lambda begun, total: None) -> None:
        """``on_begun``: is called with how many connections have begun, of how many."""
        self._probing = probing
        self._on_begun = on_begun
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
        """End soon: no further connection begins, and those that are open are left where they are. Signal handlers may
        call it.
        """
        self._is_stopped = True
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def _ask_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._in_turn())
        if self._is_stopped:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _in_turn(self) -> None:
        plan = self._probing.plan
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(plan.at_once)
        next_at = loop.time()
        async with asyncio.TaskGroup() as group:
            for number, destination in enumerate(plan.turns(), 1):
                await asyncio.sleep(max(next_at - loop.time(), 0))
                await room.acquire()
                next_at = max(next_at, loop.time()) + 1 / plan.per_second
                try:
                    conversation = Conversation(self._probing, destination)
                except OSError as error:
                    room.release()
                    self.unsent.append(f"{destination.address}: {error.strerror or error}")
                else:
                    self.transcripts.append(conversation.transcript)
                    group.create_task(_hold(conversation, room))
                self._on_begun(number, plan.total)


async def _hold(conversation: Conversation, room: asyncio.Semaphore) -> None:
    try:
        await conversation.hold()
    finally:
        room.release()
