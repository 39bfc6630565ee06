"""The authorities whose client certificates a server accepts, each list read once: names for people, and the form that
Java compares.

A CertificateRequest holds distinguished names one behind the other, each with its length (RFC 5246, section 7.4.4; RFC
8446, section 4.2.4). A client looks for a certificate that one of them issued, so their order says nothing, and Java's
trust stores give them in any. A name that cannot be read costs no other; where a length is more than what is left, the
rest counts as one name that cannot be read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from inspector import bounds
from inspector.tls.x509 import der
from inspector.tls.x509.der import DerError
from inspector.tls.x509.distinguished_names import canonical_name, read_name, readable

LENGTH = 2
"""Bytes before each name."""


class Authority(NamedTuple):
    """One name. ``name``: readable, "" where it is empty, None where it cannot be read. ``key``: equal where Java takes
    two for one: the canonical form, else the bytes in hexadecimal. ``size``: bytes of it.
    """

    name: str | None
    key: str
    size: int


class Accepted(NamedTuple):
    """A server's list without repetitions, in its order. ``more``: names behind the bound, which were counted and not
    read.
    """

    authorities: tuple[Authority, ...]
    more: int

    @property
    def names(self) -> list[str]:
        """Those that can be read."""
        return [authority.name for authority in self.authorities if authority.name is not None]


@lru_cache(maxsize=128)
def read_authorities(listed: bytes) -> Accepted:
    """The names of a list as it stood on the wire, whatever it holds. Raises nothing."""
    authorities: dict[str, Authority] = {}
    at = count = 0
    while at < len(listed):
        end = at + LENGTH + int.from_bytes(listed[at : at + LENGTH], "big")
        if count < bounds.AUTHORITIES:
            is_whole = end <= len(listed)
            authority = _read(listed[at + LENGTH : end]) if is_whole else _unread(listed[at:])
            authorities.setdefault(authority.key, authority)
        count += 1
        at = end
    return Accepted(tuple(authorities.values()), max(count - bounds.AUTHORITIES, 0))


def _read(encoded: bytes) -> Authority:
    try:
        name = read_name(der.one(encoded))
        return Authority(_cut(readable(name)), canonical_name(name), len(encoded))
    except DerError:
        return _unread(encoded)


def _unread(encoded: bytes) -> Authority:
    return Authority(None, f"#{encoded.hex()}", len(encoded))


def _cut(name: str) -> str:
    return name if len(name) <= bounds.AUTHORITY_NAME else name[: bounds.AUTHORITY_NAME - 1] + "…"
