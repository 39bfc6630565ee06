"""The values of a journal, which may be damaged or made up: each is what the program itself could have written, or an
error that is named.

Beyond their types that means: times and numbers that can be reckoned with, addresses of 4 or 16 bytes, digests of 32,
frames of a capture that is there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec

from inspector.bounds import MESSAGE_BYTES
from inspector.extract.bounded_types import Bounds, bounded_decoder
from inspector.extract.journal.database import DamagedError
from inspector.facts import (
    EVENT_BYTES,
    FRAME_BITS,
    PREFIX_BYTES,
    SIDE_AT,
    CaptureFacts,
    ConnectionFacts,
    Facts,
    HandshakeFacts,
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
        bounded_decoder(PackedConnection, BOUNDS).decode(memoryview(packed)[PREFIX_BYTES:])
        stored = facts.unpack(packed)
        _check(stored, runs)
        if Facts.prefix(stored) != packed[:PREFIX_BYTES]:
            raise ValueError("it is of another time than it says")
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, struct.error) as error:
        raise DamagedError(f"damaged: connection {name[:40]!r} cannot be read: {error}") from None
    return packed


def _check(stored: ConnectionFacts, runs: int) -> None:
    """Raises ValueError where it cannot be a connection of one of so many runs."""
    if len(stored.client.address) != len(stored.server.address):
        raise ValueError("its addresses are of two kinds")
    for end in (stored.client, stored.server):
        if len(end.address) not in (4, 16) or not 0 <= end.port <= 0xFFFF:
            raise ValueError("an address is none")
    if not 0 <= stored.initial_sequence < 1 << 32:
        raise ValueError("its sequence number is none")
    _check_events(stored.events, runs)
    frames = [
        stored.first_frame,
        stored.last_frame,
        *(a.frame for a in stored.alerts),
        *(frame for a in stored.anomalies for frame in (a.frame, a.other_frame)),
    ]
    frames += [
        close.frame
        for lane in (stored.from_client, stored.from_server)
        for close in (lane.fin, lane.rst)
        if close is not None
    ]
    frames += [
        frame
        for lane in (stored.from_client, stored.from_server)
        if lane.tail is not None
        for frame in (lane.tail.frame, lane.tail.previous_frame)
    ]
    frames += [frame for span in (*stored.spread, *stored.sightings) for frame in span]
    for handshake in stored.handshakes:
        frames += [
            handshake.hello_frame,
            handshake.answer_frame,
            handshake.certificate_frame,
            handshake.key_exchange_frame,
        ]
        _check_handshake(handshake)
    if min(frames) < 0 or max(frames) >> FRAME_BITS >= max(runs, 1):
        raise ValueError("it is of a capture that is not there")
    if any(
        number is not None and not 0 <= number <= 0xFF
        for alert in stored.alerts
        for number in (alert.level, alert.code)
    ):
        raise ValueError("an alert is none")


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
    digests = (*handshake.chain, *handshake.client_chain, *handshake.offered_psks, *handshake.issued_tickets)
    digests += tuple(d for d in (handshake.offered_ticket, handshake.issued_ticket, handshake.authorities) if d)
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise ValueError("a digest is none")
    if any(len(random) not in (0, RANDOM_BYTES) for random in (handshake.client_random, handshake.server_random)):
        raise ValueError("a random is none")
