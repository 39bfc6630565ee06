"""A live capture behind the app, and a journal that somebody else writes. Knows no Textual.

One thread takes packets and never waits; another judges what is remembered, as often as it costs little, and makes its
columns; the app looks at what it has.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from inspector.extract.journal import JournalReader
from inspector.facts import Facts
from inspector.live.garbage import collect_rarely
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.held_evidence import WrittenEvidence
from inspector.live.sources.growing import GrowingLogs
from inspector.live.update import NewsKind, Update
from inspector.query.arrays import Columns
from inspector.settings import Settings
from inspector.text.safe import path_text, safe_text
from inspector.text.times import SECOND_NS
from inspector.tui.loading import SWITCH_SECONDS, Loading, LoadingStage, Stopped

LOOK_SECONDS = 0.5
QUIET_SECONDS = 1.0
"""How often is looked for what has come, and where nothing had."""

SHARE = 0.1
"""Of one core, what judging may take while packets come."""

COUNT_SECONDS = 10.0
COUNT_SHARE = 0.002
"""How often what only counts packets is shown anew, and of one core, what judging may take for that: a screen that
stands still costs nothing.
"""

CLOSE_SECONDS = 10.0
NEWS_SECONDS = 5.0
"""How long something that happened stands in the status."""


class Growing(Loading):
    """What is never read to its end: analyses follow each other."""

    is_repeatable = False
    looks_per_second = 2

    def _run(self) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        collect_rarely()
        try:
            self._run_to_end()
        finally:
            sys.setswitchinterval(usual)

    def _show(self, facts: Facts) -> float:
        """Judge and publish; how long the next should wait."""
        began = time.monotonic()
        analysis = self._judged(facts)
        self._publish(analysis, Columns(analysis, self._check), whole=True)
        return max(LOOK_SECONDS, (time.monotonic() - began) / SHARE)


class Following(Growing):
    """A journal as it grows."""

    def status(self) -> str:
        """That it is followed."""
        return "following"

    def _work(self) -> None:
        reader = JournalReader(self.paths[0])
        logs = GrowingLogs(self._options.logs)
        facts: Facts | None = None
        try:
            while True:
                other = reader.anew()
                if other is not None:
                    reader.close()
                    reader = other
                more = reader.more()
                has_news = logs.poll()
                facts = more if more is not None else facts
                pause = LOOK_SECONDS
                if facts is not None and (more is not None or has_news):
                    facts.logs = logs.facts()
                    pause = self._show(facts)
                if self._stopped.wait(pause):
                    raise Stopped
        finally:
            reader.close()
            logs.close()


def rounded(rate: float) -> int:
    """To two digits: a third one would change every second, and say nothing."""
    digits = len(f"{rate:.0f}")
    return int(round(rate, min(2 - digits, 0)))


def state_of(facts: Facts) -> tuple[object, object]:
    """What is equal where screens would show the same, and where they would but for counts of packets."""
    known_state = (
        facts.connections,
        facts.bounded,
        facts.secrets,
        facts.problems,
        [(log.lines, log.problem) for log in facts.logs],
    )
    return known_state, (facts.captures, facts.other_flows)


class Listening(Growing):
    """A live capture. ``watching`` runs in a thread of its own."""

    def __init__(self, watching: LiveCapture, expression: str, settings: Settings) -> None:
        """``expression``: the kernel's filter, to be shown."""
        recording = watching.keeping.recording
        super().__init__(
            [recording.path] if recording is not None and not recording.is_ring else [], watching.options, settings
        )
        self._watching = watching
        self._filter = expression
        self._capture = threading.Thread(target=self._watch, name="capture", daemon=True)
        self._facts: Facts | None = None
        self._forgotten = (0, 0)
        self._is_wanted = threading.Event()
        self._is_ready = threading.Event()
        self._incidents = 0
        self._rates = (0.0, 0.0)
        self._counted = (time.monotonic(), 0, 0)
        self._news: tuple[float, str] = (0.0, "")
        self._crash: BaseException | None = None

    def doing(self) -> list[str]:
        """What is captured, how, and what it waits for."""
        lines = []
        for source in self._watching.sources:
            lines.append(f"capturing {safe_text(path_text(source.name), 120)} by {safe_text(source.by, 40)}")
            if source.text:
                lines.append(f"  {safe_text(source.text, 200)}")
        if self._filter:
            lines.append(f"filter: {safe_text(self._filter, 200)}")
        return [*lines, "waiting for the first TLS connection"]

    def status(self) -> str:
        """Rates, drops, lag, what is kept, and the last news."""
        watching = self._watching
        at, text = self._news
        if text and time.monotonic() - at < NEWS_SECONDS:
            return safe_text(text, 100)
        parts = []
        recording, trigger = watching.keeping.recording, watching.keeping.trigger
        if trigger is not None:
            parts.append(f"{trigger.written} evidence")
        if recording is not None:
            parts.append(
                f"NOT WRITTEN: {safe_text(recording.trouble, 40)}"
                if recording.trouble
                else f"-w {recording.bytes / 1e6:,.1f} MB"
            )
        if watching.lag_ns > SECOND_NS:
            parts.append(f"lag {watching.lag_ns / SECOND_NS:.1f} s")
        slow = next((source.by for source in watching.sources if source.method == "scapy"), "")
        if slow:
            parts.append(f"by {slow}: slow")
        packets, connections = self._rates
        parts.append(f"{rounded(packets):,} pkt/s {rounded(connections):,} conn/s")
        dropped = watching.dropped
        parts.append("drops unknown" if dropped is None else f"{dropped:,} DROPPED" if dropped else "no drops")
        return "  ".join(parts)

    def incident_count(self) -> int:
        """Incidents so far."""
        return self._incidents

    def stop(self) -> None:
        """End the capture; does not wait."""
        super().stop()
        self._watching.stop()
        self._is_wanted.set()

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self.stop()
        if self._capture.ident:
            self._capture.join(CLOSE_SECONDS)
        self._watching.close()

    def _work(self) -> None:
        self.stage = LoadingStage("no packet yet")
        self._capture.start()
        pause, shown, next_count = 0.0, state_of(Facts()), 0.0
        while not self._stopped.wait(pause):
            facts = self._ask()
            if facts is None:
                break
            self.stage = LoadingStage(f"{self._watching.info.packets:,} packets, no TLS connection yet")
            state = state_of(facts)
            is_news = state[0] != shown[0] or (state != shown and time.monotonic() > next_count)
            pause = QUIET_SECONDS
            if is_news:
                shown, began = state, time.monotonic()
                self.whole_from_ns, self.forgotten = self._forgotten
                pause = self._show(facts) if facts.connections else LOOK_SECONDS
                ended = time.monotonic()
                next_count = ended + max(COUNT_SECONDS, (ended - began) / COUNT_SHARE)
        if self._crash is not None:
            raise self._crash
        raise Stopped

    def _ask(self) -> Facts | None:
        """What the capture knows, copied by its own thread; None at its end."""
        self._is_ready.clear()
        self._is_wanted.set()
        while not self._is_ready.wait(LOOK_SECONDS):
            if not self._capture.is_alive():
                return None
        return self._facts

    def _watch(self) -> None:
        try:
            self._watching.run(self)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread whose end the app sees
            self._crash = error
        finally:
            self._hand_over()

    def tick(self) -> None:
        """Hand over what is known, if it was asked for."""
        if self._is_wanted.is_set():
            self._is_wanted.clear()
            self._hand_over()

    def _hand_over(self) -> None:
        self._facts = self._watching.whole()
        window = self._watching.window
        self._forgotten = (window.whole_from_ns, window.forgotten)
        self._is_ready.set()

    def update(self, update: Update) -> None:
        """Incidents knock at once; the rest is seen when it is judged."""
        if update.incidents:
            self._incidents = self._watching.incidents

    def news(self, at_ns: int, kind: NewsKind, text: str) -> None:
        """Shown for a while."""
        self._news = (time.monotonic(), path_text(text))

    def written(self, written: WrittenEvidence) -> None:
        """Where the packets of an incident lie."""
        self.news(0, "evidence", written.problem or f"written: {os.path.basename(written.path)}")

    def second(self) -> None:
        """Rates of the last second."""
        now, watching = time.monotonic(), self._watching
        at, packets, connections = self._counted
        if now > at:
            self._rates = (
                (watching.info.packets - packets) / (now - at),
                (watching.connections - connections) / (now - at),
            )
        self._counted = (now, watching.info.packets, watching.connections)
        self.unseen.look(watching.now_ns, watching.dropped or 0, watching.sources)
