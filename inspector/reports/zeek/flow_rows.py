"""Rows of ``conn.log`` and ``ssl.log``, of what is known of connections. What Zeek counts and Inspector does not is
unset: packets, their IP bytes, the flags' history, whether an address is local, tunnels.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector import document as doc
from inspector.facts import FRAME_BITS, FRAME_NUMBER, ConnectionFacts
from inspector.findings.case import Case
from inspector.findings.into_document.connection import connection, endpoint
from inspector.findings.odd_member import host_of
from inspector.reports.certificate_fields import CertificateFields
from inspector.reports.established import is_established, is_resumed
from inspector.reports.zeek.columns import Values
from inspector.reports.zeek.conn_states import conn_state, last_ns
from inspector.reports.zeek.host_names import is_for_host
from inspector.tls.extensions import AnswerShape
from inspector.tls.registry import ALERTS, GROUPS
from inspector.tls.types import ProtocolVersion, is_draft
from inspector.tracking.observed import Observed, connection_id

VERSIONS: dict[int, str] = {
    ProtocolVersion.SSL_2_0: "SSLv2",
    ProtocolVersion.SSL_3_0: "SSLv3",
    ProtocolVersion.TLS_1_0: "TLSv10",
    ProtocolVersion.TLS_1_1: "TLSv11",
    ProtocolVersion.TLS_1_2: "TLSv12",
    ProtocolVersion.TLS_1_3: "TLSv13",
}
TCP = 6


def uid_of(connection_id: str) -> str:
    """Zeek's name for a flow: ``C``, and ours for it, the same each time that a capture is read."""
    return f"C{connection_id}"


def _flow(leg: ConnectionFacts, ns: int, uid: str) -> Values:
    client, server = endpoint(leg.client), endpoint(leg.server)
    return {
        "ts": ns,
        "uid": uid,
        "id.orig_h": client.ip,
        "id.orig_p": client.port,
        "id.resp_h": server.ip,
        "id.resp_p": server.port,
    }


class FlowRows:
    """Those of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._certificates = CertificateFields(case.facts.certificates)

    def conn(self, observed: Observed) -> Iterator[Values]:
        """A row for each leg, the client's first."""
        for number, leg in enumerate((observed.client_leg, *observed.legs)):
            yield self._leg(observed, leg, number)

    def _leg(self, observed: Observed, leg: ConnectionFacts, number: int) -> Values:
        client, server = leg.from_client, leg.from_server
        duration = max(last_ns(leg) - leg.first_ns, 0)
        return {
            **_flow(leg, leg.first_ns, uid_of(connection_id(leg) if number else observed.id)),
            "proto": "tcp",
            "service": "ssl",
            "duration": duration or None,
            "orig_bytes": client.bytes + client.gap if duration else None,
            "resp_bytes": server.bytes + server.gap if duration else None,
            "conn_state": conn_state(leg),
            "missed_bytes": client.gap + server.gap,
            "ip_proto": TCP,
            "inspector.connection": observed.id,
            "inspector.leg": number,
            "inspector.closed_by": None if number else observed.closed_by,
            "inspector.closed_how": None if number else observed.closed_how,
            "inspector.rtt": leg.rtt,
            "inspector.capture": leg.first_frame >> FRAME_BITS,
            "inspector.first_frame": leg.first_frame & FRAME_NUMBER,
            "inspector.last_frame": leg.last_frame & FRAME_NUMBER,
        }

    def ssl(self, observed: Observed) -> Values:
        """The row of a connection, about its first handshake."""
        case, described = self._case, connection(self._case, observed)
        h = described.handshakes[0]
        service, client = case.services[observed.service], case.clients[observed.client]
        backend = case.backends[observed.backend] if observed.backend >= 0 else None
        return {
            **_flow(observed.client_leg, observed.hello_ns, uid_of(described.id)),
            "version": _version(observed.client_leg.handshake.answer),
            "cipher": _cipher(h.cipher),
            "curve": _curve(observed.client_leg.handshake.group),
            "server_name": h.server_name,
            "resumed": is_resumed(observed),
            "last_alert": _last_alert(described),
            "next_protocol": h.alpn,
            "established": is_established(observed),
            "ssl_history": described.history or None,
            "cert_chain_fps": h.server_chain or None,
            "client_cert_chain_fps": h.client_chain or None,
            "sni_matches_cert": self._is_for_name(h.server_name, observed.client_leg.handshake.chain),
            "ja3": h.ja3,
            "ja3s": h.ja3s,
            "inspector.service": f"{service.name}:{service.port}",
            "inspector.backend": backend.label if backend is not None else None,
            "inspector.backend_name": (host_of(case, backend) or None) if backend is not None else None,
            "inspector.client_stack": client.stack.name,
            "inspector.outcome": described.outcome,
            "inspector.kind": h.kind,
            "inspector.declined": h.declined,
            "inspector.health_check": described.health_check,
            "inspector.java_verdict": h.jsse.verdict,
            "inspector.java_reason": h.jsse.reason or None,
            "inspector.extended_master_secret": h.ems.negotiated,
            "inspector.ja4": h.ja4,
            "inspector.renegotiations": [i.inside.state for i in described.handshakes if i.inside is not None] or None,
            "inspector.leg_uids": [uid_of(connection_id(leg)) for leg in observed.legs] or None,
        }

    def _is_for_name(self, name: str | None, chain: tuple[bytes, ...]) -> bool | None:
        reading = self._certificates.get(chain[0]) if name is not None and chain else None
        return is_for_host(reading, name) if reading is not None and name is not None else None


def _version(answer: AnswerShape | None) -> str | None:
    """What the server chose."""
    if answer is None:
        return None
    if is_draft(answer.version):
        return f"TLSv13-draft{answer.version & 0xFF}"
    return VERSIONS.get(answer.version) or f"unknown-{answer.version}"


def _curve(group: int) -> str | None:
    """As IANA names it; where it does not, by its number, as Zeek does."""
    return (GROUPS.get(group) or f"unknown-{group}") if group else None


def _cipher(cipher: doc.Cipher | None) -> str | None:
    """As IANA names it; where it does not, by its number, as Zeek does."""
    if cipher is None:
        return None
    return cipher.name if cipher.name.startswith("TLS_") else f"unknown-{cipher.code}"


def _last_alert(described: doc.Connection) -> str | None:
    """Of those that were in clear, or decrypted."""
    alert = next((a for a in reversed(described.alerts) if a.code is not None), None)
    if alert is None:
        return None
    return ALERTS.get(alert.code or 0) or f"unknown-{alert.code}"
