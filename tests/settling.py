"""Waiting for an app until nothing waits in it. Textual's pilot guesses that from the time the process takes, 20 ms and
more for each guess; here it is asked.
"""

from __future__ import annotations

import asyncio
from typing import Any

from textual._context import active_app
from textual.app import App
from textual.message_pump import MessagePump
from textual.pilot import Pilot

PAINT_SECONDS = 0.002
MOST_ROUNDS = 2_000


async def settled(*_: object) -> None:
    """In place of Textual's ``wait_for_idle``: until every message of the app in this context was handled, and what
    came of it was laid out.
    """
    app = active_app.get()
    pilot = Pilot(app)
    for _round in range(MOST_ROUNDS):
        if not await pilot._wait_for_screen() or app._exit:
            return
        if not any(map(waits, (app, *app._registry))):
            if not is_dirty(app):
                return
            app.screen._on_timer_update()
        else:
            await asyncio.sleep(0)
        await asyncio.sleep(PAINT_SECONDS if _round else 0)
    raise AssertionError("the app never comes to rest")


def waits(pump: MessagePump) -> bool:
    """Whether it has messages that it has not taken."""
    return pump._running and bool(
        pump._next_callbacks or pump._pending_message is not None or not pump._message_queue.empty()
    )


def is_dirty(app: App[Any]) -> bool:
    """Whether the screen is still to be laid out or painted."""
    screen = app.screen
    return bool(screen._layout_required or screen._dirty_widgets or screen._callbacks)
