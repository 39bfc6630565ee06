"""Certificates as Java reads them: odd ones that it reads, broken ones that it refuses, and what may be said of each."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.findings.comparison import compare
from inspector.findings.jsse import equivalence
from inspector.findings.judge import judge
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.reports.compare import comparison_json, comparison_text
from inspector.tracking.certificates import Certificate, parse
from inspector.x509.certificate import ProblemKind, read_certificate, subject_public_key_info
from tests import der as d
from tests.build import DONE, KEY_EXCHANGE, Pool, certificates, document_of, facts_of, message, numbered, record, server_hello, vector, written

ROOT = Path(__file__).parent.parent
FAULTS = ROOT.parent / "shared" / "faults"
OTHER = d.certificate(d.names(d.dns("pdb1.example.com"), d.dns(d.SHARED)), subject=d.common_name("pdb1.example.com"), serial=b"\x02\x01\x02")
NAMES = d.names(d.dns(d.OWN), d.dns(d.SHARED))


def with_name(*general: bytes) -> bytes:
    """Other alternative names beside the two."""
    return d.certificate(d.names(*general, d.dns(d.OWN), d.dns(d.SHARED)))


def valid(*times: bytes) -> bytes:
    return d.certificate(NAMES, validity=d.seq(*times))


def named(kind: str, tag: int, value: bytes, *, issuer: bool = False) -> bytes:
    extra = (kind, tag, value)
    if issuer:
        return d.certificate(NAMES, issuer=d.name((d.CN, d.UTF8, b"Test CA"), extra))
    return d.certificate(NAMES, subject=d.name((d.CN, d.UTF8, d.OWN.encode()), extra))


def point(form: PublicFormat, curve: ec.EllipticCurve | None = None) -> bytes:
    return ec.derive_private_key(11, curve or ec.SECP256R1()).public_key().public_bytes(Encoding.X962, form)


def on_curve(curve: bytes, bits: bytes) -> bytes:
    return d.seq(d.seq(d.oid("1.2.840.10045.2.1"), curve), d.tlv(3, b"\0" + bits))


def rsa_key(modulus: int, exponent: int) -> bytes:
    return d.seq(d.seq(d.oid("1.2.840.113549.1.1.1"), d.tlv(5)), d.tlv(3, b"\0" + d.seq(d.num(modulus), d.num(exponent))))


P256 = d.oid("1.2.840.10045.3.1.7")
INDEFINITE = b"\x30\x80" + d.certificate(NAMES)[4:] + b"\0\0"

READ = {
    "plain": d.certificate(NAMES),
    "critical FALSE": d.certificate(NAMES, d.extension(d.BASIC_CONSTRAINTS, d.seq(), d.FALSE)),
    "critical 01": d.certificate(d.names(d.dns(d.OWN), d.dns(d.SHARED), critical=b"\x01\x01\x01")),
    "authority FALSE": d.certificate(NAMES, d.extension(d.BASIC_CONSTRAINTS, d.seq(d.FALSE), d.TRUE)),
    "bad SCT": d.certificate(NAMES, d.extension(d.TIMESTAMPS, b"\x04\x03abc")),
    "SCT that is no DER": d.certificate(NAMES, d.extension(d.TIMESTAMPS, b"abc")),
    "bad policy notice": d.certificate(
        NAMES, d.extension(d.POLICIES, d.seq(d.seq(d.oid("1.2.3"), d.seq(d.seq(d.oid("1.3.6.1.5.5.7.2.2"), d.seq(d.tlv(0x1A, "ü".encode("latin-1"))))))))
    ),
    "bad key usage, not critical": d.certificate(NAMES, d.extension("2.5.29.15", b"\x05\x00")),
    "empty extension value": d.certificate(NAMES, d.extension("1.2.3.4", b"")),
    "PrintableString *": named(d.ORGANIZATION, d.PRINTABLE, b"*.example.com"),
    "PrintableString _": named(d.ORGANIZATION, d.PRINTABLE, b"a_b"),
    "PrintableString &": named(d.ORGANIZATION, d.PRINTABLE, b"A & B"),
    "PrintableString @": named(d.EMAIL, d.PRINTABLE, b"ca@example.com", issuer=True),
    "PrintableString with Latin-1": named(d.ORGANIZATION, d.PRINTABLE, "Düsseldorf".encode("latin-1")),
    "Teletex": named(d.ORGANIZATION, d.T61, "Zürich".encode("latin-1")),
    "IA5String with Latin-1": named(d.EMAIL, d.IA5, "ü@example.com".encode("latin-1")),
    "BMPString": named(d.ORGANIZATION, d.BMP, "Łódź".encode("utf-16-be")),
    "BMPString of odd length": named(d.ORGANIZATION, d.BMP, b"\0a\0"),
    "UniversalString": named(d.ORGANIZATION, d.UNIVERSAL, "日本".encode("utf-32-be")),
    "UTF8String that is none": named(d.ORGANIZATION, d.UTF8, b"\xff\xfe"),
    "empty attribute": named(d.ORGANIZATION, d.UTF8, b""),
    "country of three letters": named("2.5.4.6", d.PRINTABLE, b"GER"),
    "attribute of another type": named(d.ORGANIZATION, 0x02, b"\x01"),
    "e-mail in Latin-1": with_name(d.tlv(0x81, "ü@x".encode("latin-1"))),
    "URI in UTF-8": with_name(d.tlv(0x86, "http://é/".encode())),
    "URI with an underscore": with_name(d.tlv(0x86, b"http://a_b.example.com/x")),
    "otherName raw": with_name(d.tlv(0xA0, d.oid("1.3.6.1.4.1.311.20.2.3"), d.tlv(0xA0, b"raw"))),
    "registeredID": with_name(d.tlv(0x88, b"\x2a\x03")),
    "directoryName": with_name(d.tlv(0xA4, d.common_name("x"))),
    "addresses of 4, 16 and 8 bytes": with_name(d.tlv(0x87, b"\x0a\0\0\1"), d.tlv(0x87, bytes(10) + b"\xff\xff\x0a\0\0\2"), d.tlv(0x87, b"\x0a\0\0\0\xff\0\0\0")),
    "DNS name in UTF-8": with_name(d.tlv(0x82, "é.example.com".encode())),
    "DNS name with an underscore": with_name(d.dns("_a b.example.com")),
    "empty DNS name": with_name(d.dns("")),
    "no seconds": valid(d.tlv(0x17, b"2401010000Z"), d.tlv(0x17, b"340101000000Z")),
    "offset": valid(d.tlv(0x17, b"240101010000+0100"), d.tlv(0x17, b"331231230000-0100")),
    "fractions": valid(d.tlv(0x18, b"20240101000000.5Z"), d.tlv(0x18, b"20340101000000Z")),
    "GeneralizedTime before 2050": valid(d.tlv(0x18, b"20240101000000Z"), d.tlv(0x18, b"20340101000000Z")),
    "31 February": valid(d.tlv(0x17, b"240231000000Z"), d.tlv(0x17, b"340101000000Z")),
    "end before start": valid(d.tlv(0x17, b"340101000000Z"), d.tlv(0x17, b"240101000000Z")),
    "negative serial": d.certificate(NAMES, serial=d.num(-5)),
    "serial zero": d.certificate(NAMES, serial=d.num(0)),
    "serial not minimal": d.certificate(NAMES, serial=b"\x02\x03\0\0\1"),
    "serial of 100 bytes": d.certificate(NAMES, serial=d.tlv(2, b"\x7f" * 100)),
    "unique identifiers": d.certificate(NAMES, identifiers=d.tlv(0x81, b"\0ab") + d.tlv(0x82, b"\0cd")),
    "trailing bytes": d.certificate(NAMES, behind=b"xyz"),
    "NULL parameters in one place": d.certificate(NAMES, outer=d.seq(d.oid("1.2.840.10045.4.3.2"), d.tlv(5))),
    "unknown signature algorithm": d.certificate(NAMES, algorithm=d.seq(d.oid("1.2.3.4"))),
    "unknown key algorithm": d.certificate(NAMES, public_key=d.seq(d.seq(d.oid("1.2.643.7.1.1.1.1")), d.tlv(3, b"\0abc"))),
    "indefinite length": INDEFINITE,
    "length longer than it need be": b"\x30\x83\0" + d.certificate(NAMES)[2:],
}
"""Java 17 and 25 read them all, with the shared name."""

NO_NAMES = {
    "version 1": d.certificate(version=b""),
    "version 1, encoded": d.certificate(version=d.tlv(0xA0, d.num(0))),
    "version 2": d.certificate(version=d.tlv(0xA0, d.num(1))),
    "no names": d.certificate(d.extension(d.BASIC_CONSTRAINTS, d.seq())),
}
UNREAD = {
    "names of none": d.certificate(d.names()),
    "names that are no sequence": d.certificate(d.extension(d.SAN, b"abc")),
    "URI without a scheme": with_name(d.tlv(0x86, b"www.example.com")),
    "URI with a space": with_name(d.tlv(0x86, b"http://h/a b")),
    "URI of a host with a dot behind": with_name(d.tlv(0x86, b"http://h.example.com./")),
    "e-mail without a host": with_name(d.tlv(0x81, b"a@")),
    "address of 5 bytes": with_name(d.tlv(0x87, b"12345")),
    "unknown kind": with_name(d.tlv(0x89, b"x")),
    "ediPartyName": with_name(d.tlv(0xA5, d.tlv(0xA1, d.tlv(0x0C, b"x")))),
}
"""Java reads the certificate and none of its alternative names: subject and issuer decide."""

REFUSED: dict[str, tuple[bytes, ProblemKind]] = {
    "garbage": (b"abc", "structure"),
    "nothing": (b"", "structure"),
    "cut": (d.certificate(NAMES)[:-20], "structure"),
    "no signature": (d.seq(d.seq(d.VERSION_3)), "structure"),
    "extension twice": (d.certificate(NAMES, d.extension("1.2.3.4", b"\5\0"), d.extension("1.2.3.4", b"\5\0")), "duplicate_extension"),
    "names twice": (d.certificate(NAMES, NAMES), "duplicate_extension"),
    "version 1 with extensions": (d.certificate(NAMES, version=b""), "version"),
    "version 2 with extensions": (d.certificate(NAMES, version=d.tlv(0xA0, d.num(1))), "version"),
    "critical names malformed": (d.certificate(d.names(d.tlv(0x86, b"no scheme"), d.dns(d.SHARED), critical=d.TRUE)), "critical_extension"),
    "critical key usage malformed": (d.certificate(NAMES, d.extension("2.5.29.15", b"\5\0", d.TRUE)), "critical_extension"),
    "empty subject": (d.certificate(NAMES, subject=d.seq()), "subject"),
    "empty issuer": (d.certificate(NAMES, issuer=d.seq()), "issuer"),
    "signature algorithms differ": (d.certificate(NAMES, outer=d.seq(d.oid("1.2.840.10045.4.3.3"))), "signature_algorithm"),
    "time without a zone": (valid(d.tlv(0x17, b"240101000000"), d.tlv(0x17, b"340101000000Z")), "validity"),
    "month 13": (valid(d.tlv(0x17, b"241301000000Z"), d.tlv(0x17, b"340101000000Z")), "validity"),
    "serial of no bytes": (d.certificate(NAMES, serial=b"\2\0"), "serial_number"),
    "compressed point": (d.certificate(NAMES, public_key=on_curve(P256, point(PublicFormat.CompressedPoint))), "public_key"),
    "point of another curve": (d.certificate(NAMES, public_key=on_curve(P256, point(PublicFormat.UncompressedPoint, ec.SECP384R1()))), "public_key"),
    "explicit curve": (d.certificate(NAMES, public_key=on_curve(d.seq(d.num(1)), point(PublicFormat.UncompressedPoint))), "public_key"),
    "RSA 384": (d.certificate(NAMES, public_key=rsa_key(1 << 383 | 1, 65537)), "public_key"),
    "RSA exponent 1": (d.certificate(NAMES, public_key=rsa_key(1 << 2047 | 1, 1)), "public_key"),
    "boolean of two bytes": (d.certificate(d.names(d.dns(d.SHARED), critical=b"\1\2\xff\xff")), "extensions"),
}
"""Java refuses them, and why."""


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_odd_certificates_are_read(data: bytes) -> None:
    found = parse(data)
    assert found.is_read_by_java
    assert found.identity.is_known
    assert d.SHARED in found.identity.dns_names
    assert d.OWN in found.subject
    assert "Test CA" in found.issuer
    assert found.serial
    assert found.key != "unknown"
    assert found.not_before is not None
    assert found.not_after is not None
    assert equivalence(parse(OTHER).identity, found.identity) == "shared_dns"


@pytest.mark.parametrize("data", NO_NAMES.values(), ids=NO_NAMES)
def test_certificates_without_names(data: bytes) -> None:
    found = parse(data)
    assert (found.problem, found.identity.dns_names) == (None, ())
    assert (found.subject, found.key) == (f"CN={d.OWN}", "EC secp256r1")
    assert equivalence(parse(OTHER).identity, found.identity) == "none"


@pytest.mark.parametrize("data", UNREAD.values(), ids=UNREAD)
def test_names_that_java_does_not_read(data: bytes) -> None:
    """They are shown, but nothing is equivalent by them."""
    found = parse(data)
    assert found.problem is not None
    assert (found.problem.kind, found.is_read_by_java, found.identity.dns_names) == ("alternative_names", True, ())
    assert found.unread_names == ((d.OWN, d.SHARED) if b"puppetdb" in data.split(d.OWN.encode())[-1] else ())
    assert equivalence(parse(OTHER).identity, found.identity) == "none"


@pytest.mark.parametrize(("data", "kind"), REFUSED.values(), ids=REFUSED)
def test_certificates_that_java_refuses(data: bytes, kind: ProblemKind) -> None:
    found = parse(data)
    assert found.problem is not None
    assert (found.problem.kind, found.is_read_by_java) == (kind, False)
    assert equivalence(parse(OTHER).identity, found.identity) is None
    assert equivalence(found.identity, parse(OTHER).identity, "first") is None
    if kind != "structure":
        assert found.sha256
        assert found.key != "unknown"


@pytest.mark.parametrize(
    ("curve", "taken"),
    [("1.2.156.10197.1.301", None), ("2.23.43.1.4.9", None), ("1.3.132.0.10", True), ("1.3.36.3.3.2.8.1.1.7", True)],
    ids=["SM2", "WTLS", "secp256k1", "brainpool"],
)
def test_curves(curve: str, taken: bool | None) -> None:
    """A curve that not every Java knows leaves the identity known, and the cause of an abort unsure."""
    found = parse(d.certificate(NAMES, public_key=on_curve(d.oid(curve), b"\4" + bytes(64))))
    assert found.is_read_by_java is taken
    assert found.identity.is_known


@pytest.mark.parametrize(
    ("old", "new", "is_equal"),
    [
        ((d.CN, d.PRINTABLE, b"PuppetDB  1"), (d.CN, d.UTF8, b" puppetdb 1"), True),
        ((d.CN, d.T61, b"x"), (d.CN, d.UTF8, b"x"), False),
        ((d.CN, d.T61, b"x"), (d.CN, d.T61, b"x"), True),
        ((d.CN, d.BMP, b"\0x"), (d.CN, d.BMP, b"\0X"), False),
        ((d.EMAIL, d.IA5, b"a@b"), (d.EMAIL, d.IA5, b"A@b"), False),
        ((d.EMAIL, d.IA5, b"a@b"), (d.EMAIL, d.UTF8, b"a@b"), False),
        ((d.CN, d.UTF8, b"a,b"), (d.CN, d.UTF8, b"a\\,b"), False),
    ],
)
def test_canonical_names(old: tuple[str, int, bytes], new: tuple[str, int, bytes], is_equal: bool) -> None:
    """The string type does not matter where Java folds the value, and matters where it compares the encoding."""
    a, b = (parse(d.certificate(subject=d.name(n))).identity.subject for n in (old, new))
    assert (a == b) == is_equal


def test_addresses_as_java_writes_them() -> None:
    """An IPv4 address written as one of IPv6 is the same for Java."""
    one, two = d.certificate(d.names(d.tlv(0x87, b"\x0a\0\0\1"))), d.certificate(d.names(d.tlv(0x87, bytes(10) + b"\xff\xff\x0a\0\0\1")), subject=d.common_name("b"))
    assert equivalence(parse(one).identity, parse(two).identity) == "shared_ip"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.integers(0, 1 << 40).map(lambda seed: d.mutated(random.Random(seed).choice([*READ.values(), OTHER]), random.Random(seed)))))
def test_any_bytes_are_a_certificate(data: bytes) -> None:
    """Whatever the bytes: no exception, and what has no identity says why."""
    found = parse(data)
    assert found.identity.is_known == (found.is_read_by_java is not False)
    assert found.identity.is_known or found.problem is not None
    assert len(Remaker(Disguise(b"key")).certificate(data)) == len(data)
    subject_public_key_info(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(READ)), st.integers(0, 1 << 40))
def test_redaction_keeps_what_java_reads(kind: str, seed: int) -> None:
    data = READ[kind] if seed % 2 else d.mutated(READ[kind], random.Random(seed))
    old, new = parse(data), parse(Remaker(Disguise(seed.to_bytes(8, "big"))).certificate(data))
    if old.problem is None or old.problem.kind != "subject":
        assert old.is_read_by_java == new.is_read_by_java
    if old.identity.is_known and new.identity.is_known:
        assert len(old.identity.dns_names) == len(new.identity.dns_names)
        assert len(old.identity.ip_addresses) == len(new.identity.ip_addresses)
        assert bool(old.identity.subject) == bool(new.identity.subject)


def test_redaction_of_all_kinds() -> None:
    remaker = Remaker(Disguise(b"key"))
    other = parse(remaker.certificate(OTHER))
    for data in READ.values():
        made = remaker.certificate(data)
        assert d.SHARED.encode() not in made
        assert equivalence(other.identity, parse(made).identity) == "shared_dns"
    for data in (*UNREAD.values(), *NO_NAMES.values()):
        assert equivalence(other.identity, parse(remaker.certificate(data)).identity) == "none"
    for data, _ in REFUSED.values():
        assert equivalence(other.identity, parse(remaker.certificate(data)).identity) is None


def strictly(data: bytes) -> tuple[object, ...] | None:
    """What a parser of the standard reads; None where it refuses."""
    try:
        cert = x509.load_der_x509_certificate(data)
        alternative = [e.value for e in cert.extensions if isinstance(e.value, x509.SubjectAlternativeName)]
        constraints = [e.value.ca for e in cert.extensions if isinstance(e.value, x509.BasicConstraints)]
        names = [(n.rfc4514_attribute_name, n.oid.dotted_string, n.value) for r in (*cert.subject.rdns, *cert.issuer.rdns) for n in r]
        key = cert.public_key()
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    texts = [f"{k if k[:1].isalpha() else o}={v if isinstance(v, str) else v.hex()}" for k, o, v in names]
    dns = tuple(n for a in alternative for n in a.get_values_for_type(x509.DNSName))
    ips = tuple(str(getattr(i, "ipv4_mapped", None) or i) for a in alternative for i in a.get_values_for_type(x509.IPAddress))
    times = (round(cert.not_valid_before_utc.timestamp()) * 10**9, round(cert.not_valid_after_utc.timestamp()) * 10**9)
    kind = f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else ""
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        kind = f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    return texts, dns, ips, f"{cert.serial_number:x}", times, any(constraints), kind


def tolerantly(data: bytes, kind: str) -> tuple[object, ...]:
    reading, found = read_certificate(data), parse(data)
    texts = [piece for name in (found.subject, found.issuer) for piece in name.replace("+", ", ").split(", ") if piece]
    return texts, reading.names.dns, reading.names.ips, found.serial, (found.not_before, found.not_after), found.is_authority, found.key if kind else ""


@pytest.mark.parametrize("path", sorted((ROOT / "captures").glob("*.pcap*")), ids=lambda p: p.name)
def test_the_same_as_a_strict_parser(path: Path) -> None:
    """Every certificate of the captures that a strict parser reads has the same values here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in facts_of(path).certificates.values():
            strict = strictly(data)
            assert strict is not None
            assert tolerantly(data, str(strict[-1])) == strict
            assert parse(data).problem is None


JAVA = """
import java.io.*; import java.security.cert.*; import java.util.*; import javax.security.auth.x500.X500Principal;
public class Reads {
    public static void main(String[] none) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            byte[] der = HexFormat.of().parseHex(line);
            try {
                X509Certificate c = (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(der));
                int names = 0;
                try {
                    Collection<List<?>> all = c.getSubjectAlternativeNames();
                    if (all != null) for (List<?> n : all) if ((Integer) n.get(0) == 2 && !((String) n.get(1)).isEmpty()) names++;
                } catch (CertificateParsingException | RuntimeException e) { }
                System.out.println("read " + names + " " + c.getNotBefore().getTime() + " " + c.getSerialNumber().toString(16));
            } catch (CertificateException e) { System.out.println("refused"); }
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here to ask")
def test_java_says_the_same(tmp_path: Path) -> None:
    rng = random.Random(14)
    pool = [*READ.values(), *NO_NAMES.values(), *UNREAD.values(), *(data for data, _ in REFUSED.values() if data)]
    asked = [*pool, *(d.mutated(rng.choice([*READ.values(), *UNREAD.values()]), rng) for _ in range(1500))]
    asked = [data for data in asked if data]
    source = tmp_path / "Reads.java"
    source.write_text(JAVA, encoding="utf-8")
    done = subprocess.run(["java", str(source)], input="".join(f"{data.hex()}\n" for data in asked), capture_output=True, text=True, check=False, timeout=180)
    if done.returncode:
        pytest.skip(f"this Java runs no source file: {done.stderr[:80]}")
    differ = [data.hex() for data, line in zip(asked, done.stdout.splitlines(), strict=True) if parse(data).is_read_by_java is not None and said(data) != line]
    assert not [data for data in differ if bytes.fromhex(data) in pool]
    assert len(differ) <= len(asked) // 100  # what Java makes of damage inside extensions that no verdict needs


def said(data: bytes) -> str:
    found = parse(data)
    if found.is_read_by_java is False or found.not_before is None:
        return "refused"
    return f"read {len(found.identity.dns_names)} {found.not_before // 1_000_000} {found.serial}"


def story(data: bytes, *, went_on: bool, alert: int | None = 42, java: bool = True, rest: tuple[bytes, ...] = ()) -> Pool:
    """A session of one back end, resumed, then declined by another that shows ``data``."""
    pool = Pool(java=java)
    pool.full(OTHER, numbered(1))
    pool.resumed(numbered(1))
    if went_on:
        pool.full(data, numbered(2), numbered(1))
        return pool
    flow = pool._begin(numbered(1))
    hello = server_hello(numbered(flow.port + (1 << 20)), numbered(2))
    flow.server_says(record(22, hello + certificates(data, *rest) + message(12, b"s" * 70) + DONE))
    if alert is not None:
        flow.client_says(record(21, bytes([2, alert])))
    pool._end(flow.close())
    return pool


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_odd_certificates_protect(data: bytes, tmp_path: Path) -> None:
    """The shared name counts, whatever stands beside it."""
    document = document_of(written(tmp_path, story(data, went_on=True).flows))
    (service,) = document.services
    assert service.assessment.state == "protected"
    assert d.SHARED in service.assessment.because[0]
    assert "certificate-change-tolerated" not in {f.rule for f in document.findings}
    document = document_of(written(tmp_path, story(data, went_on=False).flows))
    assert document.services[0].assessment.state in ("not_this", "unknown")
    assert not [f for f in document.findings if f.rule == "certificate-change-abort"]


@pytest.mark.parametrize("alert", [42, None])
@pytest.mark.parametrize(("data", "kind"), REFUSED.values(), ids=REFUSED)
def test_an_abort_at_what_java_refuses(data: bytes, kind: str, alert: int | None, tmp_path: Path) -> None:
    """The certificate is the cause, by name, and never the change."""
    document = document_of(written(tmp_path, story(data, went_on=False, alert=alert).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "cannot be parsed by Java" in failed.title
    assert (d.OWN if parse(data).subject else parse(data).sha256.hex()[:12]) in failed.title
    assert failed.grade == "inferred"
    (limit,) = [x for x in document.limits if x.kind == "unreadable_certificate"]
    assert failed.connections == limit.connections
    told = document.connections[-1].handshakes[0].jsse
    assert (told.verdict, told.identity) == ("not_applicable", None)
    (shown,) = [c for c in document.certificates if c.sha256 == parse(data).sha256.hex()]
    assert shown.problem


@pytest.mark.parametrize("data", [REFUSED["garbage"][0], REFUSED["extension twice"][0]])
def test_who_goes_on_with_it_tolerates_nothing(data: bytes, tmp_path: Path) -> None:
    document = document_of(written(tmp_path, story(data, went_on=True).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    because = " ".join(document.services[0].assessment.because)
    assert "count as one server" not in because
    assert "went on" not in because


def test_names_that_java_does_not_read_abort(tmp_path: Path) -> None:
    """By openssl the two share a name; by Java they do not, and the finding says why."""
    document = document_of(written(tmp_path, story(UNREAD["URI without a scheme"], went_on=False).flows))
    (found,) = [f for f in document.findings if f.rule == "certificate-change-abort"]
    assert found.verdict == "confirmed"
    assert d.SHARED in found.explanation
    assert "Java reads none of them (URI)" in found.explanation


def test_a_curve_that_not_every_java_knows(tmp_path: Path) -> None:
    data = d.certificate(d.names(d.dns("other.example.com")), public_key=on_curve(d.oid("1.2.156.10197.1.301"), b"\4" + bytes(64)))
    document = document_of(written(tmp_path, story(data, went_on=False).flows))
    (found,) = [f for f in document.findings if f.rule == "certificate-change-abort"]
    assert found.verdict == "possible"
    assert "itself may be the cause" in found.explanation


def test_an_intermediate_that_java_refuses(tmp_path: Path) -> None:
    other = d.certificate(d.names(d.dns("other.example.com")))
    document = document_of(written(tmp_path, story(other, went_on=False, rest=(b"abc",)).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    assert "a certificate of the server's chain" in document.services[0].assessment.sentence


def test_other_stacks_read_what_java_refuses(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, story(REFUSED["extension twice"][0], went_on=False, java=False).flows))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "Java" not in failed.title


@pytest.mark.parametrize("body", [vector(3, b""), vector(3, vector(3, b""))], ids=["empty list", "certificate of no bytes"])
def test_no_certificate(body: bytes, tmp_path: Path) -> None:
    pool = Pool()
    pool.full(OTHER, numbered(1))
    pool.resumed(numbered(1))
    flow = pool._begin(numbered(1))
    flow.server_says(record(22, server_hello(numbered(9), numbered(2)) + message(11, body) + message(12, b"s" * 70) + DONE)).client_says(record(21, b"\2\x2a"))
    pool._end(flow.close())
    document = document_of(written(tmp_path, pool.flows))
    assert document.services[0].assessment.state == "not_this"
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    assert ("empty list" if body == vector(3, b"") else "no certificate") in document.services[0].assessment.sentence


@pytest.mark.parametrize("data", [REFUSED["extension twice"][0], b"abc", b""])
def test_client_certificates(data: bytes, tmp_path: Path) -> None:
    pool = Pool()
    flow = pool._begin(b"")
    pool._flight(flow, OTHER, numbered(1), False)
    flow.client_says(record(22, certificates(data)), KEY_EXCHANGE).server_says(record(21, b"\2\x2a"))
    pool._end(flow.close(by_client=False))
    document = document_of(written(tmp_path, pool.flows))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "the client's certificate" in failed.title
    assert "cannot be parsed by Java" in failed.title


def test_a_redacted_report_says_the_same(tmp_path: Path) -> None:
    for data, _ in REFUSED.values():
        facts = facts_of(written(tmp_path, story(data, went_on=False).flows))
        first = judge(facts).complete()
        disguise = Disguise(b"key")
        again = judge(redacted_facts(facts, disguise, Remaker(disguise))).complete()
        assert [(f.rule, f.verdict) for f in first.findings] == [(f.rule, f.verdict) for f in again.findings]


def shown(*ders: bytes) -> list[Certificate]:
    return [parse(data) for data in ders]


def test_compare_what_cannot_be_read() -> None:
    comparison = compare(shown(OTHER, READ["Teletex"], REFUSED["extension twice"][0]), ["a", "b", "c"])
    assert comparison.equivalent("current") is None
    assert comparison.fixes["current"] is None
    assert [(p.old, p.new) for p in comparison.unknown()] == [(0, 2), (1, 2)]
    text = comparison_text(comparison)
    assert "3: Java cannot parse it: it has an extension twice" in text
    assert "2 of 3 pairs cannot be compared" in text
    told = json.loads(comparison_json(comparison))
    assert told["equivalent"]["current"] is None
    assert told["pairs"][1]["current"] is None
    assert [bool(c["problem"]) for c in told["certificates"]] == [False, False, True]


def test_a_fix_leaves_out_what_cannot_be_read() -> None:
    other = d.certificate(d.names(d.dns("other.example.com")))
    comparison = compare(shown(OTHER, other, REFUSED["extension twice"][0]), ["a", "b", "c"])
    for fix in comparison.fixes.values():
        assert fix is not None
        assert {a.certificate for a in fix.additions} <= {0, 1}


@pytest.mark.skipif(not FAULTS.is_dir(), reason="no shared faults here")
def test_faults() -> None:
    """All but the one with an extension twice are read with the shared name."""
    found = sorted(FAULTS.glob("0*.der"))
    assert found
    for path in found:
        certificate = parse(path.read_bytes())
        if path.name.startswith("02"):
            assert certificate.problem is not None
            assert certificate.problem.kind == "duplicate_extension"
        elif "version-v1" in path.name:
            assert certificate.subject
        else:
            assert d.SHARED in certificate.identity.dns_names, path.name
        assert certificate.subject
        assert certificate.not_after is not None
