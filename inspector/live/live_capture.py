"""The loop of a live capture: frames from the sources into the engine, connections into the window, findings to whoever
listens, evidence to the disk.

One thread does all of it. Several times a second it asks the engine which handshakes are decided and which connections
have ended, judges those with all that their verdicts need, and tells. It ends when it is asked to, when a stop
condition is met, or when no source can give anything more.
"""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import numpy as np

from inspector import bounds
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.document import Finding, Incident
from inspector.errors.bounds import (
    Bound,
    ClockSet,
    ConnectionsForgotten,
    ConnectionsInJournal,
    Direction,
    FramesNotWritten,
)
from inspector.errors.internal import Border
from inspector.errors.notice import ForeignText, Moment, PathText
from inspector.extract.engine import capture_facts
from inspector.extract.journal import JournalRecord
from inspector.extract.live_engine import CompletedConnection, LiveEngine, Settled
from inspector.facts import CaptureFacts, ConnectionFacts, Facts
from inspector.findings.case import Options
from inspector.findings.judge import Analysis
from inspector.findings.wording import worded
from inspector.live.aborts import KnownAborts
from inspector.live.clock import LoopClock, PacketClock
from inspector.live.judging import Changed, JudgedPart, judged_in_parts
from inspector.live.judging_queue import JudgingQueue
from inspector.live.keeping import Keeping
from inspector.live.lingering import LingeringConnections
from inspector.live.outputs.held_evidence import AFTER_NS, wanted_of
from inspector.live.outputs.journaling import COMMIT_SECONDS, Journaling
from inspector.live.sources.source import FRAMES_AT_ONCE, Source, ready, stopped
from inspector.live.update import Listener, NewsKind
from inspector.live.window import Window
from inspector.live.window_entry import WindowEntry, row_of
from inspector.logs.entries import LogFacts
from inspector.text.times import SECOND_NS
from inspector.tracking.certificate_reader import CertificateReader
from inspector.wire.losses import Losses

WAIT_SECONDS = 0.25
TICK_SECONDS = 0.2
"""How often the engine is asked what was decided."""
SECOND = 1.0
FLOWS = 10_000
CONNECTIONS = 10_000
LOSSES = 100
TIDY_SECONDS = 60.0


class LiveCapture:
    """A live capture. Its numbers may be read from another thread; nothing else may."""

    def __init__(
        self,
        sources: list[Source],
        options: Options,
        keeping: Keeping,
        name: str,
        most: int = CONNECTIONS,
        clock: LoopClock = time,
    ) -> None:
        """``name``: of what is captured. ``most``: connections that are remembered. ``clock``: what all waiting is
        measured by.
        """
        self.sources = sources
        self._clock = clock
        self.keeping = keeping
        self.info = CaptureInfo(name)
        self.engine = LiveEngine(
            FLOWS,
            keeping.keys.channels if keeping.keys is not None else None,
            notes_extent=keeping.recording is not None or keeping.trigger is not None,
        )
        journal = keeping.journal
        self.reader = CertificateReader(bounds.LIVE_READ_BYTES)
        """Of certificates; of this loop's own thread."""
        self.window = Window(self.engine, most, journal)
        self.connections = 0
        """Connections whose handshake was decided."""
        self.lag_ns = 0
        """How far the last frame lay behind this machine's clock when it was looked at; 0 where its time is of another
        machine.
        """
        self.losses: list[Bound] = []
        """What could not be kept, each thing once."""
        self.is_settled = False
        """All that was captured is judged, told and written."""
        self.options = replace(options, most_services=bounds.LIVE_SERVICES)
        self._most = most
        self._number = 1
        self._capture = journal.capture if journal is not None else 0
        self._before = journal.before if journal is not None else []
        self._packet_clock = PacketClock(clock)
        self._started = self._clock.monotonic()
        self._stopping = False
        self._flush_asked = False
        self._to_judge = JudgingQueue(most)
        self._lingering = LingeringConnections()
        self._journaling = Journaling()
        self._aborts = KnownAborts()
        self._dropped = 0
        self._tidied = self._clock.monotonic()
        if journal is not None:
            for connection in journal.latest(most // 2):
                self.window.put(connection, True)

    @property
    def border(self) -> Border:
        """Where mistakes of whatever takes in or judges one thing end."""
        return self.engine.border

    @property
    def incidents(self) -> int:
        """Aborts because the server's certificate changed."""
        return self._aborts.incidents

    @property
    def dropped(self) -> int | None:
        """Packets that the kernel dropped, as far as the sources say."""
        counts = [source.dropped for source in self.sources if source.dropped is not None]
        return sum(counts) if counts else None

    @property
    def now_ns(self) -> int:
        """Packet time; it goes on where no packets come."""
        return self._packet_clock.now_ns

    def stop(self) -> None:
        """End soon; may be called from another thread or a signal handler."""
        self._stopping = True

    def ask_flush(self) -> None:
        """Have everything known written at the next tick; may be called from a signal handler."""
        self._flush_asked = True

    def record(self, kind: str, name: str, json: bytes) -> None:
        """Something for the journal. Of the loop's own thread."""
        if self.keeping.journal is not None:
            self._journaling.record(JournalRecord(self.now_ns, kind, name, json))

    def captures(self) -> list[CaptureFacts]:
        """What is captured, behind what the journal's earlier runs captured."""
        self.info.drops = self.dropped
        now = capture_facts(self.info, self.engine.losses.get(self._capture, Losses()))
        return [*self._before, now]

    def whole(self) -> Facts:
        """All that is known now. Of the loop's own thread."""
        facts = self.window.whole(self.captures(), dict(self.engine.facts.other_flows))
        facts.bounded = self.limits()
        facts.logs = self._logs()
        facts.secrets = self.keeping.keys.problems() if self.keeping.keys is not None else []
        return facts

    def _logs(self) -> list[LogFacts]:
        return self.keeping.logs.facts() if self.keeping.logs is not None else []

    def limits(self) -> list[Bound]:
        """What was forgotten or could not be kept."""
        kind = ConnectionsInJournal if self.keeping.journal is not None else ConnectionsForgotten
        forgotten = [kind(self.window.forgotten)] if self.window.forgotten else []
        return [*self.losses, *forgotten, *self.engine.not_kept()]

    def run(self, listener: Listener) -> None:
        """Until it is to end."""
        tick = commit = second = self._clock.monotonic()
        while not self._stopping:
            self._wait(listener)
            now = self._clock.monotonic()
            if now >= tick:
                tick = now + TICK_SECONDS
                self._tick(listener)
            if self._flush_asked:
                self._flush_asked = False
                self._commit(listener)
                self.keeping.flush()
            if now >= commit:
                commit = now + COMMIT_SECONDS
                self._commit(listener)
            if now >= second:
                second = now + SECOND
                self._second(listener)
            if self._is_over():
                break
        self._finish(listener)

    def _wait(self, listener: Listener) -> None:
        for source, batch in ready(self.sources, WAIT_SECONDS):
            self._take(batch, source.is_here)
            if len(batch) == FRAMES_AT_ONCE:  # more wait: what has ended goes first, so that memory stays bounded
                self._settle(listener)

    def _take(self, batch: FrameBatch, is_here: bool) -> None:
        """Frames of one source: numbered anew, analysed, and kept as far as they are wanted."""
        batch.number = np.arange(self._number, self._number + len(batch), dtype=np.int64)
        batch.capture = self._capture
        self._number += len(batch)
        self.info.count(batch)
        self.info.bytes_read += int(batch.captured.sum())
        newest = int(batch.time_ns.max())
        if self.keeping.stream is not None:
            self.keeping.stream.take(batch)
        with self.border:
            segments, extent, completed = self.engine.take(batch)
            self._put_completed(completed)
            self.keeping.write_frames(batch, segments, extent, newest)
        lag_ns = self._packet_clock.advance(newest)
        self.lag_ns = lag_ns if is_here else 0

    def _tick(self, listener: Listener) -> None:
        for source in self.sources:
            source.tick()
            while source.news:
                listener.news(self.now_ns, "source", source.news.popleft())
        if self.keeping.keys is not None:
            self.keeping.keys.poll()
        self._settle(listener)
        listener.tick()
        if self.keeping.trigger is not None:
            for written in self.keeping.trigger.due(self.now_ns):
                listener.written(written)

    def _settle(self, listener: Listener) -> None:
        """What was decided and what has ended by now goes into the window, and is judged if it is time."""
        self._put_ended(self.engine.settle(self.now_ns), listener)
        for connection in self.engine.decided():  # which may have offered what those that ended were given
            with self.border:
                self._put(connection, is_final=False)
        if self._to_judge.is_due(self._clock.monotonic()):
            self._judge_all(listener)

    def _put(self, connection: ConnectionFacts, is_final: bool) -> str:
        """Into the window, the journal, and what is judged next; its id."""
        name, entry, is_new = self.window.put(connection, is_final)
        self.connections += is_new
        lingering = self._lingering.drop(name)
        self._change(name, entry, is_new or (lingering is not None and lingering.is_new), is_final)
        if self.keeping.journal is not None:
            self._journaling.keep(row_of(name, entry, connection))
        return name

    def _change(self, name: str, entry: WindowEntry, is_new: bool, is_final: bool) -> None:
        """A connection is to be judged."""
        self._to_judge.add(name, is_new=is_new, is_final=is_final, gave_up=entry.gave_up)
        if entry.gave_up and self.keeping.logs is not None:
            self.keeping.logs.waits(name)

    def _put_completed(self, completed: list[CompletedConnection]) -> None:
        """Into the window and the journal; of those only what was given up is judged before it is over. Beyond what the
        window has room for they are put when they are over.
        """
        for connection, packed in completed[: self._most - len(self._lingering)]:
            with self.border:
                name, entry, is_new = self.window.put(connection, True, packed, is_waiting=True)
                self.connections += is_new
                self._lingering.add(name, packed, is_new=is_new and not entry.gave_up)
                if entry.gave_up:
                    self._change(name, entry, is_new, False)
                if self.keeping.journal is not None:
                    self._journaling.keep(row_of(name, entry, connection))

    def _put_over(self, packed: bytes) -> None:
        """A completed connection, of which nothing came any more."""
        lingering = self._lingering.over(packed)
        if lingering is None or not self.window.release(lingering.name):
            self._put(self.engine.unpack(packed), is_final=True)
            return
        self._to_judge.add(lingering.name, is_new=lingering.is_new, is_final=True)

    def _put_ended(self, settled: Settled, listener: Listener) -> None:
        """Judged before so many have come that some are forgotten again."""
        for connection in settled.ended:
            with self.border:
                self._put(connection, is_final=True)
            if many := self._to_judge.take_patient():
                self._judge(many, listener)
        for packed in settled.over:
            with self.border:
                self._put_over(packed)
            if many := self._to_judge.take_patient():
                self._judge(many, listener)

    def _put_origins(self) -> None:
        """Where the sessions of connections that were given up come from must be known when those are judged."""
        sessions: set[bytes] = set()
        wanted = {key for name in self._to_judge.urgent for key in self.window.offered(name)}
        while wanted:
            sessions |= wanted
            wanted = set()
            for connection in self.engine.decided_at_once(sessions):
                with self.border:
                    wanted.update(self.window.offered(self._put(connection, is_final=False)))
            wanted -= sessions

    def _judge_all(self, listener: Listener) -> None:
        self._put_origins()
        if changed := self._to_judge.take_all():
            self._judge(changed, listener)

    def _judge(self, changed: Changed, listener: Listener) -> None:
        """Judge connections that were decided or have ended, with all that their verdicts need."""
        self._to_judge.note_judged(changed, self._clock.monotonic())
        for name in self._aborts.doubtful:
            changed.setdefault(name, (False, False))
        for part in judged_in_parts(changed, self._around, self.options, self.reader, self.border):
            with self.border:
                self._announce(part, listener)

    def _around(self, changed: Changed) -> Facts:
        facts = self.window.around(changed, self.captures())
        facts.logs = self._logs()
        return facts

    def _announce(self, part: JudgedPart, listener: Listener) -> None:
        """Tell what is new of connections that were judged."""
        update = self._aborts.update(part)
        listener.update(update)
        by_id = {finding.id: finding for finding in update.findings}
        for incident in update.incidents:
            self._want(update.analysis, by_id[incident.id], incident, listener)

    def _want(self, analysis: Analysis, finding: Finding, incident: Incident, listener: Listener) -> None:
        """Have the packets of an incident written, once."""
        trigger = self.keeping.trigger
        if not self._aborts.is_new(incident) or trigger is None:
            return
        answer = trigger.want(wanted_of(analysis, finding, incident, self.now_ns + AFTER_NS, self.window.connections))
        if answer is not None:
            listener.written(answer)

    def _second(self, listener: Listener) -> None:
        now_ns = self.now_ns
        logs = self.keeping.logs
        if logs is not None and logs.poll(lambda text: listener.news(now_ns, "log", text)):
            self._judge(dict.fromkeys(logs.waiting(), (False, False)), listener)
        self._look_at_clock(listener)
        dropped = self.dropped or 0
        if dropped > self._dropped:
            listener.news(
                now_ns, "drops", f"{dropped - self._dropped} packets were dropped in the last second, {dropped} so far"
            )
            self._dropped = dropped
        recording = self.keeping.recording
        if recording is not None:
            recording.drops(self.info.packets, dropped)
            if recording.trouble:
                self.lose(listener, "disk", FramesNotWritten(PathText(recording.path), ForeignText(recording.trouble)))
        if self._clock.monotonic() - self._tidied > TIDY_SECONDS or self.window.is_untidy:
            self._tidied = self._clock.monotonic()
            used = self.window.tidy()
            if used is not None:
                self.reader.forget(self.engine.forget_certificates(used))
        listener.second()

    def _look_at_clock(self, listener: Listener) -> None:
        step = self._packet_clock.step_ns()
        if step:
            direction = Direction.FORWARD if step > 0 else Direction.BACK
            self.lose(listener, "clock", ClockSet(direction, abs(step) / SECOND_NS, Moment(self._clock.time_ns())))

    def lose(self, listener: Listener, kind: NewsKind, loss: Bound) -> None:
        """Announce a loss once, and have verdicts know of it."""
        if loss not in self.losses and len(self.losses) < LOSSES:
            self.losses.append(loss)
            listener.news(self.now_ns, kind, worded(loss))
            self.record("limit", kind, msgspec.json.encode(loss))

    def _commit(self, listener: Listener, *, is_last: bool = False) -> None:
        journal = self.keeping.journal
        if journal is None:
            return
        for loss in self._journaling.commit(journal, self.engine.facts, self.captures()[-1], is_last=is_last):
            self.lose(listener, "journal", loss)

    def _is_over(self) -> bool:
        if all(source.state == "ended" for source in self.sources):
            return True
        return self.keeping.is_over(self._clock.monotonic() - self._started, self.info.packets, self.incidents)

    def _finish(self, listener: Listener) -> None:
        """What the sources still hold, then all that is open."""
        for batch in stopped(self.sources):
            self._take(batch, False)
        self._tick(listener)
        self._put_ended(self.engine.close(), listener)
        self._judge_all(listener)
        self._second(listener)
        for written in self.keeping.trigger.due(self.now_ns, at_once=True) if self.keeping.trigger is not None else ():
            listener.written(written)
        self.settle(listener)

    def settle(self, listener: Listener) -> None:
        """What was told is on the disk, whatever happens to this process next."""
        self._commit(listener, is_last=True)
        self.keeping.settle()
        self.is_settled = True

    def close(self) -> None:
        """Files and journal, whatever happened."""
        self.keeping.close()
