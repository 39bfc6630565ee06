"""``watch`` without a screen: a line for each connection, finding and incident, for what a person should know, and
statistics every minute, in the form that was chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, Protocol

import msgspec

from inspector.document import Incident
from inspector.errors import OutputError
from inspector.findings.case import Case
from inspector.findings.from_logs import failures_of
from inspector.findings.unopened import not_opened
from inspector.findings.wording import worded
from inspector.live.clock import LoopClock
from inspector.live.host.supervisor import Supervisor
from inspector.live.latest_states import LatestStates
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.execution import Execution
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.outputs.held_evidence import WrittenEvidence
from inspector.live.outputs.line_forms import LineForm, OwnLines
from inspector.live.outputs.metric_families import MetricsOutput
from inspector.live.outputs.survey import LIMIT, Surveyed, survey
from inspector.live.update import NewsKind, Update
from inspector.reports.forked_job import ForkedJob
from inspector.reports.named_lines import NamedLines
from inspector.text.safe import path_text, safe_text
from inspector.text.times import SECOND_NS, rfc3339

STATISTICS_SECONDS = 60.0
SURVEY_SECONDS = 10.0
SURVEY_SHARE = 0.01
"""Of the time, what may go into judging all that is remembered, for the findings that are not about one connection."""

NICE = 10
"""How far such a judgement stands back behind the capture."""

LOST_SURVEY = "a process that judges"
"""What failed, where all that is remembered was judged in a process of its own."""

KNOWN = 10_000
"""Findings and assessments that are known to have been told; log lines too, by themselves, for a busy log has more."""

NEWS_CHARACTERS = 2_000
STATUS_SECONDS = 10.0
"""How often the service manager is told how it goes."""


class LineOutput(Protocol):
    """Where lines go. Both raise OutputError."""

    def write(self, line: bytes, /) -> object:
        """A whole line."""

    def flush(self) -> object:
        """What was written is to be seen now."""


class LinePrinter:
    """A listener that prints. Where its lines can no longer be written the capture ends, so that whatever else it
    writes is finished; ``output_error`` says why.
    """

    def __init__(
        self,
        capture: LiveCapture,
        out: LineOutput,
        metrics: Sequence[MetricsOutput],
        execution: Execution | None,
        with_connections: bool = True,
        *,
        form: LineForm | None = None,
        clock: LoopClock = time,
        take_lost: Callable[[], int] = lambda: 0,
        make_room: Callable[[], bool] = lambda: True,
        supervisor: Supervisor | None = None,
    ) -> None:
        """``form``: of its lines, ours by default. ``clock``: what its waiting is measured by. ``take_lost``: how many
        lines ``out`` has lost since it was asked last. ``make_room``: waits until it has room for more; False where
        that takes too long.
        """
        self.output_error: OutputError | None = None
        self._capture = capture
        self._out = out
        self._metrics = metrics
        self._execution = execution
        self._take_lost = take_lost
        self._make_room = make_room
        self._lost = 0
        self._supervisor = supervisor
        self._status_at = clock.monotonic() + STATUS_SECONDS
        self._with_connections = with_connections
        self._counts = HandshakeCounts(has_members=bool(metrics))
        self._form = OwnLines() if form is None else form
        self._encode = msgspec.json.Encoder().encode
        self._clock = clock
        self._survey_at = clock.monotonic() + SURVEY_SECONDS
        self._statistics_at = clock.monotonic() + STATISTICS_SECONDS
        self._surveyed = -1
        self._survey: ForkedJob | None = None
        self._not_judged: list[str] = []
        """What the last survey could not judge, in words."""
        self._survey_began = 0.0
        self._announced: LatestStates[str] = LatestStates(KNOWN)
        self._announced_logs: LatestStates[str] = LatestStates(KNOWN)
        self._waiting: dict[str, Incident] = {}
        """Incidents for which a command is run once their packets are written."""

    def update(self, update: Update) -> None:
        """Findings first, then the connections that are over."""
        case = update.analysis.case
        named = NamedLines(case)
        for finding in update.findings:
            self._line("finding", named.encoded(finding, finding), finding.id)
        by_id = {finding.id: finding for finding in update.findings}
        for incident in update.incidents:
            self._line("incident", named.encoded(incident, by_id[incident.id]), incident.id)
            if self._execution is not None and self._capture.keeping.trigger is not None:
                self._waiting[incident.id] = incident
            elif self._execution is not None:
                self._execution.run(incident, "")
        for connection in update.observed(update.decided):
            with self._capture.border:
                self._counts.add(case, connection)
        if self._with_connections:
            for connection in update.observed(update.ended):
                with self._capture.border:
                    for line in self._form.connection(case, connection):
                        self._write(line)
        self._announce_logs(case)
        self._flush()

    def _announce_logs(self, case: Case) -> None:
        """Log lines of connections, each once, and again where it is settled whose it is."""
        for index in case.logged.lines:
            connection = case.observed[index]
            for line in failures_of(case, connection):
                state = f"{line.certain}"
                name = f"{connection.id} {line.file} {line.line} {line.at}"
                if self._announced_logs.note(name, state):
                    self._plain("log", {"connection": connection.id, **msgspec.structs.asdict(line)})

    def news(self, at_ns: int, kind: NewsKind, text: str) -> None:
        """A line of its own."""
        self._plain("news", {"at": rfc3339(at_ns), "kind": kind, "text": safe_text(path_text(text), NEWS_CHARACTERS)})

    def written(self, written: WrittenEvidence) -> None:
        """Where the packets of an incident lie."""
        values = {
            "incident": written.id,
            "path": path_text(written.path),
            "frames": written.frames,
            "flows_missing": written.missing,
            "problem": path_text(written.problem),
        }
        self._plain("evidence", values)
        incident = self._waiting.pop(written.id, None)
        if incident is not None and self._execution is not None:
            self._execution.run(incident, written.path)

    def tick(self) -> None:
        """The loop goes round."""
        if self._supervisor is not None:
            self._supervisor.lives()

    def second(self) -> None:
        """Statistics and surveys, where it is time for them."""
        now = self._clock.monotonic()
        if self._supervisor is not None and now >= self._status_at:
            self._status_at = now + STATUS_SECONDS
            self._supervisor.status(self.summary())
        self._announce_lost()
        self._announce_execution()
        self._survey_now_and_then(now)
        if now >= self._statistics_at:
            self._statistics_at = now + STATISTICS_SECONDS
            self.statistics()
        self._write_metrics(now)

    def _write_metrics(self, now: float) -> None:
        for output in self._metrics:
            problem = output.write(self._capture, self._counts, now)
            if problem:
                self.news(self._capture.now_ns, "disk", problem)

    def _announce_execution(self, is_last: bool = False) -> None:
        for text in self._execution.news(is_last) if self._execution is not None else ():
            self.news(self._capture.now_ns, "exec", text)

    def _announce_lost(self) -> None:
        lost = self._take_lost()
        if lost:
            self._lost += lost
            self.news(self._capture.now_ns, "output", f"standard output was not read: {lost:,} lines are lost")

    def summary(self) -> str:
        """How it goes, in a line for people."""
        capture = self._capture
        dropped = "drops unknown" if capture.dropped is None else f"{capture.dropped:,} dropped"
        return (
            f"{capture.info.packets:,} packets, {dropped}, {capture.connections:,} connections,"
            f" {capture.incidents:,} incidents"
        )

    def finish(self, *, is_hurried: bool = False) -> None:
        """The last words: what all that is remembered means, and totals; those first where it ``is_hurried``, for the
        other takes its time.
        """
        if is_hurried:
            self._finish_totals()
            self._survey_last(is_patient=False)
        else:
            self._survey_last(is_patient=True)
            self._finish_totals()

    def _finish_totals(self) -> None:
        self._announce_lost()
        self._announce_execution(is_last=True)
        self.statistics()
        self._write_metrics(float("inf"))

    def _survey_last(self, *, is_patient: bool) -> None:
        """Judge all that is remembered: tell the findings that are new or have become others, and how each service
        stands in the end. ``is_patient``: wait for who reads it.
        """
        if self._survey is not None:
            self._survey.drop()
            self._survey = None
        with self._capture.border:
            self._announce(survey(self._capture), is_last=True, is_patient=is_patient)

    def _survey_now_and_then(self, now: float) -> None:
        """The same in a process of its own, beside the capture, which must not wait."""
        if self._survey is not None:
            job = self._survey
            if job.is_running():
                return
            self._survey_at = now + max(SURVEY_SECONDS, (now - self._survey_began) / SURVEY_SHARE)
            self._survey = None
            if job.has_succeeded():
                job.output.seek(0)
                self._announce(msgspec.msgpack.decode(job.output.read(), type=list[Surveyed]))
            else:
                self._capture.border.note(LOST_SURVEY)
            job.drop()
        elif now >= self._survey_at and self._surveyed != self._capture.connections:
            self._surveyed = self._capture.connections
            self._survey_began = now
            try:
                self._survey = ForkedJob(self._survey_aside, NICE)
            except OSError:  # there can be no further process now
                self._survey_at = now + SURVEY_SECONDS
                self._capture.border.note(LOST_SURVEY)

    def _survey_aside(self, output: BinaryIO) -> None:
        self._capture.window.forget_past()  # a database must not be used by two processes
        if self._capture.keeping.journal is not None:
            self._capture.keeping.journal.leave_to_parent()
        output.write(msgspec.msgpack.encode(list(survey(self._capture))))

    def _announce(self, surveyed: Iterable[Surveyed], is_last: bool = False, is_patient: bool = False) -> None:
        self._not_judged.clear()
        for record, name, state, encoded in surveyed:
            if record == LIMIT:
                self._not_judged.append(encoded.decode())
            elif self._announced.note(name, state) or (is_last and record == "assessment"):
                self._say(record, encoded)
                is_patient = is_patient and self._make_room()
                if record == "finding":
                    self._capture.record(record, name, encoded)
        self._flush()

    def statistics(self) -> None:
        """Totals since the start."""
        capture = self._capture
        recording, trigger, journal = capture.keeping.recording, capture.keeping.trigger, capture.keeping.journal
        self._plain(
            "statistics",
            {
                "at": rfc3339(capture.now_ns),
                "packets": capture.info.packets,
                "bytes": capture.info.bytes_read,
                "drops": capture.dropped,
                "lag_seconds": round(capture.lag_ns / SECOND_NS, 3),
                "connections": capture.connections,
                "lines_lost": self._lost,
                "remembered": len(capture.window),
                "incidents": capture.incidents,
                "handshakes": [
                    {**row._asdict(), "count": count} for row, count in sorted(self._counts.results.items())
                ],
                "recorded": {"files": recording.files, "bytes": recording.bytes, "lost": recording.lost}
                if recording is not None
                else None,
                "evidence": {"written": trigger.written, "skipped": trigger.skipped, "held_bytes": trigger.held_bytes}
                if trigger is not None
                else None,
                "journal_bytes": journal.size() if journal is not None else None,
                "limits": [
                    *(words for one in capture.captures()[-1:] if (words := not_opened(one))),
                    *(worded(limit) for limit in capture.limits()),
                    *self._not_judged,
                    *(capture.keeping.logs.problems() if capture.keeping.logs is not None else ()),
                ],
            },
        )

    def _line(self, record: str, encoded: bytes, name: str) -> None:
        self._say(record, encoded)
        if name:
            self._capture.record(record, name, encoded)

    def _plain(self, record: str, values: Mapping[str, object]) -> None:
        encoded = self._encode(values)
        self._say(record, encoded)
        self._flush()
        if record == "statistics":
            self._capture.record(record, "", encoded)

    def _say(self, record: str, encoded: bytes) -> None:
        """An object as a line."""
        self._write(self._form.record(record, encoded, self._capture.now_ns))

    def _write(self, line: bytes) -> None:
        try:
            self._out.write(line)
        except OutputError as error:
            self._give_up(error)

    def _flush(self) -> None:
        try:
            self._out.flush()
        except OutputError as error:
            self._give_up(error)

    def _give_up(self, error: OutputError) -> None:
        self.output_error = self.output_error or error
        self._capture.stop()
