"""Distinguished names (RFC 5280, section 4.1.2.4): for people, and in the canonical form that ``X500Principal.equals``
compares.

The canonical form is that of ``sun.security.x509.AVA.toRFC2253CanonicalString``: values of UTF8String and
PrintableString with runs of spaces collapsed, ends trimmed, case folded and NFKD; any other value, and any attribute
that RFC 2253 has no keyword for, stands as the bytes that it is encoded in. So ``CN=x`` as PrintableString equals
``cn=X`` as UTF8String, and neither equals ``CN=x`` as T61String; e-mail addresses are equal only byte by byte.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from inspector.tls.x509 import der

SPACES = re.compile(" +")
TRIMMED = "".join(map(chr, range(33)))
"""What Java's ``String.trim`` takes away."""

KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
"""RFC 4514, section 3; the same as RFC 2253."""

CHARSETS = {
    der.UTF8_STRING: "utf-8",
    der.PRINTABLE_STRING: "latin-1",
    der.NUMERIC_STRING: "latin-1",
    der.T61_STRING: "latin-1",
    der.IA5_STRING: "latin-1",
    der.VISIBLE_STRING: "latin-1",
    der.GENERAL_STRING: "latin-1",
    der.UNIVERSAL_STRING: "utf-32-be",
    der.BMP_STRING: "utf-16-be",
}
"""T61String as Latin-1, as Java and OpenSSL have it; the others as wide as what stands in them in the field."""

SURROGATES = re.compile("[\ud800-\udfff]")
ESCAPED = re.compile(r'[,+<>;"\\]|^#')


class Attribute(NamedTuple):
    """One attribute of a name: its type as an object identifier, and its value as encoded."""

    oid: str
    value: der.Value

    @property
    def text(self) -> str:
        """The value for people: what is no string as hexadecimal."""
        charset = CHARSETS.get(self.value.tag)
        return self.value.content.decode(charset, "replace") if charset else self.value.content.hex()


Name = tuple[tuple[Attribute, ...], ...]
"""Relative names, each of one or more attributes."""


def read_name(value: der.Value) -> Name:
    """A name. Raises DerError."""
    relatives = der.several(der.of_tag(value, der.SEQUENCE))
    return tuple([tuple([_attribute(a) for a in der.several(der.of_tag(r, der.SET))]) for r in relatives])


def _attribute(value: der.Value) -> Attribute:
    kind, content = _two(der.several(der.of_tag(value, der.SEQUENCE)))
    if content.tag == der.BMP_STRING and SURROGATES.search(
        content.content.decode("utf-16-be", "surrogatepass") if len(content.content) % 2 == 0 else ""
    ):
        raise der.DerError
    return Attribute(der.oid(kind), content)


def _two(values: list[der.Value]) -> tuple[der.Value, der.Value]:
    if len(values) != 2:
        raise der.DerError
    return values[0], values[1]


def readable(name: Name) -> str:
    """``CN=puppetdb1, O=Example``, in the order of the certificate."""
    return ", ".join(["+".join([f"{KEYWORDS.get(a.oid, a.oid)}={a.text}" for a in relative]) for relative in name])


def canonical(text: str) -> str:
    """A value as X500Principal compares it: runs of spaces collapsed, ends trimmed of spaces and controls, lower case,
    NFKD.

    Other white space inside, a tab for one, is kept (``sun.security.x509.AVA``).
    """
    if "  " in text:
        text = SPACES.sub(" ", text)
    folded = text.strip(TRIMMED).upper().lower()
    return folded if folded.isascii() else unicodedata.normalize("NFKD", folded)


def canonical_name(name: Name) -> str:
    """The whole name in canonical form, in the order of the certificate; "" where it is empty."""
    return ",".join(["+".join(sorted(map(_canonical_attribute, relative))) for relative in name])


def _canonical_attribute(attribute: Attribute) -> str:
    keyword = KEYWORDS.get(attribute.oid)
    if keyword is None or attribute.value.tag not in (der.UTF8_STRING, der.PRINTABLE_STRING):
        return f"{(keyword or attribute.oid).lower()}=#{der.encoded(attribute.value).hex()}"
    text = attribute.value.content.decode("utf-8", "replace")  # a PrintableString too, up to Java 21
    escaped = ESCAPED.sub(r"\\\g<0>", text) if ESCAPED.search(text) else text
    return f"{keyword.lower()}={canonical(escaped)}"
