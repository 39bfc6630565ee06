"""Handshake messages as values. Hellos are split into a shape, which a client repeats and which is shared, and what is
new each time.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from inspector import bounds
from inspector.errors.notice import ForeignText
from inspector.tls import extensions as ext
from inspector.tls.anomalies import CertificateTooLong, CompressionUnknown, NotInflated, OtherLength, TooMany
from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.fingerprints import fingerprints, ja3s
from inspector.tls.hello_patterns import HelloPattern, key_of, without_name
from inspector.tls.message_cache import MessageCache
from inspector.tls.reader import Malformed, Reader
from inspector.tls.registry import HELLO_RETRY_RANDOM, SCSV
from inspector.tls.types import DRAFT_MAJOR, NAMED_CURVE, TLS12, is_draft


class ClientHello(NamedTuple):
    """RFC 8446, section 4.1.2. ``ticket``: None where the extension is absent, empty where the client only supports
    tickets.
    """

    shape: HelloShape
    random: bytes
    session_id: bytes
    ticket: bytes | None
    psk_identities: tuple[bytes, ...]


class ServerHello(NamedTuple):
    """RFC 8446, section 4.1.3. ``group``: of its key share, 0 where it has none."""

    shape: AnswerShape
    random: bytes
    session_id: bytes
    group: int = 0

    @property
    def is_retry(self) -> bool:
        """Whether this is a HelloRetryRequest."""
        return self.random == HELLO_RETRY_RANDOM


class SessionTicket(NamedTuple):
    """RFC 5077, section 3.3. ``lifetime`` in seconds."""

    lifetime: int
    ticket: bytes


ALPN, CERTIFICATE_AUTHORITIES, ZLIB = 16, 47, 1

Known = tuple[HelloShape, bytes | None, tuple[bytes, ...]]
"""Of a ClientHello the shape, the ticket and the identities of pre-shared keys."""
_clients: MessageCache[bytes, Known] = MessageCache()
_patterns: MessageCache[bytes, HelloPattern] = MessageCache()
_servers: MessageCache[bytes, tuple[AnswerShape, int]] = MessageCache()
CACHED_BYTES = 1024
"""Hellos that are longer carry a ticket or a key share, which is new each time."""


def with_header(kind: int, body: bytes) -> bytes:
    """A handshake message as it stood on the wire, in one piece: type, length and body (RFC 8446, section 4)."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def client_hello(body: bytes) -> ClientHello:
    """A ClientHello without its handshake header. Raises Malformed where not even the cipher suites can be read.

    Clients repeat themselves: all but random and session id is looked up in a bounded cache before it is parsed.
    """
    if len(body) < 35 or len(body) > CACHED_BYTES:
        return _client_hello(body)
    behind = 35 + body[34]
    key = body[:2] + body[behind:]
    known = _clients.get(key)
    if known is None and behind <= len(body) and (known := _named_anew(key)) is not None:
        _keep(key, known)
    if known is not None and behind <= len(body):
        return ClientHello(known[0], body[2:34], body[35:behind], known[1], known[2])
    hello = _client_hello(body)
    if hello.shape.problem is None:
        _keep(key, (hello.shape, hello.ticket, hello.psk_identities))
        _keep_pattern(key, hello)
    return hello


def _keep(key: bytes, known: Known) -> None:
    shape, ticket, identities = known
    _clients.keep(key, known, len(key) + shape.memory() + len(ticket or b"") + sum(map(len, identities)))


def _keep_pattern(key: bytes, hello: ClientHello) -> None:
    """Keep what hellos have in common that differ in nothing but the name that they ask for."""
    parted = without_name(key)
    if parted is not None and hello.shape.server_name == parted.name:
        pattern = HelloPattern(hello.shape, hello.ticket, hello.psk_identities)
        _patterns.keep(parted.rest, pattern, len(parted.rest) + hello.shape.memory())


def _named_anew(key: bytes) -> Known | None:
    """What a hello says whose like was read with another name; None where none was."""
    parted = without_name(key)
    pattern = _patterns.get(parted.rest) if parted is not None else None
    if parted is None or pattern is None:
        return None
    return pattern.shape_of(parted.name), pattern.ticket, pattern.psk_identities


def client_hello_beginning(body: bytes) -> ClientHello:
    """The first bytes of a ClientHello whose rest is missing, with those extensions that are whole. Raises Malformed
    where not even the cipher suites are.
    """
    return _client_hello(body, is_whole=False)


def beginning_session_id(body: bytes) -> bytes:
    """The session id of a hello whose rest is missing; empty where it is cut itself."""
    end = 35 + body[34] if len(body) > 34 else 0
    return body[35:end] if 35 < end <= len(body) else b""


def _client_hello(body: bytes, *, is_whole: bool = True) -> ClientHello:
    hello = Reader(body, "client_hello")
    version = hello.u16("legacy_version")
    random = hello.take(32, "random")
    session_id = hello.opaque(1, "session_id")
    offered = ext.Offered()
    listed = hello.vector(2, "cipher_suites")
    try:
        suites = listed.numbers()
    except Malformed as problem:
        if not isinstance(problem.mistake, TooMany):
            raise
        suites = ()
        offered.problem, offered.partial = (problem.mistake, problem.offset, problem.path), True
    if is_whole:
        hello.opaque(1, "compression_methods")
        if hello:
            ext.read_offer(hello, offered)
    else:
        ext.read_cut_offer(hello, offered)
    return ClientHello(
        named(offered.shape(version, suites)), random, session_id, offered.ticket, offered.psk_identities
    )


_shapes: MessageCache[HelloShape, HelloShape] = MessageCache()


def _key(shape: HelloShape | AnswerShape) -> bytes:
    return key_of(repr(shape))


def named(shape: HelloShape) -> HelloShape:
    """A shape that has no fingerprints and no key yet with them, from a bounded cache."""
    known = _shapes.get(shape)
    if known is None:
        ja3, ja4 = ("", "") if shape.partial else fingerprints(shape._replace(server_name=None))
        known = shape._replace(ja3=ja3, ja4=ja4, key=_key(shape))
        _shapes.keep(shape, known, 2 * known.memory())
    return known


def named_answer(shape: AnswerShape) -> AnswerShape:
    """The shape of a ServerHello with the key that belongs to all else that it says."""
    return shape._replace(key=_key(shape._replace(key=b"")))


def sslv2_client_hello(record: bytes) -> ClientHello:
    """A CLIENT-HELLO in SSLv2 framing (RFC 5246, appendix E.2), without its length. Raises Malformed."""
    hello = Reader(record, "sslv2_client_hello")
    hello.u8("msg_type")
    version = hello.u16("version")
    suites_length, id_length, challenge_length = (
        hello.u16("cipher_spec_length"),
        hello.u16("session_id_length"),
        hello.u16("challenge_length"),
    )
    specs = hello.take(suites_length, "cipher_specs")
    session_id = hello.take(id_length, "session_id")
    challenge = hello.take(challenge_length, "challenge")
    suites = tuple(int.from_bytes(specs[i : i + 3], "big") for i in range(0, len(specs) - 2, 3))
    standard = tuple(s for s in suites if s < 1 << 16)
    shape = HelloShape(legacy_version=version, cipher_suites=standard, secure_renegotiation=SCSV in standard)
    return ClientHello(named(shape), challenge.rjust(32, b"\0"), session_id, None, ())


def server_hello(body: bytes) -> ServerHello:
    """A ServerHello without its handshake header. Raises Malformed where not even the cipher suite can be read."""
    if len(body) < 35 or len(body) > CACHED_BYTES or body[0] == DRAFT_MAJOR:
        return _server_hello(body)
    behind = 35 + body[34]
    key = body[:2] + body[behind:]
    known = _servers.get(key)
    if known is not None and behind <= len(body):
        return ServerHello(known[0], body[2:34], body[35:behind], known[1])
    hello = _server_hello(body)
    if hello.shape.problem is None:
        _servers.keep(key, (hello.shape, hello.group), len(key) + hello.shape.memory())
    return hello


def _server_hello(body: bytes) -> ServerHello:
    hello = Reader(body, "server_hello")
    version = hello.u16("legacy_version")
    random = hello.take(32, "random")
    draft = is_draft(version)  # drafts before 22 had neither session id nor compression method
    session_id = b"" if draft else hello.opaque(1, "session_id")
    suite = hello.u16("cipher_suite")
    if not draft:
        hello.u8("compression_method")
    answered = ext.Answered()
    if hello:
        ext.read_answer(hello, answered)
    shape = answered.shape(version, suite)
    if not shape.partial:
        shape = shape._replace(ja3s=ja3s(version, suite, shape.extensions))
    return ServerHello(named_answer(shape), random, session_id, answered.group)


CURVE_SUITES = frozenset(
    suite
    for suite, name in CIPHER_SUITES.items()
    if name.startswith(("TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_", "TLS_ECDH_anon_"))
)
"""Whose ServerKeyExchange begins with a curve: of others that byte may be a part of a length (RFC 5246, section 7.4.3;
RFC 5489, section 2).
"""
CURVE_BYTES = 3


def named_curve(suite: int, beginning: int) -> int:
    """The group that the first three bytes of a ServerKeyExchange name (RFC 8422, section 5.4); 0 where they name
    none.
    """
    return beginning & 0xFFFF if suite in CURVE_SUITES and beginning >> 16 == NAMED_CURVE else 0


def certificate(body: bytes) -> tuple[bytes, ...]:
    """The DER certificates of a Certificate message up to TLS 1.2 (RFC 5246, section 7.4.2), leaf first. Raises
    Malformed.
    """
    chain = Reader(body, "certificate").vector(3, "certificate_list")
    certificates: list[bytes] = []
    while chain:
        chain.bound(certificates, bounds.CHAIN)
        certificates.append(chain.opaque(3, f"certificate_list[{len(certificates)}]"))
    return tuple(certificates)


def certificate_authorities(body: bytes, version: int) -> bytes:
    """The list of distinguished names that a CertificateRequest up to TLS 1.2 holds (RFC 5246, section 7.4.4), as it
    stands. Raises Malformed.
    """
    request = Reader(body, "certificate_request")
    request.opaque(1, "certificate_types")
    if version >= TLS12:
        request.opaque(2, "supported_signature_algorithms")
    return request.opaque(2, "certificate_authorities")


def certificate13(body: bytes) -> tuple[bytes, ...]:
    """The DER certificates of a Certificate message of TLS 1.3 (RFC 8446, section 4.4.2), leaf first.
    Raises Malformed.
    """
    message = Reader(body, "certificate")
    message.opaque(1, "certificate_request_context")
    chain = message.vector(3, "certificate_list")
    certificates: list[bytes] = []
    while chain:
        chain.bound(certificates, bounds.CHAIN)
        certificates.append(chain.opaque(3, f"certificate_list[{len(certificates)}]"))
        chain.opaque(2, f"certificate_list[{len(certificates) - 1}].extensions")
    return tuple(certificates)


def compressed_certificate(body: bytes) -> bytes:
    """The Certificate message within a CompressedCertificate (RFC 8879, section 4). Raises Malformed, also for
    algorithms other than zlib.
    """
    message = Reader(body, "compressed_certificate")
    algorithm, length = message.u16("algorithm"), int.from_bytes(message.take(3, "uncompressed_length"), "big")
    packed = message.opaque(3, "compressed_certificate_message")
    if algorithm != ZLIB:
        raise Malformed(CompressionUnknown(algorithm), 0, "compressed_certificate.algorithm")
    if length > bounds.MESSAGE_BYTES:
        raise Malformed(CertificateTooLong(length), 2, "compressed_certificate.uncompressed_length")
    try:
        plain = zlib.decompressobj().decompress(packed, length + 1)
    except zlib.error as problem:
        raise Malformed(
            NotInflated(ForeignText(str(problem))), 8, "compressed_certificate.compressed_certificate_message"
        ) from None
    if len(plain) != length:
        raise Malformed(OtherLength(), 2, "compressed_certificate.uncompressed_length")
    return plain


def certificate_authorities13(body: bytes) -> bytes:
    """The same of TLS 1.3, where it is an extension (RFC 8446, sections 4.3.2 and 4.2.4); empty where there is none.
    Raises Malformed.
    """
    request = Reader(body, "certificate_request")
    request.opaque(1, "certificate_request_context")
    listed = b""
    for kind, data in _extensions(request):
        if kind == CERTIFICATE_AUTHORITIES:
            listed = Reader(data, "certificate_authorities").opaque(2, "authorities")
    return listed


def encrypted_alpn(body: bytes) -> bytes | None:
    """The protocol that EncryptedExtensions choose (RFC 8446, section 4.3.1; RFC 7301). Raises Malformed."""
    for kind, data in _extensions(Reader(body, "encrypted_extensions")):
        if kind == ALPN:
            return Reader(data, "alpn").vector(2, "protocol_name_list").opaque(1, "protocol_name")
    return None


def _extensions(message: Reader) -> list[tuple[int, bytes]]:
    listed = message.vector(2, "extensions")
    extensions: list[tuple[int, bytes]] = []
    while listed:
        extensions.append((listed.u16("extension_type"), listed.opaque(2, "extension_data")))
    return extensions


def session_ticket13(body: bytes) -> bytes:
    """The ticket of a NewSessionTicket of TLS 1.3 (RFC 8446, section 4.6.1): the identity that a later ClientHello
    offers. Raises Malformed.
    """
    message = Reader(body, "new_session_ticket")
    message.take(8, "ticket_lifetime")
    message.opaque(1, "ticket_nonce")
    return message.opaque(2, "ticket")


def session_ticket(body: bytes) -> SessionTicket:
    """A NewSessionTicket up to TLS 1.2. Raises Malformed."""
    message = Reader(body, "new_session_ticket")
    lifetime = message.u32("ticket_lifetime_hint")
    return SessionTicket(lifetime, message.opaque(2, "ticket"))


__all__ = [
    "ClientHello",
    "Malformed",
    "ServerHello",
    "SessionTicket",
    "beginning_session_id",
    "certificate",
    "certificate13",
    "certificate_authorities",
    "certificate_authorities13",
    "client_hello",
    "client_hello_beginning",
    "compressed_certificate",
    "encrypted_alpn",
    "named",
    "named_answer",
    "server_hello",
    "session_ticket",
    "session_ticket13",
    "sslv2_client_hello",
]
