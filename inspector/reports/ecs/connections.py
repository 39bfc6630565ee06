"""Connections as events of the Elastic Common Schema: ``source`` and ``client`` began it, ``destination`` and
``server`` answered; ``tls`` is its first handshake; what it has no field for stands in ``inspector.connection``.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from inspector import document as doc
from inspector.findings.case import Case
from inspector.findings.into_document.connection import connection
from inspector.findings.odd_member import host_of
from inspector.reports.certificate_fields import REMEMBERED, CertificateFields
from inspector.reports.community_id import community_id
from inspector.reports.ecs.certificates import shown_certificate
from inspector.reports.ecs.event import Fields, encode, event_line, known, observer
from inspector.reports.established import is_established, is_resumed
from inspector.tls.registry import group_name
from inspector.tracking.observed import Observed

OUTCOMES = {"established": "success", "aborted": "failure", "incomplete": "unknown"}
"""``event.outcome``."""

VERSIONS = {
    "SSLv2": ("ssl", "2.0"),
    "SSLv3": ("ssl", "3.0"),
    "TLSv1": ("tls", "1.0"),
    "TLSv1.1": ("tls", "1.1"),
    "TLSv1.2": ("tls", "1.2"),
    "TLSv1.3": ("tls", "1.3"),
}
"""``tls.version_protocol`` and ``tls.version``."""

IPV4_BYTES = 4


class EcsConnections:
    """Those of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._certificates = CertificateFields(case.facts.certificates)
        self._observers = [observer(c.host if c.is_host_known else "") for c in case.facts.captures]
        self._shown = lru_cache(REMEMBERED)(self._shown_certificate)

    def line(self, observed: Observed) -> bytes:
        """One connection."""
        described, client_leg = connection(self._case, observed), observed.client_leg
        client, server = client_leg.client, client_leg.server
        sent, answered = described.bytes.client, described.bytes.server
        source = {"ip": described.client_endpoint.ip, "port": client.port, "bytes": sent}
        destination = {"ip": described.server_endpoint.ip, "port": server.port, "bytes": answered}
        fields: Fields = {
            "source": source,
            "destination": destination,
            "client": source,
            "server": destination,
            "network": {
                "transport": "tcp",
                "protocol": "tls",
                "iana_number": "6",
                "type": "ipv4" if len(client.address) == IPV4_BYTES else "ipv6",
                "bytes": sent + answered,
                "community_id": community_id(client, server),
            },
            "related": self._related(described),
            "observer": self._observer(described),
            "tls": self._tls(described, observed),
            "inspector": {"connection": self._ours(described, observed)},
        }
        if described.legs:
            last = described.legs[-1]
            fields["source"] = {**source, "nat": msgspec.structs.asdict(last.client)}
            fields["destination"] = {**destination, "nat": msgspec.structs.asdict(last.server)}
        categorization = {
            "category": ["network"],
            "type": ["connection", "protocol"],
            "outcome": OUTCOMES[described.outcome],
            "id": described.id,
            "start": described.first_seen,
            "end": described.last_seen,
            "duration": max(client_leg.last_ns - client_leg.first_ns, 0),
        }
        return event_line(described.first_seen, "event", "connection", categorization, fields)

    def _related(self, described: doc.Connection) -> Fields:
        legs = [end.ip for leg in described.legs for end in (leg.client, leg.server)]
        names = [h.server_name for h in described.handshakes if h.server_name]
        addresses = (described.client_endpoint.ip, described.server_endpoint.ip, *legs)
        return known({"ip": [*dict.fromkeys(addresses)], "hosts": [*dict.fromkeys(names)]})

    def _observer(self, described: doc.Connection) -> Fields:
        capture = described.frames.first[0]
        return self._observers[capture] if capture < len(self._observers) else observer("")

    def _tls(self, described: doc.Connection, observed: Observed) -> Fields:
        h = described.handshakes[0]
        protocol, version = VERSIONS.get(h.version or "", (None, None))
        client: Fields = known({"server_name": h.server_name, "ja3": h.ja3})
        server: Fields = known({"ja3s": h.ja3s})
        handshake = observed.client_leg.handshake
        for side, chain in ((client, handshake.client_chain), (server, handshake.chain)):
            if chain:
                side |= self._shown(chain[0])
        return known(
            {
                "version_protocol": protocol,
                "version": version,
                "cipher": h.cipher.name if h.cipher is not None else None,
                "curve": group_name(handshake.group) if handshake.group else None,
                "next_protocol": h.alpn.lower() if h.alpn is not None else None,
                "established": is_established(observed),
                "resumed": is_resumed(observed),
                "client": client or None,
                "server": server or None,
            }
        )

    def _shown_certificate(self, digest: bytes) -> Fields:
        reading = self._certificates.get(digest)
        if reading is None:
            return {"hash": {"sha256": digest.hex().upper()}}
        return {name: msgspec.Raw(encode(value)) for name, value in shown_certificate(reading, digest).items()}

    def _ours(self, described: doc.Connection, observed: Observed) -> Fields:
        case, h = self._case, described.handshakes[0]
        service, client = case.services[observed.service], case.clients[observed.client]
        backend = case.backends[observed.backend] if observed.backend >= 0 else None
        return known(
            {
                "id": described.id,
                "service": f"{service.name}:{service.port}",
                "backend": backend.label if backend is not None else None,
                "backend_name": (host_of(case, backend) or None) if backend is not None else None,
                "client_stack": client.stack.name,
                "outcome": described.outcome,
                "kind": h.kind,
                "reason": h.reason or None,
                "declined": h.declined,
                "health_check": described.health_check,
                "history": described.history or None,
                "java_verdict": h.jsse.verdict,
                "java_reason": h.jsse.reason or None,
                "extended_master_secret": h.ems.negotiated,
                "ja4": h.ja4,
                "rtt": described.rtt,
                "missing_bytes": described.gap_bytes,
                "capture": described.frames.first[0],
                "first_frame": described.frames.first[1],
                "closed_by": described.end.by,
                "closed_how": described.end.how,
                "preamble": described.preamble,
                "server_chain": h.server_chain,
                "client_chain": h.client_chain,
                "alerts": [known({"sender": a.sender, "name": a.name, "level": a.level}) for a in described.alerts],
                "renegotiations": [_renegotiation(h) for h in described.handshakes[1:]],
                "legs": [
                    {"client": msgspec.structs.asdict(leg.client), "server": msgspec.structs.asdict(leg.server)}
                    for leg in described.legs
                ],
            }
        )


def _renegotiation(h: doc.Handshake) -> Fields:
    study = h.inside
    if study is None:
        return {}
    return known(
        {
            "state": study.state,
            "began_by": study.began_by,
            "ended_by": study.by,
            "certificate": study.certificate,
            "java_verdict": h.jsse.verdict,
        }
    )
