"""One connection as a ladder, with what Java's rule says of it; a lane for the balancer where both its sides were
captured.
"""

from __future__ import annotations

from inspector.document import Connection
from inspector.reports import overview
from inspector.reports.lines import Line
from inspector.reports.renegotiation import renegotiation_lines
from inspector.reports.story import Ladder, chapters
from inspector.reports.wireshark import display_filter
from inspector.text.cells import cell_count
from inspector.text.safe import safe_text
from inspector.tui.app_state import AppState
from inspector.tui.detail_page import DetailPage
from inspector.tui.styles import paragraph


class ConnectionScreen(DetailPage):
    """``index``: the connection's place in the order of ClientHellos."""

    def __init__(self, state: AppState, index: int) -> None:
        super().__init__(state)
        self._index = index

    def title_lines(self, width: int) -> list[Line]:
        c = self.analysis.connection(self._index)
        ends = (
            f"{c.client_endpoint.ip} port {c.client_endpoint.port} to {c.server_endpoint.ip} port"
            f" {c.server_endpoint.port}"
        )
        title: Line = [
            (f"{self.state.zone.moment(overview.nanoseconds(c.first_seen))}  {ends}", "head"),
            (f"   {c.outcome}", "bad" if c.outcome == "aborted" else "dim"),
        ]
        return (
            [title] if sum(cell_count(t) for t, _ in title) <= width else [title[:1], [(f"  {c.outcome}", title[1][1])]]
        )

    def lines(self, width: int) -> list[Line]:
        analysis = self.analysis
        observed = analysis.case.observed[self._index]
        c = analysis.connection(self._index)
        drawn_ladder = Ladder("", chapters(analysis, observed, self.state.zone))
        lines = [*self.ladder_at(drawn_ladder, width), []]
        for number in range(len(observed.renegotiations)):
            lines += [*renegotiation_lines(analysis, observed, number, width), []]
        for name, value in self._facts(c):
            lines += paragraph(f"{name}: {value}", "  ", "      ", width)
        for anomaly in c.anomalies:
            lines += paragraph(safe_text(f"▲ {anomaly.kind}: {anomaly.text}"), "  ", "      ", width, "warn")
        return lines

    def _facts(self, c: Connection) -> list[tuple[str, str]]:
        h = c.handshakes[0]
        certificates = {f.sha256: overview.common_name(f) or f.subject for f in self.analysis.document.certificates}
        chain = ", ".join(f"{safe_text(certificates.get(d, ''), 60)} {d[:16]}".strip() for d in h.server_chain)
        return [
            ("handshake", f"{h.kind or 'not seen'}: {h.reason}"),
            (
                "Java's rule",
                f"{h.jsse.verdict.replace('_', ' ')}{f' (row {h.jsse.row})' if h.jsse.row else ''}: {h.jsse.reason}",
            ),
            ("version", h.version or "not seen"),
            ("cipher suite", h.cipher.name if h.cipher else "not seen"),
            ("server name", safe_text(h.server_name or "none")),
            ("ALPN", safe_text(f"offered {', '.join(h.alpn_offered) or 'none'}, chosen {h.alpn or 'none'}")),
            ("session", f"offered {h.session.offered_id or 'none'}, answered {h.session.answered_id or 'none'}"),
            (
                "extended master secret (EMS)",
                f"offered {overview.YES[h.ems.offered]}, negotiated {overview.YES[h.ems.negotiated]}",
            ),
            (
                "certificate",
                chain
                or (
                    "none sent"
                    if h.kind in ("session_id", "ticket", "resumed", "psk")
                    else "none in clear"
                    if c.secrets != "decrypted"
                    else "none"
                ),
            ),
            ("JA4", h.ja4 or "none"),
            ("secrets", safe_text(c.secrets or "none given")),
            (
                "bytes",
                f"{c.bytes.client:,} from the client, {c.bytes.server:,} from the server, {c.gap_bytes:,} not captured",
            ),
            ("id", c.id),
        ]

    def to_copy(self) -> tuple[str, str]:
        """For Wireshark."""
        observed = self.analysis.case.observed[self._index]
        return "the Wireshark display filter", display_filter([observed.client_leg, *observed.legs])
