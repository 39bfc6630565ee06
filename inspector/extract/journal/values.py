"""The values of a journal, which may be damaged or made up: each is what the program itself could have written, or an
error that is named.

Beyond their types that means: times and numbers that can be reckoned with, addresses of 4 or 16 bytes, digests of 32,
frames of a capture that is there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

from inspector.bounds import MESSAGE_BYTES
from inspector.extract.bounded_types import Bounds, bounded, bounded_decoder
from inspector.extract.journal.database import DamagedError
from inspector.facts import (
    EVENT_BYTES,
    FRAME_BITS,
    PREFIX_BYTES,
    SIDE_AT,
    AlertFact,
    AnomalyFact,
    CaptureFacts,
    Close,
    ConnectionFacts,
    Facts,
    HandshakeFacts,
    PackedEndpoint,
    Tail,
    unpack_events,
)
from inspector.tls.extensions import AnswerShape, HelloShape

MOST = 1 << 62
"""No number is larger, nor smaller than its negative: twice as much still fits 64 bits."""

BOUNDS = Bounds(MOST, MESSAGE_BYTES, 65_536)
REMAINDER_BOUNDS = Bounds(MOST, MESSAGE_BYTES, 1 << 24)
"""Logs have many lines."""

MOST_CAPTURES = 100_000
DIGEST_BYTES, RANDOM_BYTES = 32, 32

FRAMES: dict[type, tuple[str, ...]] = {
    ConnectionFacts: ("first_frame", "last_frame"),
    HandshakeFacts: ("hello_frame", "answer_frame", "certificate_frame", "key_exchange_frame"),
    AlertFact: ("frame",),
    AnomalyFact: ("frame", "other_frame"),
    Close: ("frame",),
    Tail: ("frame", "previous_frame"),
}
"""Fields that are references of frames."""

T = TypeVar("T")
PackedConnection = tuple[bytes, bytes, ConnectionFacts]
"""What stands behind the prefix: the keys of its hellos' shapes before it."""


def _decoded(value: object, kind: type[T], bounds: Bounds = BOUNDS) -> T:
    if not isinstance(value, bytes):
        raise DamagedError("a number or a text stands where bytes should")
    try:
        bounded_decoder(cast(Any, kind), bounds).decode(value)
        decoded = msgspec.msgpack.decode(value, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedError(str(error)) from None
    return decoded


def captures(values: Iterable[object]) -> list[CaptureFacts]:
    """What was captured by each run. Raises DamagedError."""
    listed = []
    for value in values:
        try:
            capture = _decoded(value, CaptureFacts)
        except DamagedError as error:
            raise DamagedError(f"damaged: what it says of a run's capture cannot be read: {error}") from None
        listed.append(capture)
        if len(listed) > MOST_CAPTURES:
            raise DamagedError(f"damaged: more than {MOST_CAPTURES} runs")
    return listed


def shape(key: object, is_offer: object, value: object, facts: Facts) -> None:
    """A hello's shape, into the facts. Raises DamagedError."""
    try:
        shape_of: HelloShape | AnswerShape
        if is_offer == 1:
            shape_of = facts.offers[_key(key)] = _decoded(value, HelloShape)
        else:
            shape_of = facts.answers[_key(key)] = _decoded(value, AnswerShape)
    except DamagedError as error:
        raise DamagedError(f"damaged: the shape of a hello cannot be read: {error}") from None
    if shape_of.key != key:
        raise DamagedError("damaged: the shape of a hello stands under the name of another")
    numbers = (
        shape_of.legacy_version,
        *shape_of.extensions,
        *(
            (shape_of.version, shape_of.cipher_suite)
            if isinstance(shape_of, AnswerShape)
            else (*shape_of.cipher_suites, *shape_of.versions)
        ),
    )
    if not all(0 <= number <= 0xFFFF for number in numbers):
        raise DamagedError("damaged: the shape of a hello holds numbers that no hello can")


def named_shape(is_offer: bool, value: object, facts: Facts) -> None:
    """A hello's shape, into the facts by its own name. Raises DamagedError."""
    try:
        decoded: HelloShape | AnswerShape = _decoded(value, HelloShape) if is_offer else _decoded(value, AnswerShape)
    except DamagedError as error:
        raise DamagedError(f"damaged: the shape of a hello cannot be read: {error}") from None
    shape(decoded.key, int(is_offer), value, facts)


def _key(key: object) -> bytes:
    if not isinstance(key, bytes):
        raise DamagedError("its name is no bytes")
    return key


def certificate(digest: object, der: object) -> tuple[bytes, bytes]:
    """A certificate and its digest, which fit. Raises DamagedError."""
    if not isinstance(digest, bytes) or not isinstance(der, bytes) or hashlib.sha256(der).digest() != digest:
        raise DamagedError("damaged: a certificate is not the one that its digest names")
    return digest, der


def authorities(digest: object, names: object) -> tuple[bytes, bytes]:
    """A list of authorities and its digest, which fit. Raises DamagedError."""
    if not isinstance(digest, bytes) or not isinstance(names, bytes) or hashlib.sha256(names).digest() != digest:
        raise DamagedError("damaged: a list of authorities is not the one that its digest names")
    return digest, names


def remainder(value: object) -> Facts:
    """Facts without what stands in tables of its own. Raises DamagedError."""
    facts = _decoded(value, Facts, REMAINDER_BOUNDS)
    if facts.captures or facts.connections or facts.offers or facts.answers or facts.certificates:
        raise DamagedError("damaged: the remainder holds what stands in other tables")
    for digest, names in facts.authorities.items():
        authorities(digest, names)
    for flow in facts.other_flows:
        if len(flow.server.address) not in (4, 16) or len(flow.client) not in (0, 4, 16):
            raise DamagedError("damaged: an address is none")
    return facts


def shape_keys(packed: object) -> tuple[bytes, bytes]:
    """The keys of the shapes of a packed connection, as ``Facts.shape_keys``. Raises DamagedError."""
    try:
        return Facts.shape_keys(packed if isinstance(packed, bytes) else b"")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedError(f"damaged: a connection cannot be read: {error}") from None


def connection(name: object, packed: object, facts: Facts, runs: int) -> bytes:
    """A packed connection whose shapes ``facts`` holds. ``runs``: how many captures there are for its frames to be of.
    Raises DamagedError.
    """
    if not isinstance(name, str) or not isinstance(packed, bytes):
        raise DamagedError("damaged: a connection is not written as bytes")
    try:
        _, _, stored = _connections_of(max(runs, 1)).decode(memoryview(packed)[PREFIX_BYTES:])
        _check(stored, runs)
        if Facts.prefix(stored) != packed[:PREFIX_BYTES]:
            raise ValueError("it is of another time than it says")
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, struct.error) as error:
        raise DamagedError(f"damaged: connection {name[:40]!r} cannot be read: {error}") from None
    return packed


@lru_cache(maxsize=16)
def _connections_of(runs: int) -> msgspec.msgpack.Decoder[PackedConnection]:
    """Decodes connections whose frames are of one of so many captures. What it makes has the fields of
    ``ConnectionFacts``, of types within bounds.
    """
    frame = Annotated[int, Meta(ge=0, lt=runs << FRAME_BITS)]
    ranges = Annotated[tuple[tuple[frame, frame], ...], Meta(max_length=BOUNDS.items)]
    digests = Annotated[
        tuple[Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)], ...],
        Meta(max_length=BOUNDS.items),
    ]
    number_of_alert = Annotated[int, Meta(ge=0, le=0xFF)] | None
    fields: dict[tuple[type, str], Any] = {
        (PackedEndpoint, "port"): Annotated[int, Meta(ge=0, le=0xFFFF)],
        (ConnectionFacts, "initial_sequence"): Annotated[int, Meta(ge=0, lt=1 << 32)],
        (AlertFact, "level"): number_of_alert,
        (AlertFact, "code"): number_of_alert,
    }
    fields |= {(kind, name): frame for kind, names in FRAMES.items() for name in names}
    fields |= {(ConnectionFacts, name): ranges for name in ("spread", "sightings")}
    fields |= {(HandshakeFacts, name): digests for name in ("chain", "client_chain", "offered_psks", "issued_tickets")}
    return msgspec.msgpack.Decoder(bounded(PackedConnection, BOUNDS, fields))


def _check(stored: ConnectionFacts, runs: int) -> None:
    """What no type says. Raises ValueError where it cannot be a connection of one of so many runs."""
    client, server = stored.client.address, stored.server.address
    if len(client) != len(server):
        raise ValueError("its addresses are of two kinds")
    if len(client) not in (4, 16):
        raise ValueError("an address is none")
    _check_events(stored.events, runs)
    _check_handshake(stored.handshake)
    for handshake in stored.renegotiations:
        _check_handshake(handshake)


def _check_events(events: bytes, runs: int) -> None:
    """Times and captures of all messages by the bytes in which they would show, since there are many."""
    if not events:
        return
    if max(events[SIDE_AT::EVENT_BYTES], default=0) > 1:
        raise ValueError("a message is of neither side")
    is_early = len(events) % EVENT_BYTES == 0 and max(events[7::EVENT_BYTES]) < MOST >> 56
    if (
        is_early
        and not any(events[14::EVENT_BYTES])
        and not any(events[15::EVENT_BYTES])
        and max(events[13::EVENT_BYTES]) < max(runs, 1)
    ):
        return
    if any(
        not -MOST <= event.ns <= MOST or event.frame >> FRAME_BITS >= max(runs, 1) for event in unpack_events(events)
    ):
        raise ValueError("a message is of no time or no capture that there is")


def _check_handshake(handshake: HandshakeFacts) -> None:
    for digest in (handshake.offered_ticket, handshake.issued_ticket, handshake.authorities):
        if digest and len(digest) != DIGEST_BYTES:
            raise ValueError("a digest is none")
    for random in (handshake.client_random, handshake.server_random):
        if random and len(random) != RANDOM_BYTES:
            raise ValueError("a random is none")
