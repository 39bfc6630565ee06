"""The TLS view of one flow: messages of both directions gathered into facts. Knows nothing of other connections.

What is kept depends only on what each direction says, never on how the directions interleave in the capture; times and frames aside.
"""

from __future__ import annotations

import hashlib
from operator import itemgetter
from typing import Protocol

from inspector import bounds, facts
from inspector.facts import AlertFact, Anomaly, HandshakeFacts, LaneFacts, SealedRecord
from inspector.tls import messages
from inspector.tls.handshake import CHANGE, CLIENT, SERVER
from inspector.tls.preamble import preamble_name
from inspector.tls.reader import Malformed
from inspector.tls.records import Mark, RecordReader
from inspector.tls.registry import (
    ALERT,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    CERTIFICATE_VERIFY,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    FINISHED,
    HELLO_REQUEST,
    NEW_SESSION_TICKET,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    cipher_name,
    message_name,
)

LETTERS = {0: "H", 1: "C", 2: "S", 3: "V", 4: "T", 5: "E", 6: "J", 8: "O", 11: "X", 12: "K", 13: "R", 14: "N", 15: "Y", 16: "G", 20: "F", 21: "W", 22: "U", 23: "A", 24: "P", 254: "M"}
"""Zeek's ssl_history letters of handshake messages; ``I`` is ChangeCipherSpec, ``L`` alert, ``D`` application data, ``B`` heartbeat."""


_moment = itemgetter(0, 1)
"""Time, then frame; within a frame the order of the bytes is kept."""


class CertificateStore(Protocol):
    """Keeps DER certificates by digest."""

    def chain(self, body: bytes) -> tuple[bytes, ...]: ...


class Connection:
    """The sink of both record readers of a flow. ``client_lane`` is None until a SYN or a hello tells the sides."""

    __slots__ = ("_applications", "_readers", "_records", "_sizes", "_states", "_store", "alerts", "anomalies", "client_lane", "events", "first", "handshake", "preamble", "tls")

    def __init__(self, store: CertificateStore) -> None:
        self.client_lane: int | None = None
        self.tls = False
        """Whether anything of TLS was recognised."""
        self.handshake = HandshakeFacts()
        self.events: list[tuple[int, int, int, str, int]] = []
        self.alerts: list[tuple[int, int | None, int | None, Mark]] = []
        self.anomalies: list[tuple[int, str, str, int, str, int]] = []
        self.preamble = ""
        self.first: list[SealedRecord | None] = [None, None]
        self._applications = [0, 0]
        self._sizes = [0, 0]
        self._records: list[list[SealedRecord]] = [[], []]
        self._states = ["start", "start"]
        self._store = store
        self._readers: list[RecordReader] = []

    def attach(self, readers: list[RecordReader]) -> None:
        """The readers whose sink this is."""
        self._readers = readers

    def event(self, lane: int, letter: str, size: int, mark: Mark) -> None:
        """Note a rung of the ladder."""
        if len(self.events) < bounds.EVENTS:
            self.events.append((mark.ns, mark.frame, size, letter, lane))

    def started(self, lane: int, head: bytes) -> None:
        """TLS begins in a direction, or what stands before it."""
        if head and not self.preamble:
            self.preamble = preamble_name(head)

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message in clear."""
        self.tls = True
        handshake = self.handshake
        letter = LETTERS.get(kind, "Z")
        try:
            if kind == CLIENT_HELLO:
                self._client_hello(lane, messages.client_hello(body), mark)
            elif kind == SERVER_HELLO:
                if self._server_hello(lane, messages.server_hello(body), mark):
                    letter = "J"
            elif kind == CERTIFICATE:
                self._certificate(lane, body, mark)
            elif kind == CLIENT_KEY_EXCHANGE:
                handshake.seen |= facts.C_KEY_EXCHANGE
                handshake.key_exchange_frame = handshake.key_exchange_frame or mark.frame
            elif kind == SERVER_KEY_EXCHANGE:
                handshake.seen |= facts.S_KEY_EXCHANGE
            elif kind == SERVER_HELLO_DONE:
                handshake.seen |= facts.S_DONE
            elif kind == CERTIFICATE_REQUEST:
                handshake.seen |= facts.S_REQUEST
                version = handshake.answer.version if handshake.answer else 0x0303
                handshake.authorities = messages.certificate_authorities(body, version)
            elif kind == CERTIFICATE_VERIFY:
                handshake.seen |= facts.C_VERIFY
            elif kind == NEW_SESSION_TICKET:
                self._ticket(messages.session_ticket(body))
            elif kind not in (HELLO_REQUEST, FINISHED, CERTIFICATE_STATUS) and letter == "Z":
                self.anomaly(lane, "unknown_message", f"a handshake message of type {kind}", mark, "handshake.msg_type")
        except Malformed as problem:
            self.anomaly(lane, "malformed", f"{message_name(kind)}: {problem.text}", mark, problem.path, 9 + problem.offset)
        self.event(lane, letter, len(body) + 4, mark)
        self._follow(lane, kind, mark)

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        """A ClientHello in SSLv2 framing."""
        self.tls = True
        try:
            self._client_hello(lane, messages.sslv2_client_hello(record), mark)
        except Malformed as problem:
            self.anomaly(lane, "malformed", f"SSLv2 ClientHello: {problem.text}", mark, problem.path)
        self.event(lane, "C", len(record), mark)
        self._states[lane] = "offered"

    def _client_hello(self, lane: int, hello: messages.ClientHello, mark: Mark) -> None:
        handshake = self.handshake
        if handshake.offer is not None or (handshake.seen & facts.C_HELLO):
            return
        self.client_lane = lane
        handshake.seen |= facts.C_HELLO
        handshake.offer = hello.shape
        handshake.client_random = hello.random
        handshake.offered_id = hello.session_id
        handshake.offered_ticket = hashlib.sha256(hello.ticket).digest() if hello.ticket else hello.ticket
        handshake.offered_psks = tuple(hashlib.sha256(p).digest() for p in hello.psk_identities)
        handshake.hello_frame, handshake.hello_ns = mark.frame, mark.ns
        if hello.shape.problem:
            text, offset, path = hello.shape.problem
            self.anomaly(lane, "malformed", f"ClientHello: {text}", mark, path, 9 + offset)

    def _server_hello(self, lane: int, hello: messages.ServerHello, mark: Mark) -> bool:
        handshake = self.handshake
        if self.client_lane is None or not handshake.seen & facts.C_HELLO:
            self.client_lane = 1 - lane
        retry = hello.is_retry
        if retry or hello.shape.version >= 0x0304:
            self._readers[lane].modern = True
        if handshake.answer is not None and not handshake.retried:
            return retry
        if handshake.answer is not None and retry:
            return retry
        handshake.seen |= facts.S_HELLO
        handshake.retried = handshake.retried or retry
        handshake.answer = hello.shape
        handshake.server_random = hello.random
        handshake.answered_id = hello.session_id
        handshake.answer_frame, handshake.answer_ns = mark.frame, mark.ns
        if not retry and handshake.retried:
            handshake.retried = True
        if hello.shape.problem:
            text, offset, path = hello.shape.problem
            self.anomaly(lane, "malformed", f"ServerHello: {text}", mark, path, 9 + offset)
        return retry

    def _certificate(self, lane: int, body: bytes, mark: Mark) -> None:
        handshake = self.handshake
        chain = self._store.chain(body)
        if self._is_client(lane):
            handshake.seen |= facts.C_CERTIFICATE
            handshake.client_chain = handshake.client_chain or chain
        else:
            handshake.seen |= facts.S_CERTIFICATE
            handshake.chain = handshake.chain or chain
            handshake.certificate_frame = handshake.certificate_frame or mark.frame

    def _ticket(self, ticket: messages.SessionTicket) -> None:
        handshake = self.handshake
        handshake.seen |= facts.S_TICKET
        if ticket.ticket:
            handshake.issued_ticket = hashlib.sha256(ticket.ticket).digest()
            handshake.ticket_prefix = ticket.ticket[:16]
            handshake.ticket_lifetime = ticket.lifetime

    def _is_client(self, lane: int) -> bool:
        return lane == self.client_lane

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        """A ChangeCipherSpec in clear."""
        self.tls = True
        self.event(lane, "I", 1, mark)
        self.handshake.seen |= facts.C_CHANGE if self._is_client(lane) else facts.S_CHANGE
        self._follow(lane, CHANGE, mark)

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert in clear."""
        self.tls = True
        self.event(lane, "L", code, mark)
        self.alerts.append((lane, level, code, mark))

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        """An encrypted record that is not application data."""
        self.tls = True
        records = self._records[lane]
        if content_type == ALERT:
            self.alerts.append((lane, None, None, mark) if len(head) < 2 else (lane, -head[0], head[1], mark))
            self.event(lane, "l", length, mark)
        elif content_type == CHANGE_CIPHER_SPEC:
            self.event(lane, "I", length, mark)
        else:
            handshake = self.handshake
            if not records and self._is_client(lane):
                handshake.finished_frame = handshake.finished_frame or mark.frame
            handshake.seen |= facts.C_SEALED if self._is_client(lane) else facts.S_SEALED
            self.event(lane, "f" if not records else "+", length, mark)
        if len(records) < bounds.ENCRYPTED_RECORDS:
            records.append(SealedRecord(content_type, length, mark.frame, mark.ns))

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        """A record of type application data; in TLS 1.3 that is every encrypted record."""
        self.tls = True
        if self.first[lane] is None:
            self.first[lane] = SealedRecord(23, length, mark.frame, mark.ns)
            self.event(lane, "D", length, mark)
        self._applications[lane] += 1
        self._sizes[lane] += length

    def anomaly(self, lane: int, kind: str, text: str, mark: Mark, path: str = "", offset: int = 0) -> None:
        """Something that does not follow the protocol. ``offset``: from the start of the record."""
        if len(self.anomalies) < bounds.ANOMALIES:
            self.anomalies.append((lane, kind, text, self._readers[lane].position + offset, path, mark.frame))

    def _follow(self, lane: int, kind: int, mark: Mark) -> None:
        """Hold the message against the table of its sender."""
        table = CLIENT if self._is_client(lane) else SERVER
        state = self._states[lane]
        following = table[state].get(kind)
        if following is None:
            if state != "start":
                name = "ChangeCipherSpec" if kind == CHANGE else message_name(kind)
                self.anomaly(lane, "unexpected_message", f"{name} where the handshake stands at {state}", mark, "handshake")
            return
        self._states[lane] = following

    def lane_facts(self, lane: int) -> LaneFacts:
        """What one direction says."""
        return LaneFacts(
            records=tuple(self._records[lane]),
            application_records=self._applications[lane],
            application_bytes=self._sizes[lane],
            first_application=self.first[lane],
        )

    def alert_facts(self, client: int) -> tuple[AlertFact, ...]:
        """All alerts by time."""
        if not self.alerts:
            return ()
        found: list[AlertFact] = []
        answer = self.handshake.answer
        clear = answer is not None and "_WITH_NULL_" in cipher_name(answer.cipher_suite)
        for lane, level, code, mark in self.alerts:
            if level is not None and level <= 0:  # behind a ChangeCipherSpec: readable only where the suite does not encrypt
                level, code = (-level, code) if clear and -level in (1, 2) else (None, None)
            found.append(AlertFact(lane == client, level, code, mark.frame, mark.ns))
        return tuple(sorted(found, key=lambda a: (a.ns, a.frame)))

    def anomaly_facts(self, client: int) -> tuple[Anomaly, ...]:
        """All anomalies, the client's first."""
        if not self.anomalies:
            return ()
        found = [Anomaly(kind, text, lane == client, offset, path, frame) for lane, kind, text, offset, path, frame in self.anomalies]
        return tuple(sorted(found, key=lambda a: (not a.from_client, a.offset)))

    def event_facts(self, client: int) -> bytes:
        """All rungs by time."""
        self.events.sort(key=_moment)
        pack = facts.pack_event
        return b"".join([pack(ns, frame, size, letter.encode(), lane == client) for ns, frame, size, letter, lane in self.events])
