"""Inputs that are made to hurt: what is held is bounded in bytes, work grows with their size alone, what is lost is
named, and what stands beside them is judged as if they were not there.
"""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from inspector import bounds
from inspector.capture.blocks import ByteSource
from inspector.capture.files import CaptureFile, Story
from inspector.capture.frames import CaptureInfo
from inspector.capture.pcapng import read_pcapng
from inspector.document import Document
from inspector.errors.secrets import NoKeyLogLines, SecretsBlocksNotRead
from inspector.extract.engine import Engine
from inspector.findings.judge import judge
from inspector.secrets.inputs import Supply
from inspector.tls.x509.certificate import certificate_memory
from inspector.tracking import certificate_reader
from inspector.tracking.certificate_reader import CertificateReader, Certificates
from inspector.tracking.certificates import ParsedCertificate, parse
from inspector.wire.fragments import Fragments
from inspector.wire.segments import SegmentDecoder
from tests import der as d
from tests.build import (
    CHANGE,
    FINISHED,
    KEY_EXCHANGE,
    Flow,
    Pool,
    capture,
    certificate,
    document_of,
    facts_of,
    numbered,
    vector,
    written,
)
from tests.hostile import (
    CERTIFICATES,
    CHAINS,
    FRAGMENTS,
    HELLOS,
    SECRETS,
    capture_of_fragments,
    capture_of_secrets,
    in_records,
    shown,
)
from tests.live import listened, of_kind, watched
from tests.work import Work

A, B = certificate("puppetdb1", ("puppetdb1.example.com",)), certificate("puppetdb2", ("puppetdb2.example.com",))
ABORT = "certificate-change-abort"


def with_an_abort(pool: Pool) -> Pool:
    """An abort of Java's rule behind what the pool holds."""
    pool.full(A, numbered(901))
    pool.resumed(numbered(901))
    pool.given_up(B, numbered(902), numbered(901))
    return pool


def confirmed(document: Document) -> list[str]:
    return [f.id for f in document.findings if f.rule == ABORT and f.verdict == "confirmed"]


@pytest.mark.parametrize("by_client", [False, True], ids=["the server's", "the client's"])
@pytest.mark.parametrize("name", CHAINS)
def test_certificates(name: str, by_client: bool, tmp_path: Path) -> None:
    """The abort beside one is found, it itself makes none, and the document grows no faster than it."""
    pool = Pool()
    shown(pool, CHAINS[name], numbered(1), by_client=by_client)
    with_an_abort(pool)
    path = written(tmp_path, pool.flows)
    analysis = judge(facts_of(path))
    document = analysis.complete()
    assert len(document.connections) == len(pool.flows)
    (abort,) = confirmed(document)
    assert abort in {
        finding.id for finding in document.findings if finding.connections[-1:] == [document.connections[-1].id]
    }
    assert len(msgspec.json.encode(document)) < 200_000 + 6 * path.stat().st_size
    if len(CHAINS[name]) > bounds.CHAIN:
        (anomaly,) = [a for c in document.connections for a in c.anomalies]
        assert f"more than {bounds.CHAIN} entries" in anomaly.text


@pytest.mark.parametrize("name", CHAINS)
def test_certificates_live(name: str) -> None:
    pool = Pool()
    shown(pool, CHAINS[name], numbered(1))
    shown(pool, CHAINS[name], numbered(2), by_client=True)
    _, heard = listened(capture(with_an_abort(pool).flows))
    assert (
        len([finding for update in heard.updates for finding in update.findings if finding.verdict == "confirmed"]) == 1
    )


def test_a_session_of_a_certificate_that_cannot_be_read_accuses_nobody(tmp_path: Path) -> None:
    """It was resumed and declined, as the rule has it; but which certificate Java would compare is not known."""
    for data in CERTIFICATES.values():
        if parse(data).is_read_by_java is not False:
            continue
        pool = Pool()
        shown(pool, (data,), numbered(1))
        pool.resumed(numbered(1))
        pool.given_up(B, numbered(2), numbered(1))
        document = document_of(written(tmp_path, pool.flows))
        assert not confirmed(document)
        assert document.services[0].assessment.grade != "observed" or document.services[0].assessment.unseen


def test_names_count_by_what_they_take_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of two bytes takes a hundred: as many certificates are kept as there is memory for their names."""
    many = d.certificate(d.names(*[d.dns("ab") for _ in range(2_000)]))
    assert certificate_memory(many) > 20 * len(many)
    assert certificate_memory(A) - bounds.READ_CERTIFICATE_BYTES < 4 * len(A)
    monkeypatch.setattr(bounds, "CERTIFICATE_BYTES", 4 * certificate_memory(many))
    engine, reader = Engine(), CertificateReader(6 * parse(many).memory())
    for n in range(10):
        other = d.certificate(d.names(*[d.dns("ab") for _ in range(2_000)]), serial=d.num(1_000 + n))
        (digest,) = engine.chain(vector(3, vector(3, other)))
        assert reader.read(digest, other).sha256 == digest
    assert 3 <= len(engine.facts.certificates) <= 4
    assert [type(limit).__name__ for limit in engine.not_kept()] == ["CertificatesNotKept"]
    assert 4 <= len(reader._read) <= 5
    assert reader._bytes == sum(certificate.memory() for certificate in reader._read.values())


def test_what_was_read_in_a_judgement_stays_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judgement goes through all certificates again and again: where there is room for half of them, half of them are
    read once, and no more than that half makes way for the next judgement's.
    """
    read: list[bytes] = []

    def counted(der: bytes) -> ParsedCertificate:
        read.append(der)
        return parse(der)

    monkeypatch.setattr(certificate_reader, "parse", counted)
    encoded = {bytes((n,)): d.certificate(serial=d.num(1_000 + n)) for n in range(20)}
    reader = CertificateReader(14 * parse(encoded[b"\0"]).memory())
    inventory = Certificates(encoded, reader)
    for _ in range(3):
        assert all(inventory[digest].serial for digest in encoded)
    assert len(read) == 20 + 10 + 10
    again = Certificates(encoded, reader)
    read.clear()
    assert all(again[digest].serial for digest in reversed(encoded))  # those that were left out come first
    assert len(read) == 20
    read.clear()
    assert all(again[digest].serial for digest in encoded)
    assert len(read) <= 10
    reader.forget(encoded)
    assert reader._bytes == 0
    reader.forget(list(reader._read))
    assert reader._bytes == 0


LONG_LISTS = {"suites", "extensions", "groups", "signature algorithms", "protocols", "identities", "a name"}


def greeted(kind: str, count: int) -> Pool:
    """Full handshakes of as many clients' hellos."""
    pool = Pool()
    for number in range(count):
        pool.port += 1
        flow = Flow(pool.port, pool.ns).open()
        pool.flows.append(flow)
        for piece in in_records(HELLOS[kind](numbered(5_000 + number), number)):
            flow.client_says(piece)
        pool._flight(flow, A, numbered(6_000 + number), False)
        flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
        pool._end(flow.close())
    return pool


@pytest.mark.parametrize("kind", HELLOS)
def test_hellos(kind: str, tmp_path: Path) -> None:
    """Of a list without an end nothing is kept but that it has none, which is an anomaly of its connection."""
    path = written(tmp_path, with_an_abort(greeted(kind, 20)).flows)
    facts = facts_of(path)
    for shape in facts.offers.values():
        listed = (shape.cipher_suites, shape.extensions, shape.groups, shape.signature_algorithms, shape.point_formats)
        assert max(map(len, listed)) <= bounds.LISTED
        assert len(shape.alpn) <= bounds.OFFERED
        assert len(shape.server_name or b"") <= bounds.HOST_NAME
    assert max(map(len, facts.connections)) < 4_000
    document = judge(facts).complete()
    assert len(confirmed(document)) == 1
    named = [c for c in document.connections if any(a.kind == "malformed" for a in c.anomalies)]
    assert len(named) >= (20 if kind in LONG_LISTS else 0)


FEW, MANY = 4_000, 12_000
"""Three times as many take three times the work."""
FACTOR = 3.5


def decoded(data: bytes) -> SegmentDecoder:
    decoder = SegmentDecoder()
    for batch in _batches(data):
        decoder.decode(batch)
    return decoder


def _batches(data: bytes) -> list:  # type: ignore[type-arg]
    from inspector.capture.pcap import read_pcap

    return list(read_pcap(ByteSource(io.BytesIO(data)), CaptureInfo("test")))


@pytest.mark.parametrize("kind", FRAGMENTS)
def test_fragments(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, the work is that of each, and every frame is accounted for."""
    monkeypatch.setattr(bounds, "FRAGMENT_BYTES", 1 << 19)
    monkeypatch.setattr(bounds, "FRAGMENTS", 100)
    most = 0
    collect = Fragments.collect

    def measured(self: Fragments, *arguments: object) -> bytes | None:
        nonlocal most
        whole = collect(self, *arguments)  # type: ignore[arg-type]
        held = sum(len(datagram.data) + len(datagram.present) for datagram in self._waiting.values())
        most = max(most, held if len(self._waiting) < 200 else 1 << 60)
        return whole

    monkeypatch.setattr(Fragments, "collect", measured)
    decoded(capture_of_fragments(kind, 2_000))
    assert most < 2 * bounds.FRAGMENT_BYTES
    monkeypatch.setattr(Fragments, "collect", collect)
    work = []
    for count in (FEW, MANY):
        data = capture_of_fragments(kind, count)
        with Work() as counted:
            decoded(data)
        work.append(counted.calls)
    assert work[1] < FACTOR * work[0] + 10_000
    path = tmp_path / "fragments.pcap"
    path.write_bytes(capture_of_fragments(kind, FEW))
    document = document_of(path)
    assert not document.connections
    assert document.captures[0].undecoded or kind in ("IPv4 of UDP", "IPv4, of a byte", "IPv4, of no bytes"), kind


def test_fragments_in_live_capture() -> None:
    """An abort beside a second of forged fragments is told, and that there were such is known."""
    flows = capture(with_an_abort(Pool()).flows)
    data = capture_of_fragments("IPv4, one of each", 3_000) + flows[24:]
    watching, heard = listened(data)
    assert sum(len(update.incidents) for update in heard.updates) == 1
    assert sum(capture.undecoded for capture in watching.captures()) == 3_000


def test_watch_says_how_many_frames_it_could_not_open() -> None:
    data = capture_of_fragments("IPv4, one of each", 3_000) + capture(with_an_abort(Pool()).flows)[24:]
    lines, _ = watched(data, "--no-journal")
    (limit,) = of_kind(lines, "statistics")[-1]["limits"]
    assert limit.startswith("3,000 of 3,032 frames were not opened")


# Secrets.


def supplied(data: bytes) -> tuple[Supply, CaptureInfo, int]:
    """What is taken of a capture as it is read, and the most that waited."""
    info = CaptureInfo("evil.pcapng")
    supply = Supply(None)
    most = 0
    for _ in read_pcapng(ByteSource(io.BytesIO(data)), info):
        most = max(most, sum(map(len, info.secrets)))
        supply.take(*info.take_secrets(), info.path)
    return supply, info, most


def kept_bytes(supply: Supply) -> int:
    secrets = supply.secrets
    if secrets is None:
        return 0
    return sum(len(name) + len(value) for (_, name), value in secrets._by_random.items()) + sum(
        len(name) + len(value) for name, value in secrets._sessions.items()
    )


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many blocks as many are read as anybody writes, what waits and what is kept is bounded, and it is named."""
    monkeypatch.setattr(bounds, "SECRETS_WAITING", 400_000)
    monkeypatch.setattr(bounds, "SECRETS_BYTES", 300_000)
    monkeypatch.setattr(bounds, "IDLE_LINES", 1_000)
    supply, info, most = supplied(capture_of_secrets(kind, 50, 100_000))
    assert 0 < most <= bounds.SECRETS_WAITING
    assert info.has_secrets
    assert not info.secrets
    assert kept_bytes(supply) <= bounds.SECRETS_BYTES
    not_read = [problem for problem in supply.problems() if isinstance(problem, SecretsBlocksNotRead)]
    assert not_read[0].count >= 46
    work = []
    for blocks in (2, 40):
        data = capture_of_secrets(kind, blocks, 100_000)
        with Work() as counted:
            supplied(data)
        work.append(counted.calls)
    assert work[1] < 2 * work[0] + 20_000, "what is not read costs next to nothing"


def test_a_key_log_in_a_capture_is_still_read(tmp_path: Path) -> None:
    """Comments and lines of other labels may stand between the secrets, as many as ten for each."""
    lines = b"".join(b"# comment\n" * 8 + b"OTHER 00 00\n" + SECRETS["different secrets"](180) for _ in range(3_000))
    supply = Supply(None)
    supply.take([b"KSLT" + len(lines).to_bytes(4, "little") + lines], 0, "good")
    assert not supply.problems()


def test_lines_that_are_none_are_counted_up_to_where_it_was_read() -> None:
    supply = Supply(None)
    lines = b"no key log\n" * 50_000
    supply.take([b"KSLT" + len(lines).to_bytes(4, "little") + lines], 0, "bad")
    bad, not_read = supply.problems()
    assert isinstance(bad, NoKeyLogLines)
    assert bad.count == bad.lines == bounds.IDLE_LINES + 1
    assert isinstance(not_read, SecretsBlocksNotRead)


def test_where_no_frame_comes_little_is_read_to_know_the_time_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "FIRST_FRAME_BYTES", 500_000)
    path = tmp_path / "late.pcapng"
    path.write_bytes(capture_of_secrets("one comment", 20, 100_000))
    read = []
    right = ByteSource._fill

    def measured(source: ByteSource) -> int:
        count = right(source)
        read.append(count)
        return count

    monkeypatch.setattr(ByteSource, "_fill", measured)
    assert CaptureFile(str(path)).first_ns is None
    assert sum(read) < 700_000
    monkeypatch.undo()
    assert sum(map(len, Story([str(path)]).batches())) == 1


# Sections and interfaces.
