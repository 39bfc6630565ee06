"""``conflicting-segments``: two segments of a connection hold the same bytes of a stream in different versions, or
one holds urgent data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.document import Evidence, Finding, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.finding import finding
from inspector.findings.wording import worded
from inspector.tls.anomalies import TWO_READINGS
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import ServiceGroup

RULE = Rule.CONFLICTING_SEGMENTS
MOST_SHOWN = 3
"""Connections whose frames are evidence."""


def conflicting_segments(case: Case) -> Iterator[Finding]:
    """One for each service."""
    for service in case.services:
        members = ObservedSelection(case.observed, service.connections).where(lambda shape: shape.traits.has_conflicts)
        if members:
            yield _finding_of(case, service, members)


def _finding_of(case: Case, service: ServiceGroup, members: Sequence[Observed]) -> Finding:
    count, open_count = len(members), sum(observed.contradicted for observed in members)
    return finding(
        case,
        RULE,
        service.id,
        on=members,
        severity="medium" if open_count else "low",
        title=f"{count} connection{'s' if count > 1 else ''} can be read in two ways",
        explanation=" ".join(_explained(count, open_count)),
        evidence=[evidence for observed in members[:MOST_SHOWN] for evidence in _evidence(observed)],
        remedies=_remedies(service),
        references=[
            "RFC 9293, section 3.10.7.4",
            "Ptacek, Newsham: Insertion, Evasion, and Denial of Service (1998)",
        ],
    )


def _explained(count: int, open_count: int) -> Iterator[str]:
    yield (
        "Two segments hold other bytes for the same place of a stream, or urgent data stands in one: no sender of TLS"
        " does that. Somebody on the way put segments in, or one was damaged."
    )
    if not open_count:
        yield "The receiver took what was read here."
        return
    of = "" if open_count == count else f" of {open_count} of them"
    yield (
        f"Which version the receiver{of} took cannot be told, or it is not the one that was read: nothing definite is"
        " said of what these bytes decide."
    )


def _evidence(observed: Observed) -> Iterator[Evidence]:
    for anomaly in observed.client_leg.anomalies:
        if anomaly.kind in TWO_READINGS:
            sender = "client" if anomaly.from_client else "server"
            yield Evidence(
                "versions",
                observed.id,
                frames(anomaly.other_frame, anomaly.frame),
                f"{sender}, at byte {anomaly.offset:,}: {worded(anomaly.what)}",
            )


def _remedies(service: ServiceGroup) -> list[Remedy]:
    return [
        Remedy(
            "whoever captures",
            "Capture on the host of the receiver itself, where what was put in on the way, and what was dropped for its"
            " checksum, shows; and look for what stands between.",
            f"tcpdump -i any -v -w vip.pcap 'tcp port {service.port}'",
        )
    ]
