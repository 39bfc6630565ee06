"""Which certificates on disk are not those that are served, as text and for JSON."""

from __future__ import annotations

from msgspec import Struct

from inspector.findings.served import ServedAgainstStored, ServedCertificate, StoredState, StoredVerdict
from inspector.reports.lines import wrap
from inspector.text.safe import safe_text
from inspector.text.times import rfc3339, rfc3339_signed, utc_day
from inspector.text.zones import TimeZone
from inspector.tracking.certificates import ParsedCertificate

MARKS: dict[StoredState, str] = {"served": "●", "other_served": "✖", "not_seen": "?"}


def against_text(against: ServedAgainstStored, zone: TimeZone) -> list[str]:
    """A line for each file's certificate, and below it where it, or another one in its place, is served."""
    lines = ["SERVED AGAINST STORED"]
    for verdict in against.verdicts:
        stored = verdict.stored
        head = f"{MARKS[verdict.state]} {safe_text(stored.path)}: {_called(stored.certificate)}"
        lines += wrap(f"{head}: {_words(verdict)}", "  ", "    ")
        for served in verdict.served:
            serves = f"{_called(served.certificate)}, " if verdict.state == "other_served" else ""
            lines += wrap(f"{_where(served)}: {serves}{_span(served, zone)}", "      ", "        ")
    if against.unknown:
        lines += wrap("Served, and of no name of these files:", "  ", "    ")
        for served in against.unknown:
            lines += wrap(
                f"{_where(served)}: {_called(served.certificate)}, {_span(served, zone)}", "      ", "        "
            )
    return lines


def _words(verdict: StoredVerdict) -> str:
    match verdict.state:
        case "served":
            return "served"
        case "other_served":
            return "another one of its name is served"
        case "not_seen":
            return "not seen; it may be served where nobody connected, or where certificates are encrypted"


def _called(certificate: ParsedCertificate) -> str:
    until = f" until {utc_day(certificate.not_after)}" if certificate.not_after is not None else ""
    return f"{safe_text(certificate.known_as, 80)}, serial {safe_text(certificate.serial, 40)}{until}"


def _where(served: ServedCertificate) -> str:
    return f"back end {served.backend} of {safe_text(served.service)}"


def _span(served: ServedCertificate, zone: TimeZone) -> str:
    count = f"{served.connections:,} connection{'' if served.connections == 1 else 's'}"
    return f"{count}, seen from {zone.moment(served.first_ns)} to {zone.stamp(served.last_ns)}"


class ServedRecord(Struct, frozen=True):
    """A certificate as a back end showed it. Times are RFC 3339 UTC."""

    service: str
    backend: str
    sha256: str
    subject: str
    serial: str
    not_after: str | None
    first_seen: str
    last_seen: str
    connections: int


class StoredRecord(Struct, frozen=True):
    """A file's certificate. ``source``: the file."""

    source: str
    sha256: str
    state: StoredState
    served: list[ServedRecord]


class AgainstRecord(Struct, frozen=True):
    """``outdated``: another certificate of a file's name is served. ``unknown``: what is served, of no file's name."""

    outdated: bool
    files: list[StoredRecord]
    unknown: list[ServedRecord]


def against_record(against: ServedAgainstStored) -> AgainstRecord:
    """For JSON."""
    return AgainstRecord(
        outdated=against.is_outdated,
        files=[
            StoredRecord(
                source=verdict.stored.path,
                sha256=verdict.stored.certificate.sha256.hex(),
                state=verdict.state,
                served=[_served_record(served) for served in verdict.served],
            )
            for verdict in against.verdicts
        ],
        unknown=[_served_record(served) for served in against.unknown],
    )


def _served_record(served: ServedCertificate) -> ServedRecord:
    certificate = served.certificate
    return ServedRecord(
        service=served.service,
        backend=served.backend,
        sha256=certificate.sha256.hex(),
        subject=certificate.subject,
        serial=certificate.serial,
        not_after=rfc3339_signed(certificate.not_after) if certificate.not_after is not None else None,
        first_seen=rfc3339(served.first_ns),
        last_seen=rfc3339(served.last_ns),
        connections=served.connections,
    )
