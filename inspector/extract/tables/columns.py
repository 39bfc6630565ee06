"""Facts as rows: what of each people ask for, beside the packed truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec

from inspector import bounds
from inspector.facts import FRAME_BITS, FRAME_NUMBER, CaptureFacts, ConnectionFacts, Facts
from inspector.text.times import DAY_NS, day
from inspector.tls.extensions import HelloShape
from inspector.tls.registry import alert_name, cipher_name, version_name
from inspector.tracking.certificates import parse
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import Observed
from inspector.tracking.services import ip_text
from inspector.tracking.traits import Observer

Row = tuple[object, ...]
"""Values in the order of ``parquet.COLUMNS``, without the part's name that stands before them."""

MOST = (1 << 63) - 1
MOST_DAYS = 1_000
NO_DAY = "__HIVE_DEFAULT_PARTITION__"

_encode = msgspec.msgpack.Encoder().encode
_address = lru_cache(bounds.CACHE)(ip_text)


def numbers_by_day(facts: Facts) -> dict[str, list[int]]:
    """The numbers of the connections by the day of their ClientHello, days in order. Stamps may claim any day: beyond
    so many, those with the fewest connections are one without a name, as Hive calls it.
    """
    since_epoch: dict[int, list[int]] = {}
    for number, packed in enumerate(facts.connections):
        since_epoch.setdefault(Facts.hello_ns(packed) // DAY_NS, []).append(number)
    numbers: dict[str, list[int]] = {}
    for days, some in sorted(since_epoch.items()):
        numbers.setdefault(day(days * DAY_NS), []).extend(some)
    if len(numbers) > MOST_DAYS:
        by_size = sorted(numbers, key=lambda of_day: (-len(numbers[of_day]), of_day))
        others = sorted(number for of_day in by_size[MOST_DAYS:] for number in numbers.pop(of_day))
        numbers[NO_DAY] = others
    return {name: sorted(some) for name, some in sorted(numbers.items())}


def connection_rows(facts: Facts, numbers: Sequence[int], of_day: tuple[str, str]) -> Iterator[Row]:
    """Connections by their numbers. ``of_day``: their vantage point and day."""
    vantage, day_text = utf8(of_day[0]), None if of_day[1] == NO_DAY else of_day[1]
    paths = [utf8(capture.path) for capture in facts.captures]
    packed_connections = [facts.connections[number] for number in numbers]
    observer = Observer(facts, ConnectionColumns(facts, packed_connections))
    connections = zip(numbers, packed_connections, facts.unpack_all(packed_connections), strict=True)
    for at, (number, packed, connection) in enumerate(connections):
        row = _connection(number, packed, connection, observer.observed(at, number, connection), paths)
        yield vantage, day_text, *row


def _connection(
    number: int, packed: bytes, connection: ConnectionFacts, observed: Observed, paths: Sequence[str]
) -> Row:
    handshake, ours, theirs = connection.handshake, connection.from_client, connection.from_server
    offer, answer, alert = handshake.offer, handshake.answer, observed.fatal_alert
    capture = connection.first_frame >> FRAME_BITS
    has_answer = bool(handshake.hello_ns and handshake.answer_ns)
    return (
        number,
        int64(observed.hello_ns),
        int64(connection.last_ns - connection.first_ns),
        _address(connection.client.address),
        connection.client.port,
        _address(connection.server.address),
        connection.server.port,
        asked_name(offer),
        None if answer is None else version_name(answer.version),
        None if answer is None else cipher_name(answer.cipher_suite),
        observed.kind,
        observed.outcome,
        observed.stack.name,
        hexadecimal(handshake.offered_id),
        hexadecimal(handshake.answered_id),
        hexadecimal(handshake.offered_ticket),
        hexadecimal(handshake.issued_ticket),
        hexadecimal(observed.leaf),
        None if alert is None or alert.code is None else alert_name(alert.code),
        None if alert is None else "client" if alert.from_client else "server",
        observed.closed_by,
        observed.closed_how,
        int64(handshake.answer_ns - handshake.hello_ns if has_answer else None),
        connection.rtt,
        int64(ours.bytes + ours.gap),
        int64(theirs.bytes + theirs.gap),
        int64(ours.gap + theirs.gap),
        observed.lost,
        observed.one_sided,
        paths[capture] if capture < len(paths) else None,
        capture,
        connection.first_frame & FRAME_NUMBER,
        connection.last_frame & FRAME_NUMBER,
        hexadecimal(handshake.client_random),
        packed,
    )


def certificate_rows(facts: Facts) -> Iterator[Row]:
    """Each certificate; of one that cannot be read, what it is made of."""
    for digest, der in sorted(facts.certificates.items()):
        read = parse(der)
        yield (
            digest.hex(),
            utf8(read.subject),
            utf8(read.issuer),
            read.serial,
            int64(read.not_before),
            int64(read.not_after),
            [utf8(name) for name in read.identity.dns_names],
            [utf8(name) for name in read.identity.ip_addresses],
            read.key,
            read.signature,
            der,
        )


def shape_rows(facts: Facts) -> Iterator[Row]:
    """Each kind of hello."""
    for _, offer in sorted(facts.offers.items()):
        yield (
            "client",
            asked_name(offer),
            offer.ja3 or None,
            offer.ja4 or None,
            _encode(offer),
        )
    for _, answer in sorted(facts.answers.items()):
        yield "server", None, answer.ja3s or None, None, _encode(answer)


def capture_rows(captures: Sequence[CaptureFacts], vantage: str) -> Iterator[Row]:
    """Each capture, by its index."""
    for number, capture in enumerate(captures):
        yield (
            utf8(vantage),
            number,
            utf8(capture.path),
            capture.packets,
            capture.bytes,
            int64(capture.first_ns),
            int64(capture.last_ns),
            capture.drops,
            capture.truncated,
            packed_capture(capture),
        )


def packed_capture(capture: CaptureFacts) -> bytes:
    """A capture's facts, from which an analysis is made."""
    return _encode(capture)


def clock_rows(captures: Sequence[CaptureFacts]) -> Iterator[Row]:
    """What is known of the captures' clocks."""
    for number, capture in enumerate(captures):
        for clock in capture.clocks:
            yield number, clock.other, clock.ns, clock.uncertainty_ns, clock.connections


def remainder_rows(facts: Facts) -> Iterator[Row]:
    """All that stands in no other table, in one row."""
    rest = msgspec.structs.replace(
        facts, captures=[], connections=[], offers={}, answers={}, certificates={}, _latest=None
    )
    yield (_encode(rest),)


PART_ROWS: dict[str, Callable[[Facts, str], Iterator[Row]]] = {
    "certificates": lambda facts, vantage: certificate_rows(facts),
    "shapes": lambda facts, vantage: shape_rows(facts),
    "captures": lambda facts, vantage: capture_rows(facts.captures, vantage),
    "clock_offsets": lambda facts, vantage: clock_rows(facts.captures),
    "remainder": lambda facts, vantage: remainder_rows(facts),
}
"""Of all tables but that of the connections, which is parted."""


def int64(number: int | None) -> int | None:
    """A time or a sum as Arrow takes it, None where it cannot."""
    return number if number is not None and -MOST <= number <= MOST else None


def asked_name(offer: HelloShape | None) -> str | None:
    """The name that a client asked for, as it wrote it."""
    name = offer.server_name if offer is not None else None
    return None if name is None else name.decode("ascii", "backslashreplace")


def hexadecimal(digest: bytes | None) -> str | None:
    """None where there is none."""
    return digest.hex() if digest else None


def utf8(value: str) -> str:
    """A text that can be UTF-8: paths and names may hold what cannot."""
    return value.encode("utf-8", "backslashreplace").decode()
