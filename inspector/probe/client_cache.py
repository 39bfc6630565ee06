"""The session cache of a Java client: one session for each name and port (``SSLSessionContextImpl``). It is offered
until another full handshake replaces it; one of TLS 1.3 is used once (RFC 8446, appendix C.4).
"""

from __future__ import annotations

import ssl


class ClientCache:
    """Sessions by whom they are for."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, int], tuple[ssl.SSLSession, bool]] = {}

    def offered(self, peer: tuple[str, int]) -> ssl.SSLSession | None:
        """The session to offer."""
        session, is_single = self._sessions.get(peer, (None, False))
        if is_single:
            del self._sessions[peer]
        return session

    def keep(self, peer: tuple[str, int], session: ssl.SSLSession | None, *, is_single: bool) -> None:
        """What a completed handshake left; None where that cannot be offered. ``is_single``: it is used once."""
        if session is not None and (session.has_ticket or session.id):
            self._sessions[peer] = session, is_single
        elif not is_single:
            self._sessions.pop(peer, None)
