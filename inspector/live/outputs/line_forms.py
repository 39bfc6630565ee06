"""What the lines of ``watch`` look like: ours, events of the Elastic Common Schema, or Zeek's logs in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from inspector.findings.case import Case
from inspector.findings.into_document.connection import connection as described
from inspector.live.latest_states import LatestStates
from inspector.reports.ecs.connections import EcsConnections
from inspector.reports.ecs.records import record_line
from inspector.reports.named_lines import FindingLine
from inspector.reports.zeek import json_log
from inspector.reports.zeek.certificate_rows import CertificateRows, appearances
from inspector.reports.zeek.flow_rows import FlowRows
from inspector.reports.zeek.notice_rows import notice
from inspector.reports.zeek.record_lines import other_line
from inspector.text.terminal import terminal_json
from inspector.text.times import rfc3339
from inspector.tracking.observed import Observed

KNOWN_CERTIFICATES = 10_000
"""That are known to have been logged."""


class LineForm(Protocol):
    """How something becomes lines, each with its end."""

    def connection(self, case: Case, observed: Observed, /) -> Iterator[bytes]:
        """Of a connection that is over."""

    def record(self, record: str, encoded: bytes, at_ns: int, /) -> bytes:
        """Of anything else. ``record``: its kind; ``encoded``: its JSON; ``at_ns``: now."""


class OwnLines:
    """An object that names its kind."""

    def connection(self, case: Case, observed: Observed) -> Iterator[bytes]:
        """As the document has it."""
        yield self.record("connection", msgspec.json.encode(described(case, observed)), 0)

    def record(self, record: str, encoded: bytes, at_ns: int) -> bytes:
        """As it is."""
        return b'{"record":"%s",' % record.encode() + terminal_json(encoded)[1:] + b"\n"


class EcsLines:
    """Events of the Elastic Common Schema."""

    def __init__(self) -> None:
        self._connections: EcsConnections | None = None
        self._case: Case | None = None

    def connection(self, case: Case, observed: Observed) -> Iterator[bytes]:
        """One event."""
        if self._connections is None or case is not self._case:
            self._case, self._connections = case, EcsConnections(case)
        yield self._connections.line(observed)

    def record(self, record: str, encoded: bytes, at_ns: int) -> bytes:
        """Findings and incidents are alerts."""
        return record_line(record, encoded, rfc3339(at_ns))


class ZeekLines:
    """Rows of Zeek's logs in JSON; a certificate once, as long as it is remembered."""

    def __init__(self) -> None:
        self._certificates: LatestStates[None] = LatestStates(KNOWN_CERTIFICATES)

    def connection(self, case: Case, observed: Observed) -> Iterator[bytes]:
        """``x509`` where its certificates are new, ``conn`` of each leg, ``ssl``."""
        certificates, flows = CertificateRows(case), FlowRows(case)
        for one in appearances(observed):
            name = f"{one.digest.hex()} {one.host_cert} {one.client_cert}"
            row = certificates.x509(one, observed.hello_ns) if name not in self._certificates else None
            if row is not None:
                yield json_log.line("x509", row)
            if row is not None or name in self._certificates:
                self._certificates.note(name, None)
        yield from (json_log.line("conn", row) for row in flows.conn(observed))
        yield json_log.line("ssl", flows.ssl(observed))

    def record(self, record: str, encoded: bytes, at_ns: int) -> bytes:
        """A finding is a ``notice``; what Zeek has no log for is in one of ours."""
        if record == "finding":
            finding = msgspec.json.decode(encoded, type=FindingLine)
            return json_log.line("notice", notice(finding, rfc3339(at_ns)))
        return other_line(record, encoded, at_ns)


LINE_FORMS: dict[str, type[OwnLines] | type[EcsLines] | type[ZeekLines]] = {
    "jsonl": OwnLines,
    "ecs": EcsLines,
    "zeek": ZeekLines,
}
"""By the name of the format."""
