"""Metrics as a file in Prometheus' text format, for the node exporter's textfile collector, which reads that and not
OpenMetrics: there a counter's type is told of its whole name, ``_total`` included. Written beside its place and moved
there, so that it is always whole.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from inspector.live.outputs import disk
from inspector.text.safe import escaped_character

if TYPE_CHECKING:
    from inspector.live.live_capture import LiveCapture

WRITE_SECONDS = 15.0
READABLE = 0o644
"""The collector runs as another user."""


class MetricRow(NamedTuple):
    """What handshakes are counted by."""

    service: str
    port: int
    backend: str
    result: str
    health_check: bool


class Metrics:
    """The file of one capture."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next = 0.0
        self._trouble = ""

    def write(self, capture: LiveCapture, handshakes: Counter[MetricRow], now: float) -> str:
        """Write, if it is time; why not, said once. ``now``: seconds of a clock that only counts."""
        if now < self._next:
            return ""
        self._next = now + WRITE_SECONDS
        beside = f"{self._path}.part"
        try:
            with disk.create(beside) as out:
                disk.write_all(out, text(capture, handshakes).encode())
                os.fchmod(out.fileno(), READABLE)
            disk.replace(beside, self._path)
        except OSError as error:
            before, self._trouble = self._trouble, disk.reason(error)
            return "" if before == self._trouble else f"{self._path}: metrics are not written: {self._trouble}"
        self._trouble = ""
        return ""


def text(capture: LiveCapture, handshakes: Counter[MetricRow]) -> str:
    """The text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    recording, trigger, journal = capture.keeping.recording, capture.keeping.trigger, capture.keeping.journal
    lines = _described("inspector_handshakes_total", "counter", "Handshakes by service, back end and result.")
    for row, count in sorted(handshakes.items()):
        labels = {
            "service": f"{row.service}:{row.port}",
            "backend": row.backend,
            "result": row.result,
            "health_check": str(row.health_check).lower(),
        }
        written = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
        lines.append(f"inspector_handshakes_total{{{written}}} {count}")
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
            lines += [*_described(f"inspector_{name}", kind, what), f"inspector_{name} {value}"]
    return "\n".join([*lines, "# EOF", ""])


def _described(name: str, kind: str, what: str) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def escaped(value: str) -> str:
    """A label's value; names come from the wire. Different values stay different, for a scraper refuses equal series:
    backslashes are doubled where others stand for what is not printable, and then again as the format wants it.
    """
    clean = "".join("\\\\" if c == "\\" else c if c.isprintable() else escaped_character(c) for c in value)
    return clean.replace("\\", r"\\").replace('"', r"\"")
