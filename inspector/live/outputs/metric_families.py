"""Metrics of a live capture, whichever way they go out: families of samples as Prometheus has them
(https://prometheus.io/docs/concepts/data_model/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

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

MetricKind = Literal["counter", "gauge", "histogram"]
NO_LABELS: Mapping[str, str] = {}


class MetricSample(NamedTuple):
    """``suffix``: behind the family's name. ``labels``: their values as ``label_value`` makes them."""

    value: float
    labels: Mapping[str, str] = NO_LABELS
    suffix: str = ""


class MetricFamily(NamedTuple):
    """``name``: of a counter with its ``_total``. ``what``: for people."""

    name: str
    kind: MetricKind
    what: str
    samples: tuple[MetricSample, ...]


class MetricsOutput(Protocol):
    """Where metrics go."""

    def write(self, capture: LiveCapture, counts: HandshakeCounts, now: float) -> str:
        """Give them out, if it is time; why not, said once. Of the loop's own thread, which must not wait.
        ``now``: seconds of a clock that only counts.
        """


def families(capture: LiveCapture, counts: HandshakeCounts) -> Iterator[MetricFamily]:
    """All of them. Of the loop's own thread."""
    yield MetricFamily(
        "inspector_build_info", "gauge", "The version that runs.", (MetricSample(1, {"version": VERSION}),)
    )
    yield from _of_handshakes(counts)
    yield _of_answers(counts.answers)
    yield from _of_capture(capture)


def _of_handshakes(counts: HandshakeCounts) -> Iterator[MetricFamily]:
    yield MetricFamily(
        "inspector_handshakes_total",
        "counter",
        "Handshakes by service, back end and result.",
        tuple(
            MetricSample(count, {**_labels(row), "result": row.result, "health_check": str(row.health_check).lower()})
            for row, count in sorted(counts.results.items())
        ),
    )
    yield MetricFamily(
        "inspector_failed_handshakes_total",
        "counter",
        "Handshakes that were not established, by back end, outcome and alert.",
        tuple(
            MetricSample(count, {**_labels(failure.member), "outcome": failure.outcome, "alert": failure.alert})
            for failure, count in sorted(counts.failures.items())
        ),
    )
    yield MetricFamily(
        "inspector_declined_sessions_total",
        "counter",
        "Sessions that were offered, and declined by the back end that answered.",
        tuple(MetricSample(count, _labels(member)) for member, count in sorted(counts.declined.items())),
    )
    yield MetricFamily(
        "inspector_certificate_not_after_timestamp_seconds",
        "gauge",
        "Until when the certificate that a back end showed last is valid.",
        tuple(MetricSample(ns // SECOND_NS, _labels(member)) for member, ns in sorted(counts.expiries.items())),
    )


def _of_answers(answers: Mapping[CountedMember, AnswerTimes]) -> MetricFamily:
    samples: list[MetricSample] = []
    for member, times in sorted(answers.items()):
        labels = _labels(member)
        counts = list(accumulate(times.buckets))
        for upper_ms, count in zip(BUCKETS_MS, counts, strict=False):
            samples.append(MetricSample(count, {**labels, "le": str(upper_ms / 1000)}, "_bucket"))
        samples.append(MetricSample(counts[-1], {**labels, "le": "+Inf"}, "_bucket"))
        samples.append(MetricSample(times.total_ns / SECOND_NS, labels, "_sum"))
        samples.append(MetricSample(counts[-1], labels, "_count"))
    what = "From a ClientHello to the ServerHello, by service and back end."
    return MetricFamily("inspector_answer_seconds", "histogram", what, tuple(samples))


def _of_capture(capture: LiveCapture) -> Iterator[MetricFamily]:
    recording, trigger, journal = capture.keeping.recording, capture.keeping.trigger, capture.keeping.journal
    rows: tuple[tuple[str, MetricKind, str, float | None], ...] = (
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
    )
    for name, kind, what, value in rows:
        if value is not None:
            yield MetricFamily(f"inspector_{name}", kind, what, (MetricSample(value),))


def _labels(row: MetricRow | CountedMember) -> dict[str, str]:
    return {"service": label_value(f"{row.service}:{row.port}"), "backend": label_value(row.backend)}


def label_value(text: str) -> str:
    """Printable; names come from the wire. Different texts stay different, for a scraper refuses equal series:
    backslashes are doubled where others stand for what is not printable.
    """
    return "".join("\\\\" if c == "\\" else c if c.isprintable() else escaped_character(c) for c in text)
