"""What is said in clear before TLS: StartTLS of LDAP (RFC 4511, section 4.14) and PostgreSQL's SSLRequest (protocol
3.0), and the header of the PROXY protocol, version 1.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum

from inspector.probe.destination import Destination

LDAP_STARTTLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
LDAP_SUCCESS = b"\x0a\x01\x00"
"""ResultCode success, the first element of the response."""
MOST_LDAP_BYTES = 4096
POSTGRES_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
SHORT_FORM = 0x80
"""From here on the byte says how many bytes of a length follow (X.690, section 8.1.3)."""

Exchange = Generator[int, bytes, bool]
"""Asks for so many bytes, is sent them, and returns whether TLS may begin."""


class StartTls(Enum):
    """The protocols, by their names on the command line."""

    LDAP = "ldap"
    POSTGRES = "postgres"

    @property
    def request(self) -> bytes:
        """What the client sends."""
        return LDAP_STARTTLS if self is StartTls.LDAP else POSTGRES_SSL_REQUEST

    def answer(self) -> Exchange:
        """Reads the answer, and not a byte more: what follows is TLS."""
        return _ldap() if self is StartTls.LDAP else _postgres()


def _postgres() -> Exchange:
    return (yield 1) == b"S"


def _ldap() -> Exchange:
    head = yield 2
    if head[:1] != b"\x30":
        return False
    length = head[1]
    if length >= SHORT_FORM:
        if not SHORT_FORM < length <= SHORT_FORM + 2:
            return False
        length = int.from_bytes((yield length - SHORT_FORM), "big")
    if not 0 < length <= MOST_LDAP_BYTES:
        return False
    return LDAP_SUCCESS in (yield length)[:16]


def proxy_header(client: tuple[str, int], destination: Destination) -> bytes:
    """``PROXY TCP4 …``, as a balancer writes it: of the probe's own address and port."""
    family = "TCP6" if destination.is_ipv6 else "TCP4"
    return f"PROXY {family} {client[0]} {destination.address} {client[1]} {destination.port}\r\n".encode("ascii")
