"""Facts with what identifies replaced: what a redacted report is judged from, so that nothing of the original can reach
it.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from inspector.errors.notice import Earlier, ForeignText, Notice
from inspector.facts import CaptureFacts, ConnectionFacts, Facts, HandshakeFacts, LaneFacts, OtherFlow, PackedEndpoint
from inspector.findings.case import Options
from inspector.logs.entries import Failure, LogFacts, Proxied
from inspector.logs.stamps import MONTHS
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.notices import redacted_notice
from inspector.redaction.paths import path_name
from inspector.redaction.preambles import harmless
from inspector.text.times import rfc3339
from inspector.tls.anomalies import ParseMistake
from inspector.tls.extensions import HelloShape
from inspector.tls.messages import named, named_answer
from inspector.tls.registry import ALERTS

N = TypeVar("N", bound=Notice)

REPLACED = (
    "addresses, common prefixes kept",
    "names of hosts, certificates, authorities, nodes, servers and threads, word by word",
    "certificates, with other names, serials, keys and signatures",
    "session ids, tickets, PSK identities",
    "signatures of handshakes",
    "log lines, made anew from what was read of them",
    "names of files and of this host, the command line",
    "link headers, hardware addresses, tunnels, IP and TCP options, which are gone",
    "all encrypted data, which is zero",
)
"""What a redacted report says of itself, of facts and packets."""

REQUESTS = (
    "resources",
    "facts",
    "nodes",
    "catalogs",
    "reports",
    "replace_facts",
    "replace_catalog",
    "store_report",
    "deactivate_node",
    "replace_catalog_inputs",
)
CAUSES = {
    "certificate_change": (
        "javax.net.ssl.SSLHandshakeException: server certificate change is restricted during renegotiation"
    ),
    "untrusted": "javax.net.ssl.SSLHandshakeException: PKIX path building failed",
    "invalid_path": "javax.net.ssl.SSLHandshakeException: PKIX path validation failed",
    "host_name": "javax.net.ssl.SSLPeerUnverifiedException: the host name does not match",
    "ems_inconsistent": (
        "javax.net.ssl.SSLHandshakeException: Missing Extended Master Secret extension on session resumption"
    ),
    "peer_vanished": "javax.net.ssl.SSLHandshakeException: Remote host terminated the handshake",
    "no_common_parameters": "javax.net.ssl.SSLHandshakeException: No appropriate protocol",
    "other": "javax.net.ssl.SSLException: not named",
}
"""What a redacted log says of each kind; the original's words may hold names."""


def redacted_facts(facts: Facts, disguise: Disguise, remaker: Remaker) -> Facts:
    """All connections, certificates, authorities, logs and file names. Frames and times stay."""
    certificates: dict[bytes, bytes] = {}
    for digest, der in facts.certificates.items():
        new = remaker.certificate(der)
        certificates[disguise.digest(digest)] = new
    authorities: dict[bytes, bytes] = {}
    for digest, listed in facts.authorities.items():
        new = remaker.authorities(listed)
        authorities[disguise.digest(digest)] = new
    redacted = Facts(
        [_capture(c, disguise) for c in facts.captures],
        certificates=certificates,
        authorities=authorities,
        other_flows={_other(flow, disguise): count for flow, count in facts.other_flows.items()},
        problems=[redacted_notice(problem, disguise) for problem in facts.problems],
        bounded=[redacted_notice(bound, disguise) for bound in facts.bounded],
        logs=[_log(log, disguise) for log in facts.logs],
        secrets=list(dict.fromkeys(redacted_notice(problem, disguise) for problem in facts.secrets)),
    )
    shapes: dict[bytes, HelloShape] = {}
    for packed in facts.connections:
        redacted.add(_connection(facts.unpack(packed), disguise, shapes))
    return redacted


def redacted_options(options: Options, disguise: Disguise) -> Options:
    """What is looked at, by its new name. What is known of the client's machine names it, and is left out."""
    return Options(options.generation, tuple((disguise.name(host), port) for host, port in options.vips))


def _capture(capture: CaptureFacts, disguise: Disguise) -> CaptureFacts:
    unopened = tuple(
        frames._replace(ends=tuple(disguise.address(end) for end in frames.ends)) for frames in capture.unopened
    )
    damage = _notice(capture.damage, disguise)
    host, extracted_on = (disguise.name(name) if name else "" for name in (capture.host, capture.extracted_on))
    path = path_name(capture.path, disguise)
    return msgspec.structs.replace(
        capture,
        path=path,
        damage=damage,
        unopened=unopened,
        host=host,
        extracted_on=extracted_on,
        probe_turns=capture.known_turns,
    )


def _notice(notice: N | str | None, disguise: Disguise) -> N | Earlier | str | None:
    """A notice that names nobody. Of a text, which an earlier version's journal had, nothing is left but that there was
    one.
    """
    if isinstance(notice, Notice):
        return redacted_notice(notice, disguise)
    return Earlier(ForeignText("")) if notice else notice


def _endpoint(end: PackedEndpoint, disguise: Disguise) -> PackedEndpoint:
    return PackedEndpoint(disguise.address(end.address), end.port)


def _other(flow: OtherFlow, disguise: Disguise) -> OtherFlow:
    return flow._replace(
        server=_endpoint(flow.server, disguise),
        client=disguise.address(flow.client) if flow.client else b"",
        answer=harmless(flow.answer),
    )


def _lane(old: LaneFacts) -> LaneFacts:
    return msgspec.structs.replace(old, opening=harmless(old.opening)) if old.opening else old


def _connection(old: ConnectionFacts, disguise: Disguise, shapes: dict[bytes, HelloShape]) -> ConnectionFacts:
    return msgspec.structs.replace(
        old,
        client=_endpoint(old.client, disguise),
        server=_endpoint(old.server, disguise),
        handshake=_handshake(old.handshake, disguise, shapes),
        renegotiations=tuple(_handshake(inner, disguise, shapes) for inner in old.renegotiations),
        secrets=_notice(old.secrets, disguise),
        from_client=_lane(old.from_client),
        from_server=_lane(old.from_server),
        anomalies=tuple(
            msgspec.structs.replace(anomaly, what=_notice(anomaly.what, disguise)) for anomaly in old.anomalies
        ),
    )


def _handshake(old: HandshakeFacts, disguise: Disguise, shapes: dict[bytes, HelloShape]) -> HandshakeFacts:
    offer, answer = old.offer, old.answer
    if answer is not None:
        answer = named_answer(
            answer._replace(alpn=_protocol(answer.alpn, disguise), problem=_problem(answer.problem, disguise))
        )
    if offer is not None:
        offer = shapes.get(offer.key) or shapes.setdefault(offer.key, _shape(offer, disguise))
    return msgspec.structs.replace(
        old,
        offer=offer,
        answer=answer,
        offered_id=disguise.ticket(old.offered_id),
        answered_id=disguise.ticket(old.answered_id),
        offered_ticket=disguise.digest(old.offered_ticket) if old.offered_ticket else old.offered_ticket,
        issued_ticket=disguise.digest(old.issued_ticket) if old.issued_ticket else old.issued_ticket,
        identity_name=disguise.ticket(old.identity_name),
        issued_tickets=tuple(disguise.digest(d) for d in old.issued_tickets),
        offered_psks=tuple(disguise.digest(d) for d in old.offered_psks),
        chain=tuple(disguise.digest(d) for d in old.chain),
        client_chain=tuple(disguise.digest(d) for d in old.client_chain),
        authorities=disguise.digest(old.authorities) if old.authorities else old.authorities,
        alpn=_protocol(old.alpn, disguise),
    )


def _shape(old: HelloShape, disguise: Disguise) -> HelloShape:
    name = disguise.raw(old.server_name) if old.server_name is not None else None
    alpn = tuple(disguise.protocol(protocol) for protocol in old.alpn)
    problem = _problem(old.problem, disguise)
    return named(old._replace(server_name=name, alpn=alpn, ja3="", ja4="", key=b"", problem=problem))


def _protocol(name: bytes | None, disguise: Disguise) -> bytes | None:
    return disguise.protocol(name) if name is not None else None


def _problem(
    problem: tuple[ParseMistake | str, int, str] | None, disguise: Disguise
) -> tuple[ParseMistake | str, int, str] | None:
    """What is wrong with a hello, by number and place."""
    if problem is None:
        return None
    mistake, offset, path = problem
    return (redacted_notice(mistake, disguise) if isinstance(mistake, Notice) else "", offset, path)


def _log(log: LogFacts, disguise: Disguise) -> LogFacts:
    return msgspec.structs.replace(
        log,
        path=path_name(log.path, disguise),
        problem=redacted_notice(log.problem, disguise) if log.problem is not None else None,
        failures=[_failure(f, f.has_zone, disguise) for f in log.failures],
        proxied=[_proxied(p, disguise) for p in log.proxied],
    )


def _failure(old: Failure, has_zone: bool, disguise: Disguise) -> Failure:
    at = rfc3339(old.ns)
    stamp = f"{at[:23]}Z" if has_zone else f"{at[:10]} {at[11:19]},{at[20:23]}"
    thread = disguise.text(old.thread)
    detail = CAUSES.get(old.kind, CAUSES["other"])
    if old.kind == "alert_received":
        detail = (
            "javax.net.ssl.SSLHandshakeException: Received fatal alert:"
            f" {old.alert if old.alert in ALERTS.values() else 'not named'}"
        )
    head = (
        f"{stamp} WARN  {f'[{thread}] ' if thread else ''}[c.p.h.c.i.PersistentSyncHttpClient] Error executing http"
        " request"
    )
    request = old.request if old.request in REQUESTS else disguise.text(old.request)
    return msgspec.structs.replace(
        old,
        detail=detail,
        text=f"{head} | {detail}",
        thread=thread,
        host=disguise.name(old.host),
        request=request,
        node=disguise.text(old.node),
    )


def _proxied(old: Proxied, disguise: Disguise) -> Proxied:
    client, backend, server = disguise.name(old.client), disguise.text(old.backend), disguise.text(old.server)
    at = rfc3339(old.ns)
    stamp = f"{at[8:10]}/{MONTHS[int(at[5:7]) - 1].decode()}/{at[:4]}:{at[11:23]}"
    text = f"{client}:{old.port} [{stamp}] frontend {backend}/{server or '<NOSRV>'}"
    return msgspec.structs.replace(old, client=client, backend=backend, server=server, address="", text=text)
