"""The TLS view of one flow: messages of both directions gathered into facts. Knows nothing of other connections.

What is kept depends only on what each direction says, never on how the directions interleave in the capture; times and
frames aside.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector import bounds
from inspector.extract.alerts import AlertNote, AlertNotes
from inspector.extract.application_data import ApplicationData
from inspector.extract.event_ladder import EventLadder
from inspector.extract.handshakes import (
    FLIGHT,
    LETTERS,
    READERS,
    RETRIED,
    SPEAKING,
    read_beginning,
    read_offer,
)
from inspector.extract.store import RecordDecryptor, Store
from inspector.facts import (
    C_BEGUN_FLIGHT,
    C_LOST_FLIGHT,
    C_LOST_HELLO,
    CLIENT_BITS,
    EVENT_BYTES,
    S_BEGUN_FLIGHT,
    SERVER_BITS,
    HandshakeFacts,
    decrypted_letter,
    event_ns,
)
from inspector.tls import messages
from inspector.tls.anomalies import (
    Anomaly,
    EventsNotKept,
    MalformedMessage,
    MalformedSslv2Hello,
    MessageTypeUnknown,
    ParseMistake,
)
from inspector.tls.history import Letter
from inspector.tls.preamble import preamble_name
from inspector.tls.reader import Malformed
from inspector.tls.records import Mode, RecordReader
from inspector.tls.sink import Mark
from inspector.tls.types import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    FINISHED,
    SERVER_HELLO,
    TLS13,
    HandshakeType,
)

MESSAGE_HEADER, SSLV2_HEADER = 4, 2
"""Of a handshake message (RFC 8446, section 4), and of a record of SSLv2."""

UNKNOWN = Letter.UNKNOWN_MESSAGE.byte
SYN_BYTE, FIN_BYTE, RST_BYTE = Letter.SYN.byte, Letter.FIN.byte, Letter.RST.byte
ALERT_BYTE = Letter.ALERT.byte
APPLICATION_DATA_BYTE = Letter.APPLICATION_DATA.byte
CHANGE_CIPHER_SPEC_BYTE = Letter.CHANGE_CIPHER_SPEC.byte
CLIENT_HELLO_BYTE = Letter.CLIENT_HELLO.byte
ENCRYPTED_ALERT_BYTE = Letter.ENCRYPTED_ALERT.byte
ENCRYPTED_CHANGE_CIPHER_SPEC_BYTE = Letter.ENCRYPTED_CHANGE_CIPHER_SPEC.byte
ENCRYPTED_HANDSHAKE_BYTE = Letter.ENCRYPTED_HANDSHAKE.byte


class ConnectionAssembly:
    """The sink of both record readers of a flow. ``client_lane`` is None until a SYN or a hello tells the sides."""

    __slots__ = (
        "_greeted",
        "_missing",
        "_readers",
        "_rounds",
        "_store",
        "alerts",
        "anomalies",
        "application",
        "channel",
        "client_lane",
        "handshake",
        "handshakes",
        "ladder",
        "openings",
        "preamble",
        "tls",
    )

    def __init__(self, store: Store) -> None:
        self.client_lane: int | None = None
        self.tls = False
        """Whether anything of TLS was recognised."""
        self.handshake = HandshakeFacts()
        """The connection's own handshake, before any renegotiation."""
        self.handshakes = [self.handshake]
        """With decrypted renegotiations behind it."""
        self.channel: RecordDecryptor | None = None
        self._rounds = [0, 0]
        self.ladder = EventLadder()
        self.alerts = AlertNotes()
        self.application = ApplicationData()
        self.anomalies: list[tuple[int, Anomaly, int, str, int]] = []
        self.preamble = ""
        self.openings = [b"", b""]
        """What directions begin with that is not TLS."""
        self._greeted = [False, False]
        """Whether a direction's hello was read."""
        self._missing = [0, 0]
        """What is missing of each direction, as if it were the client's."""
        self._store = store
        self._readers: list[RecordReader] = []

    @property
    def directions(self) -> list[RecordReader]:
        """Who reads each direction."""
        return self._readers

    def reader(self, lane: int) -> RecordReader:
        """Who reads a direction."""
        return self._readers[lane]

    def opened(self, lane: int, frame: int, ns: int) -> None:
        """A SYN."""
        self.event(lane, SYN_BYTE, 0, (0, frame, ns))

    def closed(self, lane: int, frame: int, ns: int, *, is_reset: bool) -> None:
        """The first FIN or RST of a direction."""
        self.event(lane, RST_BYTE if is_reset else FIN_BYTE, 0, (0, frame, ns))

    @property
    def is_recognised(self) -> bool:
        """Whether anything of TLS was recognised."""
        return self.tls

    @property
    def is_hopeless(self) -> bool:
        """Whether neither side can still turn out to speak TLS."""
        return not self.tls and all(reader.mode is Mode.DONE for reader in self._readers)

    @property
    def has_failed(self) -> bool:
        """Whether a side sent a fatal alert."""
        return self.alerts.are_fatal

    @property
    def is_established(self) -> bool:
        """Whether both sides encrypt."""
        return all(reader.sealed for reader in self._readers) or self.application.is_mutual

    def release(self) -> None:
        """The readers and the channel hold the connection: leave no cycle behind."""
        self.attach([])

    def attach(self, readers: list[RecordReader]) -> None:
        """The readers whose sink this is. From the first byte on, where there are secrets, encrypted records are handed
        on: one side may come before the other.
        """
        self._readers = readers
        if self.channel is not None:
            self.channel.close()
        self.channel = self._store.channel(self) if readers else None
        if self.channel is not None:
            for lane in (0, 1):
                self.set_interest(lane, wants_encrypted=True, data_bytes=bounds.RECORD_BYTES)

    def event(self, lane: int, letter: bytes, size: int, mark: Mark) -> None:
        """Note a rung of the ladder."""
        was_full = self.ladder.is_full
        if not self.ladder.add(lane, letter, size, mark) and not was_full:
            self.anomaly(lane, EventsNotKept(bounds.EVENTS), mark, "", self._readers[lane].position)

    def started(self, lane: int) -> None:
        """TLS begins in a direction."""
        self.tls = True

    def preceded(self, lane: int, head: bytes) -> None:
        """Something else begins a direction; TLS may come behind it."""
        self.preamble = self.preamble or preamble_name(head)
        self.openings[lane] = head

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message in clear."""
        self.tls = True
        letter = LETTERS.get(kind)
        if letter is None or kind in SPEAKING:
            letter = self.read(lane, kind, body, mark)
        if self.channel is not None:
            self.channel.on_clear_message(lane, kind, body)
        self.event(lane, letter, len(body) + 4, mark)

    def read(self, lane: int, kind: int, body: bytes, mark: Mark) -> bytes:
        """What a message in clear says that speaks; gives its letter."""
        letter = self._read(self.handshake, lane, kind, body, mark)
        if kind in (CLIENT_HELLO, SERVER_HELLO) and letter != RETRIED:
            self._greeted[lane] = True
        return letter

    def go_on(self, client: int, handshake: HandshakeFacts, events: bytearray) -> None:
        """Go on from a handshake in clear, and events in the order of time, that were read elsewhere. ``client``: the
        lane of the client.
        """
        self.client_lane = client
        self.handshake = handshake
        self.handshakes = [handshake]
        self.ladder = EventLadder(events, event_ns(events[-EVENT_BYTES:]))
        self._greeted[client], self._greeted[1 - client] = handshake.offer is not None, handshake.answer is not None
        self._readers[1 - client].is_tls13 = handshake.is_tls13

    def beginning(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """The first bytes of a handshake message in clear whose rest is missing."""
        if LETTERS.get(kind, b"") in FLIGHT:
            self._missing[lane] |= C_BEGUN_FLIGHT
        if kind == CLIENT_HELLO and self.handshake.offer is None:
            self.client_lane = lane
            if read_beginning(self.handshake, body, mark):
                self.event(lane, CLIENT_HELLO_BYTE, len(body) + 4, mark)

    def missing(self, lane: int) -> None:
        """Bytes of a direction are missing that was in clear."""
        self._missing[lane] |= C_LOST_FLIGHT if self._greeted[lane] else C_LOST_HELLO

    def missing_bits(self, client: int) -> int:
        """What is missing of the first handshake."""
        return self._missing[client] | self._missing[1 - client] * (S_BEGUN_FLIGHT // C_BEGUN_FLIGHT)

    def _read(
        self, handshake: HandshakeFacts, lane: int, kind: int, body: bytes, mark: Mark, is_decrypted: bool = False
    ) -> bytes:
        """What a message says, into its handshake; gives its letter."""
        letter = LETTERS.get(kind, UNKNOWN)
        try:
            if kind == CLIENT_HELLO:
                self._client_hello(handshake, lane, messages.client_hello(body), mark, is_decrypted)
            elif (read := READERS.get(kind)) is not None:
                letter = read(handshake, lane == self.client_lane, body, mark, self._store) or letter
                if kind == SERVER_HELLO:
                    self._server_hello(handshake, lane, letter, mark, is_decrypted)
            elif letter == UNKNOWN:
                self._misread(lane, MessageTypeUnknown(kind), mark, "handshake.msg_type", 0, is_decrypted)
        except Malformed as problem:
            self._malformed(lane, kind, (problem.mistake, problem.offset, problem.path), mark, is_decrypted)
        return letter

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        """A ClientHello in SSLv2 framing."""
        self.tls = True
        try:
            self._client_hello(self.handshake, lane, messages.sslv2_client_hello(record), mark)
        except Malformed as problem:
            offset = self._readers[lane].position + SSLV2_HEADER + problem.offset
            self.anomaly(lane, MalformedSslv2Hello(problem.mistake), mark, problem.path, offset)
        self.event(lane, CLIENT_HELLO_BYTE, len(record), mark)

    def _client_hello(
        self,
        handshake: HandshakeFacts,
        lane: int,
        hello: messages.ClientHello,
        mark: Mark,
        is_decrypted: bool = False,
    ) -> None:
        """A ClientHello; the second one, behind a HelloRetryRequest, changes nothing."""
        if handshake.offer is not None:
            return
        read_offer(handshake, hello, mark)
        if handshake is self.handshake:
            self.client_lane = lane
        if hello.shape.problem:
            self._malformed(lane, CLIENT_HELLO, hello.shape.problem, mark, is_decrypted)

    def _server_hello(
        self, handshake: HandshakeFacts, lane: int, letter: bytes, mark: Mark, is_decrypted: bool
    ) -> None:
        """What a ServerHello means for the connection."""
        if handshake is not self.handshake or handshake.answer is None:
            return
        if handshake.offer is None:
            self.client_lane = 1 - lane
        if handshake.answer.version >= TLS13 or letter == RETRIED:
            self._readers[lane].is_tls13 = True
        if handshake.answer.problem and handshake.answer_frame == mark[1]:
            self._malformed(lane, SERVER_HELLO, handshake.answer.problem, mark, is_decrypted)

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        """A ChangeCipherSpec in clear."""
        self.tls = True
        self.event(lane, CHANGE_CIPHER_SPEC_BYTE, 1, mark)

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert in clear."""
        self.tls = True
        self.event(lane, ALERT_BYTE, code, mark)
        if not self.ladder.is_full:
            self.alerts.add(AlertNote(lane, level, code, mark))

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        """An encrypted record that is not application data."""
        self.tls = True
        if content_type == ALERT:
            self.event(lane, ENCRYPTED_ALERT_BYTE, length, mark)
            if not self.ladder.is_full:
                level, code = (-head[0], head[1]) if len(head) >= 2 else (None, None)
                self.alerts.add(AlertNote(lane, level, code, self._at_record(lane, mark)))
        elif content_type == CHANGE_CIPHER_SPEC:
            self.event(lane, ENCRYPTED_CHANGE_CIPHER_SPEC_BYTE, length, mark)
        else:
            self.event(lane, ENCRYPTED_HANDSHAKE_BYTE, length, mark)

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        """A record of type application data; in TLS 1.3 that is every encrypted record."""
        if self.application.add(lane, length, mark):
            self.tls = True
            self.event(lane, APPLICATION_DATA_BYTE, length, mark)

    def skipped(self, lane: int, lengths: Sequence[int]) -> None:
        """Some more of them, behind the first; the last three come one by one."""
        self.application.skip(lane, lengths)

    def anomaly(self, lane: int, what: Anomaly, mark: Mark, path: str, offset: int) -> None:
        """Something that does not follow the protocol. ``offset``: in the direction's stream."""
        if len(self.anomalies) < bounds.ANOMALIES:
            self.anomalies.append((lane, what, offset, path, mark[1]))

    def _malformed(
        self, lane: int, kind: int, problem: tuple[ParseMistake | str, int, str], mark: Mark, is_decrypted: bool
    ) -> None:
        """A message that cannot be read. ``problem``: mistake, offset behind the header, and path."""
        mistake, offset, path = problem
        self._misread(lane, MalformedMessage(kind, mistake), mark, path, MESSAGE_HEADER + offset, is_decrypted)

    def _misread(self, lane: int, what: Anomaly, mark: Mark, path: str, at: int, is_decrypted: bool) -> None:
        """The same as ``anomaly``, of a message. ``at``: from its header on. Of one that was decrypted the record has a
        place in the stream, and no field has.
        """
        self.anomaly(lane, what, mark, path, mark[0] if is_decrypted else self._readers[lane].offset_in_message(at))

    def _at_record(self, lane: int, mark: Mark) -> Mark:
        """A mark that says where the record begins that is being read, and not its chunk."""
        return (self._readers[lane].position, *mark[1:])

    def protected(self, lane: int, content_type: int, version: int, body: bytes | None, mark: Mark) -> None:
        """An encrypted record that may be opened; what is in it is marked by where the record begins."""
        if self.channel is not None:
            self.channel.record(lane, content_type, version, body, self._at_record(lane, mark))

    def broken(self, lane: int) -> None:
        """Bytes of a direction are missing."""
        if self.channel is not None:
            self.channel.broken(lane)

    def certificate(self, number: int) -> bytes | None:
        """The server's certificate (DER) of a handshake."""
        chain = self.handshakes[number].chain
        return self._store.certificate(chain[0]) if chain else None

    def set_interest(self, lane: int, *, wants_encrypted: bool, data_bytes: int) -> None:
        """Which encrypted records of a direction are handed on whole."""
        if self._readers:
            reader = self._readers[lane]
            reader.wants_encrypted, reader.data_bytes = wants_encrypted and reader.mode is not Mode.LOST, data_bytes

    def unsealed_message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message that was decrypted. Up to TLS 1.2 what follows a direction's Finished belongs to the next
        handshake.
        """
        number = self._rounds[lane]
        if len(self.handshakes) <= number and kind != HandshakeType.HELLO_REQUEST:
            self.handshakes.append(HandshakeFacts())
        handshake = self.handshakes[min(number, len(self.handshakes) - 1)]
        letter = self._read(handshake, lane, kind, body, mark, is_decrypted=True)
        if number:
            handshake.messages |= (CLIENT_BITS if lane == self.client_lane else SERVER_BITS).get(letter.decode(), 0)
        self.event(lane, decrypted_letter(letter), len(body) + 4, mark)
        if kind == FINISHED and not self.handshake.is_tls13:
            self._rounds[lane] += 1

    def unsealed_change(self, lane: int, mark: Mark) -> None:
        """A ChangeCipherSpec that was decrypted."""
        number = self._rounds[lane]
        if 0 < number < len(self.handshakes):
            self.handshakes[number].messages |= (CLIENT_BITS if lane == self.client_lane else SERVER_BITS)[
                Letter.CHANGE_CIPHER_SPEC
            ]
        self.event(lane, decrypted_letter(CHANGE_CIPHER_SPEC_BYTE), 1, mark)

    def unsealed_alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert that was decrypted."""
        self.event(lane, decrypted_letter(ALERT_BYTE), code, mark)
        known = AlertNote(lane, level, code, mark, True)
        if not self.alerts.open(known) and not self.ladder.is_full:
            self.alerts.add(known)

    def unsealed_data(self, lane: int, length: int, mark: Mark) -> None:
        """TLS 1.3: the first record that holds application data."""
        self.event(lane, decrypted_letter(APPLICATION_DATA_BYTE), length, mark)


def new_connection(store: Store) -> ConnectionAssembly:
    """A connection with a reader of each direction."""
    connection = ConnectionAssembly(store)
    connection.attach([RecordReader(0, connection), RecordReader(1, connection)])
    return connection
