"""Bytes in, values or named errors out: records, messages, extensions, fingerprints."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest

from inspector import bounds
from inspector.tls import messages
from inspector.tls.anomalies import Anomaly, BytesExpected
from inspector.tls.handshake import unexpected
from inspector.tls.preamble import NEED_DATA, NoHello, Sentinel, find_hello, find_record
from inspector.tls.reader import Malformed, Reader
from inspector.tls.records import NEVER, RecordReader
from inspector.tls.registry import HELLO_RETRY_RANDOM, cipher_name, extension_name, version_name
from inspector.tls.sink import Mark
from inspector.tls.types import EncryptionState
from tests.build import (
    CHANGE,
    DATA,
    FINISHED,
    client_hello,
    extension,
    message,
    numbered,
    record,
    server_hello,
    sni,
    vector,
)


class Sink:
    """Writes down what a reader says, as a transcript."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        self.said.append(f"message {kind} {len(body)}")

    def beginning(self, lane: int, kind: int, body: bytes, mark: Mark) -> None:
        self.said.append(f"beginning {kind} {len(body)}")

    def missing(self, lane: int) -> None:
        self.said.append("missing")

    def sslv2_hello(self, lane: int, record: bytes, mark: Mark) -> None:
        self.said.append(f"sslv2 {len(record)}")

    def change_cipher_spec(self, lane: int, mark: Mark) -> None:
        self.said.append("change")

    def alert(self, lane: int, level: int, code: int, mark: Mark) -> None:
        self.said.append(f"alert {level} {code}")

    def sealed(self, lane: int, content_type: int, length: int, mark: Mark, head: bytes = b"") -> None:
        self.said.append(f"sealed {content_type} {length}")

    def application_data(self, lane: int, length: int, mark: Mark) -> None:
        self.said.append(f"data {length}")

    def skipped(self, lane: int, lengths: Sequence[int]) -> None:
        self.said += [f"data {length}" for length in lengths]

    def anomaly(self, lane: int, what: Anomaly, mark: Mark, path: str, offset: int) -> None:
        self.said.append(f"anomaly {what.kind}")

    def protected(self, lane: int, content_type: int, version: int, body: bytes | None, mark: Mark) -> None:
        self.said.append(f"protected {content_type} {len(body) if body is not None else None}")

    def broken(self, lane: int) -> None:
        self.said.append("broken")

    def started(self, lane: int) -> None:
        self.said.append("started")

    def preceded(self, lane: int, head: bytes) -> None:
        self.said.append(f"preceded {head[:6]!r}")


HELLO = client_hello(numbered(1))
N = len(HELLO) - 4
TRANSCRIPTS: dict[str, tuple[bytes, list[str]]] = {
    "hello": (record(22, HELLO), ["started", f"message 1 {N}"]),
    "two in one record": (record(22, HELLO + message(14, b"")), ["started", f"message 1 {N}", "message 14 0"]),
    "one in three records": (
        record(22, HELLO[:3]) + record(22, HELLO[3:50]) + record(22, HELLO[50:]),
        ["started", f"message 1 {N}"],
    ),
    "empty record between": (
        record(22, HELLO) + record(22, b"") + record(22, message(14, b"")),
        ["started", f"message 1 {N}", "message 14 0"],
    ),
    "encrypted": (
        record(22, HELLO) + CHANGE + FINISHED + DATA,
        ["started", f"message 1 {N}", "change", "sealed 22 40", "data 200"],
    ),
    "renegotiation": (
        record(22, HELLO) + CHANGE + FINISHED + record(22, b"r" * 90) + record(20, b"c" * 30) + record(21, b"a" * 26),
        ["started", f"message 1 {N}", "change", "sealed 22 40", "sealed 22 90", "sealed 20 30", "sealed 21 26"],
    ),
    "alerts": (
        record(22, HELLO) + record(21, b"\1\x5a") + record(21, b"\2\x28"),
        ["started", f"message 1 {N}", "alert 1 90", "alert 2 40"],
    ),
    "alert first": (record(21, b"\2\x46"), ["started", "alert 2 70"]),
    "no record": (record(22, HELLO) + b"HTTP/1.1 400", ["started", f"message 1 {N}", "anomaly no_record", "missing"]),
    "behind PROXY": (
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + record(22, HELLO),
        ["preceded b'PROXY '", "started", f"message 1 {N}"],
    ),
    "heartbeat": (record(22, HELLO) + record(24, b"\1" + bytes(18)), ["started", f"message 1 {N}"]),
    "sslv2": (b"\x80\x2e\1\3\1\0\x15\0\0\0\x10" + b"\0\0\4" * 7 + b"c" * 16, ["started", "sslv2 46"]),
}


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcripts(name: str, size: int) -> None:
    data, expected = TRANSCRIPTS[name]
    sink = Sink()
    reader = RecordReader(0, sink)
    for at in range(0, len(data), size):
        end = min(at + size, len(data))
        while reader.want < end:
            reader.feed(max(reader.want, at), data[max(reader.want, at) : end], 1, at)
    assert sink.said == expected


def test_most_bytes_are_never_wanted() -> None:
    reader = RecordReader(0, Sink())
    data = record(22, HELLO) + CHANGE + FINISHED + b"\x17\x03\x03\x40\x00"
    reader.feed(0, data, 1, 0)
    assert reader.want == len(data) + 0x4000


def test_not_tls_is_given_up() -> None:
    reader = RecordReader(0, Sink())
    at = 0
    while reader.want < NEVER and at < 1 << 20:
        reader.feed(at, b"GET / HTTP/1.1\r\n" * 64, 1, 0)
        at += 1024
    assert reader.want == NEVER


def test_behind_a_gap_the_next_record_is_found() -> None:
    sink = Sink()
    reader = RecordReader(0, sink)
    reader.feed(0, record(22, HELLO)[:100], 1, 0)
    reader.gap(5000)
    reader.feed(5000, CHANGE + FINISHED + DATA, 1, 0)
    assert sink.said[-2:] == ["sealed 22 40", "data 200"] or sink.said[-3:] == ["change", "sealed 22 40", "data 200"]
    assert reader.sealed == EncryptionState.ENCRYPTED


def test_a_message_that_breaks_off_in_its_second_record() -> None:
    """The capture lacks its rest: what is held is its beginning."""
    sink = Sink()
    reader = RecordReader(0, sink)
    data = record(22, HELLO[:50]) + record(22, HELLO[50:])
    reader.feed(0, data[: 5 + 50 + 5 + 20], 1, 0)
    reader.end()
    assert sink.said[-1] == f"beginning 1 {50 + 20 - 4}"
    reader.gap(1)  # lies behind what is known
    assert reader.want > 1


def test_records_without_a_byte_leave_no_trace_in_a_message() -> None:
    """They would be kept without end: what bounds a message is its bytes. Places behind them stay right."""
    reader = RecordReader(0, Sink())
    begun, empty = record(22, HELLO[:50]), record(22, b"") * 1000
    reader.feed(0, begun, 1, 0)
    tracemalloc.start()
    for number in range(100):
        reader.feed(len(begun) + number * len(empty), empty, 1, 0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10_000
    places: list[int] = []
    reader._sink.message = lambda *_: places.extend(map(reader.offset_in_message, (49, 50)))  # type: ignore[method-assign]
    reader.feed(reader.want, record(22, HELLO[50:]), 1, 0)
    assert places == [5 + 49, len(begun) + 100 * len(empty) + 5]


def opening(data_bytes: int) -> tuple[RecordReader, Sink]:
    """A direction behind its hello, whose encrypted records somebody opens: whole up to ``data_bytes``."""
    sink = Sink()
    reader = RecordReader(0, sink)
    reader.feed(0, record(22, HELLO), 1, 0)
    reader.wants_encrypted, reader.data_bytes = True, data_bytes
    sink.said.clear()
    return reader, sink


@pytest.mark.parametrize(
    ("held", "missing", "said"),
    [
        (5, 100, ["data 200", "protected 23 None"]),
        (50, 155, ["data 200", "protected 23 None"]),
        (50, 156, ["broken"]),
        (4, 201, ["missing", "broken"]),
    ],
)
def test_bytes_that_are_missing_in_a_record_of_data_lose_no_other(held: int, missing: int, said: list[str]) -> None:
    """Where its header is there: the number of the record behind it is known."""
    reader, sink = opening(data_bytes=1 << 14)
    begins = reader.want
    reader.feed(begins, DATA[:held], 1, 0)
    reader.gap(begins + held + missing)
    assert sink.said == said
    assert reader.wants_encrypted == ("broken" not in said)
    if reader.wants_encrypted:
        assert reader.want == begins + len(DATA)
        reader.feed(reader.want, DATA, 1, 0)
        assert sink.said[2:] == ["data 200", "protected 23 200"]


def test_bytes_that_are_missing_in_another_encrypted_record_lose_what_follows() -> None:
    reader, sink = opening(data_bytes=0)
    reader.feed(reader.want, CHANGE + FINISHED[:20], 1, 0)
    reader.gap(reader.want + 10)
    assert sink.said == ["change", "broken"]
    assert not reader.wants_encrypted


def test_what_is_over_stays_over() -> None:
    """A direction that was given up takes no byte; what begins in the middle, or anew, does so once."""
    sink = Sink()
    reader = RecordReader(0, sink)
    reader.wake(5)
    assert reader.want == 0
    reader.begin_midstream()
    assert sink.said == ["missing"]
    reader.begin_midstream()
    assert sink.said == ["missing"]
    reader.feed(0, record(22, HELLO), 1, 0)
    reader.begin_midstream()
    reader.wake(5)
    assert sink.said == ["missing", f"message 1 {N}"]
    over = RecordReader(0, Sink())
    over._give_up()
    over.feed(NEVER, record(22, HELLO), 1, 0)
    assert not over.has_begun


def test_records_behind_a_gap_are_looked_at_until_they_are_sure() -> None:
    short = record(23, b"xy")
    for count, expected in ((1, 0), (64, 0), (200, 0)):
        assert find_record(short * count) == expected
        assert find_record(short * count + b"no record") == (0 if count >= 64 else None)
    assert find_record(b"") == 0
    assert find_record(record(23, b"")) is None


def test_behind_a_gap_no_record_is_looked_for_without_end() -> None:
    sink = Sink()
    reader = RecordReader(0, sink)
    reader.feed(0, record(22, HELLO)[:100], 1, 0)
    reader.gap(5000)
    at = 5000
    while reader.want < NEVER and at < 2 * bounds.RESYNC_BYTES:
        reader.feed(at, b"no record " * 1000, 1, 0)
        at += 10_000
    assert reader.want == NEVER
    assert at >= bounds.RESYNC_BYTES


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x16", NEED_DATA),
        (b"\x16\x03\x01\x02\x00", NEED_DATA),
        (b"\x17\x03\x03", NoHello(0)),
        (b"", NoHello(0)),
        (b"SSH-2.0", NoHello(0)),
    ],
)
def test_find_hello_at_the_start(data: bytes, expected: NoHello | Sentinel) -> None:
    assert find_hello(data, at_start=True) == expected


def test_client_hello() -> None:
    hello = messages.client_hello(
        client_hello(numbered(1), numbered(2), ems=True, ticket=b"t" * 20, versions=(0x0304,))[4:]
    )
    assert hello.random == numbered(1)
    assert hello.session_id == numbered(2)
    assert hello.ticket == b"t" * 20
    assert hello.shape.server_name == b"puppetdb.example.com"
    assert hello.shape.extended_master_secret
    assert hello.shape.secure_renegotiation
    assert hello.shape.problem is None
    assert messages.client_hello(
        client_hello(numbered(3), numbered(2), ems=True, ticket=b"t" * 20, versions=(0x0304,))[4:]
    ).random == numbered(3)


def test_server_hello() -> None:
    hello = messages.server_hello(server_hello(numbered(1), numbered(2), ems=True)[4:])
    assert (hello.shape.version, hello.shape.extended_master_secret, hello.is_retry) == (0x0303, True, False)
    assert messages.server_hello(server_hello(numbered(1), version=0x0304)[4:]).shape.version == 0x0304
    assert messages.server_hello(server_hello(HELLO_RETRY_RANDOM, version=0x0304)[4:]).is_retry


def body(*extensions: bytes, suites: bytes = b"\x13\x01") -> bytes:
    return b"\x03\x03" + numbered(1) + b"\0" + vector(2, suites) + b"\1\0" + vector(2, b"".join(extensions))


def test_unknown_extensions_stay_in_wire_order() -> None:
    shape = messages.client_hello(body(extension(0xABCD, b"x"), sni("a.b"), extension(0x1234))).shape
    assert shape.extensions == (0xABCD, 0, 0x1234)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"\x03\x03" + bytes(10), "client_hello.random"),
        (b"\x03\x03" + bytes(32) + b"\xff", "client_hello.session_id"),
        (b"\x03\x03" + bytes(32) + b"\0\0\3\x13\x01\x13", "client_hello.cipher_suites"),
    ],
)
def test_malformed_hellos_are_named(data: bytes, path: str) -> None:
    with pytest.raises(Malformed) as caught:
        messages.client_hello(data)
    assert caught.value.path.startswith(path)


def test_a_malformed_extension_costs_only_itself() -> None:
    shape = messages.client_hello(body(extension(10, b"\0\3\0\x17"), sni("a.b"))).shape
    assert shape.server_name == b"a.b"
    assert shape.problem is not None
    mistake, offset, path = shape.problem
    assert path == "client_hello.extensions.supported_groups.named_group_list"
    assert offset > 40
    assert mistake == BytesExpected(3, 2)


def test_reader_knows_absolute_offsets() -> None:
    reader = Reader(b"\0\4\0\1\xff", "outer")
    assert reader.u16("first") == 4
    with pytest.raises(Malformed) as caught:
        reader.vector(2, "inner").u16("second")
    assert (caught.value.offset, caught.value.path) == (4, "outer.inner.second")


def test_ja3_of_its_authors_readme() -> None:
    """769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0 in the README of salesforce/ja3."""
    suites = b"".join(c.to_bytes(2, "big") for c in (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4))
    hello = body(
        sni("x"), extension(10, vector(2, b"\0\x17\0\x18\0\x19")), extension(11, vector(1, b"\0")), suites=suites
    )
    assert messages.client_hello(b"\x03\x01" + hello[2:]).shape.ja3 == "ada70206e40642a3e4461f35503241d5"


def test_ja4_shape() -> None:
    """Grease is left out, the count is of what is left; ALPN's first and last character; no SNI is ``i``."""
    alpn = extension(16, vector(2, vector(1, b"h2")))
    grease = extension(0x1A1A)
    shape = messages.client_hello(
        body(grease, alpn, extension(43, vector(1, b"\x2a\x2a\x03\x04")), suites=b"\x0a\x0a\x13\x01\x13\x02")
    ).shape
    assert shape.ja4.split("_")[0] == "t13i0202h2"
    assert messages.client_hello(body(sni("x"))).shape.ja4.startswith("t12d010100_")


def test_names_from_the_registries() -> None:
    assert cipher_name(0xC02F) == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert cipher_name(0xBEEF) == "0xBEEF"
    assert cipher_name(0x1A1A) == "GREASE"
    assert extension_name(23) == "extended_master_secret"
    assert extension_name(60_000) == "extension_60000"
    assert [version_name(v) for v in (0x0300, 0x0303, 0x0304, 0x7F1C, 0x0999)] == [
        "SSLv3",
        "TLSv1.2",
        "TLSv1.3",
        "TLSv1.3",
        None,
    ]


@pytest.mark.parametrize(
    ("letters", "sides", "count"),
    [
        (b"CSXKNGIfIf", bytes([1, 0, 0, 0, 0, 1, 1, 1, 0, 0]), 0),
        (b"CSIfIf", bytes([1, 0, 0, 0, 1, 1]), 0),
        (b"CSNXGIf", bytes([1, 0, 0, 0, 1, 1, 1]), 1),
        (b"GIf", bytes([1, 1, 1]), 0),
        (b"CGSXN", bytes([1, 1, 0, 0, 0]), 0),
        (b"CSS", bytes([1, 0, 0]), 1),
    ],
)
def test_order_of_messages(letters: bytes, sides: bytes, count: int) -> None:
    assert len(unexpected(letters, sides)) == count
