"""Connections and sessions of the document as JSON, without the Structs between: byte for byte what msgspec makes of
``connection`` and ``pool.session``.

A connection is some two kilobytes, of which its own values are a few hundred bytes: where it begins and ends, when, in
which frames, how much was sent, and what is random. The rest follows from its *kind* (``stencils``): of which shape its
hellos are, what was judged, how it ended. So each kind is a key here, with everything on which ``connection`` and
``session`` decide; and what a row's own values are stands twice, as gaps of its stencil and as what is put into them,
in the order of the document's fields.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import TypeVar

from inspector import bounds, document as doc
from inspector.facts import (
    EVENT_BYTES,
    FRAME_BITS,
    FRAME_NUMBER,
    LETTER_AT,
    SIDE_AT,
    AlertFact,
    ConnectionFacts,
    Facts,
    event_frame,
    frame_reference,
)
from inspector.findings.case import Case
from inspector.findings.from_logs import lines_of
from inspector.findings.into_document.connection import (
    alert,
    connection,
    history_of,
    legs,
    secrets_of,
)
from inspector.findings.into_document.handshake import first_finished, issued_tickets, jsse
from inspector.findings.into_document.pool import session
from inspector.findings.into_document.stencils import (
    NO_TEXT,
    NO_TIME,
    NUMBER,
    TEXT,
    TIME,
    VALUE,
    Stencils,
    encode,
    frame_gap,
    stencil,
    text_gap,
)
from inspector.findings.judgement import Judgement
from inspector.text.times import LATEST_NS, SECOND_NS, rfc3339
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text

K = TypeVar("K")
"""Of a frame reference, its number."""
NULL, EMPTY = b"null", b"[]"


class Repeated(dict[K, bytes]):
    """Bytes that repeat, made when they are first looked up."""

    def __init__(self, bytes_of: Callable[[K], bytes]) -> None:
        super().__init__()
        self._bytes_of = bytes_of

    def __missing__(self, key: K) -> bytes:
        if len(self) >= bounds.CACHE:
            self.clear()
        made = self[key] = self._bytes_of(key)
        return made


class EncodedRows:
    """Connections and sessions of one case, each as JSON."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._connections = Stencils()
        self._addresses = Repeated[bytes](lambda address: encode(ip_text(address)))
        self._services = Repeated[int](lambda index: encode(case.services[index].id))
        self._clients = Repeated[int](lambda index: encode(case.clients[index].id))
        self._backends = Repeated[int](lambda index: encode(case.backends[index].id) if index >= 0 else NULL)
        self._seconds = Repeated(_second)
        self._digests = Repeated[bytes](lambda digest: encode(digest.hex()))
        self._chains = Repeated[tuple[bytes, ...]](lambda chain: encode([digest.hex() for digest in chain]))
        self._judged: dict[int, bytes] = {}
        """What Java's rule says, by the identity of judgements: each is there once."""
        self._values = Repeated[str | bool | None](encode)
        self._has_logs = bool(case.facts.logs)

    def connection(self, observed: Observed) -> bytes:
        """As ``connection`` describes it; where something rare is to be told, by way of it."""
        offer, answer, client_leg = Facts.unpack_without_shapes(observed.packed)
        if observed.renegotiations or client_leg.anomalies or client_leg.sightings:
            return encode(connection(self._case, observed))
        events = client_leg.events
        history, number = _history(events[LETTER_AT::EVENT_BYTES], events[SIDE_AT::EVENT_BYTES])
        finished = event_frame(events, number) if number >= 0 else 0
        kind = (offer, answer, self._kind(observed, client_leg, finished))
        made = self._connections.get(kind)
        if made is None:
            plain = connection(self._case, observed)
            if not self._connections.is_repeated(kind):
                return encode(plain)
            made = self._connections.keep(kind, _connection_stencil(plain))
        try:
            return made % self._own_values(observed, client_leg, history, finished)
        except OverflowError:  # of a time that has no text
            return encode(connection(self._case, observed))

    def _kind(self, observed: Observed, client_leg: ConnectionFacts, finished: int) -> tuple[Hashable, ...]:
        """Beside the shapes of the hellos; of a frame, in which capture it lies. Reasons are there once, so that their
        identity will do.
        """
        h, traits = client_leg.handshake, observed.traits
        return (
            h.retried and not h.server_random,
            h.client_chain,
            h.alpn,
            h.authorities,
            h.hello_frame >> FRAME_BITS if h.hello_frame else None,
            h.answer_frame >> FRAME_BITS if h.answer_frame else None,
            h.certificate_frame >> FRAME_BITS if h.certificate_frame else None,
            h.key_exchange_frame >> FRAME_BITS if h.key_exchange_frame else None,
            finished >> FRAME_BITS if finished else None,
            id(traits.reason),
            observed.kind,
            observed.declined,
            observed.outcome,
            traits.closed_by,
            traits.closed_how,
            observed.health_check,
            client_leg.preamble,
            client_leg.first_frame >> FRAME_BITS,
            client_leg.last_frame >> FRAME_BITS,
            client_leg.secrets if client_leg.secrets is None else secrets_of(client_leg),
        )

    def _own_values(
        self, observed: Observed, client_leg: ConnectionFacts, history: bytes, finished: int
    ) -> tuple[object, ...]:
        """What goes into the gaps of ``_connection_stencil``."""
        h, seconds = client_leg.handshake, self._seconds
        client, server = client_leg.client, client_leg.server
        ours, theirs = client_leg.from_client, client_leg.from_server
        first_ns, last_ns = client_leg.first_ns, client_leg.last_ns
        ticket, issued = h.offered_ticket, h.issued_ticket
        return (
            observed.id.encode(),
            self._services[observed.service],
            self._clients[observed.client],
            self._backends[observed.backend],
            self._addresses[client.address],
            client.port,
            self._addresses[server.address],
            server.port,
            seconds[first_ns // SECOND_NS],
            first_ns % SECOND_NS,
            seconds[last_ns // SECOND_NS],
            last_ns % SECOND_NS,
            encode(legs(observed)) if observed.packed_legs else EMPTY,
            client_leg.first_frame & FRAME_NUMBER,
            client_leg.last_frame & FRAME_NUMBER,
            b"[%b]" % b",".join([_alert(a) for a in client_leg.alerts]) if client_leg.alerts else EMPTY,
            ours.bytes + ours.gap,
            theirs.bytes + theirs.gap,
            ours.gap + theirs.gap,
            encode(client_leg.rtt),
            history,
            encode(lines_of(self._case, observed)) if self._has_logs else EMPTY,
            hexlify(h.client_random),
            hexlify(h.server_random),
            hexlify(h.offered_id),
            hexlify(h.answered_id),
            encode(ticket.hex()) if ticket else NULL,
            encode(issued.hex()) if issued else NULL,
            encode([identity.hex() for identity in h.offered_psks]) if h.offered_psks else EMPTY,
            encode([t.hex() for t in issued_tickets(h)]) if issued or h.issued_tickets else EMPTY,
            self._chains[h.chain],
            h.hello_frame & FRAME_NUMBER,
            h.answer_frame & FRAME_NUMBER,
            h.certificate_frame & FRAME_NUMBER,
            h.key_exchange_frame & FRAME_NUMBER,
            finished & FRAME_NUMBER,
            self._jsse(self._case.judgements[observed.index]),
        )

    def _jsse(self, judgement: Judgement) -> bytes:
        key = id(judgement)
        known = self._judged.get(key)
        if known is None:
            if len(self._judged) >= bounds.CACHE:
                self._judged.clear()
            known = self._judged[key] = encode(jsse(judgement))
        return known

    def session(self, entry: LedgerSession) -> bytes:
        """As ``pool.session`` describes it."""
        case, issuer, issued_ns, values = self._case, entry.issuer, entry.issued_ns, self._values
        try:
            return (_SESSION if issued_ns is not None else _SESSION_WITHOUT_TIME) % (
                hexlify(entry.key),
                values[entry.method],
                b'"%b"' % case.observed[issuer].id.encode() if issuer is not None else NULL,
                self._digests[entry.leaf] if entry.leaf else NULL,
                values[entry.ems],
                self._seconds[issued_ns // SECOND_NS] if issued_ns is not None else b"",
                issued_ns % SECOND_NS if issued_ns is not None else 0,
                values[entry.usable],
                self._uses(entry.uses) if entry.packed_uses else EMPTY,
                self._digests[entry.name] if entry.name in case.ticket_keys else NULL,
            )
        except OverflowError:
            return encode(session(case, entry))

    def _uses(self, uses: Sequence[int]) -> bytes:
        members, seconds, backends = self._case.observed, self._seconds, self._backends
        made = [
            _USE[use & 1]
            % (
                (observed := members[use >> 1]).id.encode(),
                seconds[(hello_ns := observed.hello_ns) // SECOND_NS],
                hello_ns % SECOND_NS,
                backends[observed.backend],
            )
            for use in uses
        ]
        return b"[%b]" % b",".join(made)


def _connection_stencil(c: doc.Connection) -> bytes:
    """Of all connections of this one's kind."""
    gaps = {
        "id": TEXT,
        "service": VALUE,
        "client": VALUE,
        "backend": VALUE,
        "client_endpoint": stencil(c.client_endpoint, {"ip": VALUE, "port": NUMBER}),
        "server_endpoint": stencil(c.server_endpoint, {"ip": VALUE, "port": NUMBER}),
        "first_seen": TIME,
        "last_seen": TIME,
        "legs": VALUE,
        "frames": stencil(c.frames, {"first": frame_gap(c.frames.first), "last": frame_gap(c.frames.last)}),
        "alerts": VALUE,
        "bytes": stencil(c.bytes, {"client": NUMBER, "server": NUMBER}),
        "gap_bytes": NUMBER,
        "rtt": VALUE,
        "history": TEXT,
        "logs": VALUE,
        "handshakes": b"[%b]" % _handshake_stencil(c.handshakes[0]),
    }
    return stencil(c, gaps)


def _handshake_stencil(h: doc.Handshake) -> bytes:
    """Of the first handshakes in them."""
    session_gaps = {
        "offered_id": text_gap(h.session.offered_id),
        "answered_id": text_gap(h.session.answered_id),
        "offered_ticket": VALUE,
        "issued_ticket": VALUE,
        "offered_psks": VALUE if h.session.offered_psks is not None else NO_TEXT,
        "issued_tickets": VALUE,
    }
    gaps = {
        "client_random": text_gap(h.client_random),
        "server_random": text_gap(h.server_random),
        "session": stencil(h.session, session_gaps),
        "server_chain": VALUE,
        "frames": stencil(h.frames, {name: frame_gap(getattr(h.frames, name)) for name in h.frames.__struct_fields__}),
        "jsse": VALUE,
    }
    return stencil(h, gaps)


_EMPTY_SESSION = doc.Session(
    id="", method="psk", issued_by=None, leaf=None, ems=None, issued_at=None, usable=False, uses=[]
)
_SESSION_GAPS = {**dict.fromkeys(doc.Session.__struct_fields__, VALUE), "id": TEXT}
_SESSION = stencil(_EMPTY_SESSION, {**_SESSION_GAPS, "issued_at": TIME})
_SESSION_WITHOUT_TIME = stencil(_EMPTY_SESSION, {**_SESSION_GAPS, "issued_at": NO_TIME})
_USE = [
    stencil(doc.Use("", "", None, result), {"connection": TEXT, "at": TIME, "backend": VALUE})
    for result in ("declined", "resumed")
]
"""Of sessions, and of their uses: whether they were resumed."""


def _alert(fact: AlertFact) -> bytes:
    reference = fact.frame
    capture = reference >> FRAME_BITS if reference else None
    made = _alert_stencil(fact.from_client, fact.level, fact.code, fact.decrypted, capture)
    return made % (reference & FRAME_NUMBER)


@lru_cache(maxsize=bounds.CACHE)
def _alert_stencil(
    from_client: bool, level: int | None, code: int | None, decrypted: bool, capture: int | None
) -> bytes:
    """``capture``: in which its frame lies; None where that is not known."""
    reference = frame_reference(capture, 1) if capture is not None else 0
    plain = alert(AlertFact(from_client, level, code, reference, 0, decrypted))
    return stencil(plain, {"frame": frame_gap(plain.frame)})


@lru_cache(maxsize=bounds.CACHE)
def _history(letters: bytes, sides: bytes) -> tuple[bytes, int]:
    """The history, and which event is the client's Finished."""
    return history_of(letters, sides).encode(), first_finished(letters, sides)


def _second(second: int) -> bytes:
    """What the text of each time in a second begins with. Raises OverflowError where that is no time of ours."""
    if not 0 <= second < LATEST_NS // SECOND_NS:
        raise OverflowError
    return rfc3339(second * SECOND_NS)[:19].encode()
