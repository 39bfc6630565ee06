"""Certificates as they are read: names for people, and the identity that Java compares.

How they are read stands in ``x509/``; what could not be read is None or empty, and named in ``problem``.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from msgspec import Struct

from inspector import bounds
from inspector.errors.internal import Border
from inspector.tls.x509.certificate import CertificateProblem, Reading, read_certificate
from inspector.tls.x509.distinguished_names import Name, canonical_name, readable


class Identity(NamedTuple):
    """What the identity rule looks at. ``subject`` and ``issuer`` are canonical; "" is an empty name. ``is_known``:
    False where Java reads no identity, or it could not be read here; then the rest says nothing.
    """

    sha256: bytes
    ip_addresses: tuple[str, ...]
    dns_names: tuple[str, ...]
    subject: str
    issuer: str
    is_known: bool = True


class ParsedCertificate(Struct, frozen=True):
    """A certificate as read. Times are nanoseconds since the epoch, None where they could not be read. ``problem``: the
    gravest of what is wrong with it.
    ``other_names``: kinds of alternative names that Java does not compare. ``unread_names``: DNS names and addresses
    that stand in it and that Java does not read, because of another name beside them.
    """

    sha256: bytes
    subject: str
    issuer: str
    serial: str
    not_before: int | None
    not_after: int | None
    identity: Identity
    key: str
    signature: str
    self_issued: bool
    is_authority: bool = False
    problem: CertificateProblem | None = None
    other_names: tuple[str, ...] = ()
    unread_names: tuple[str, ...] = ()

    @property
    def is_server(self) -> bool:
        """Whether a server may show it as its own: it belongs to no authority, or names a host. What
        ``openssl req -x509`` makes for a server calls itself an authority.
        """
        return not self.is_authority or bool(self.identity.dns_names or self.identity.ip_addresses)

    @property
    def common_name(self) -> str:
        """The subject's common name, else the whole subject."""
        for part in self.subject.split(","):
            kind, _, value = part.strip().partition("=")
            if kind == "CN":
                return value
        return self.subject

    @property
    def short_name(self) -> str:
        """How a person calls it: the first DNS name, else the common name, else the start of the fingerprint."""
        return next(iter(self.identity.dns_names), "") or self.common_name or self.sha256.hex()[:12]

    @property
    def known_as(self) -> str:
        """How its owners call it: the common name, else the short name."""
        return self.common_name or self.short_name

    def memory(self) -> int:
        """Bytes that it takes, about."""
        identity = self.identity
        names = (*identity.dns_names, *identity.ip_addresses, *self.unread_names)
        texts = (self.subject, self.issuer, self.serial, identity.subject, identity.issuer, *names)
        return bounds.READ_CERTIFICATE_BYTES + sum(map(len, texts)) + bounds.READ_NAME_BYTES * len(names)

    def is_valid_at(self, ns: int) -> bool | None:
        """Whether it is valid then (nanoseconds since the epoch); None where its times cannot be read."""
        if self.not_before is None or self.not_after is None:
            return None
        return self.not_before <= ns <= self.not_after

    @property
    def is_read_by_java(self) -> bool | None:
        """Whether Java can parse it; None where that depends on which Java."""
        return True if self.problem is None else self.problem.is_read_by_java


def parse(der: bytes) -> ParsedCertificate:
    """Read a certificate from its bytes, whatever they are. Raises nothing: where this program stumbles over one,
    nothing is known of it but that.
    """
    border = Border()
    with border:
        return _parsed(der)
    sha256 = hashlib.sha256(der).digest()
    return ParsedCertificate(
        sha256=sha256,
        subject="",
        issuer="",
        serial="",
        not_before=None,
        not_after=None,
        identity=Identity(sha256, (), (), "", "", is_known=False),
        key="unknown",
        signature="unknown",
        self_issued=False,
        problem=CertificateProblem("mistake", border.notices()[0].where),
    )


def _parsed(der: bytes) -> ParsedCertificate:
    reading = read_certificate(der)
    problem = reading.problems[0] if reading.problems else None
    names = reading.names
    stands = names.dns + names.ips
    is_refused = problem is not None and problem.is_read_by_java is False
    accepted = names if names.flaw is None else names._replace(dns=(), ips=())
    sha256 = hashlib.sha256(der).digest()
    subject, issuer = _texts(reading.subject), _texts_of_issuer(reading.issuer)
    return ParsedCertificate(
        sha256=sha256,
        subject=subject.readable,
        issuer=issuer.readable,
        serial="" if reading.serial is None else f"{reading.serial:x}",
        not_before=reading.not_before,
        not_after=reading.not_after,
        identity=Identity(sha256, accepted.ips, accepted.dns, subject.canonical, issuer.canonical, not is_refused),
        key=reading.key.text if reading.key is not None else "unknown",
        signature=reading.signature or "unknown",
        self_issued=_is_self_issued(reading),
        is_authority=reading.is_authority,
        problem=problem,
        other_names=names.others,
        unread_names=stands if names.flaw is not None else (),
    )


class _NameTexts(NamedTuple):
    """A name for people, and in canonical form; empty where it could not be read."""

    readable: str
    canonical: str


def _texts(name: Name | None) -> _NameTexts:
    return _NameTexts(readable(name), canonical_name(name)) if name is not None else _NameTexts("", "")


_texts_of_issuer = lru_cache(maxsize=256)(_texts)
"""A few issuers stand in all certificates."""


def _is_self_issued(reading: Reading) -> bool:
    subject, issuer = reading.subject, reading.issuer
    if subject is None or issuer is None or [*map(len, subject)] != [*map(len, issuer)]:
        return False
    pairs = zip(chain.from_iterable(subject), chain.from_iterable(issuer), strict=True)
    return all(ours.oid == theirs.oid and ours.text == theirs.text for ours, theirs in pairs)
