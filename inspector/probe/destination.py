"""Whom a probe asks: every address of a name, and back ends that are asked directly."""

from __future__ import annotations

import socket
from typing import NamedTuple

from inspector.errors import UsageError
from inspector.text.safe import safe_text


class Destination(NamedTuple):
    """An address and a port. ``is_direct``: a back end that is asked beside the service's own addresses."""

    address: str
    port: int
    is_ipv6: bool = False
    is_direct: bool = False

    @property
    def family(self) -> socket.AddressFamily:
        """As the socket that connects to it has it."""
        return socket.AF_INET6 if self.is_ipv6 else socket.AF_INET


def destinations(host: str, port: int, *, is_direct: bool = False) -> list[Destination]:
    """All addresses of a host, as the resolver of this machine orders them. Raises UsageError."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{safe_text(host)}: {reason}") from None
    listed = [
        Destination(str(end[0]).partition("%")[0], port, family == socket.AF_INET6, is_direct)
        for family, _, _, _, end in answers
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys(listed))
