"""Metrics as a file in Prometheus' text format, for the node exporter's textfile collector, which reads that and not
OpenMetrics: there a counter's type is told of its whole name, ``_total`` included. Written beside its place and moved
there, so that it is always whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from inspector.live.outputs import disk
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.outputs.metric_families import MetricFamily, families

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
        """As ``MetricsOutput`` has it."""
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
    lines = [line for family in families(capture, counts) for line in _lines(family)]
    return "\n".join([*lines, "# EOF", ""])


def _lines(family: MetricFamily) -> Iterator[str]:
    yield f"# HELP {family.name} {family.what}"
    yield f"# TYPE {family.name} {family.kind}"
    for value, labels, suffix in family.samples:
        written = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
        yield f"{family.name}{suffix}{f'{{{written}}}' if written else ''} {value}"


def escaped(value: str) -> str:
    """A label's value as the format wants it."""
    return value.replace("\\", r"\\").replace('"', r"\"")
