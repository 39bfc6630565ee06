"""The app as the benchmark runs it: it notes when what was painted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from textual.events import Event, Key

from inspector.extract.processes import extract
from inspector.facts import Facts, pack_events, unpack_events
from inspector.findings.case import Options
from inspector.findings.judge import Analysis
from inspector.query.arrays import Columns
from inspector.settings import Settings
from inspector.tui.app import InspectorApp
from inspector.tui.connections import ConnectionsScreen
from inspector.tui.feed import Feed
from inspector.tui.loading import Loading
from tests.conftest import find


def many(count: int) -> Facts:
    """So many connections: copies of a bundled capture, one after the other, each with its own randoms, sessions and
    times.
    """
    original = extract([str(find("puppet-session-ids"))])
    seeds = [original.unpack(packed) for packed in original.connections]
    whole = Facts(captures=original.captures, certificates=original.certificates)
    length = max(c.last_ns for c in seeds) - min(c.first_ns for c in seeds) + 1_000_000_000
    copy = 0
    while len(whole.connections) < count:
        mark, later = copy.to_bytes(4, "big"), copy * length
        for c in seeds[: count - len(whole.connections)]:
            h = c.handshake
            moved = replace(
                h,
                client_random=mark + h.client_random[4:],
                server_random=mark + h.server_random[4:] if h.server_random else b"",
                offered_id=mark + h.offered_id[4:] if h.offered_id else b"",
                answered_id=mark + h.answered_id[4:] if h.answered_id else b"",
                hello_ns=h.hello_ns + later,
                answer_ns=h.answer_ns + later if h.answer_ns else 0,
            )
            events = pack_events([replace(e, ns=e.ns + later) for e in unpack_events(c.events)])
            whole.add(
                replace(c, handshake=moved, first_ns=c.first_ns + later, last_ns=c.last_ns + later, events=events)
            )
        copy += 1
    return whole


class Ready(Loading):
    """Everything was read before the app began."""

    def __init__(self, own: Loading, analysis: Analysis) -> None:
        self.__dict__.update(own.__dict__)
        self.ready = analysis

    def _work(self) -> None:
        self._publish(self.ready, None, whole=True)
        self._publish(self.ready, Columns(self.ready, self._check), whole=True)


class Measured(InspectorApp):
    """Notes when what happened."""

    def __init__(
        self, paths: Sequence[str], notes: Path, analysis: Analysis | None = None, loading: Loading | None = None
    ) -> None:
        super().__init__(paths, Options(), settings=Settings(), loading=loading)
        self._notes = notes
        self._modes["connections"] = lambda: Renewed(self.state)
        if analysis is not None:
            ready = Ready(self.feed.loading, analysis)
            ready._thread = threading.Thread(target=ready._run, daemon=True)
            self.feed = Feed(ready)

    def note(self, **what: Any) -> None:
        with open(self._notes, "a") as file:
            file.write(json.dumps({"at": time.monotonic(), **what}) + "\n")

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(lambda: self.note(what="painted"))

    def _show_newest(self) -> None:
        began = time.monotonic()
        super()._show_newest()
        what = {
            "what": "taken",
            "whole": self.feed.loading.is_whole,
            "columns": self.state.columns is not None,
            "findings": len(self.state.document.findings),
            "connections": self.state.analysis.count if self.state.analysis is not None else 0,
            "began": began,
        }
        self.call_after_refresh(lambda: self.note(**what))

    async def on_event(self, event: Event) -> None:
        await super().on_event(event)
        if isinstance(event, Key):
            self.call_after_refresh(lambda: self.note(what="key", key=event.key))


class Renewed(ConnectionsScreen):
    """Notes when the table shows something else."""

    def renew(self) -> None:
        super().renew()
        app = self.app
        assert isinstance(app, Measured)
        self.call_after_refresh(lambda: app.note(what="renewed"))
