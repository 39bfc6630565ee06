"""A certificate read field by field (RFC 5280, section 4.1), each for itself: what one field lacks costs no other.

A parser of the standard refuses the whole certificate for one odd byte, and says nothing. What stands in captures was
read by somebody nonetheless, mostly by Java's ``sun.security.x509.X509CertImpl``, which is lax in some places and
strict in others. This reader gives every field that can be read, and says where Java would refuse the certificate: then
a client's abort comes from that, before any comparison of certificates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from inspector import bounds
from inspector.tls.x509 import der
from inspector.tls.x509.distinguished_names import Name, read_name
from inspector.tls.x509.general_names import NO_NAMES, AlternativeNames, read_alternative_names
from inspector.tls.x509.public_keys import Algorithm, PublicKey, read_algorithm, read_public_key
from inspector.tls.x509.signatures import SIGNATURES
from inspector.tls.x509.validity import read_time

NAME = re.compile(rb"[\x82\x87][\x00-\x7f]")
"""How a DNS name or an address begins among the alternative names (RFC 5280, section 4.2.1.6)."""

ProblemKind = Literal[
    "structure",
    "version",
    "serial_number",
    "signature_algorithm",
    "issuer",
    "validity",
    "subject",
    "public_key",
    "extensions",
    "duplicate_extension",
    "critical_extension",
    "curve",
    "alternative_names",
    "trailing_bytes",
    "mistake",
]

READ_BY_JAVA: dict[ProblemKind, bool | None] = {
    "curve": None,
    "alternative_names": True,
    "trailing_bytes": True,
    "mistake": None,
}
"""Java refuses the certificate for every other kind; None where that depends on which Java, or is not known."""


class CertificateProblem(NamedTuple):
    """What of a certificate is not as it must be. ``detail``: the extension's object identifier, the kind of name, the
    key.
    """

    kind: ProblemKind
    detail: str = ""

    @property
    def is_read_by_java(self) -> bool | None:
        """Whether Java reads a certificate with it; None where that depends on which Java."""
        return READ_BY_JAVA.get(self.kind, False)


class BasicConstraints(NamedTuple):
    """RFC 5280, section 4.2.1.9. ``path_length``: how many authorities may follow below it; None for any number, and
    where it is none.
    """

    is_authority: bool
    path_length: int | None = None


class Reading:
    """Names of distinguished names as read; times in nanoseconds since the epoch, None where they cannot be read.
    ``version``: 1 to 3. ``constraints``: None where there are none. ``problems``: the gravest first.
    """

    subject: Name | None = None
    issuer: Name | None = None
    serial: int | None = None
    not_before: int | None = None
    not_after: int | None = None
    key: PublicKey | None = None
    signature: str = ""
    names: AlternativeNames = NO_NAMES
    version: int | None = None
    constraints: BasicConstraints | None = None

    def __init__(self) -> None:
        self.problems: list[CertificateProblem] = []

    @property
    def is_authority(self) -> bool:
        """Whether it may issue others."""
        return self.constraints is not None and self.constraints.is_authority

    def note(self, kind: ProblemKind, detail: str = "") -> None:
        """Add a problem."""
        self.problems.append(CertificateProblem(kind, detail))


BASIC_CONSTRAINTS, ALTERNATIVE_NAMES, KEY_USAGE, EXTENDED_KEY_USAGE = "2.5.29.19", "2.5.29.17", "2.5.29.15", "2.5.29.37"
KNOWN_TO_JAVA = frozenset(
    f"2.5.29.{n}" for n in (9, 14, 15, 16, 17, 18, 19, 20, 21, 27, 28, 29, 30, 31, 32, 33, 35, 36, 37, 46, 54)
) | frozenset(("1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.1.11", "1.3.6.1.5.5.7.48.1.5", "2.16.840.1.113730.1.1"))
"""Extensions that Java parses (``sun.security.x509.OIDMap``): a critical one must be parseable."""

POOLED_BYTES = 512
"""An extension, or an issuer, that is longer is not kept."""

V1, V3 = 0, 2
Source = TypeVar("Source")
Kept = TypeVar("Kept")


class Extension(NamedTuple):
    """As in RFC 5280, section 4.2. ``flaw``: what Java cannot read of one that it knows; None where it reads it.
    ``names``, ``constraints``: what it says, where it is of those that say so and can be read.
    """

    oid: str
    is_critical: bool
    flaw: str | None = None
    names: AlternativeNames | None = None
    constraints: BasicConstraints | None = None


def read_certificate(data: bytes) -> Reading:
    """Read what can be read of a certificate, whatever the bytes. Raises nothing."""
    reading = Reading()
    try:
        whole, rest = der.first(data)
        parts = der.several(der.of_tag(whole, der.SEQUENCE))
        signed = der.several(der.of_tag(parts[0], der.SEQUENCE)) if parts else []
    except der.DerError:
        reading.note("structure")
        return reading
    version = _version(reading, signed)
    reading.version = version + 1 if not reading.problems and V1 <= version <= V3 else None
    if len(signed) < 6:
        reading.note("structure")
        return reading
    serial, algorithm, issuer, validity, subject, key = signed[:6]
    reading.serial = _kept(reading, "serial_number", der.integer, serial)
    is_short = len(issuer.content) <= POOLED_BYTES
    reading.issuer = _kept(reading, "issuer", _name_of_pool if is_short else read_name, issuer)
    reading.subject = _kept(reading, "subject", read_name, subject)
    _validity(reading, validity)
    _key(reading, key)
    _signature(reading, algorithm, parts[1:])
    _rest(reading, version, signed[6:])
    if reading.issuer is not None and not any(reading.issuer):
        reading.note("issuer")
    if rest:
        reading.note("trailing_bytes")
    reading.problems.sort(key=lambda p: (p.is_read_by_java is True, p.is_read_by_java is None))
    return reading


def subject_public_key_info(data: bytes) -> bytes | None:
    """The encoded key of a certificate; None where there is none to be found. Raises nothing."""
    try:
        signed = der.several(der.of_tag(der.several(der.of_tag(der.first(data)[0], der.SEQUENCE))[0], der.SEQUENCE))
        index = 6 if _is_context(signed[0], 0) else 5
        return der.encoded(signed[index])
    except (der.DerError, IndexError):
        return None


def _kept(reading: Reading, kind: ProblemKind, read: Callable[[Source], Kept], source: Source) -> Kept | None:
    """What is read of something; None where it cannot be read, which becomes a problem."""
    try:
        return read(source)
    except der.DerError:
        reading.note(kind)
        return None


def _is_context(value: der.Value, number: int) -> bool:
    return value.tag & (der.CLASS | der.NUMBER) == der.CONTEXT | number


def _version(reading: Reading, signed: list[der.Value]) -> int:
    """The version, taken from the front of the fields; v1 where there is none."""
    if not signed or not _is_context(signed[0], 0):
        return V1
    value = signed.pop(0)
    if not value.tag & der.CONSTRUCTED:
        return V1
    number = _kept(reading, "version", lambda content: der.small_integer(der.first(content)[0]), value.content)
    return V3 if number is None else number


def _validity(reading: Reading, value: der.Value) -> None:
    times = _kept(reading, "validity", _sequence, value)
    if times is None:
        return
    if len(times) != 2:
        reading.note("validity")
        return
    reading.not_before = _kept(reading, "validity", read_time, times[0])
    reading.not_after = _kept(reading, "validity", read_time, times[1])


def _key(reading: Reading, value: der.Value) -> None:
    key = reading.key = _kept(reading, "public_key", read_public_key, value)
    if key is not None and not key.is_taken:
        reading.note("curve" if key.is_taken is None else "public_key", key.text)


def _signature(reading: Reading, value: der.Value, behind: list[der.Value]) -> None:
    """The algorithm, once among the signed fields and once behind them: for Java they must be equal."""
    inner = _kept(reading, "signature_algorithm", read_algorithm, value)
    if inner is not None:
        reading.signature = SIGNATURES.get(inner.oid, inner.oid)
    if len(behind) != 2:
        reading.note("structure")
        return
    outer: Algorithm | None = _kept(reading, "signature_algorithm", read_algorithm, behind[0])
    _kept(reading, "structure", der.bits, behind[1])
    if inner is not None and outer is not None and inner != outer:
        reading.note("signature_algorithm")


def _rest(reading: Reading, version: int, optional: list[der.Value]) -> None:
    """Unique identifiers and extensions. Java allows nothing in version 1, and extensions in version 3 alone."""
    if optional and version == V1:
        reading.note("version", "1")
    for number in (1, 2):
        if optional and _is_context(optional[0], number):
            _kept(reading, "structure", der.bits, der.Value(der.BIT_STRING, optional.pop(0).content))
            if not optional:
                return
    if not optional:
        if version == V1 and reading.subject is not None and not any(reading.subject):
            reading.note("subject")
        return
    if version not in (V1, V3):
        reading.note("version", str(version + 1))
    is_named = False
    if _is_context(optional[0], 3) and optional[0].tag & der.CONSTRUCTED:
        is_named = _extensions(reading, optional[0].content)
    if reading.subject is not None and not any(reading.subject) and not is_named:
        reading.note("subject")


def _extensions(reading: Reading, content: bytes) -> bool:
    """All extensions. Returns whether critical alternative names stand for an empty subject."""
    listed = _kept(reading, "extensions", lambda content: _sequence(der.first(content)[0]), content)
    oids: set[str] = set()
    is_named = False
    for value in listed or []:
        is_short = len(value.content) <= POOLED_BYTES
        extension = _kept(reading, "extensions", _extension_of_pool if is_short else _extension, value)
        if extension is None:
            continue
        flaw = extension.flaw
        if extension.oid not in oids:
            reading.names = extension.names or reading.names
            reading.constraints = extension.constraints or reading.constraints
        if flaw is not None and extension.is_critical:
            reading.note("critical_extension", extension.oid)
        elif flaw is None and extension.oid in oids:
            reading.note("duplicate_extension", extension.oid)
        elif flaw is not None and extension.oid == ALTERNATIVE_NAMES:
            reading.note("alternative_names", flaw)
        if flaw is None:
            oids.add(extension.oid)
            is_named = is_named or (extension.oid == ALTERNATIVE_NAMES and extension.is_critical)
    return is_named


def _sequence(value: der.Value) -> list[der.Value]:
    return der.several(der.of_tag(value, der.SEQUENCE))


def _extension(value: der.Value) -> Extension:
    if value.tag not in (der.SEQUENCE, der.SET):
        raise der.DerError
    identifier, rest = der.first(value.content)
    content, rest = der.first(rest)
    is_critical = False
    if content.tag == der.BOOLEAN:
        is_critical = der.boolean(content)
        content, rest = der.first(rest)
    return _meaning(der.oid(identifier), is_critical, der.octets(content))


_name_of_pool = lru_cache(maxsize=256)(read_name)
_extension_of_pool = lru_cache(maxsize=4096)(_extension)
"""What repeats from certificate to certificate of one authority is read once."""


def _meaning(oid: str, is_critical: bool, content: bytes) -> Extension:
    """What an extension says."""
    if oid == ALTERNATIVE_NAMES:
        names = read_alternative_names(content)
        return Extension(oid, is_critical, names.flaw, names=names)
    if oid not in KNOWN_TO_JAVA:
        return Extension(oid, is_critical)
    constraints: BasicConstraints | None = None
    try:
        if oid == KEY_USAGE:
            der.bits(der.one(content))
            return Extension(oid, is_critical)
        value = der.one(content)
        if oid == BASIC_CONSTRAINTS:
            constraints = _constraints(value)
        elif oid == EXTENDED_KEY_USAGE:
            for usage in _sequence(value):
                der.oid(usage)
    except der.DerError:
        return Extension(oid, is_critical, oid)
    return Extension(oid, is_critical, constraints=constraints)


def _constraints(value: der.Value) -> BasicConstraints:
    content = der.of_tag(value, der.SEQUENCE)
    if not content:
        return BasicConstraints(False)
    flag, rest = der.first(content)
    if flag.tag != der.BOOLEAN:
        return BasicConstraints(False)
    length = der.small_integer(der.first(rest)[0]) if rest else None
    return BasicConstraints(der.boolean(flag), length if length is None or length >= 0 else None)


def certificate_memory(data: bytes) -> int:
    """Bytes that a certificate takes once it was read, about: its names may be a few bytes each, and many."""
    return bounds.READ_CERTIFICATE_BYTES + len(data) + names_memory(data)


def names_memory(data: bytes) -> int:
    """Bytes that its alternative names take once they were read, about."""
    return bounds.NAME_BYTES * len(NAME.findall(data))
