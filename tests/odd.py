"""Odd certificates in tables: which of them Java reads, in part or not at all."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from inspector.tls.x509.certificate import ProblemKind
from tests import der as d

OTHER = d.certificate(
    d.names(d.dns("pdb1.example.com"), d.dns(d.SHARED)),
    subject=d.common_name("pdb1.example.com"),
    serial=b"\x02\x01\x02",
)
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
    return d.seq(
        d.seq(d.oid("1.2.840.113549.1.1.1"), d.tlv(5)), d.tlv(3, b"\0" + d.seq(d.num(modulus), d.num(exponent)))
    )


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
        NAMES,
        d.extension(
            d.POLICIES,
            d.seq(
                d.seq(
                    d.oid("1.2.3"), d.seq(d.seq(d.oid("1.3.6.1.5.5.7.2.2"), d.seq(d.tlv(0x1A, "ü".encode("latin-1")))))
                )
            ),
        ),
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
    "addresses of 4, 16 and 8 bytes": with_name(
        d.tlv(0x87, b"\x0a\0\0\1"), d.tlv(0x87, bytes(10) + b"\xff\xff\x0a\0\0\2"), d.tlv(0x87, b"\x0a\0\0\0\xff\0\0\0")
    ),
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
    "unknown key algorithm": d.certificate(
        NAMES, public_key=d.seq(d.seq(d.oid("1.2.643.7.1.1.1.1")), d.tlv(3, b"\0abc"))
    ),
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
    "names with something behind": d.certificate(d.extension(d.SAN, d.seq(d.dns(d.OWN), d.dns(d.SHARED)) + b"\5\0")),
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
    "extension twice": (
        d.certificate(NAMES, d.extension("1.2.3.4", b"\5\0"), d.extension("1.2.3.4", b"\5\0")),
        "duplicate_extension",
    ),
    "names twice": (d.certificate(NAMES, NAMES), "duplicate_extension"),
    "version 1 with extensions": (d.certificate(NAMES, version=b""), "version"),
    "version 2 with extensions": (d.certificate(NAMES, version=d.tlv(0xA0, d.num(1))), "version"),
    "critical names malformed": (
        d.certificate(d.names(d.tlv(0x86, b"no scheme"), d.dns(d.SHARED), critical=d.TRUE)),
        "critical_extension",
    ),
    "critical key usage malformed": (
        d.certificate(NAMES, d.extension("2.5.29.15", b"\5\0", d.TRUE)),
        "critical_extension",
    ),
    "empty subject": (d.certificate(NAMES, subject=d.seq()), "subject"),
    "empty issuer": (d.certificate(NAMES, issuer=d.seq()), "issuer"),
    "signature algorithms differ": (
        d.certificate(NAMES, outer=d.seq(d.oid("1.2.840.10045.4.3.3"))),
        "signature_algorithm",
    ),
    "time without a zone": (valid(d.tlv(0x17, b"240101000000"), d.tlv(0x17, b"340101000000Z")), "validity"),
    "month 13": (valid(d.tlv(0x17, b"241301000000Z"), d.tlv(0x17, b"340101000000Z")), "validity"),
    "serial of no bytes": (d.certificate(NAMES, serial=b"\2\0"), "serial_number"),
    "compressed point": (
        d.certificate(NAMES, public_key=on_curve(P256, point(PublicFormat.CompressedPoint))),
        "public_key",
    ),
    "point of another curve": (
        d.certificate(NAMES, public_key=on_curve(P256, point(PublicFormat.UncompressedPoint, ec.SECP384R1()))),
        "public_key",
    ),
    "explicit curve": (
        d.certificate(NAMES, public_key=on_curve(d.seq(d.num(1)), point(PublicFormat.UncompressedPoint))),
        "public_key",
    ),
    "RSA 384": (d.certificate(NAMES, public_key=rsa_key(1 << 383 | 1, 65537)), "public_key"),
    "RSA exponent 1": (d.certificate(NAMES, public_key=rsa_key(1 << 2047 | 1, 1)), "public_key"),
    "boolean of two bytes": (d.certificate(d.names(d.dns(d.SHARED), critical=b"\1\2\xff\xff")), "extensions"),
}
"""Java refuses them, and why."""
