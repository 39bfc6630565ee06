"""Twenty thousand mutated handshakes and captures: each ends in a value or a named error, and none takes more work than
a bound.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector.capture.files import Story
from inspector.errors import InspectorError
from inspector.extract.assembly import event_facts
from inspector.extract.connection import ConnectionAssembly
from inspector.extract.shard import extract_shard, joined
from inspector.findings.judge import judge
from inspector.reports.json_stream import write_json
from inspector.secrets.lanes import DecryptionClient
from inspector.tls import messages
from inspector.tls.reader import Malformed
from inspector.tls.records import RecordReader
from inspector.tracking.certificates import parse
from tests.build import (
    CHANGE,
    DATA,
    FINISHED,
    Pool,
    capture,
    certificate,
    certificates,
    client_hello,
    numbered,
    record,
    server_hello,
)
from tests.conftest import find
from tests.work import Work

MESSAGE_CALLS = 2_000
CAPTURE_CALLS = 200_000
MESSAGES = 12_000
CAPTURES = 8_000
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))


def mutated(data: bytes, dice: random.Random) -> bytes:
    """One to four changes: a byte, a cut, a repetition, an insertion, a length that lies."""
    out = bytearray(data)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(6):
            case 0 if at < len(out):
                out[at] = dice.randrange(256)
            case 1:
                del out[at : at + dice.choice((1, 2, 16, 300))]
            case 2:
                out[at:at] = out[at : at + dice.choice((1, 5, 64))]
            case 3:
                out[at:at] = dice.randbytes(dice.choice((1, 4, 40)))
            case 4 if at + 2 <= len(out):
                out[at : at + 2] = dice.choice((b"\0\0", b"\xff\xff", b"\x40\x00", b"\x7f\xff"))
            case _:
                out = out[: max(at, 1)]
        if not out:
            out = bytearray(b"\x16")
    return bytes(out)


BODIES: list[tuple[Callable[[bytes], object], bytes]] = [
    (
        messages.client_hello,
        client_hello(numbered(1), numbered(2), ems=True, ticket=b"t" * 90, versions=(0x0304, 0x0303), psk=b"p" * 40)[
            4:
        ],
    ),
    (messages.server_hello, server_hello(numbered(3), numbered(4), ems=True, version=0x0304, psk=0)[4:]),
    (messages.certificate, certificates(A, B)[4:]),
    (messages.session_ticket, b"\0\0\1\0\0\x40" + b"t" * 64),
    (lambda body: messages.certificate_authorities(body, 0x0303), b"\2\1\x40\0\4\4\3\4\1\0\6\0\4abcd"),
    (messages.sslv2_client_hello, b"\1\3\1\0\6\0\0\0\x10\0\0\4\0\0\5" + b"c" * 16),
]


@pytest.mark.parametrize("seed", range(6))
def test_mutated_messages(seed: int) -> None:
    dice = random.Random(seed)
    read, body = BODIES[seed]
    for _ in range(MESSAGES // 6):
        data = mutated(body, dice)
        with Work() as work:
            try:
                read(data)
            except Malformed as error:
                problem: Malformed | None = error
            else:
                problem = None
        assert problem is None or (0 <= problem.offset <= len(data) and problem.path)
        assert work.calls < MESSAGE_CALLS


@pytest.mark.parametrize("seed", range(4))
def test_mutated_records(seed: int) -> None:
    """A direction of a connection, mutated and cut at random, fed to the reader."""

    class Store:
        has_secrets = False

        def chain(self, body: bytes, *, is_tls13: bool = False) -> tuple[bytes, ...]:
            return messages.certificate(body)

        def authorities(self, body: bytes, version: int) -> bytes:
            return messages.certificate_authorities(body, version)

        def certificate(self, digest: bytes) -> bytes | None:
            return None

        def channel(self, connection: DecryptionClient) -> None:
            return None

    dice = random.Random(seed)
    stream = (
        record(22, server_hello(numbered(3), numbered(4)) + certificates(A))
        + CHANGE
        + FINISHED
        + DATA * 3
        + record(21, b"\1\0")
    )
    for _ in range(500):
        data = mutated(stream, dice)
        connection = ConnectionAssembly(Store())
        readers = [RecordReader(0, connection), RecordReader(1, connection)]
        connection.attach(readers)
        reader = readers[1]
        at = 0
        while at < len(data):
            size = dice.choice((1, 5, 50, 1448))
            if reader.want < at + size:
                begin = max(reader.want, at)
                reader.feed(begin, data[begin : at + size], 1, at)
            at += size
        event_facts(connection, 0)
        connection.alerts.facts(0, connection.handshake)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_captures(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    whole = capture(pool.flows)
    path = tmp_path / "mutated.pcap"
    for _ in range(CAPTURES // 8):
        path.write_bytes(mutated(whole, dice))
        run(path)


@pytest.mark.parametrize("name", ["both-legs", "renegotiation", "untrusted-ca"])
def test_mutated_recordings(tmp_path: Path, name: str) -> None:
    import gzip

    dice = random.Random(1)
    source = find(name)
    whole = gzip.decompress(source.read_bytes())[:60_000]
    path = tmp_path / source.name.removesuffix(".gz")
    for _ in range(60):
        path.write_bytes(mutated(whole, dice))
        run(path)


def run(path: Path) -> None:
    """The whole way; only an InspectorError may stop it."""
    with Work() as work:
        try:
            story = Story([str(path)])
            facts = joined([extract_shard(story, 0, float("inf"))], story)
            assert facts is not None
            analysis = judge(facts)
            with Path("/dev/null").open("wb") as out:
                write_json(analysis, None, out)
        except InspectorError as problem:
            assert str(problem)
    assert work.calls < CAPTURE_CALLS


@pytest.mark.parametrize("seed", range(4))
def test_mutated_certificates(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(300):
        found = parse(mutated(A, dice))
        assert len(found.sha256) == 32
