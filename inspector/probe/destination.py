"""Whom a probe asks: every address of a name, and back ends that are asked directly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from inspector.errors import UsageError
from inspector.text.safe import safe_text

SCOPE_AT = 3
"""Where the scope stands in an address of an IPv6 socket."""


class Destination(NamedTuple):
    """An address and a port. ``is_direct``: a back end that is asked beside the service's own addresses. ``scope``: of
    which interface of this machine an IPv6 address is meant, by its number, 0 for any (RFC 4007, section 11).
    """

    address: str
    port: int
    is_ipv6: bool = False
    is_direct: bool = False
    scope: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        """As the socket that connects to it has it."""
        return socket.AF_INET6 if self.is_ipv6 else socket.AF_INET

    @property
    def end(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As sockets take it."""
        return (self.address, self.port, 0, self.scope) if self.scope else (self.address, self.port)


LOOK_UP_SECONDS = 10.0
"""How long the resolver may take for one name; by itself it may ask for minutes."""

STOP_SECONDS = 0.1
"""How long a stop is not heard meanwhile."""


def destinations(
    host: str, port: int, *, is_direct: bool = False, is_stopped: Callable[[], bool] = lambda: False
) -> list[Destination]:
    """All addresses of a host, as the resolver of this machine orders them. ``is_stopped``: whether nobody waits for it
    any more. Raises UsageError.
    """
    answers: list[tuple[int, tuple[int | str | bytes, ...]]] = []
    errors: list[Exception] = []

    def look_up() -> None:
        try:
            for family, _, _, _, end in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                answers.append((family, end))
        except (OSError, UnicodeError) as error:
            errors.append(error)

    waiting = threading.Thread(target=look_up, daemon=True)  # nothing ends a look-up: it is left where it is
    waiting.start()
    until = time.monotonic() + LOOK_UP_SECONDS
    while waiting.is_alive() and not is_stopped() and time.monotonic() < until:
        waiting.join(min(STOP_SECONDS, LOOK_UP_SECONDS))
    if waiting.is_alive():
        if is_stopped():
            raise UsageError(f"{safe_text(host)}: stopped before the resolver answered")
        raise UsageError(
            f"{safe_text(host)}: no answer of the resolver in {LOOK_UP_SECONDS:g} seconds", "an address needs none"
        )
    for error in errors:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{safe_text(host)}: {reason}") from None
    listed = [
        Destination(
            str(end[0]).partition("%")[0],
            port,
            family == socket.AF_INET6,
            is_direct,
            int(end[SCOPE_AT]) if family == socket.AF_INET6 else 0,
        )
        for family, end in answers
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys(listed))
