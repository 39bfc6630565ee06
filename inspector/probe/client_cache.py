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

    def keep(self, peer: tuple[str, int], session: ssl.SSLSession | None, *, is_new: bool, is_tls13: bool) -> None:
        """What a completed handshake left, where it can be resumed. ``is_new``: it came behind the handshake."""
        if session is not None and (is_new if is_tls13 else session.has_ticket or session.id):
            self._sessions[peer] = session, is_tls13
        elif not is_tls13:
            self._sessions.pop(peer, None)
