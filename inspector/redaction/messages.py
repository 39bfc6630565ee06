"""Handshake messages in clear with what identifies replaced in place (RFC 5246, section 7.4; RFC 8446, section 4). No
length changes.
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.tls.types import CLIENT_HELLO, SERVER_HELLO

(
    NEW_SESSION_TICKET,
    CERTIFICATE,
    SERVER_KEY_EXCHANGE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_KEY_EXCHANGE,
    CERTIFICATE_STATUS,
) = 4, 11, 12, 13, 15, 16, 22
HELLO_REQUEST, SERVER_HELLO_DONE = 0, 14
SERVER_NAME, STATUS_REQUEST, SESSION_TICKET, PRE_SHARED_KEY = 0, 5, 35, 41
HARMLESS = frozenset(
    (
        1,
        10,
        11,
        13,
        14,
        15,
        16,
        19,
        20,
        21,
        22,
        23,
        24,
        27,
        28,
        34,
        42,
        43,
        45,
        49,
        50,
        51,
        13_172,
        17_513,
        17_613,
        65_281,
    )
)
"""Extensions that say what a side can do, and nothing of who it is (IANA's TLS ExtensionType Values)."""

SHORT_STATUS = 5
"""A status_request without responders and extensions (RFC 6066, section 8)."""
NAMED_CURVE = 3
RANDOM_END = 34


class CutMessage(ValueError):
    """The message ends too early, or says more than it holds."""


class Redactor:
    """Changes messages. ``disguise``: what replacements are made from."""

    def __init__(self, disguise: Disguise) -> None:
        self.disguise = disguise
        self.certificates = Remaker(disguise)
        self._changes: dict[int, Callable[[bytearray], None]] = {
            CLIENT_HELLO: self._client_hello,
            SERVER_HELLO: self._server_hello,
            NEW_SESSION_TICKET: self._ticket,
            CERTIFICATE: self._certificate,
            SERVER_KEY_EXCHANGE: self._server_key_exchange,
            CERTIFICATE_REQUEST: self._certificate_request,
            CERTIFICATE_VERIFY: self._certificate_verify,
            CLIENT_KEY_EXCHANGE: lambda body: self._scramble(body, min(2, len(body)), len(body), "key exchange"),
            CERTIFICATE_STATUS: lambda body: self._scramble(body, min(4, len(body)), len(body), "status"),
            HELLO_REQUEST: lambda body: None,
            SERVER_HELLO_DONE: lambda body: None,
        }

    def message(self, kind: int, body: bytearray) -> None:
        """Change one message. What cannot be read is replaced as a whole."""
        old = bytes(body)
        change = self._changes.get(kind)
        try:
            if change is None:
                raise CutMessage
            change(body)
        except CutMessage:
            kept = RANDOM_END if kind in (CLIENT_HELLO, SERVER_HELLO) else 0
            body[kept:] = self.disguise.opaque(old[kept:], "message")

    def _scramble(self, body: bytearray, start: int, end: int, label: str) -> None:
        body[start:end] = self.disguise.opaque(bytes(body[start:end]), label)

    def _session_id(self, body: bytearray, at: int) -> int:
        """The end of a session id whose length stands at ``at``; it is replaced."""
        end = _behind(body, at, 1)
        body[at + 1 : end] = self.disguise.ticket(bytes(body[at + 1 : end]))
        return end

    def _client_hello(self, body: bytearray) -> None:
        at = self._session_id(body, RANDOM_END)
        at = _behind(body, at, 2)
        at = _behind(body, at, 1)
        if at < len(body):
            self._extensions(body, at)

    def _server_hello(self, body: bytearray) -> None:
        if body[:1] == b"\x7f":
            return
        at = self._session_id(body, RANDOM_END) + 3
        if at < len(body):
            self._extensions(body, at, is_offer=False)

    def _extensions(self, body: bytearray, at: int, is_offer: bool = True) -> None:
        end = _behind(body, at, 2)
        at += 2
        while at + 4 <= end:
            kind, following = _number(body, at, 2), _behind(body, at + 2, 2)
            if following > end:
                raise CutMessage
            self._extension(body, kind, at + 4, following, is_offer)
            at = following

    def _extension(self, body: bytearray, kind: int, at: int, end: int, is_offer: bool) -> None:
        """What an extension holds; of one that is not known to be harmless, all."""
        if kind == SERVER_NAME and is_offer:
            self._server_name(body, at, end)
        elif kind == SESSION_TICKET and end > at:
            body[at:end] = self.disguise.ticket(bytes(body[at:end]))
        elif kind == PRE_SHARED_KEY:
            if is_offer:
                self._identities(body, at, end)
        elif kind == STATUS_REQUEST:
            self._scramble(body, min(at + SHORT_STATUS, end), end, "extension")
        elif kind not in HARMLESS and kind & 0x0F0F != 0x0A0A:
            self._scramble(body, at, end, "extension")

    def _server_name(self, body: bytearray, at: int, end: int) -> None:
        """RFC 6066, section 3."""
        at += 2
        while at + 3 <= end:
            following = _behind(body, at + 1, 2)
            if following > end:
                raise CutMessage
            body[at + 3 : following] = self.disguise.raw(bytes(body[at + 3 : following]))
            at = following

    def _identities(self, body: bytearray, at: int, end: int) -> None:
        """RFC 8446, section 4.2.11: identities are tickets, binders prove knowledge of them."""
        stop = _behind(body, at, 2)
        at += 2
        while at + 2 <= stop:
            following = _behind(body, at, 2)
            body[at + 2 : following] = self.disguise.ticket(bytes(body[at + 2 : following]))
            at = following + 4
        at = stop + 2
        while at < end:
            following = _behind(body, at, 1)
            self._scramble(body, at + 1, following, "binder")
            at = following

    def _ticket(self, body: bytearray) -> None:
        end = _behind(body, 4, 2)
        body[6:end] = self.disguise.ticket(bytes(body[6:end]))

    def _certificate(self, body: bytearray) -> None:
        end = _behind(body, 0, 3)
        at = 3
        while at < end:
            following = _behind(body, at, 3)
            body[at + 3 : following] = self.certificates.certificate(bytes(body[at + 3 : following]))
            at = following

    def _certificate_request(self, body: bytearray) -> None:
        """Names of authorities; whether signature algorithms stand before them tells what adds up (RFC 5246, section
        7.4.4).
        """
        at = _behind(body, 0, 1)
        for start in (at, _behind(body, at, 2) if at + 2 <= len(body) else at):
            if start + 2 <= len(body) and start + 2 + _number(body, start, 2) == len(body):
                body[start + 2 :] = self.certificates.authorities(bytes(body[start + 2 :]))
                return
        raise CutMessage

    def _server_key_exchange(self, body: bytearray) -> None:
        """The signature, from which the server's public key could be computed; parameters stay where their end is known
        (RFC 8422, section 5.4).
        """
        at = 0
        if body[:1] == bytes((NAMED_CURVE,)):
            at = _behind(body, 3, 1)
        else:
            for _ in range(3):
                at = _behind(body, at, 2)
        self._signature(body, at)

    def _certificate_verify(self, body: bytearray) -> None:
        self._signature(body, 0)

    def _signature(self, body: bytearray, at: int) -> None:
        """With the algorithm before it from TLS 1.2 on."""
        start = at + 4 if at + 4 <= len(body) and at + 4 + _number(body, at + 2, 2) == len(body) else at + 2
        if start > len(body):
            return
        self._scramble(body, start, len(body), "signature")


def _number(body: bytearray, at: int, size: int) -> int:
    if at + size > len(body):
        raise CutMessage
    return int.from_bytes(body[at : at + size], "big")


def _behind(body: bytearray, at: int, size: int) -> int:
    """The end of what a length at ``at`` announces."""
    end = at + size + _number(body, at, size)
    if end > len(body):
        raise CutMessage
    return end
