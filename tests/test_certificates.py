"""Certificates as Java reads them: odd ones that it reads, broken ones that it refuses."""

from __future__ import annotations

import random
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from hypothesis import given, settings, strategies as st

from inspector.findings.jsse import equivalence
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.tls.x509 import certificate, public_keys
from inspector.tls.x509.certificate import ProblemKind, read_certificate, subject_public_key_info
from inspector.tracking.certificates import _texts_of_issuer, parse
from tests import der as d
from tests.build import facts_of
from tests.odd import NAMES, NO_NAMES, OTHER, READ, REFUSED, UNREAD, on_curve
from tests.waiting import COMMAND_SECONDS

ROOT = Path(__file__).parent.parent
FAULTS = ROOT.parent / "shared" / "faults"


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
    one, two = (
        d.certificate(d.names(d.tlv(0x87, b"\x0a\0\0\1"))),
        d.certificate(d.names(d.tlv(0x87, bytes(10) + b"\xff\xff\x0a\0\0\1")), subject=d.common_name("b")),
    )
    assert equivalence(parse(one).identity, parse(two).identity) == "shared_ip"


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.integers(0, 1 << 40).map(
            lambda seed: d.mutated(random.Random(seed).choice([*READ.values(), OTHER]), random.Random(seed))
        ),
    )
)
def test_any_bytes_are_a_certificate(data: bytes) -> None:
    """Whatever the bytes: no exception, and what has no identity says why."""
    found = parse(data)
    assert found.identity.is_known == (found.is_read_by_java is not False)
    assert found.identity.is_known or found.problem is not None
    assert len(Remaker(Disguise(b"key")).certificate(data)) == len(data)
    subject_public_key_info(data)


@settings(max_examples=150)
@given(st.sampled_from(sorted(READ)), st.integers(0, 1 << 40))
def test_redaction_keeps_what_java_reads(kind: str, seed: int) -> None:
    """Of what is odd, but not of what is damaged: there may be a name under any tag."""
    data = READ[kind]
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
        names = [
            (n.rfc4514_attribute_name, n.oid.dotted_string, n.value)
            for r in (*cert.subject.rdns, *cert.issuer.rdns)
            for n in r
        ]
        key = cert.public_key()
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None
    texts = [f"{k if k[:1].isalpha() else o}={v if isinstance(v, str) else v.hex()}" for k, o, v in names]
    dns = tuple(n for a in alternative for n in a.get_values_for_type(x509.DNSName))
    ips = tuple(
        str(getattr(i, "ipv4_mapped", None) or i) for a in alternative for i in a.get_values_for_type(x509.IPAddress)
    )
    times = (round(cert.not_valid_before_utc.timestamp()) * 10**9, round(cert.not_valid_after_utc.timestamp()) * 10**9)
    kind = f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else ""
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        kind = f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    return texts, dns, ips, f"{cert.serial_number:x}", times, any(constraints), kind


def tolerantly(data: bytes, kind: str) -> tuple[object, ...]:
    reading, found = read_certificate(data), parse(data)
    texts = [piece for name in (found.subject, found.issuer) for piece in name.replace("+", ", ").split(", ") if piece]
    return (
        texts,
        reading.names.dns,
        reading.names.ips,
        found.serial,
        (found.not_before, found.not_after),
        found.is_authority,
        found.key if kind else "",
    )


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
                    if (all != null) for (List<?> n : all)
                        if ((Integer) n.get(0) == 2 && !((String) n.get(1)).isEmpty()) names++;
                } catch (CertificateParsingException | RuntimeException e) { }
                String serial = c.getSerialNumber().toString(16);
                System.out.println("read " + names + " " + c.getNotBefore().getTime() + " " + serial);
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
    done = subprocess.run(
        ["java", str(source)],
        input="".join(f"{data.hex()}\n" for data in asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode:
        pytest.skip(f"this Java runs no source file: {done.stderr[:80]}")
    differ = [
        data.hex()
        for data, line in zip(asked, done.stdout.splitlines(), strict=True)
        if parse(data).is_read_by_java is not None and said(data) != line
    ]
    assert not [data for data in differ if bytes.fromhex(data) in pool]
    assert len(differ) <= len(asked) // 100  # what Java makes of damage inside extensions that no verdict needs


def said(data: bytes) -> str:
    found = parse(data)
    if found.is_read_by_java is False or found.not_before is None:
        return "refused"
    return f"read {len(found.identity.dns_names)} {found.not_before // 1_000_000} {found.serial}"


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


def test_what_is_kept_of_other_certificates_changes_nothing() -> None:
    """Issuers, algorithms and extensions that were read already say the same when they are met again."""
    rng = random.Random(11)
    known = list(READ.values())
    damaged = [d.mutated(rng.choice(known), rng) for _ in range(1500)]
    pools = (certificate._name_of_pool, certificate._extension_of_pool, public_keys._of_pool, _texts_of_issuer)
    together = [parse(data) for data in damaged]
    assert any(pool.cache_info().hits for pool in pools)
    for data, found in zip(damaged, together, strict=True):
        for pool in pools:
            pool.cache_clear()
        assert parse(data) == found
