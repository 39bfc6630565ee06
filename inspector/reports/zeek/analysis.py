"""An analysis as Zeek's logs: each in a file of its own, or all of them as JSON in one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from inspector.findings.judge import Analysis, Wanted
from inspector.reports.capture_span import capture_span
from inspector.reports.named_lines import FindingLine
from inspector.reports.named_records import named_records
from inspector.reports.pooled_lines import pooled_lines
from inspector.reports.zeek import ascii_log, json_log
from inspector.reports.zeek.certificate_rows import CertificateRows, appearances
from inspector.reports.zeek.columns import COLUMNS, Values
from inspector.reports.zeek.flow_rows import FlowRows
from inspector.reports.zeek.notice_rows import notice
from inspector.text.times import rfc3339
from inspector.tracking.observed import Observed


class ZeekLogs:
    """The logs of one analysis. ``wanted``: which connections are in them; findings are about all."""

    def __init__(self, analysis: Analysis, wanted: Wanted, processes: int | None = None) -> None:
        """``processes``: how many write, as many as are worth it by default."""
        case = analysis.case
        self._analysis = analysis
        self._processes = processes
        self._flows = FlowRows(case)
        self._rows: Sequence[Observed] = analysis.observed(wanted)
        self._span = capture_span(case)

    def write_json(self, out: BinaryIO) -> None:
        """All of them in one stream."""
        out.flush()

        def lines(observed: Observed) -> bytes:
            flows = [json_log.line("conn", values) for values in self._flows.conn(observed)]
            return b"".join([*flows, json_log.line("ssl", self._flows.ssl(observed))])

        with pooled_lines(self._rows, lines, self._processes) as connections:
            out.writelines(json_log.line("notice", values) for values in self._notices())
            out.writelines(json_log.line("x509", values) for values in self._certificates())
            connections.write_to(out)

    def write_log(self, path: str, out: BinaryIO) -> None:
        """One of them. ``path``: its name, one of ``COLUMNS``."""
        columns = COLUMNS[path]
        out.write(ascii_log.head(path, columns, self._span.first_ns))
        out.flush()

        def conn(observed: Observed) -> bytes:
            return b"".join([ascii_log.row(columns, values) for values in self._flows.conn(observed)])

        def ssl(observed: Observed) -> bytes:
            return ascii_log.row(columns, self._flows.ssl(observed))

        of_connections: dict[str, Callable[[Observed], bytes]] = {"conn": conn, "ssl": ssl}
        if path in of_connections:
            with pooled_lines(self._rows, of_connections[path], self._processes) as connections:
                connections.write_to(out)
        else:
            rows = self._certificates() if path == "x509" else self._notices()
            out.writelines(ascii_log.row(columns, values) for values in rows)
        out.write(ascii_log.end(self._span.last_ns))

    def _certificates(self) -> Iterator[Values]:
        known, rows = set(), CertificateRows(self._analysis.case)
        for observed in self._rows:
            for appearance in appearances(observed):
                if appearance not in known:
                    known.add(appearance)
                    values = rows.x509(appearance, observed.hello_ns)
                    if values is not None:
                        yield values

    def _notices(self) -> Iterator[Values]:
        at = rfc3339(self._span.last_ns)
        for record, encoded in named_records(self._analysis):
            if record == "finding":
                yield notice(msgspec.json.decode(encoded, type=FindingLine), at)
