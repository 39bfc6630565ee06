"""Certificates re-made: the same structure byte for byte, with other names, serials, keys and signatures (X.690; RFC
5280).

Names that were equal, or shared between certificates, are so again; a signature is no longer one, so chains do not
verify. What is no certificate is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from inspector.redaction.disguise import Disguise
from inspector.redaction.values import (
    BIT_STRING,
    CONSTRUCTED,
    CONTEXT,
    DEPTH,
    SMALL,
    Item,
    NoCertificate,
    holds_no_name,
    is_mask,
    is_whole,
    items,
    names_nobody,
    oid,
)
from inspector.tls.x509.der import bounds
from inspector.tls.x509.uris import is_uri

ONE_BYTE_STRINGS = (0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1B)
"""UTF8String, NumericString, PrintableString, T61String, IA5String, VisibleString, GeneralString."""

BMP_STRING, UNIVERSAL_STRING = 0x1E, 0x1C
EMAIL, DNS, URI = 1, 2, 6
MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address that is written as one of IPv6 begins with (RFC 4291, section 2.5.5.2); Java takes both for the
same.
"""

PERCENT = re.compile(rb"(%[0-9A-Fa-f]{2})")
ALTERNATIVE_NAMES = (
    oid("2.5.29.17"),
    oid("2.5.29.18"),
    oid("2.5.29.30"),
    oid("2.5.29.31"),
    oid("1.3.6.1.5.5.7.1.1"),
    oid("2.5.29.46"),
)
"""Extensions that hold GeneralNames: alternative names, name constraints, distribution points, authority information
access.
"""

SUBJECT_KEY, AUTHORITY_KEY, TIMESTAMPS = (
    oid("2.5.29.14"),
    oid("2.5.29.35"),
    (oid("1.3.6.1.4.1.11129.2.4.2"), oid("1.3.6.1.4.1.11129.2.4.5")),
)
KEPT = tuple(oid(f"2.5.29.{n}") for n in (15, 16, 19, 36, 37)) + (oid("1.3.6.1.5.5.7.1.24"),)
"""Key usage and its period, basic constraints, policy constraints, extended key usage, TLS feature: they
name nobody.
"""

EC_KEY, RSA_KEYS = oid("1.2.840.10045.2.1"), (oid("1.2.840.113549.1.1.1"), oid("1.2.840.113549.1.1.10"))
CURVES = {
    oid("1.2.840.10045.3.1.7"): "SECP256R1",
    oid("1.3.132.0.34"): "SECP384R1",
    oid("1.3.132.0.35"): "SECP521R1",
    oid("1.3.132.0.10"): "SECP256K1",
}


MILLISECONDS = b"\0\0\1"
"""What a time of eight bytes begins with, from the year 2004 to 2039."""


class Remaker:
    """Re-makes certificates and names, each once. Whatever is not known to name nobody is replaced: of a certificate
    nothing stays but tags, lengths, and the values that ``names_nobody`` lets pass.
    """

    def __init__(self, disguise: Disguise) -> None:
        self._disguise = disguise
        self._known: dict[bytes, bytes] = {}

    def certificate(self, der: bytes) -> bytes:
        """As long as before."""
        digest = hashlib.sha256(der).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._made(der)
            if known == der:
                known = self._disguise.opaque(der, "certificate")
            self._known[digest] = known
            self._disguise.note(der, known)
        return known

    def name(self, der: bytes) -> bytes:
        """A distinguished name on its own, as in a CertificateRequest."""
        data = bytearray(der)
        try:
            self._walk(data, 0, len(data), 0)
        except NoCertificate:
            return self._disguise.opaque(der, "name")
        return bytes(data)

    def authorities(self, listed: bytes) -> bytes:
        """A CertificateRequest's list of names (RFC 5246, section 7.4.4), each re-made as where it is an issuer's;
        lengths stay, what they do not fit is replaced.
        """
        data = bytearray(listed)
        at = 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                self._scramble(data, min(at + 2, len(data)), len(data), "name")
                break
            data[at + 2 : end] = self.name(bytes(data[at + 2 : end]))
            at = end
        new = bytes(data)
        self._disguise.note(listed, new)
        return new

    def _made(self, der: bytes) -> bytes:
        data = bytearray(der)
        try:
            whole, *_ = items(data, 0, bounds(data, 0)[3])
            signed, algorithm, signature = items(data, whole.start, whole.end)
            parts = list(items(data, signed.start, signed.end))
            if parts[0].tag & ~CONSTRUCTED == CONTEXT:
                self._walk(data, parts[0].at, parts[0].end, 0)
                parts = parts[1:]
            serial, signed_with, issuer, validity, subject, key = parts[:6]
            self._serial(data, serial)
            for part in (signed_with, issuer, validity, subject, algorithm):
                self._walk(data, part.start, part.end, 0)
            self._key(data, key)
            for part in parts[6:]:
                if part.tag == 0xA3:
                    self._extensions(data, part)
                else:
                    self._scramble(data, part.start + 1, part.end, "unique")
            self._scramble(data, signature.start + 1, signature.end, "signature")
            self._scramble(data, bounds(data, 0)[3], len(data), "trailing")
        except (NoCertificate, ValueError, IndexError):
            return self._disguise.opaque(der, "certificate")
        return bytes(data)

    def _serial(self, data: bytearray, item: Item) -> None:
        """Another number of as many bytes and the same sign; of one that could be shorter the beginning stays."""
        size = item.end - item.start
        value = int.from_bytes(data[item.start : item.end], "big", signed=True)
        magnitude = -1 - value if value < 0 else value
        low = 0 if size == 1 else 1 << (8 * (size - 1) - 1)
        count = (1 << (8 * size - 1)) - low
        if magnitude >= low:
            new = low + self._disguise.number(magnitude - low, count, f"serial {size}")
            data[item.start : item.end] = (-1 - new if value < 0 else new).to_bytes(size, "big", signed=True)
        else:
            self._scramble(data, item.start + 2, item.end, "serial")

    def _walk(self, data: bytearray, start: int, end: int, depth: int, general_names: bool = False) -> None:
        """All that is no number, no object identifier and no time is replaced. ``general_names``: context tags are
        those of GeneralName (RFC 5280, section 4.2.1.6).
        """
        if depth > DEPTH:
            raise NoCertificate
        for item in items(data, start, end):
            if item.tag & CONSTRUCTED and is_whole(data, item):
                self._walk(data, item.start, item.end, depth + 1, general_names)
            elif general_names and item.tag == CONTEXT | URI:
                self._uri(data, item)
            elif item.tag in (BMP_STRING, UNIVERSAL_STRING):
                self._wide(data, item)
            elif general_names and item.tag == 0x87:
                self._address(data, item)
            elif names_nobody(item.tag, old := bytes(data[item.start : item.end]), general_names):
                continue
            elif item.tag == BIT_STRING:
                self._scramble(data, item.start + 1, item.end, "string")
            else:
                is_name = general_names and item.tag in (CONTEXT | EMAIL, CONTEXT | DNS)
                is_text = item.tag in ONE_BYTE_STRINGS or is_name
                data[item.start : item.end] = (
                    self._disguise.raw(old) if is_text else self._disguise.anything(old, "string")
                )

    def _uri(self, data: bytearray, item: Item) -> None:
        """Other words between the same signs; one that Java reads as a URI becomes one that it reads, for else it would
        read none of the names.
        """
        old = bytes(data[item.start : item.end])
        pieces = (piece if PERCENT.fullmatch(piece) else self._disguise.raw(piece) for piece in PERCENT.split(old))
        new = b"".join(
            b"%%%02X" % self._disguise.stream("escape", piece, 1)[0] if PERCENT.fullmatch(piece) else piece
            for piece in pieces
        )
        if is_uri(old) != is_uri(new):
            new = b"u:".ljust(len(old), b"x") if is_uri(old) else b" " * len(old)
        data[item.start : item.end] = new

    def _wide(self, data: bytearray, item: Item) -> None:
        encoding = "utf-16-be" if item.tag == BMP_STRING else "utf-32-be"
        old = bytes(data[item.start : item.end])
        new = self._disguise.text(old.decode(encoding, "replace")).encode(encoding, "replace")
        data[item.start : item.end] = new if len(new) == len(old) else self._disguise.opaque(old)

    def _address(self, data: bytearray, item: Item) -> None:
        """An address, or in name constraints an address and a mask."""
        size = item.end - item.start
        length = size if size in (4, 16) else size // 2 if size in (8, 32) else 0
        if length == 16 and data[item.start : item.start + len(MAPPED)] == MAPPED:
            data[item.start + len(MAPPED) : item.start + 16] = self._disguise.address(
                bytes(data[item.start + len(MAPPED) : item.start + 16])
            )
        elif length and is_mask(bytes(data[item.start + length : item.end])):
            data[item.start : item.start + length] = self._disguise.address(
                bytes(data[item.start : item.start + length])
            )
        else:
            self._scramble(data, item.start, item.end, "address")

    def _scramble(self, data: bytearray, start: int, end: int, label: str) -> None:
        data[start:end] = self._disguise.opaque(bytes(data[start:end]), label)

    def _key(self, data: bytearray, item: Item) -> None:
        """Another key of the same kind and size; one on the curve, where the curve is known."""
        algorithm, bits = items(data, item.start, item.end)
        identifier, *parameters = items(data, algorithm.start, algorithm.end)
        curve = bytes(data[parameters[0].start : parameters[0].end]) if parameters else b""
        kind = bytes(data[identifier.start : identifier.end])
        start = bits.start + 1
        old = bytes(data[start : bits.end])
        if kind in RSA_KEYS:
            [key] = items(data, start, bits.end)
            modulus, exponent = items(data, key.start, key.end)
            if exponent.end - exponent.start > SMALL:
                self._scramble(data, exponent.start + 1, exponent.end - 1, "exponent")
            first = modulus.start + (2 if data[modulus.start] == 0 else 1)
            self._scramble(data, first, modulus.end, "key")
            data[modulus.end - 1] |= 1
        elif kind == EC_KEY and curve in CURVES:
            point = self._point(CURVES[curve], old)
            data[start : bits.end] = (
                point if len(point) == len(old) else old[:1] + self._disguise.opaque(old[1:], "key")
            )
        elif kind == EC_KEY:
            self._scramble(data, start + 1, bits.end, "key")
        else:
            self._unknown(data, bits._replace(start=start))
        self._walk(data, algorithm.start, algorithm.end, 0)

    def _point(self, curve_name: str, old: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        curve = getattr(ec, curve_name)()
        secret = int.from_bytes(self._disguise.stream("point", old, 32), "big") >> 1 | 1
        form = PublicFormat.UncompressedPoint if old[:1] == b"\4" else PublicFormat.CompressedPoint
        return ec.derive_private_key(secret, curve).public_key().public_bytes(Encoding.X962, form)

    def _extensions(self, data: bytearray, part: Item) -> None:
        [listed] = items(data, part.start, part.end)
        for extension in items(data, listed.start, listed.end):
            identifier, *_, value = items(data, extension.start, extension.end)
            kind = bytes(data[identifier.start : identifier.end])
            self._walk(data, extension.start, value.at, 0)
            change: Callable[[bytearray, Item], None]
            if kind in KEPT:
                change = self._kept
            elif kind == SUBJECT_KEY:
                change = self._key_identifier
            elif kind == AUTHORITY_KEY:
                change = self._authority
            elif kind in TIMESTAMPS:
                change = self._timestamps
            elif kind in ALTERNATIVE_NAMES:
                change = self._general
            else:
                change = self._unknown
            try:
                change(data, value)
            except (NoCertificate, ValueError, IndexError):
                self._unknown(data, value)

    def _kept(self, data: bytearray, value: Item) -> None:
        if not holds_no_name(data, value.start, value.end):
            self._unknown(data, value)

    def _key_identifier(self, data: bytearray, value: Item) -> None:
        [identifier] = items(data, value.start, value.end)
        self._scramble(data, identifier.start, identifier.end, "key identifier")

    def _authority(self, data: bytearray, value: Item) -> None:
        [whole] = items(data, value.start, value.end)
        for item in items(data, whole.start, whole.end):
            if item.tag == 0x80:
                self._scramble(data, item.start, item.end, "key identifier")
            elif item.tag == 0x82:
                self._serial(data, item)
            else:
                self._walk(data, item.start, item.end, 0, general_names=True)

    def _general(self, data: bytearray, value: Item) -> None:
        self._walk(data, value.start, value.end, 0, general_names=True)

    def _timestamps(self, data: bytearray, value: Item) -> None:
        """RFC 6962, section 3.3: the log and its signature are replaced."""
        [inner] = items(data, value.start, value.end)
        at = inner.start + 2
        while at + 2 < inner.end:
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            self._scramble(data, at + 3, at + 35, "log")
            behind = at + 43 + 2 + int.from_bytes(data[at + 43 : at + 45], "big")
            if not behind + 4 <= end <= inner.end or data[at + 35 : at + 38] != MILLISECONDS:
                raise NoCertificate
            self._scramble(data, at + 45, behind, "extensions")
            self._scramble(data, behind + 4, end, "signature")
            at = end
        self._scramble(data, at, inner.end, "trailing")

    def _unknown(self, data: bytearray, value: Item) -> None:
        """DER whose strings are replaced; what is none, as text or as a whole."""
        old = bytes(data[value.start : value.end])
        try:
            self._walk(data, value.start, value.end, 0)
        except NoCertificate:
            data[value.start : value.end] = self._disguise.anything(old)
