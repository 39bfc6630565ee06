"""Targets of ``tls/``: each takes any bytes and returns, or raises what is a mistake of the program."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import structs

from inspector.errors.internal import Border
from inspector.extract.assembly import event_facts
from inspector.extract.connection import ConnectionAssembly
from inspector.facts import HandshakeFacts
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.messages import Redactor
from inspector.secrets.lanes import DecryptionClient
from inspector.tls import messages
from inspector.tls.preamble import Sentinel, find_hello, find_record, is_hello, preamble_name, proxy_v2_length
from inspector.tls.reader import Malformed
from inspector.tls.records import RecordReader
from inspector.tls.tree import alert_tree, flattened, handshake_tree, sslv2_hello_tree
from inspector.tls.x509 import der
from inspector.tls.x509.certificate import read_certificate, subject_public_key_info
from inspector.tls.x509.distinguished_names import canonical_name, read_name, readable
from inspector.tls.x509.general_names import read_alternative_names
from inspector.tls.x509.public_keys import read_public_key
from inspector.tls.x509.uris import is_uri
from inspector.tls.x509.validity import read_time
from tests import der as d
from tests.build import (
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    certificate,
    certificate_request,
    certificate_request13,
    certificates,
    client_hello as built_hello,
    extension,
    message,
    numbered,
    record,
    server_hello as built_answer,
    vector,
)
from tests.odd import NAMES

A, B = certificate("puppetdb1", ("puppetdb1.example.com",), ("10.0.0.1",)), certificate("pool", is_authority=True)
HELLOS = (
    built_hello(numbered(1), numbered(2), ems=True, ticket=b"t" * 40),
    built_hello(numbered(1), java=False, versions=(0x0304, 0x0303), psk=b"p" * 20, alpn="h2"),
    built_hello(numbered(1), name="", versions=(0x7F17, 0x0A0A), more=(extension(42), extension(51, vector(2, b"")))),
    message(1, b"\3\1" + bytes(32) + b"\0" + vector(2, b"\0\x2f") + b"\1\0"),
)
ANSWERS = (
    built_answer(numbered(3), numbered(4), ems=True, more=(extension(16, vector(2, vector(1, b"h2"))),)),
    built_answer(numbered(3), version=0x0304, psk=0),
    message(2, b"\3\3" + bytes(32) + b"\0\0\x2f\0"),
)


def _same(fast: Callable[[], object], slow: Callable[[], object]) -> None:
    """Both ways give the same value or the same error."""

    def outcome(read: Callable[[], object]) -> object:
        try:
            return read()
        except Malformed as error:
            return str(error), error.offset, error.path

    first, again = outcome(fast), outcome(fast)
    assert first == again == outcome(slow), (first, again)


def client_hello(data: bytes) -> None:
    """Looked up and read: the same. A beginning says what the whole says, as far as it goes."""
    _same(lambda: messages.client_hello(data), lambda: messages._client_hello(data))
    named = data.replace(b"\0\0\0\x19\0\x17\0\0\x14puppetdb.example.com", b"\0\0\0\6\0\4\0\0\1x", 1)
    if named != data:
        _same(lambda: messages.client_hello(named), lambda: messages._client_hello(named))
    for end in (len(data) // 2, len(data) - 1):
        try:
            cut = messages.client_hello_beginning(data[: max(end, 0)])
        except Malformed:
            continue
        assert cut.random == data[2:34]
    messages.beginning_session_id(data)


def server_hello(data: bytes) -> None:
    """Looked up and read: the same."""
    _same(lambda: messages.server_hello(data), lambda: messages._server_hello(data))


BODIES: tuple[Callable[[bytes], object], ...] = (
    messages.certificate,
    messages.certificate13,
    messages.compressed_certificate,
    messages.certificate_authorities13,
    messages.encrypted_alpn,
    messages.session_ticket,
    messages.session_ticket13,
    messages.sslv2_client_hello,
    lambda body: messages.certificate_authorities(body, 0x0303),
    lambda body: messages.certificate_authorities(body, 0x0301),
)


def handshake_messages(data: bytes) -> None:
    """The first byte says which message the others are."""
    if not data:
        return
    body = data[1:]
    try:
        BODIES[data[0] % len(BODIES)](body)
    except Malformed as error:
        assert 0 <= error.offset <= len(body), (error.offset, len(body))
        assert error.path
        assert str(error)


def tree(data: bytes) -> None:
    """Messages as a screen shows them: fields lie within the message. The first byte says how they are read."""
    if not data:
        return
    body, is_bare = data[1:], bool(data[0] & 2)
    node = (
        sslv2_hello_tree(body, is_bare=is_bare)
        if data[0] & 4
        else handshake_tree(body, is_tls13=bool(data[0] & 1), is_bare=is_bare)
    )
    flattened(node)
    if is_bare and not data[0] & 5 and body:
        assert len(Redactor(Disguise(b"key")).message(body)) == len(body)
    alert_tree(data[0], data[-1])


def x509(data: bytes) -> None:
    """Whatever the bytes: something is read, and re-made it is as long."""
    reading = read_certificate(data)
    for name in (reading.subject, reading.issuer):
        if name is not None:
            readable(name)
            canonical_name(name)
    subject_public_key_info(data)
    assert len(Remaker(Disguise(b"key")).certificate(data)) == len(data)


VALUES: tuple[Callable[[der.Value], object], ...] = (
    der.boolean,
    der.integer,
    der.small_integer,
    der.oid,
    der.bits,
    der.octets,
    read_name,
    read_time,
    read_public_key,
    der.encoded,
)


def der_values(data: bytes) -> None:
    """A value of any kind, read as any kind."""
    if not data:
        return
    try:
        value, rest = der.first(data[1:])
        assert len(rest) < len(data)
        VALUES[data[0] % len(VALUES)](value)
        der.several(value.content)
    except der.DerError as error:
        assert len(str(error)) < 500


def names(data: bytes) -> None:
    """Alternative names, and what Java takes for a URI."""
    with contextlib.suppress(ValueError):  # the caller's own word for a name that Java does not read
        read_alternative_names(data)
    assert is_uri(data) in (True, False)


class ClearStore:
    """Without secrets. Certificates are not kept."""

    has_secrets = False

    def chain(self, body: bytes, *, is_tls13: bool = False) -> tuple[bytes, ...]:
        return messages.certificate13(body) if is_tls13 else messages.certificate(body)

    def authorities(self, body: bytes, version: int) -> bytes:
        return messages.certificate_authorities(body, version)

    def certificate(self, digest: bytes) -> bytes | None:
        return None

    def channel(self, connection: DecryptionClient) -> Any:
        return None


class Turn(NamedTuple):
    """What one side sends, and how many bytes of it are lost before it."""

    lane: int
    body: bytes
    lost: int


def turns(data: bytes) -> Iterator[Turn]:
    """A dialogue: a byte that names the side and whether something is lost, two of length, and what is sent."""
    at = 0
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        yield Turn(data[at] & 1, data[at + 3 : at + 3 + size], data[at] >> 2 if data[at] & 2 else 0)
        at += 3 + size


def dialogue(*said: tuple[int, bytes]) -> bytes:
    return b"".join(bytes((lane,)) + vector(2, body) for lane, body in said)


class Told(NamedTuple):
    """What a connection gathered. ``is_odd``: something in it was not as it should be."""

    handshakes: list[HandshakeFacts]
    alerts: object
    is_odd: bool


def told(said: list[Turn], store: Any, piece: int) -> Told:
    """What a connection gathers of a dialogue that comes in pieces of so many bytes. A reader is fed what it asks for,
    as flows do it. Where a certificate ends at least, which depends on the pieces, is left out.
    """
    connection = ConnectionAssembly(store)
    readers = [RecordReader(0, connection), RecordReader(1, connection)]
    connection.attach(readers)
    ends = [0, 0]
    for lane, body, lost in said:
        reader = readers[lane]
        if lost:
            ends[lane] += lost
            if reader.want < ends[lane]:
                reader.gap(ends[lane])
        for start in range(0, len(body), piece):
            chunk = body[start : start + piece]
            begin, end = ends[lane], ends[lane] + len(chunk)
            ends[lane] = end
            if reader.want < end:
                first = max(reader.want, begin)
                reader.feed(first, chunk[first - begin :], 1, 1)
    for reader in readers:
        reader.end()
    event_facts(connection, 0)
    connection.missing_bits(0)
    handshakes = [structs.replace(h, certificate_end=0) for h in connection.handshakes]
    return Told(handshakes, connection.alerts.facts(0, connection.handshake), bool(connection.anomalies))


def records(data: bytes) -> None:
    """A dialogue in one piece and in small ones: the same handshakes and alerts. Where bytes are lost or are no
    records, the next record is looked for in each piece, so that the pieces matter.
    """
    said = list(turns(data))
    whole, pieces = (told(said, ClearStore(), size) for size in (1 << 16, 1 + len(data) % 7))
    if not any(turn.lost for turn in said) and not whole.is_odd and not pieces.is_odd:
        assert (whole.handshakes, whole.alerts) == (pieces.handshakes, pieces.alerts)


def preamble(data: bytes) -> None:
    """What stands before a hello, and whether one begins: quickly told and searched for, the same."""
    found = find_hello(data, at_start=True)
    assert not is_hello(data) or found == 0
    assert RecordReader.opens(data, at_start=True) == (found == 0)
    assert not isinstance(found, int) or 0 <= found < len(data)
    record_at = find_record(data)
    assert record_at is None or 0 <= record_at <= len(data)
    length = proxy_v2_length(data) if data else None
    assert length is None or length is Sentinel.NEED_DATA or length >= 16
    preamble_name(data)


def _bodies() -> Iterator[bytes]:
    packed = zlib.compress(certificates(A)[4:])
    for number, body in enumerate(
        (
            certificates(A, B)[4:],
            b"\0" + vector(3, vector(3, A) + vector(2, b"")),
            b"\0\1" + len(certificates(A)[4:]).to_bytes(3, "big") + vector(3, packed),
            certificate_request13(d.name((d.CN, 12, b"x")))[4:],
            vector(2, extension(16, vector(2, vector(1, b"h2")))),
            b"\0\0\1\0" + vector(2, b"t" * 32),
            bytes(8) + b"\1n" + vector(2, b"t" * 32) + b"\0\0",
            b"\1\3\1\0\6\0\0\0\x10\0\0\4\0\0\5" + b"c" * 16,
            certificate_request(d.name((d.CN, 12, b"x")))[4:],
            certificate_request(d.name((d.CN, 12, b"x")), version=0x0301)[4:],
        )
    ):
        yield bytes((number,)) + body


def _trees() -> Iterator[bytes]:
    exchange, parameters = message(16, b"\x20" + b"k" * 32), message(12, b"\3\0\x17" + vector(1, b"p" * 65))
    status, ticket = message(22, b"\1" + vector(3, b"o")), message(4, bytes(4) + vector(2, b"t"))
    request, signed = certificate_request(b"x"), message(15, b"\4\3" + vector(2, b"s"))
    for shown in (*HELLOS, *ANSWERS, certificates(A), request, DONE, exchange, parameters, status, ticket):
        yield b"\2" + shown
    for shown in (HELLOS[1], ANSWERS[1], certificate_request13(b"x"), message(24, b"\1"), signed):
        yield b"\1" + shown
    yield b"\4\1\3\1\0\6\0\0\0\x10\0\0\4\0\0\5" + b"c" * 16


def _dialogues() -> Iterator[bytes]:
    hello, answer = record(22, HELLOS[0], 0x0301), record(22, ANSWERS[0] + certificates(A) + DONE)
    yield dialogue((0, hello), (1, answer), (0, KEY_EXCHANGE + CHANGE + FINISHED), (1, CHANGE + FINISHED), (0, DATA))
    yield dialogue((0, hello), (1, answer), (0, record(21, b"\2\x2a")))
    yield dialogue((0, record(22, HELLOS[1])), (1, record(22, ANSWERS[1]) + CHANGE + DATA), (0, CHANGE + DATA))
    yield dialogue((0, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + hello), (1, record(21, b"\2\x28")))
    yield dialogue((0, b"\x80\x2b\1\3\1\0\6\0\0\0\x10\0\0\4\0\0\5" + b"c" * 16), (1, answer))
    yield dialogue((0, hello[:40]), (0, hello[40:])) + b"\x12" + vector(2, answer)
    yield dialogue((0, hello), (1, record(22, message(0, b""))), (0, record(24, b"\1\0\0")), (1, record(23, b"")))


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "client_hello": lambda: (hello[4:] for hello in HELLOS),
    "server_hello": lambda: (answer[4:] for answer in ANSWERS),
    "handshake_messages": _bodies,
    "tree": _trees,
    "x509": lambda: iter((A, B, d.certificate(NAMES), d.certificate(NAMES, version=d.tlv(0xA0, d.num(0))))),
    "der_values": lambda: iter((b"\0" + d.TRUE, b"\1" + d.num(77), b"\6" + d.common_name("x"), b"\x08" + A)),
    "names": lambda: iter(
        (
            d.seq(d.dns(d.SHARED), d.tlv(0x87, bytes(4)), d.tlv(0x86, b"http://a/b?c#d"), d.tlv(0x81, b"a@b")),
            d.seq(d.tlv(0xA4, d.common_name("x")), d.tlv(0xA0, d.oid("1.2.3") + d.tlv(0xA0, d.num(1)))),
            b"urn:x:y",
            b"http://[::1]:80/%41",
        )
    ),
    "records": _dialogues,
    "preamble": lambda: iter(
        (
            record(22, HELLOS[0]),
            b"220 ready\r\n" + record(22, HELLOS[0]),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
            DATA + FINISHED + CHANGE,
        )
    ),
}


def prepare() -> None:
    """Mistakes of the program are loud."""
    Border.is_loud = True
