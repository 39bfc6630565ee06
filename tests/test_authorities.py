"""Names of the authorities whose client certificates servers accept: kept once, told apart by name, never by a digest
where the names are known.
"""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from inspector import bounds
from inspector.document import Document, Finding
from inspector.errors.bounds import AuthoritiesNotKept
from inspector.extract.engine import Engine
from inspector.extract.journal import Journal, JournalReader, read_facts
from inspector.extract.kept_values import stored_memory
from inspector.extract.merging import merge
from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.live.anchors import Anchors
from inspector.live.keeping import Keeping
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.redaction.messages import Redactor
from inspector.reports.difference import handshake_fields
from inspector.tracking.authorities import read_authorities
from inspector.tracking.certificates import parse
from tests.build import (
    START_NS,
    Pool,
    capture,
    certificate,
    certificate_request,
    certificate_request13,
    facts_of,
    numbered,
    vector,
    written,
)
from tests.conftest import CAPTURES
from tests.live import listened
from tests.opening import opened
from tests.test_shards import in_parts
from tests.waiting import COMMAND_SECONDS

A, B, C = (certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in (1, 2, 3))
Judged = Callable[[Pool], Document]


def named(common_name: str, kind: _ASN1Type = _ASN1Type.UTF8String) -> bytes:
    """A distinguished name, encoded."""
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name, kind)]).public_bytes()


def listed(*names: bytes) -> bytes:
    return b"".join(vector(2, name) for name in names)


OLD, NEW, ROOT = named("Old CA"), named("New CA"), named("Root")


def asking(*requests: bytes) -> Pool:
    """A pool whose back ends send these CertificateRequests, or none."""
    pool = Pool()
    for number, request in enumerate(requests):
        pool.request = request
        pool.full((A, B, C)[number], numbered(number))
    return pool


def drift(document: Document) -> list[Finding]:
    return [
        f for f in document.findings if f.rule == "pool-drift" and f.title.endswith("client certificate authorities")
    ]


def said(document: Document) -> str:
    (finding,) = drift(document)
    return finding.explanation


def test_back_ends_differ_in_names(judged: Judged) -> None:
    document = judged(asking(certificate_request(ROOT, OLD), certificate_request(NEW, ROOT)))
    assert (
        said(document)
        == "A: asks also for O=Example, CN=Old CA; B: asks also for O=Example, CN=New CA. O=Example, CN=Root is asked"
        " for by all."
    )
    (finding,) = drift(document)
    assert [e.text for e in finding.evidence] == [
        f"{b}: client certificate authorities: asks also for O=Example, CN={n} CA"
        for b, n in (("A", "Old"), ("B", "New"))
    ]
    assert [(a.names, a.unreadable, a.more) for a in sorted(document.authorities, key=lambda a: a.names)] == [
        (["O=Example, CN=New CA", "O=Example, CN=Root"], 0, 0),
        (["O=Example, CN=Root", "O=Example, CN=Old CA"], 0, 0),
    ]
    by_digest = {a.sha256: a.names for a in document.authorities}
    first = document.connections[0].handshakes[0]
    assert by_digest[first.authorities or ""] == ["O=Example, CN=Root", "O=Example, CN=Old CA"]
    assert handshake_fields(document, first)["authorities"].startswith("O=Example, CN=Root and O=Example, CN=Old CA  ")


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        (
            (certificate_request(ROOT, OLD), certificate_request(ROOT)),
            "A: asks also for O=Example, CN=Old CA; B: asks for no other. O=Example, CN=Root is asked for by all.",
        ),
        ((certificate_request(OLD), b""), "A: asks for O=Example, CN=Old CA; B: asks for no client certificate."),
        (
            (certificate_request(OLD), certificate_request()),
            "A: asks for O=Example, CN=Old CA; B: asks for a certificate of any CA.",
        ),
        (
            (certificate_request(ROOT, NEW, OLD), b"", certificate_request(ROOT, NEW)),
            (
                "A: asks also for O=Example, CN=Old CA; B: asks for no client certificate; C: asks for no other. 2 CAs"
                " are asked for by all that name any."
            ),
        ),
        (
            (certificate_request(OLD, b""), certificate_request(OLD)),
            (
                "A: asks also for a name of 0 bytes that cannot be read; B: asks for no other. O=Example, CN=Old CA is"
                " asked for by all."
            ),
        ),
        (
            (certificate_request(named("CA", _ASN1Type.T61String)), certificate_request(named("CA"))),
            "A: asks for O=Example, CN=CA (in another encoding); B: asks for O=Example, CN=CA (in another encoding).",
        ),
        (
            (certificate_request(*map(named, "abcdef")), certificate_request(named("x"))),
            (
                "A: asks for O=Example, CN=a and O=Example, CN=b and O=Example, CN=c and O=Example, CN=d and 2 more; B:"
                " asks for O=Example, CN=x."
            ),
        ),
    ],
)
def test_words_of_a_difference(judged: Judged, requests: tuple[bytes, ...], words: str) -> None:
    assert said(judged(asking(*requests))) == words


def test_order_repetition_and_what_java_takes_for_one_are_no_difference(judged: Judged) -> None:
    assert not drift(judged(asking(certificate_request(ROOT, OLD, OLD), certificate_request(OLD, ROOT))))
    assert not drift(
        judged(
            asking(
                certificate_request(named("ROOT  ca")), certificate_request(named("Root CA", _ASN1Type.PrintableString))
            )
        )
    )


def test_before_tls_1_2_no_algorithms_stand_before_the_names() -> None:
    engine = Engine()
    old = certificate_request(OLD, version=0x0302)[4:]
    assert engine.facts.authorities == {engine.authorities(old, 0x0302): listed(OLD)}
    assert engine.authorities(certificate_request(OLD)[4:], 0x0303) in engine.facts.authorities
    assert engine.authorities(certificate_request13(OLD)[4:], 0x0304) in engine.facts.authorities
    assert len(engine.facts.authorities) == 1


def test_tls_1_3_is_read_with_secrets() -> None:
    document = opened("tls13-inside")
    assert [a.names for a in document.authorities] == [["CN=Puppet CA: ca.example.com"]]
    asked = [h for c in document.connections for h in c.handshakes if h.authorities]
    assert {h.authorities for h in asked} == {document.authorities[0].sha256}
    assert {h.version for h in asked} == {"TLSv1.3"}


def test_a_list_is_kept_once(tmp_path: Path) -> None:
    pool = Pool(request=certificate_request(OLD, NEW))
    for number in range(50):
        pool.full(A, numbered(number))
    facts = facts_of(written(tmp_path, pool.flows))
    body = listed(OLD, NEW)
    assert facts.authorities == {hashlib.sha256(body).digest(): body}
    assert {facts.unpack(packed).handshake.authorities for packed in facts.connections} == set(facts.authorities)
    assert not any(b"Old CA" in packed for packed in facts.connections)


@pytest.mark.parametrize("place", [300.0, 3_000.0, 9_000.0])
def test_processes_and_merged_extractions_hand_on_names(tmp_path: Path, place: float) -> None:
    path = written(tmp_path, asking(certificate_request(OLD), certificate_request(NEW), certificate_request(OLD)).flows)
    expected = {listed(OLD), listed(NEW)}
    assert set(in_parts(path, [place]).authorities.values()) == expected
    first, second = (
        facts_of(written(tmp_path, asking(certificate_request(name)).flows, f"{name.hex()[-8:]}.pcap"))
        for name in (OLD, NEW)
    )
    assert set(merge([first, second]).authorities.values()) == expected


@pytest.mark.parametrize("odd", [b"", b"\x30\x05abc", b"no name", b"\x30\x03\x31\x01\x30", b"\x05\x00"])
def test_a_name_that_cannot_be_read_costs_no_other(odd: bytes) -> None:
    found = read_authorities(listed(OLD, odd, NEW))
    assert found.names == ["O=Example, CN=Old CA", "O=Example, CN=New CA"]
    assert [(a.name, a.size) for a in found.authorities if a.name is None] == [(None, len(odd))]


def test_a_length_that_goes_too_far_costs_nothing_before_it() -> None:
    for rest in (b"\x7f", b"\0", b"\x7f\xffabc"):
        found = read_authorities(listed(OLD) + rest)
        assert (found.names, len(found.authorities), found.more) == (["O=Example, CN=Old CA"], 2, 0)
    assert read_authorities(listed(b"\x30\0")).names == [""]
    assert read_authorities(b"") == ((), 0)


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bounds, "AUTHORITIES", 3)
    monkeypatch.setattr(bounds, "AUTHORITY_NAME", 20)
    read_authorities.cache_clear()
    found = read_authorities(listed(*(named(f"{n:x}" * 64) for n in range(7))))
    read_authorities.cache_clear()
    assert [len(name) for name in found.names] == [20, 20, 20]
    assert found.more == 4

    monkeypatch.setattr(bounds, "AUTHORITY_LISTS", 2)
    pool = asking(certificate_request(OLD), certificate_request(NEW), certificate_request(ROOT))
    pool.full(C, numbered(4))
    path = written(tmp_path, pool.flows)
    facts = facts_of(path)
    assert len(facts.authorities) == 2
    assert facts.bounded == [AuthoritiesNotKept(1)]
    (digest,) = (
        digest
        for name in (OLD, NEW, ROOT)
        if (digest := hashlib.sha256(listed(name)).digest()) not in facts.authorities
    )
    assert f"asks for CAs of which the names were not kept, only the digest {digest.hex()[:12]}" in said(
        judge(facts, Options()).complete()
    )
    monkeypatch.setattr(bounds, "AUTHORITY_LISTS", 1_000)
    monkeypatch.setattr(bounds, "AUTHORITY_BYTES", max(stored_memory(listed(name)) for name in (OLD, NEW, ROOT)))
    assert len(facts_of(path).authorities) == 1


def test_names_behind_the_bound_are_counted_in_the_words(monkeypatch: pytest.MonkeyPatch, judged: Judged) -> None:
    monkeypatch.setattr(bounds, "AUTHORITIES", 2)
    read_authorities.cache_clear()
    document = judged(
        asking(certificate_request(ROOT, OLD, *(named(f"c{n}") for n in range(112))), certificate_request(ROOT, OLD))
    )
    read_authorities.cache_clear()
    assert (
        said(document) == "A: asks also for 112 that were not read; B: asks for no other. 2 CAs are asked for by all."
    )
    assert sorted(a.more for a in document.authorities) == [0, 112]


def kept(path: Path, pool: Pool) -> None:
    listened(capture(pool.flows), Keeping(journal=Journal(str(path), 1 << 30, "test")))


def as_of_before(path: Path) -> None:
    """Make a journal one of the first version, which kept no names."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE authorities; PRAGMA user_version = 1;")


def test_a_journal_keeps_names(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    pool = asking(certificate_request(ROOT, OLD), certificate_request(NEW, ROOT))
    kept(path, pool)
    assert read_facts(str(path)).authorities == facts_of(written(tmp_path, pool.flows)).authorities
    assert said(judge(read_facts(str(path)), Options()).complete()).startswith(
        "A: asks also for O=Example, CN=Old CA; "
    )


def test_a_journal_of_before_opens_and_learns_names(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    pool = asking(certificate_request(OLD), certificate_request(NEW))
    kept(path, pool)
    as_of_before(path)
    old, new = (hashlib.sha256(listed(name)).hexdigest()[:12] for name in (OLD, NEW))
    words = "{}: asks for CAs of which the names were not kept, only the digest {}"
    assert (
        said(judge(read_facts(str(path)), Options()).complete())
        == f"{words.format('A', old)}; {words.format('B', new)}."
    )

    reader = JournalReader(str(path))
    assert (reader.more() or Facts()).authorities == {}
    later = Pool(ns=START_NS + 3_600_000_000_000, port=50_000, request=certificate_request(NEW))
    later.full(B, numbered(9))
    kept(path, later)
    assert [*(reader.more() or Facts()).authorities.values()] == [listed(NEW)]
    reader.close()
    assert (
        said(judge(read_facts(str(path)), Options()).complete())
        == f"{words.format('A', old)}; B: asks for O=Example, CN=New CA."
    )


def test_a_list_that_is_another_is_damage(tmp_path: Path) -> None:
    from inspector.errors import UnreadableError

    path = tmp_path / "j.sqlite"
    kept(path, asking(certificate_request(OLD)))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE authorities SET names = ?", (listed(NEW),))
        db.commit()
    with pytest.raises(UnreadableError, match="a list of authorities is not the one"):
        read_facts(str(path))


def test_a_restart_remembers_names(tmp_path: Path) -> None:
    """What the run before saw is judged beside what this one sees."""
    path = str(tmp_path / "j.sqlite")
    before = asking(certificate_request(OLD))
    after = Pool(ns=before.ns, port=before.port, request=certificate_request(NEW))
    after.full(B, numbered(2))
    listened(capture(before.flows), Keeping(journal=Journal(path, 1 << 30, "one")))
    watching, _ = listened(capture(after.flows), Keeping(journal=Journal(path, 1 << 30, "two")))
    assert set(watching.whole().authorities.values()) == {listed(OLD), listed(NEW)}


def test_lists_that_nothing_uses_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.live import window as module

    pool = Pool()
    for number in range(30):
        pool.request = certificate_request(named(f"c{number}"))
        pool.full(A, numbered(number))
    watching, _ = listened(capture(pool.flows), most=40)
    assert len(watching.window.facts.authorities) == 30
    watching.window._most = 10
    watching.window._anchors = Anchors(0)
    watching.window._bound()
    monkeypatch.setattr(module, "LISTS", 5)
    watching.window.tidy()
    assert set(watching.window.facts.authorities) == set(watching.whole().authorities)
    assert len(watching.window.facts.authorities) == 10


def test_an_authority_is_called_as_the_issuer_is() -> None:
    """In facts, in packets, and in certificates that it issued; what cannot be read is replaced as well."""
    leaf = certificate("puppetdb1", ("puppetdb1.example.com",), issuer="Secret Corp CA")
    issuer = x509.load_der_x509_certificate(leaf).issuer.public_bytes()
    disguise = Disguise(b"k" * 32)
    names = listed(issuer, b"secret words")
    digest = hashlib.sha256(names).digest()
    remaker = Remaker(disguise)
    facts = redacted_facts(Facts(certificates={b"": leaf}, authorities={digest: names}), disguise, remaker)
    ((new_digest, new),) = facts.authorities.items()
    assert new_digest == hashlib.sha256(new).digest() == disguise.digest(digest)
    assert len(new) == len(names)
    assert b"ecret" not in new
    accepted = read_authorities(new)
    assert accepted.names == [parse(remaker.certificate(leaf)).issuer]
    assert len(accepted.authorities) == 2

    assert Redactor(disguise).message(certificate_request(issuer, b"secret words")).endswith(new)


def test_a_list_whose_lengths_do_not_fit_is_hidden_too() -> None:
    disguise = Disguise(b"k" * 32)
    for rest in (b"\x7f\xffsecret", b"\x7f"):
        names = listed(OLD) + rest
        new = Remaker(disguise).authorities(names)
        assert len(new) == len(names)
        assert b"secret" not in new
        assert b"Old" not in new


def test_hostile_names_pass_the_one_door(tmp_path: Path) -> None:
    path = written(
        tmp_path, asking(certificate_request(named("x\x1b[31m\u202e\nA: all is well")), certificate_request(NEW)).flows
    )
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "analyze", str(path)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        cwd=CAPTURES.parent,
    )
    assert "\x1b[31m" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "x\\x1b[31m\\u202e\\x0aA:" in "".join(line.strip() for line in done.stdout.splitlines())


def test_documents_of_before_are_read() -> None:
    document = judge(Facts(), Options()).complete()
    plain = msgspec.to_builtins(document)
    del plain["authorities"]
    assert msgspec.convert(plain, Document).authorities == []
