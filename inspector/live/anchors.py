"""Connections that show what a certificate of a service is: they stay in the window when others fall out."""

from __future__ import annotations

from collections.abc import Container, Iterator

from inspector.live.window_entry import ServiceKey, WindowEntry

ANCHORS = 8
"""Of each certificate of a service, so many of the first full handshakes are anchors, the last one, and the first of so
many clients that accept it.
"""

ANCHORED_SHARE = 20
"""Certificates with anchors: the window's size divided by this."""


class CertificateAnchors:
    """Those of one certificate of a service."""

    def __init__(self) -> None:
        self._first: list[tuple[int, str]] = []
        self._last = (0, "")
        self._accepted: dict[bytes, str] = {}

    def note(self, name: str, hello_ns: int, accepted_by: bytes | None) -> None:
        """Another connection, or the same once more. ``accepted_by``: the client that went on to send data."""
        if (hello_ns, name) not in self._first:
            self._first = sorted([*self._first, (hello_ns, name)])[:ANCHORS]
        self._last = max(self._last, (hello_ns, name))
        if accepted_by is not None and len(self._accepted) < ANCHORS:
            self._accepted.setdefault(accepted_by, name)

    def names(self) -> set[str]:
        return {name for _, name in self._first} | {self._last[1]} | set(self._accepted.values())


class Anchors:
    """Of every service and certificate, as many as a window of ``most`` connections has room for."""

    def __init__(self, most: int) -> None:
        self._most = most // ANCHORED_SHARE
        self._known: dict[tuple[ServiceKey, bytes], CertificateAnchors] = {}

    def note(self, name: str, entry: WindowEntry, has_data: bool) -> None:
        """A connection. ``has_data``: its client went on to send some."""
        if entry.leaf is None:
            return
        key = (entry.service, entry.leaf)
        anchors = self._known.get(key)
        if anchors is None:
            if len(self._known) >= self._most:
                return
            anchors = self._known[key] = CertificateAnchors()
        anchors.note(name, entry.hello_ns, entry.client if has_data else None)

    def holds(self, name: str, entry: WindowEntry) -> bool:
        """Whether this connection is one."""
        anchors = self._known.get((entry.service, entry.leaf)) if entry.leaf is not None else None
        return anchors is not None and name in anchors.names()

    def of(self, services: Container[ServiceKey]) -> Iterator[str]:
        """Those of some services."""
        for (service, _), anchors in self._known.items():
            if service in services:
                yield from anchors.names()

    def tidy(self, known: Container[str]) -> None:
        """Forget certificates of which no anchor is among the connections that are ``known``."""
        self._known = {
            key: anchors for key, anchors in self._known.items() if any(name in known for name in anchors.names())
        }
