"""All that was extracted. A connection is kept as about a kilobyte of packed bytes and unpacked when it is looked at,
so that millions fit; hello shapes, which repeat, stand beside them once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, MutableSequence
from heapq import nsmallest

import msgspec
from msgspec import Struct, field

from inspector.errors.bounds import Bound
from inspector.errors.captures import InputProblem
from inspector.errors.secrets import SecretsProblem
from inspector.facts.captures import CaptureFacts
from inspector.facts.connection import ConnectionFacts
from inspector.facts.flows import OtherFlow, PackedEndpoint
from inspector.logs.entries import LogFacts
from inspector.tls.extensions import AnswerShape, HelloShape


class Facts(Struct):
    """All that was extracted. ``connections``: packed, in a list or out of core (``spool``). ``certificates``: DER,
    ``authorities``: lists of names, by SHA-256. ``other_flows``: how many of each there were. ``logs``: what others
    wrote down at the time. ``secrets``: what was wrong with secrets, where there were any.
    """

    captures: list[CaptureFacts] = field(default_factory=list)
    connections: MutableSequence[bytes] = field(default_factory=list)
    offers: dict[bytes, HelloShape] = field(default_factory=dict)
    answers: dict[bytes, AnswerShape] = field(default_factory=dict)
    certificates: dict[bytes, bytes] = field(default_factory=dict)
    other_flows: dict[OtherFlow, int] = field(default_factory=dict)
    problems: list[InputProblem] = field(default_factory=list)
    bounded: list[Bound] = field(default_factory=list)
    logs: list[LogFacts] = field(default_factory=list)
    secrets: list[SecretsProblem] = field(default_factory=list)
    authorities: dict[bytes, bytes] = field(default_factory=dict)
    _latest: tuple[bytes, ConnectionFacts] | None = None
    """What was unpacked last; whoever looks at a connection mostly looks several times."""

    def add(self, connection: ConnectionFacts) -> None:
        """Keep a connection; it must not be changed afterwards."""
        self.connections.append(self.pack(connection))

    def pack(self, connection: ConnectionFacts) -> bytes:
        """The connection as bytes; its hello shapes go into ``offers`` and ``answers``."""
        handshake = connection.handshake
        offer, answer = handshake.offer, handshake.answer
        if offer is not None:
            self.offers[offer.key] = offer
        if answer is not None:
            self.answers[answer.key] = answer
        keys = offer.key if offer is not None else b"", answer.key if answer is not None else b""
        handshake.offer = handshake.answer = None
        packed = self.prefix(connection) + _encode((*keys, connection))
        handshake.offer, handshake.answer = offer, answer
        return packed

    @staticmethod
    def prefix(connection: ConnectionFacts) -> bytes:
        """What it begins with when it is packed."""
        handshake = connection.handshake
        return _PREFIX.pack((handshake.hello_ns or connection.first_ns) + _SHIFT, handshake.client_random[-8:])

    def unpack(self, packed: bytes) -> ConnectionFacts:
        """The reverse of ``pack``."""
        latest = self._latest
        if latest is not None and latest[0] == packed:
            return latest[1]
        offer_key, answer_key, connection = _decode(memoryview(packed)[PREFIX_BYTES:])
        connection.handshake.offer = self.offers.get(offer_key)
        connection.handshake.answer = self.answers.get(answer_key)
        self._latest = (packed, connection)
        return connection

    def unpack_all(self, packed_connections: Iterable[bytes]) -> Iterator[ConnectionFacts]:
        """Connections one after the other."""
        offer_of, answer_of = self.offers.get, self.answers.get
        for packed in packed_connections:
            offer_key, answer_key, connection = _decode(memoryview(packed)[PREFIX_BYTES:])
            handshake = connection.handshake
            handshake.offer, handshake.answer = offer_of(offer_key), answer_of(answer_key)
            yield connection

    def first(self, count: int) -> Facts:
        """A part of them: the connections whose ClientHellos came first, and what belongs to captures and to no
        connection.
        """
        return msgspec.structs.replace(self, connections=nsmallest(count, self.connections))

    @staticmethod
    def unpack_without_shapes(packed: bytes) -> tuple[bytes, bytes, ConnectionFacts]:
        """The keys of its hello shapes, empty where it has none, and the connection without the shapes."""
        return _decode(memoryview(packed)[PREFIX_BYTES:])

    @staticmethod
    def hello_ns(packed: bytes) -> int:
        """When the ClientHello of a packed connection came, its first frame where that was not captured; nanoseconds
        since the epoch.
        """
        moment: int = _PREFIX.unpack_from(packed)[0]
        return moment - _SHIFT

    @staticmethod
    def ends(packed: bytes) -> tuple[PackedEndpoint, PackedEndpoint]:
        """Client and server of a packed connection."""
        head = Facts.head(packed)
        return head.client, head.server

    @staticmethod
    def head(packed: bytes) -> ConnectionHead:
        """What a packed connection begins with."""
        _, _, head = _decode_head(memoryview(packed)[PREFIX_BYTES:])
        return head

    @staticmethod
    def shape_keys(packed: bytes) -> tuple[bytes, bytes]:
        """The keys of the hello shapes of a packed connection; empty where it has none."""
        offer, answer, _ = _decode_keys(memoryview(packed)[PREFIX_BYTES:])
        return offer, answer


_PREFIX = struct.Struct(">Q8s")
_SHIFT = 1 << 63
PREFIX_BYTES = _PREFIX.size
"""Before each packed connection stand the time of its ClientHello and the end of the client's random, so that
connections are sorted, and legs of one
found, before they are unpacked."""


class ConnectionHead(Struct, gc=False, array_like=True):
    """The first fields of ``ConnectionFacts``."""

    client: PackedEndpoint
    server: PackedEndpoint
    initial_sequence: int
    syn: bool
    first_ns: int


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(tuple[bytes, bytes, ConnectionHead]).decode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes, ConnectionFacts]).decode
_decode_keys = msgspec.msgpack.Decoder(tuple[bytes, bytes, msgspec.Raw]).decode


def absorb(whole: Facts, part: Facts) -> None:
    """Add what another extraction of the same captures found; its captures are not added."""
    whole.connections += part.connections
    whole.offers |= part.offers
    whole.answers |= part.answers
    whole.certificates |= part.certificates
    whole.authorities |= part.authorities
    for flow, count in part.other_flows.items():
        whole.other_flows[flow] = whole.other_flows.get(flow, 0) + count
    whole.problems += part.problems
    whole.bounded += part.bounded
    whole.logs += part.logs
    whole.secrets += [problem for problem in part.secrets if problem not in whole.secrets]
