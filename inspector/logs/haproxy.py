"""HAProxy's TCP and HTTP logs: who connected, when, and to which server it was sent.

``haproxy[374]: 127.0.0.1:34798 [23/Nov/2026:17:28:10.259] frontend backend/server …``; whatever stands before the client's address (syslog's header) is not
looked at, nor is what stands behind the server, but for ``-> ADDRESS`` where a format writes it. HAProxy writes local time without a zone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container

from inspector.logs.entries import LogFacts, Proxied
from inspector.logs.stamps import COMMON, common

WHO = rb"(?:^|[\s:])(?:::ffff:)?\[?([0-9A-Fa-f.:]{2,45}?)\]?:(\d{1,5})\s+\["
CLIENT = re.compile(WHO)
LINE = re.compile(WHO + COMMON + rb"\]\s+([^\s/]+)(?:\s+[^\s/]+:\d+)?\s+([^\s/]+)/(<?[^\s>]+>?)(?:\s+\S+\s+->\s+(\S+:\d+))?")
SECOND = len("23/Nov/2026:17:28:10")
ADDRESSES = 100_000
LOOKED_AT = 1024
"""So much of a line is looked at: what names client and server stands at its head."""

MOST_CONNECTIONS = 1_000_000
TEXT = 400
NONE = b"<NOSRV>"


def is_ours(line: bytes) -> bool:
    """Whether a line is one that HAProxy writes for a connection."""
    return LINE.search(line[:LOOKED_AT]) is not None


class HaproxyLog:
    """Lines in, connections out."""

    def __init__(self, facts: LogFacts, clients: Container[tuple[str, int]] | None = None) -> None:
        """``clients``: addresses and ports that alone are kept; None for all."""
        self.facts = facts
        self._clients = clients
        self._others: dict[bytes, str] = {}
        self._second = b""
        """The time of the last line to the second: others of that second whose clients are not looked for need no closer look."""

    def _is_other(self, address: bytes, port: bytes) -> bool:
        """Whether this client is none of those that are looked for."""
        if self._clients is None:
            return False
        known = self._others.get(address)
        if known is None:
            if len(self._others) >= ADDRESSES:
                self._others.clear()
            try:
                known = str(ipaddress.ip_address(address.decode("ascii")))
            except ValueError:
                known = ""
            self._others[address] = known
        return (known, int(port)) not in self._clients

    def line(self, number: int, line: bytes) -> None:
        """The next line, without its end."""
        line = line[:LOOKED_AT]
        begun = CLIENT.search(line)
        if begun is None or (self._is_other(begun[1], begun[2]) and line[begun.end() : begun.end() + SECOND] == self._second):
            return
        self._second = line[begun.end() : begun.end() + SECOND]
        match = LINE.search(line)
        if match is None:
            return
        groups = match.groups()
        try:
            ns, has_zone = common(groups[2:10])
            client = str(ipaddress.ip_address(groups[0].decode("ascii")))
        except ValueError:
            return
        port = int(groups[1])
        facts = self.facts
        facts.reach(ns, has_zone)
        if self._clients is not None and (client, port) not in self._clients:
            return
        if len(facts.proxied) >= MOST_CONNECTIONS:
            facts.problem = f"more than {MOST_CONNECTIONS:,} connections; the first of them are used"
            return
        server = b"" if groups[12] == NONE else groups[12]
        facts.proxied.append(Proxied(number, ns, client, port, _text(groups[11]), _text(server), _text(groups[13] or b""), _said(line[match.start(1) :])))


def _said(line: bytes) -> str:
    """A line from the client's address on."""
    return line[:TEXT].decode("utf-8", "backslashreplace")


def _text(name: bytes) -> str:
    return name[:255].decode("utf-8", "backslashreplace")
