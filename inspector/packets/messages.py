"""The messages of one connection with their bytes, read again from the captures, and opened again where there are
secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from inspector.extract.connection import ConnectionAssembly
from inspector.extract.engine import Engine
from inspector.extract.shard import supplied
from inspector.facts import FRAME_BITS, ConnectionFacts
from inspector.packets.reread import end_number, flow_of, frames_of, story_again
from inspector.tls.history import Letter
from inspector.tls.messages import with_header
from inspector.tls.records import RecordReader
from inspector.tls.sink import Mark
from inspector.tls.tree import alert_tree, handshake_tree, sslv2_hello_tree
from inspector.tls.tree_nodes import Node
from inspector.tls.types import ContentType
from inspector.wire.segments import SYN, SegmentDecoder
from inspector.wire.streams import Stream

if TYPE_CHECKING:
    from inspector.secrets.inputs import SecretInputs

CHANGE = Node("ChangeCipherSpec", "1 byte", 0, 1, (Node("type", "change_cipher_spec (1)", 0, 1),))
ENCRYPTED: dict[int, tuple[str, Letter]] = {
    ContentType.CHANGE_CIPHER_SPEC: ("ChangeCipherSpec", Letter.ENCRYPTED_CHANGE_CIPHER_SPEC),
    ContentType.ALERT: ("Alert", Letter.ENCRYPTED_ALERT),
    ContentType.HANDSHAKE: ("Handshake", Letter.ENCRYPTED_HANDSHAKE),
    ContentType.HEARTBEAT: ("Heartbeat", Letter.APPLICATION_DATA),
}
"""What encrypted records of each type are called, and where on the ladder they stand."""
MESSAGE = "message"
"""In place of a handshake message's letter: its first byte says what it is."""


class RawMessage(NamedTuple):
    """A message with its bytes. ``frame``: reference. ``data``: empty where it was encrypted. ``letter``: as in
    ``facts.Event``, or ``MESSAGE``.
    """

    letter: str
    from_client: bool
    frame: int
    ns: int
    data: bytes
    tree: Node
    decrypted: bool = False


def raw_messages(
    paths: Sequence[str],
    connection: ConnectionFacts,
    is_stopped: Callable[[], bool] = lambda: False,
    secret_inputs: SecretInputs | None = None,
    late: Mapping[int, int] | None = None,
) -> list[RawMessage]:
    """The messages of a connection with their bytes, in the order of the wire. ``late``: as in ``Story``. Raises
    UnreadableError.
    """
    story = story_again(paths, late)
    engine = Engine()
    assembly: _MessageAssembly | None = None
    streams: tuple[Stream, ...] = ()
    decoder = SegmentDecoder()
    client = end_number(decoder, connection.client)
    supply = supplied(story, secret_inputs)
    for batch, segments in frames_of(story.batches(), [flow_of(connection)], is_stopped, decoder):
        supply = supplied(story, secret_inputs, supply)
        engine.secrets = supply.channels if supply else None
        if assembly is None:  # not before the capture's own secrets are known
            assembly = _MessageAssembly(engine)
            streams = (Stream(assembly.readers[0]), Stream(assembly.readers[1]))
        base = batch.capture << FRAME_BITS
        for row in range(len(segments)):
            stream, seq = streams[int(segments.source[row]) != client], int(segments.seq[row])
            if int(segments.flags[row]) & SYN:
                stream.anchor(seq + 1 & 0xFFFFFFFF)
                seq += 1
            length = int(segments.length[row])
            if length:
                start = int(segments.start[row])
                payload = segments.data[start : start + int(segments.captured[row])].tobytes()
                stream.insert(
                    stream.offset(seq & 0xFFFFFFFF),
                    payload,
                    length,
                    base | int(segments.number[row]),
                    int(segments.time_ns[row]),
                )
    for stream in streams:
        stream.finish()
    if assembly is None:
        return []
    if assembly.channel is not None:
        assembly.channel.outcome()
    return sorted(assembly.messages, key=lambda m: (m.ns, m.frame))


class _MessageAssembly(ConnectionAssembly):
    """Keeps every message, with what a connection does with it. Lane 0 is the client's."""

    __slots__ = ("messages", "readers")

    def __init__(self, store: Engine) -> None:
        super().__init__(store)
        self.client_lane = 0
        self.readers = [RecordReader(0, self), RecordReader(1, self)]
        self.attach(self.readers)
        self.messages: list[RawMessage] = []

    def _add(self, letter: str, lane: int, mark: Mark, data: bytes, tree: Node, *, decrypted: bool = False) -> None:
        self.messages.append(
            RawMessage(
                letter=letter,
                from_client=lane == 0,
                frame=mark[1],
                ns=mark[2],
                data=data,
                tree=tree,
                decrypted=decrypted,
            )
        )

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message in clear."""
        super().message(lane, kind, body, mark)
        data = with_header(kind, body)
        self._add(MESSAGE, lane, mark, data, handshake_tree(data, is_tls13=self.handshake.is_tls13))
        if self.handshake.is_tls13:
            for reader in self.readers:
                reader.is_tls13 = True

    def unsealed_message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        """A handshake message that was decrypted."""
        super().unsealed_message(lane, kind, body, mark)
        data = with_header(kind, body)
        self._add(MESSAGE, lane, mark, data, handshake_tree(data, is_tls13=self.handshake.is_tls13), decrypted=True)

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        """A CLIENT-HELLO in SSLv2 framing."""
        super().sslv2_hello(lane, record, mark)
        self._add(MESSAGE, lane, mark, record, sslv2_hello_tree(record))

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        """From here on the direction is encrypted."""
        super().change_cipher_spec(lane, mark)
        self._add(Letter.CHANGE_CIPHER_SPEC, lane, mark, b"\x01", CHANGE)

    def unsealed_change(self, lane: int, mark: Mark) -> None:
        """From here on the direction is encrypted with other keys."""
        super().unsealed_change(lane, mark)
        self._add(Letter.CHANGE_CIPHER_SPEC, lane, mark, b"\x01", CHANGE, decrypted=True)

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert in clear."""
        super().alert(lane, level, code, mark)
        self._add(Letter.ALERT, lane, mark, bytes((level & 255, code & 255)), alert_tree(level, code))

    def unsealed_alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        """An alert that was decrypted."""
        super().unsealed_alert(lane, level, code, mark)
        self._add(Letter.ALERT, lane, mark, bytes((level & 255, code & 255)), alert_tree(level, code), decrypted=True)

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        """An encrypted record: only its header says something."""
        super().sealed(lane, content_type, length, mark, head)
        name, letter = ENCRYPTED.get(content_type, (f"record type {content_type}", Letter.APPLICATION_DATA))
        children = (
            Node("content type", f"{name} ({content_type})", 0, 0),
            Node("length", f"{length:,} bytes, encrypted", 0, 0),
        )
        self._add(letter, lane, mark, b"", Node(f"{name} (encrypted)", f"{length:,} bytes", 0, 0, children))

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        """Only the first of each direction is kept, as on the ladder."""
        super().application_data(lane, length, mark)
        if not any(m.letter == Letter.APPLICATION_DATA and m.from_client == (lane == 0) for m in self.messages):
            self._add(
                Letter.APPLICATION_DATA,
                lane,
                mark,
                b"",
                Node("application data (encrypted)", f"{length:,} bytes in its first record", 0, 0),
            )
