"""Handshake messages, in clear or decrypted, into the facts of their handshake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum, auto

from inspector.extract.store import CertificateStore
from inspector.facts import HandshakeFacts
from inspector.tls import messages
from inspector.tls.history import FULL_FLIGHT, OF_MESSAGES, Letter
from inspector.tls.sink import Mark
from inspector.tls.types import CLIENT_HELLO, SERVER_HELLO, TLS12, TLS13, HandshakeType

KEY_NAME_BYTES = 16
"""A ticket begins with the name of its key, where servers follow RFC 5077, section 4, as OpenSSL's do."""

RANDOM = slice(2, 34)
"""Where the random of a hello stands (RFC 8446, section 4.1.2)."""

MOST_TICKETS = 16
"""Tickets of TLS 1.3 that are kept of a connection."""

LETTERS = {int(kind): letter.byte for kind, letter in OF_MESSAGES.items()}
"""The letters of handshake messages, as packed events hold them."""
RETRIED = Letter.HELLO_RETRY_REQUEST.byte


Message = tuple[HandshakeFacts, bool, bytes, Mark, CertificateStore]
"""The handshake, whether the client sends, the body, where it begins, where certificates are kept."""


def read_offer(handshake: HandshakeFacts, hello: messages.ClientHello, mark: Mark) -> None:
    """What a ClientHello says; the second one, behind a HelloRetryRequest, changes nothing and must not come here."""
    handshake.offer = hello.shape
    handshake.client_random = hello.random
    handshake.offered_id = hello.session_id
    handshake.offered_ticket = hashlib.sha256(hello.ticket).digest() if hello.ticket else hello.ticket
    if hello.psk_identities:
        handshake.offered_psks = tuple([hashlib.sha256(p).digest() for p in hello.psk_identities])
        first = hello.psk_identities[0]
        handshake.identity_name = first[:KEY_NAME_BYTES] if len(first) >= 2 * KEY_NAME_BYTES else b""
    _, handshake.hello_frame, handshake.hello_ns = mark


def read_beginning(handshake: HandshakeFacts, body: bytes, mark: Mark) -> bool:
    """The first bytes of a ClientHello whose rest is missing: its random, its session id, and a partial shape, each
    where it is all there. Whether the
    shape is."""
    if len(body) < RANDOM.stop:
        return False
    try:
        read_offer(handshake, messages.client_hello_beginning(body), mark)
    except messages.Malformed:
        handshake.client_random = body[RANDOM]
        handshake.offered_id = messages.beginning_session_id(body)
        _, handshake.hello_frame, handshake.hello_ns = mark
    return handshake.offer is not None


def _server_hello(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> bytes | None:
    """A ServerHello or HelloRetryRequest; what the server finally chooses counts."""
    hello = messages.server_hello(body)
    retry = hello.is_retry
    if handshake.answer is not None and (retry or not handshake.retried):
        return RETRIED if retry else None
    handshake.retried = handshake.retried or retry
    handshake.answer = hello.shape
    handshake.server_random = b"" if retry else hello.random
    handshake.answered_id = hello.session_id
    handshake.group = hello.group if hello.shape.version >= TLS13 else 0
    _, handshake.answer_frame, handshake.answer_ns = mark
    return RETRIED if retry else None


def _certificate(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    chain = store.chain(body, is_tls13=handshake.is_tls13)
    if from_client:
        handshake.client_chain = handshake.client_chain or chain
    elif not handshake.chain:
        handshake.chain = chain
        handshake.certificate_frame = mark[1]
        handshake.certificate_end = mark[0] + len(body) + 4


def _compressed_certificate(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    whole = messages.compressed_certificate(body)
    try:
        _certificate(handshake, from_client, whole, mark, store)
    except messages.Malformed as problem:  # what was compressed has no place in the stream: its message has
        raise messages.Malformed(problem.mistake, 0, problem.path) from None


def _certificate_request(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    """Which authorities the server accepts."""
    handshake.authorities = store.authorities(body, handshake.answer.version if handshake.answer else TLS12)


def _ticket(handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore) -> None:
    if handshake.is_tls13:
        digest = hashlib.sha256(messages.session_ticket13(body)).digest()
        handshake.issued_ticket = handshake.issued_ticket or digest
        if len(handshake.issued_tickets) < MOST_TICKETS:
            handshake.issued_tickets += (digest,)
        return
    ticket = messages.session_ticket(body)
    if ticket.ticket:
        handshake.issued_ticket = hashlib.sha256(ticket.ticket).digest()


def _encrypted_extensions(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    handshake.alpn = messages.encrypted_alpn(body)


def read_curve(handshake: HandshakeFacts, beginning: int) -> None:
    """What the first three bytes of the server's ServerKeyExchange name; the last one counts that names anything."""
    if handshake.answer is not None and (group := messages.named_curve(handshake.answer.cipher_suite, beginning)):
        handshake.group = group


def _server_key_exchange(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    if len(body) >= messages.CURVE_BYTES and not from_client:
        read_curve(handshake, int.from_bytes(body[: messages.CURVE_BYTES], "big"))


def _key_exchange(
    handshake: HandshakeFacts, from_client: bool, body: bytes, mark: Mark, store: CertificateStore
) -> None:
    """The client accepted what the server sent."""
    handshake.key_exchange_frame = handshake.key_exchange_frame or mark[1]


READERS: dict[int, Callable[[HandshakeFacts, bool, bytes, Mark, CertificateStore], bytes | None]] = {
    SERVER_HELLO: _server_hello,
    HandshakeType.CERTIFICATE: _certificate,
    HandshakeType.CERTIFICATE_REQUEST: _certificate_request,
    HandshakeType.NEW_SESSION_TICKET: _ticket,
    HandshakeType.SERVER_KEY_EXCHANGE: _server_key_exchange,
    HandshakeType.CLIENT_KEY_EXCHANGE: _key_exchange,
    HandshakeType.ENCRYPTED_EXTENSIONS: _encrypted_extensions,
    HandshakeType.COMPRESSED_CERTIFICATE: _compressed_certificate,
}
"""All but the ClientHello. Each gives another letter than ``LETTERS``, or None; raises Malformed."""


class PlainReading(Enum):
    """What became of a message that was read by itself."""

    PLAIN = auto()
    """All that it says is known."""
    UNDECIDED = auto()
    """It must be read with all that its connection knows: a second hello."""
    MISREAD = auto()
    """It cannot be read as it should, and its connection must be followed to say where that is."""


def read_plain(
    handshake: HandshakeFacts, from_client: bool, kind: int, body: bytes, mark: Mark, store: CertificateStore
) -> PlainReading:
    """What a message that speaks says, where that is plain."""
    try:
        if kind == CLIENT_HELLO:
            if handshake.offer is not None:
                return PlainReading.UNDECIDED
            hello = messages.client_hello(body)
            read_offer(handshake, hello, mark)
            return PlainReading.MISREAD if hello.shape.problem else PlainReading.PLAIN
        letter = READERS[kind](handshake, from_client, body, mark, store)
    except messages.Malformed:
        return PlainReading.MISREAD
    if handshake.answer is not None and handshake.answer.problem:
        return PlainReading.MISREAD
    return PlainReading.PLAIN if letter is None else PlainReading.UNDECIDED


SPEAKING = frozenset((CLIENT_HELLO, *READERS))
"""Messages that say something for the facts of their handshake."""
FLIGHT = frozenset(letter.byte for letter in FULL_FLIGHT)
"""Messages of both sides that only a full handshake has, by their letters."""
