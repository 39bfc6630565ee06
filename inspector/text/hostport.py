"""``HOST:PORT`` as people write it."""

from __future__ import annotations

import ipaddress
import re

from inspector.errors import UsageError

PORT = re.compile(r"[0-9]{1,5}")
"""What is taken for a port before its size is looked at: digits of other scripts are none."""

LOOPBACK = "127.0.0.1"


def joined(host: str, port: int) -> str:
    """``HOST:PORT``; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split(text: str, least: int = 1) -> tuple[str, int] | None:
    """The reverse; None where it is not that. ``least``: of ports."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") != host.endswith("]"):
        return None
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not PORT.fullmatch(port) or not least <= int(port) < 65536:
        return None
    return host, int(port)


def listening(text: str) -> tuple[str, int]:
    """Where to listen, ``[HOST:]PORT``: for this machine alone where no host is named; port 0 is any that is free.
    Raises UsageError.
    """
    ends = split(f"{LOOPBACK}:{text}" if PORT.fullmatch(text) else text, least=0)
    if ends is None:
        raise UsageError(f"{text}: not [HOST:]PORT", "an IPv6 address stands in brackets: '[::1]:9481'")
    return ends


def parsed(text: str) -> tuple[str, int]:
    """Host, an address in its shortest form or a name in lower case, and port. Raises UsageError."""
    ends = split(text)
    if ends is None:
        raise UsageError(
            f"--vip {text}: not HOST:PORT", "an IPv6 address stands in brackets: --vip '[2001:db8::1]:8081'"
        )
    host, port = ends
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return host.lower(), port
