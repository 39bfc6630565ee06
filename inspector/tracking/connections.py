"""The TLS view of one flow: messages of both directions gathered into facts. Knows nothing of other connections.

What is kept depends only on what each direction says, never on how the directions interleave in the capture; times and frames aside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from inspector import bounds
from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, AlertFact, Anomaly, Event, HandshakeFacts, LaneFacts, pack_event, pack_events, unpack_events
from inspector.tls import messages
from inspector.tls.handshake import unexpected
from inspector.tls.preamble import preamble_name
from inspector.tls.reader import Malformed
from inspector.tls.records import Mark, RecordReader
from inspector.tls.registry import (
    ALERT,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    NEW_SESSION_TICKET,
    SERVER_HELLO,
    cipher_name,
    message_name,
)

LETTERS = {
    0: b"H",
    1: b"C",
    2: b"S",
    3: b"V",
    4: b"T",
    5: b"E",
    6: b"J",
    8: b"O",
    11: b"X",
    12: b"K",
    13: b"R",
    14: b"N",
    15: b"Y",
    16: b"G",
    20: b"F",
    21: b"W",
    22: b"U",
    23: b"A",
    24: b"P",
    254: b"M",
}
"""Zeek's ssl_history letters of handshake messages; ``I`` is ChangeCipherSpec, ``L`` alert, ``D`` application data, ``B`` heartbeat."""


class CertificateStore(Protocol):
    """Keeps DER certificates by digest."""

    def chain(self, body: bytes) -> tuple[bytes, ...]: ...


class Connection:
    """The sink of both record readers of a flow. ``client_lane`` is None until a SYN or a hello tells the sides."""

    __slots__ = (
        "_applications",
        "_readers",
        "_sizes",
        "_store",
        "alerts",
        "anomalies",
        "client_lane",
        "events",
        "handshake",
        "is_full",
        "is_orderly",
        "last_ns",
        "preamble",
        "tls",
    )

    def __init__(self, store: CertificateStore) -> None:
        self.client_lane: int | None = None
        self.tls = False
        """Whether anything of TLS was recognised."""
        self.handshake = HandshakeFacts()
        self.events = bytearray()
        self.last_ns = 0
        self.is_full = False
        self.is_orderly = True
        """Whether the events came in the order of time."""
        self.alerts: list[tuple[int, int | None, int | None, Mark]] = []
        self.anomalies: list[tuple[int, str, str, int, str, int]] = []
        self.preamble = ""
        self._applications = [0, 0]
        self._sizes = [0, 0]
        self._store = store
        self._readers: list[RecordReader] = []

    def attach(self, readers: list[RecordReader]) -> None:
        """The readers whose sink this is."""
        self._readers = readers

    def event(self, lane: int, letter: bytes, size: int, mark: Mark) -> None:
        """Note a rung of the ladder."""
        if len(self.events) >= MOST_EVENT_BYTES:
            if not self.is_full:
                self.is_full = True
                self.anomaly(lane, "bounded", f"more than {bounds.EVENTS} messages and records: later ones are not kept", mark)
            return
        ns = mark[2]
        self.events += pack_event(ns, mark[1], size, letter, lane)
        if ns < self.last_ns:
            self.is_orderly = False
        self.last_ns = ns

    def started(self, lane: int) -> None:
        """TLS begins in a direction."""
        self.tls = True

    def preceded(self, lane: int, head: bytes) -> None:
        """Something else begins a direction; TLS may come behind it."""
        self.preamble = self.preamble or preamble_name(head)

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message in clear."""
        self.tls = True
        letter = LETTERS.get(kind, b"Z")
        read = READERS.get(kind)
        if read is not None:
            try:
                letter = read(self, lane, body, mark) or letter
            except Malformed as problem:
                self.anomaly(lane, "malformed", f"{message_name(kind)}: {problem.text}", mark, problem.path, 9 + problem.offset)
        elif letter == b"Z":
            self.anomaly(lane, "unknown_message", f"a handshake message of type {kind}", mark, "handshake.msg_type")
        self.event(lane, letter, len(body) + 4, mark)

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        """A ClientHello in SSLv2 framing."""
        self.tls = True
        try:
            self._client_hello(lane, messages.sslv2_client_hello(record), mark)
        except Malformed as problem:
            self.anomaly(lane, "malformed", f"SSLv2 ClientHello: {problem.text}", mark, problem.path)
        self.event(lane, b"C", len(record), mark)

    def read_client_hello(self, lane: int, body: bytes, mark: Mark) -> None:
        """A ClientHello; the second one, behind a HelloRetryRequest, changes nothing."""
        self._client_hello(lane, messages.client_hello(body), mark)

    def _client_hello(self, lane: int, hello: messages.ClientHello, mark: Mark) -> None:
        handshake = self.handshake
        if handshake.offer is not None:
            return
        self.client_lane = lane
        handshake.offer = hello.shape
        handshake.client_random = hello.random
        handshake.offered_id = hello.session_id
        handshake.offered_ticket = hashlib.sha256(hello.ticket).digest() if hello.ticket else hello.ticket
        if hello.psk_identities:
            handshake.offered_psks = tuple([hashlib.sha256(p).digest() for p in hello.psk_identities])
        _, handshake.hello_frame, handshake.hello_ns = mark
        if hello.shape.problem:
            text, offset, path = hello.shape.problem
            self.anomaly(lane, "malformed", f"ClientHello: {text}", mark, path, 9 + offset)

    def read_server_hello(self, lane: int, body: bytes, mark: Mark) -> bytes | None:
        """A ServerHello or HelloRetryRequest; what the server finally chooses counts."""
        hello = messages.server_hello(body)
        handshake = self.handshake
        if handshake.offer is None:
            self.client_lane = 1 - lane
        retry = hello.is_retry
        if retry or hello.shape.version >= 0x0304:
            self._readers[lane].modern = True
        if handshake.answer is not None and (retry or not handshake.retried):
            return b"J" if retry else None
        handshake.retried = handshake.retried or retry
        handshake.answer = hello.shape
        handshake.server_random = hello.random
        handshake.answered_id = hello.session_id
        _, handshake.answer_frame, handshake.answer_ns = mark
        if hello.shape.problem:
            text, offset, path = hello.shape.problem
            self.anomaly(lane, "malformed", f"ServerHello: {text}", mark, path, 9 + offset)
        return b"J" if retry else None

    def read_certificate(self, lane: int, body: bytes, mark: Mark) -> None:
        """A Certificate of either side."""
        handshake = self.handshake
        chain = self._store.chain(body)
        if lane == self.client_lane:
            handshake.client_chain = handshake.client_chain or chain
        elif not handshake.chain:
            handshake.chain = chain
            handshake.certificate_frame = mark[1]

    def read_certificate_request(self, lane: int, body: bytes, mark: Mark) -> None:
        """A CertificateRequest: which authorities the server accepts."""
        version = self.handshake.answer.version if self.handshake.answer else 0x0303
        self.handshake.authorities = messages.certificate_authorities(body, version)

    def read_ticket(self, lane: int, body: bytes, mark: Mark) -> None:
        """A NewSessionTicket."""
        ticket = messages.session_ticket(body)
        if ticket.ticket:
            self.handshake.issued_ticket = hashlib.sha256(ticket.ticket).digest()

    def read_key_exchange(self, lane: int, body: bytes, mark: Mark) -> None:
        """A ClientKeyExchange: the client accepted what the server sent."""
        self.handshake.key_exchange_frame = self.handshake.key_exchange_frame or mark[1]

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        """A ChangeCipherSpec in clear."""
        self.tls = True
        self.event(lane, b"I", 1, mark)

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert in clear."""
        self.tls = True
        self.event(lane, b"L", code, mark)
        if not self.is_full:
            self.alerts.append((lane, level, code, mark))

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        """An encrypted record that is not application data."""
        self.tls = True
        if content_type == ALERT:
            self.event(lane, b"l", length, mark)
            if not self.is_full:
                self.alerts.append((lane, None, None, mark) if len(head) < 2 else (lane, -head[0], head[1], mark))
        elif content_type == CHANGE_CIPHER_SPEC:
            self.event(lane, b"i", length, mark)
        else:
            self.event(lane, b"f", length, mark)

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        """A record of type application data; in TLS 1.3 that is every encrypted record."""
        if not self._applications[lane]:
            self.tls = True
            self.event(lane, b"D", length, mark)
        self._applications[lane] += 1
        self._sizes[lane] += length

    def anomaly(self, lane: int, kind: str, text: str, mark: Mark, path: str = "", offset: int = 0) -> None:
        """Something that does not follow the protocol. ``offset``: from the start of the record."""
        if len(self.anomalies) < bounds.ANOMALIES:
            self.anomalies.append((lane, kind, text, self._readers[lane].position + offset, path, mark[1]))

    def is_flowing(self) -> bool:
        """Whether both sides have sent records of type application data: in TLS 1.3 the handshake is done then."""
        return all(self._applications)

    def lane_facts(self, lane: int) -> LaneFacts:
        """What one direction says."""
        return LaneFacts(application_records=self._applications[lane], application_bytes=self._sizes[lane])

    def alert_facts(self, client: int) -> tuple[AlertFact, ...]:
        """All alerts by time."""
        if not self.alerts:
            return ()
        found: list[AlertFact] = []
        for lane, level, code, mark in self.alerts:
            if level is not None and level <= 0:  # behind a ChangeCipherSpec: readable only where the suite does not encrypt
                level, code = (-level, code) if -level in (1, 2) and self._is_null() else (None, None)
            found.append(AlertFact(lane == client, level, code, mark[1], mark[2]))
        if len(found) > 1:
            found.sort(key=lambda a: (a.ns, a.frame))
        return tuple(found)

    def _is_null(self) -> bool:
        """Whether the cipher suite does not encrypt."""
        answer = self.handshake.answer
        return answer is not None and "_WITH_NULL_" in cipher_name(answer.cipher_suite)

    def anomaly_facts(self, client: int, events: bytes) -> tuple[Anomaly, ...]:
        """All anomalies, the client's first; also messages out of their order."""
        order = unexpected(events[LETTER_AT::EVENT_BYTES], events[SIDE_AT::EVENT_BYTES])
        if not self.anomalies and not order:
            return ()
        found = [Anomaly(kind, text, lane == client, offset, path, frame) for lane, kind, text, offset, path, frame in self.anomalies]
        found.sort(key=lambda a: (not a.from_client, a.offset))
        listed = unpack_events(events) if order else []
        found += [Anomaly("unexpected_message", text, listed[i].from_client, 0, "handshake", listed[i].frame) for i, text in order[: bounds.ANOMALIES]]
        return tuple(found)

    def event_facts(self, client: int) -> bytes:
        """All rungs by time; within a frame the order of the bytes is kept."""
        events = bytearray(self.events) if self.is_orderly else bytearray(pack_events(_in_order(unpack_events(self.events))))
        if client == 0:  # the lane becomes "from the client"
            events[SIDE_AT::EVENT_BYTES] = events[SIDE_AT::EVENT_BYTES].translate(FLIP)
        return bytes(events)


def _in_order(events: list[Event]) -> list[Event]:
    """By time, yet what a side says stays in the order of its stream, also where its segments were reordered on their way."""
    latest = [0, 0]
    keyed: list[tuple[int, Event]] = []
    for event in events:
        ns = event.ns
        if event.letter not in "s.!":
            ns = latest[event.from_client] = max(ns, latest[event.from_client])
        keyed.append((ns, event))
    keyed.sort(key=lambda pair: pair[0])
    return [event for _, event in keyed]


FLIP = bytes([1, 0, *range(2, 256)])
MOST_EVENT_BYTES = bounds.EVENTS * EVENT_BYTES

READERS: dict[int, Callable[[Connection, int, bytes, Mark], bytes | None]] = {
    CLIENT_HELLO: Connection.read_client_hello,
    SERVER_HELLO: Connection.read_server_hello,
    CERTIFICATE: Connection.read_certificate,
    CERTIFICATE_REQUEST: Connection.read_certificate_request,
    NEW_SESSION_TICKET: Connection.read_ticket,
    CLIENT_KEY_EXCHANGE: Connection.read_key_exchange,
}
