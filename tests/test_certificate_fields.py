"""Fields of certificates one by one, as lax and as strict as Java is with each: names, keys, times, versions,
extensions.
"""

from __future__ import annotations

import pytest

from inspector.tls.x509 import der
from inspector.tls.x509.certificate import CertificateProblem, read_certificate
from inspector.tls.x509.general_names import read_alternative_names
from inspector.tls.x509.public_keys import PublicKey, read_public_key
from inspector.tls.x509.validity import SECOND_NS, read_time
from tests import der as d
from tests.odd import NAMES

MAPPED = bytes(10) + b"\xff\xff\x0a\0\0\1"
ADDRESSES = {
    "10.0.0.1": b"\x0a\0\0\1",
    "10.0.0.0/255.0.0.0": b"\x0a\0\0\0\xff\0\0\0",
    "fd00::1": b"\xfd" + bytes(14) + b"\1",
    "10.0.0.2": MAPPED[:-1] + b"\2",
    "fd00::/8": b"\xfd" + bytes(15) + b"\xff" + bytes(15),
    "fd00::1/128": b"\xfd" + bytes(14) + b"\1" + b"\xff" * 16,
    "::/0": bytes(32),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses(text: str) -> None:
    found = read_alternative_names(d.seq(d.tlv(0x87, ADDRESSES[text])))
    assert (found.ips, found.flaw) == ((text,), None)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x0a\0\0", bytes(15), bytes(17), bytes(16) + b"\xff\0\xff" + bytes(13), bytes(31) + b"\1", bytes(64)],
)
def test_what_is_no_address_costs_all_names(content: bytes) -> None:
    found = read_alternative_names(d.seq(d.dns("a.example"), d.tlv(0x87, content)))
    assert (found.dns, found.ips, found.flaw) == (("a.example",), (), "IP address")


@pytest.mark.parametrize(
    ("parts", "is_read"),
    [
        (d.tlv(0x81, d.tlv(0x13, b"party")), True),
        (d.tlv(0x80, d.tlv(0x13, b"assigner")) + d.tlv(0x81, d.tlv(0x13, b"party")), True),
        (d.tlv(0xA0, d.tlv(0x13, b"assigner")) + d.tlv(0x81, d.tlv(0x13, b"party")), True),
        (d.tlv(0x81, b""), False),
        (d.tlv(0x81, b"\x13\x05x"), False),
        (d.tlv(0x80, b"") + d.tlv(0x81, d.tlv(0x13, b"party")), False),
        (d.tlv(0x80, d.tlv(0x13, b"assigner")), False),
        (d.tlv(0xA1, d.tlv(0x13, b"party")), False),
        (d.tlv(0x81, d.tlv(0x13, b"party")) * 3, False),
        (b"", False),
    ],
)
def test_names_of_parties(parts: bytes, is_read: bool) -> None:
    found = read_alternative_names(d.seq(d.tlv(0xA5, parts)))
    assert (found.others, found.flaw) == (("ediPartyName",), None if is_read else "ediPartyName")


def subject_key(algorithm: str, parameters: bytes, key: bytes) -> bytes:
    return d.seq(d.seq(d.oid(algorithm), parameters), d.tlv(3, b"\0" + key))


ED25519, X448, DSA, GOST = "1.3.101.112", "1.3.101.111", "1.2.840.10040.4.1", "1.2.643.7.1.1.1.1"
RSA = "1.2.840.113549.1.1.1"
DOMAIN = d.seq(d.num(1 << 2047 | 1), d.num(1 << 255 | 1), d.num(2))
KEYS = {
    "Ed25519": (subject_key(ED25519, b"", bytes(32)), PublicKey("Ed25519", True, ED25519)),
    "Ed25519, too short": (subject_key(ED25519, b"", bytes(31)), PublicKey("Ed25519", False, ED25519)),
    "Ed25519 with NULL": (subject_key(ED25519, d.tlv(5), bytes(32)), PublicKey("Ed25519", True, ED25519)),
    "Ed25519 with parameters": (subject_key(ED25519, d.num(1), bytes(32)), PublicKey("Ed25519", False, ED25519)),
    "X448": (subject_key(X448, b"", bytes(56)), PublicKey("X448", True, X448)),
    "DSA": (subject_key(DSA, DOMAIN, d.num(5)), PublicKey("DSA 2048", True, DSA, 2048)),
    "DSA with the authority's parameters": (subject_key(DSA, b"", d.num(5)), PublicKey("DSA 0", True, DSA)),
    "DSA without a value": (subject_key(DSA, DOMAIN, b""), PublicKey("DSA", False, DSA)),
    "DSA, two values": (subject_key(DSA, DOMAIN, d.num(5) * 2), PublicKey("DSA", False, DSA)),
    "DSA of no numbers": (subject_key(DSA, d.seq(), d.num(5)), PublicKey("DSA", False, DSA)),
    "DSA of another kind": (subject_key(DSA, d.num(7), d.num(5)), PublicKey("DSA", False, DSA)),
    "RSA without a number": (subject_key(RSA, d.tlv(5), d.seq()), PublicKey("RSA", False, RSA)),
    "RSA, three numbers": (
        subject_key(RSA, d.tlv(5), d.seq(d.num(7), d.num(3), d.num(1))),
        PublicKey("RSA", False, RSA),
    ),
    "one that nobody knows": (subject_key(GOST, d.num(1), b"any"), PublicKey(GOST, True, GOST)),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys(name: str) -> None:
    data, expected = KEYS[name]
    assert read_public_key(der.one(data)) == expected
    reading = read_certificate(d.certificate(NAMES, public_key=data))
    assert reading.key == expected
    refused = [CertificateProblem("public_key", expected.text)] if expected.is_taken is False else []
    assert reading.problems == refused


@pytest.mark.parametrize(
    "data", [d.seq(), d.seq(d.seq(d.oid(DSA))), d.seq(d.seq(d.oid(DSA), d.num(1), d.num(2)), d.tlv(3, b"\0"))]
)
def test_what_is_no_key(data: bytes) -> None:
    assert CertificateProblem("public_key") in read_certificate(d.certificate(NAMES, public_key=data)).problems


UTC, GENERALIZED = der.UTC_TIME, der.GENERALIZED_TIME
DAY = 86_400


@pytest.mark.parametrize(
    ("tag", "text", "seconds"),
    [
        (UTC, "700102000000Z", DAY),
        (UTC, "7001020000Z", DAY),
        (UTC, "490101000000Z", 2_493_072_000),
        (UTC, "500101000000Z", -631_152_000),
        (UTC, "700102013000+0130", DAY),
        (UTC, "700101223000-0130", DAY),
        (GENERALIZED, "19700102000000Z", DAY),
        (GENERALIZED, "197001020000+0000", DAY),
        (GENERALIZED, "19700102000000.5Z", DAY + 0.5),
        (GENERALIZED, "19700102000000,1239Z", DAY + 0.123),
        (GENERALIZED, "20230230000000Z", 1_677_715_200),
    ],
)
def test_times(tag: int, text: str, seconds: float) -> None:
    assert read_time(der.Value(tag, text.encode())) == round(seconds * SECOND_NS)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (UTC, "700102000000"),
        (UTC, "700102000000.5Z"),
        (UTC, "19700102000000Z"),
        (UTC, "700102000000+2400"),
        (UTC, "700102000000+0060"),
        (UTC, "700002000000Z"),
        (UTC, "700132000000Z"),
        (UTC, "700102240000Z"),
        (UTC, "700102000060Z"),
        (GENERALIZED, "00000102000000Z"),
        (GENERALIZED, "700102000000Z"),
        (der.OCTET_STRING, "19700102000000Z"),
    ],
)
def test_what_is_no_time(tag: int, text: str) -> None:
    with pytest.raises(der.DerError):
        read_time(der.Value(tag, text.encode()))


VERSION_1, VERSION_2 = d.tlv(0xA0, d.num(0)), d.tlv(0xA0, d.num(1))
CONSTRAINTS = d.extension(d.BASIC_CONSTRAINTS, d.seq(d.TRUE, d.num(0)))
NO_DER = b"\x30\x05\x01"
IDENTIFIER, SECOND_IDENTIFIER = d.tlv(0x81, b"\0id"), d.tlv(0x82, b"\0id")
NO_NAME = d.seq()
FIELDS: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "version 3": (d.certificate(NAMES), []),
    "version 1": (d.certificate(version=b""), []),
    "version 1, said": (d.certificate(version=VERSION_1), []),
    "version that is no value": (d.certificate(version=b"\x80\x01\x02"), []),
    "version that cannot be read": (d.certificate(version=d.tlv(0xA0, b"\x02\x05\x02")), [("version", "")]),
    "version 1 with extensions": (d.certificate(NAMES, version=b""), [("version", "1")]),
    "version 2 with extensions": (d.certificate(NAMES, version=VERSION_2), [("version", "2")]),
    "identifiers": (d.certificate(version=VERSION_2, identifiers=IDENTIFIER), []),
    "both identifiers": (d.certificate(NAMES, identifiers=IDENTIFIER + SECOND_IDENTIFIER), []),
    "the second identifier alone": (d.certificate(NAMES, identifiers=SECOND_IDENTIFIER), []),
    "identifiers in version 1": (d.certificate(version=b"", identifiers=IDENTIFIER), [("version", "1")]),
    "an identifier of no bits": (d.certificate(identifiers=d.tlv(0x81, b"\x09")), [("structure", "")]),
    "nobody, version 1": (d.certificate(version=b"", subject=NO_NAME), [("subject", "")]),
    "nobody, without extensions": (d.certificate(subject=NO_NAME), []),
    "nobody, names not critical": (d.certificate(NAMES, subject=NO_NAME), [("subject", "")]),
    "nobody, critical names": (d.certificate(d.names(d.dns("a"), critical=d.TRUE), subject=NO_NAME), []),
    "nobody's": (d.certificate(NAMES, issuer=NO_NAME), [("issuer", "")]),
    "path length": (d.certificate(NAMES, CONSTRAINTS), []),
    "path length that is no number": (
        d.certificate(NAMES, d.extension(d.BASIC_CONSTRAINTS, d.seq(d.TRUE, d.tlv(2)), d.TRUE)),
        [("critical_extension", d.BASIC_CONSTRAINTS)],
    ),
    "a broken extension": (d.certificate(NAMES, d.extension("2.5.29.37", NO_DER)), []),
    "a broken extension, critical": (
        d.certificate(NAMES, d.extension("2.5.29.37", NO_DER, d.TRUE)),
        [("critical_extension", "2.5.29.37")],
    ),
    "critical names, broken": (
        d.certificate(d.names(d.tlv(0x87, b"x"), critical=d.TRUE)),
        [("critical_extension", d.SAN)],
    ),
    "an unknown extension, critical": (d.certificate(NAMES, d.extension("1.2.3.4", NO_DER, d.TRUE)), []),
    "twice": (d.certificate(NAMES, NAMES), [("duplicate_extension", d.SAN)]),
    "twice, once broken": (d.certificate(d.extension("2.5.29.37", NO_DER), d.extension("2.5.29.37", d.seq())), []),
    "a value that is longer than what it is in": (b"\x30\x04\x30\x02\x02\x05", [("structure", "")]),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    data, problems = FIELDS[name]
    assert [(p.kind, p.detail) for p in read_certificate(data).problems] == problems


def test_an_authority_is_one_with_a_path_length() -> None:
    assert read_certificate(d.certificate(NAMES, CONSTRAINTS)).is_authority
    assert not read_certificate(d.certificate(NAMES)).is_authority
    without = d.extension(d.BASIC_CONSTRAINTS, d.seq(d.num(0)))
    assert not read_certificate(d.certificate(NAMES, without)).is_authority
