"""``watch`` without a screen: a JSON line for each connection, finding and incident, for what a person should know, and statistics every minute."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, BinaryIO

import msgspec

from inspector.document import Incident
from inspector.findings import describe
from inspector.findings.change import ABORT
from inspector.findings.judge import judge
from inspector.live.execution import Execution
from inspector.live.metrics import Metrics, Row
from inspector.live.trigger import Written
from inspector.live.watching import Update, Watching
from inspector.safe import path_text
from inspector.times import SECOND_NS, rfc3339

STATISTICS_SECONDS = 60.0
SURVEY_SECONDS = 10.0
SURVEY_SHARE = 0.01
"""Of the time, what goes into judging all that is remembered, for the findings that are not about one connection."""

SERVICES = 1_000



class Lines:
    """A listener that prints. ``out``: unbuffered or flushed after each call."""

    def __init__(self, watching: Watching, out: BinaryIO, metrics: Metrics | None, execution: Execution | None, with_connections: bool = True) -> None:
        self._watching = watching
        self._out = out
        self._metrics = metrics
        self._execution = execution
        self._with_connections = with_connections
        self._handshakes: Counter[Row] = Counter()
        self._encode = msgspec.json.Encoder().encode
        self._survey_at = time.monotonic() + SURVEY_SECONDS
        self._statistics_at = time.monotonic() + STATISTICS_SECONDS
        self._surveyed = -1
        self._known: dict[str, tuple[str, str]] = {}
        self._waiting: dict[str, Incident] = {}
        """Incidents for which a command is run once their packets are written."""

    def update(self, update: Update) -> None:
        """Findings first, then the connections that are over."""
        case = update.analysis.case
        for finding in update.findings:
            self._line("finding", finding, finding.id)
        for incident in update.incidents:
            self._line("incident", incident, incident.id)
            if self._execution is not None and self._watching.keeping.trigger is not None:
                self._waiting[incident.id] = incident
            elif self._execution is not None:
                self._execution.run(incident, "")
        for seen in update.seen(update.decided):
            row = Row(case.services[seen.service].name, case.services[seen.service].port, case.label(seen), describe.result(seen), seen.health_check)
            if row in self._handshakes or len(self._handshakes) < SERVICES:
                self._handshakes[row] += 1
        if self._with_connections:
            for seen in update.seen(update.ended):
                self._line("connection", describe.connection(case, seen), "")
        self._out.flush()

    def news(self, at_ns: int, kind: str, text: str) -> None:
        """A line of its own."""
        self._plain("news", {"at": rfc3339(at_ns), "kind": kind, "text": path_text(text)})

    def written(self, written: Written) -> None:
        """Where the packets of an incident lie."""
        values = {"incident": written.id, "path": path_text(written.path), "frames": written.frames, "flows_missing": written.missing, "problem": path_text(written.problem)}
        self._plain("evidence", values)
        incident = self._waiting.pop(written.id, None)
        if incident is not None and self._execution is not None:
            self._execution.run(incident, written.path)

    def second(self) -> None:
        """Statistics and surveys, where it is time for them."""
        now = time.monotonic()
        if self._execution is not None:
            for text in self._execution.news():
                self.news(self._watching.now_ns, "exec", text)
        if now >= self._survey_at and self._surveyed != self._watching.connections:
            self.survey()
        if now >= self._statistics_at:
            self._statistics_at = now + STATISTICS_SECONDS
            self.statistics()
        if self._metrics is not None:
            problem = self._metrics.write(self._watching, self._handshakes, now)
            if problem:
                self.news(self._watching.now_ns, "disk", problem)

    def survey(self) -> None:
        """Judge all that is remembered, and tell the findings that are new or have become others."""
        began = time.monotonic()
        self._surveyed = self._watching.connections
        document = judge(self._watching.whole(), self._watching.options).document
        for finding in document.findings:
            state = (finding.verdict, finding.severity)
            if finding.rule != ABORT and self._known.get(finding.id) != state:
                self._known[finding.id] = state
                self._line("finding", finding, finding.id)
        for service in document.services:
            told = (service.assessment.state, service.assessment.grade)
            if self._known.get(service.id) != told:
                self._known[service.id] = told
                self._plain("assessment", {"at": rfc3339(self._watching.now_ns), "service": service.id, "name": service.name, "port": service.port, **_fields(service.assessment)})
        self._out.flush()
        now = time.monotonic()
        self._survey_at = now + max(SURVEY_SECONDS, (now - began) / SURVEY_SHARE)

    def statistics(self) -> None:
        """Totals since the start."""
        watching = self._watching
        recording, trigger, journal = watching.keeping.recording, watching.keeping.trigger, watching.keeping.journal
        self._plain(
            "statistics",
            {
                "at": rfc3339(watching.now_ns),
                "packets": watching.info.packets,
                "bytes": watching.info.bytes_read,
                "drops": watching.dropped,
                "lag_seconds": round(watching.lag_ns / SECOND_NS, 3),
                "connections": watching.connections,
                "remembered": len(watching.window),
                "incidents": watching.incidents,
                "handshakes": [{**row._asdict(), "count": count} for row, count in sorted(self._handshakes.items())],
                "recorded": {"files": recording.files, "bytes": recording.bytes, "lost": recording.lost} if recording is not None else None,
                "evidence": {"written": trigger.written, "skipped": trigger.skipped, "held_bytes": trigger.held_bytes} if trigger is not None else None,
                "journal_bytes": journal.size() if journal is not None else None,
                "limits": watching.limits(),
            },
        )

    def _line(self, record: str, value: object, name: str) -> None:
        encoded = self._encode(value)
        self._out.write(b'{"record":"%s",' % record.encode() + encoded[1:] + b"\n")
        if name:
            self._watching.record(record, name, encoded)

    def _plain(self, record: str, values: dict[str, Any]) -> None:
        self._out.write(self._encode({"record": record, **values}) + b"\n")
        self._out.flush()
        if record == "statistics":
            self._watching.record(record, "", self._encode(values))


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(value)


