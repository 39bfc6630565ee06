"""Metrics as a file in Prometheus' text format, for the node exporter's textfile collector, which reads that and not
OpenMetrics: there a counter's type is told of its whole name, ``_total`` included. Written beside its place and moved
there, so that it is always whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from inspector.live.outputs import disk
from inspector.live.outputs.handshake_counts import (
    BUCKETS_MS,
    AnswerTimes,
    CountedMember,
    HandshakeCounts,
    MetricRow,
)
from inspector.text.safe import escaped_character
from inspector.text.times import SECOND_NS
from inspector.text.version import VERSION

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture

WRITE_SECONDS = 15.0
READABLE = 0o644
"""The collector runs as another user."""


class Metrics:
    """The file of one capture."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next = 0.0
        self._trouble = ""

    def write(self, capture: LiveCapture, counts: HandshakeCounts, now: float) -> str:
        """Write, if it is time; why not, said once. ``now``: seconds of a clock that only counts."""
        if now < self._next:
            return ""
        self._next = now + WRITE_SECONDS
        beside = f"{self._path}.part"
        try:
            with disk.create(beside) as out:
                disk.write_all(out, text(capture, counts).encode())
                os.fchmod(out.fileno(), READABLE)
            disk.replace(beside, self._path)
        except OSError as error:
            before, self._trouble = self._trouble, disk.reason(error)
            return "" if before == self._trouble else f"{self._path}: metrics are not written: {self._trouble}"
        self._trouble = ""
        return ""


def text(capture: LiveCapture, counts: HandshakeCounts) -> str:
    """The text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    lines = [
        *_described("inspector_build_info", "gauge", "The version that runs."),
        _sample("inspector_build_info", {"version": VERSION}, 1),
        *_of_handshakes(counts),
        *_of_answers(counts.answers),
        *_of_capture(capture),
    ]
    return "\n".join([*lines, "# EOF", ""])


def _of_handshakes(counts: HandshakeCounts) -> Iterator[str]:
    name = "inspector_handshakes_total"
    yield from _described(name, "counter", "Handshakes by service, back end and result.")
    for row, count in sorted(counts.results.items()):
        yield _sample(
            name, {**_labels(row), "result": row.result, "health_check": str(row.health_check).lower()}, count
        )
    name = "inspector_failed_handshakes_total"
    yield from _described(name, "counter", "Handshakes that were not established, by back end, outcome and alert.")
    for failure, count in sorted(counts.failures.items()):
        labels = {**_labels(failure.member), "outcome": failure.outcome, "alert": failure.alert}
        yield _sample(name, labels, count)
    name = "inspector_declined_sessions_total"
    yield from _described(name, "counter", "Sessions that were offered, and declined by the back end that answered.")
    for member, count in sorted(counts.declined.items()):
        yield _sample(name, _labels(member), count)
    name = "inspector_certificate_not_after_timestamp_seconds"
    yield from _described(name, "gauge", "Until when the certificate that a back end showed last is valid.")
    for member, ns in sorted(counts.expiries.items()):
        yield _sample(name, _labels(member), ns // SECOND_NS)


def _of_answers(answers: Mapping[CountedMember, AnswerTimes]) -> Iterator[str]:
    name = "inspector_answer_seconds"
    yield from _described(name, "histogram", "From a ClientHello to the ServerHello, by service and back end.")
    for member, times in sorted(answers.items()):
        labels = _labels(member)
        counts = list(accumulate(times.buckets))
        for upper_ms, count in zip(BUCKETS_MS, counts, strict=False):
            yield _sample(f"{name}_bucket", {**labels, "le": str(upper_ms / 1000)}, count)
        yield _sample(f"{name}_bucket", {**labels, "le": "+Inf"}, counts[-1])
        yield _sample(f"{name}_sum", labels, times.total_ns / SECOND_NS)
        yield _sample(f"{name}_count", labels, counts[-1])


def _of_capture(capture: LiveCapture) -> Iterator[str]:
    recording, trigger, journal = capture.keeping.recording, capture.keeping.trigger, capture.keeping.journal
    for name, kind, what, value in (
        ("incidents_total", "counter", "Aborts because the server's certificate changed.", capture.incidents),
        ("connections_total", "counter", "Connections whose handshake was decided.", capture.connections),
        (
            "internal_errors_total",
            "counter",
            "Mistakes of this program over something it took in.",
            capture.border.count,
        ),
        ("packets_total", "counter", "Packets captured.", capture.info.packets),
        ("drops_total", "counter", "Packets that the kernel dropped.", capture.dropped),
        (
            "lag_seconds",
            "gauge",
            "How far the last packet lay behind the clock when it was looked at.",
            capture.lag_ns / 1e9,
        ),
        ("remembered_connections", "gauge", "Connections in memory.", len(capture.window)),
        ("recorded_bytes_total", "counter", "Bytes written by -w.", recording.bytes if recording is not None else None),
        (
            "unrecorded_frames_total",
            "counter",
            "Frames that -w could not write.",
            recording.lost if recording is not None else None,
        ),
        (
            "evidence_files_total",
            "counter",
            "Incidents whose packets were written.",
            trigger.written if trigger is not None else None,
        ),
        ("journal_bytes", "gauge", "Bytes used in the journal.", journal.size() if journal is not None else None),
    ):
        if value is not None:
            yield from _described(f"inspector_{name}", kind, what)
            yield f"inspector_{name} {value}"


def _described(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def _labels(row: MetricRow | CountedMember) -> dict[str, str]:
    return {"service": f"{row.service}:{row.port}", "backend": row.backend}


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    written = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{written}}} {value}"


def escaped(value: str) -> str:
    """A label's value; names come from the wire. Different values stay different, for a scraper refuses equal series:
    backslashes are doubled where others stand for what is not printable, and then again as the format wants it.
    """
    clean = "".join("\\\\" if c == "\\" else c if c.isprintable() else escaped_character(c) for c in value)
    return clean.replace("\\", r"\\").replace('"', r"\"")
