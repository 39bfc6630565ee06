"""Handshake messages as trees for people: every field with its value, its name in the registries, and where its bytes
lie.

``messages`` reads what the analysis needs, fast; this reads everything, for one message at a time. Any bytes give a
tree: where they stop making sense a node says so and holds the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from inspector.tls.anomalies import OtherLength
from inspector.tls.extension_types import ExtensionType
from inspector.tls.reader import Malformed, Reader
from inspector.tls.registry import (
    alert_name,
    cipher_name,
    extension_name,
    group_name,
    message_name,
    signature_name,
    version_name,
)
from inspector.tls.tree_nodes import ELEMENT, FieldReader, Node, fields
from inspector.tls.types import NAMED_CURVE, AlertLevel, HandshakeType, NameType, is_draft


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _digest(data: bytes) -> str:
    return f"{len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"


def _versions(f: FieldReader) -> None:
    while f.reader:
        f.number(2, ELEMENT, version_name)


def _protocols(f: FieldReader) -> None:
    def names(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(1, ELEMENT, _text)

    f.vector(2, "protocol_name_list", names)


def _server_name(f: FieldReader) -> None:
    def names(inner: FieldReader) -> None:
        while inner.reader:
            inner.number(1, "name_type", NAME_TYPES.get)
            inner.opaque(2, "host_name", _text)

    if f.reader:
        f.vector(2, "server_name_list", names)


def _share(f: FieldReader) -> None:
    f.number(2, "group", group_name)
    if f.reader:
        f.opaque(2, "key_exchange")


def _shares(f: FieldReader) -> None:
    def entries(inner: FieldReader) -> None:
        while inner.reader:
            _share(inner)

    f.vector(2, "client_shares", entries)


def _psks(f: FieldReader) -> None:
    def identities(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(2, "identity", _digest)
            inner.number(4, "obfuscated_ticket_age")

    def binders(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(1, "binder")

    f.vector(2, "identities", identities)
    f.vector(2, "binders", binders)


def _status_request(f: FieldReader) -> None:
    f.number(1, "status_type", STATUS_TYPES.get)
    f.opaque(2, "responder_id_list")
    f.opaque(2, "request_extensions")


def _empty(f: FieldReader) -> None:
    """An extension that says all by being there."""


def _next_protocols(f: FieldReader) -> None:
    while f.reader:
        f.opaque(1, ELEMENT, _text)


Read = Callable[[FieldReader], None]
NAME_TYPES: dict[int, str] = {NameType.HOST_NAME: "host_name"}
STATUS_TYPES = {1: "ocsp", 2: "ocsp_multi"}
COMPRESSIONS = {1: "zlib", 2: "brotli", 3: "zstd"}

OFFERED: dict[int, Read] = {
    ExtensionType.SERVER_NAME: _server_name,
    ExtensionType.MAX_FRAGMENT_LENGTH: lambda f: _one(f, 1, "max_fragment_length", lambda code: f"2^{code + 8} bytes"),
    ExtensionType.STATUS_REQUEST: _status_request,
    ExtensionType.SUPPORTED_GROUPS: lambda f: f.numbers(2, "named_group_list", 2, group_name),
    ExtensionType.EC_POINT_FORMATS: lambda f: f.numbers(
        1,
        "ec_point_format_list",
        1,
        {0: "uncompressed", 1: "ansiX962_compressed_prime", 2: "ansiX962_compressed_char2"}.get,
    ),
    ExtensionType.SIGNATURE_ALGORITHMS: lambda f: f.numbers(2, "supported_signature_algorithms", 2, signature_name),
    ExtensionType.HEARTBEAT: lambda f: _one(f, 1, "mode"),
    ExtensionType.ALPN: _protocols,
    ExtensionType.PADDING: lambda f: f.rest("padding"),
    ExtensionType.ENCRYPT_THEN_MAC: _empty,
    ExtensionType.EXTENDED_MASTER_SECRET: _empty,
    ExtensionType.COMPRESS_CERTIFICATE: lambda f: f.numbers(1, "algorithms", 2, COMPRESSIONS.get),
    ExtensionType.RECORD_SIZE_LIMIT: lambda f: _one(f, 2, "record_size_limit"),
    ExtensionType.DELEGATED_CREDENTIALS: lambda f: f.numbers(2, "supported_signature_algorithms", 2, signature_name),
    ExtensionType.SESSION_TICKET: lambda f: f.rest("ticket"),
    ExtensionType.PRE_SHARED_KEY: _psks,
    ExtensionType.EARLY_DATA: _empty,
    ExtensionType.SUPPORTED_VERSIONS: lambda f: f.vector(1, "versions", _versions),
    ExtensionType.PSK_KEY_EXCHANGE_MODES: lambda f: f.numbers(1, "ke_modes", 1, {0: "psk_ke", 1: "psk_dhe_ke"}.get),
    ExtensionType.POST_HANDSHAKE_AUTH: _empty,
    ExtensionType.SIGNATURE_ALGORITHMS_CERT: lambda f: f.numbers(
        2, "supported_signature_algorithms", 2, signature_name
    ),
    ExtensionType.KEY_SHARE: _shares,
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: _empty,
    ExtensionType.APPLICATION_SETTINGS: _protocols,
    ExtensionType.RENEGOTIATION_INFO: lambda f: f.opaque(1, "renegotiated_connection"),
}
ANSWERED: dict[int, Read] = {
    **OFFERED,
    ExtensionType.SERVER_NAME: _empty,
    ExtensionType.STATUS_REQUEST: _empty,
    ExtensionType.PRE_SHARED_KEY: lambda f: _one(f, 2, "selected_identity"),
    ExtensionType.SUPPORTED_VERSIONS: lambda f: _one(f, 2, "selected_version", version_name),
    ExtensionType.KEY_SHARE: _share,
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: _next_protocols,
}


def _one(f: FieldReader, width: int, name: str, named: Callable[[int], str | None] = lambda value: None) -> None:
    f.number(width, name, named)


def _extensions(table: dict[int, Read]) -> Read:
    def read(f: FieldReader) -> None:
        while f.reader:
            at = f.reader.at
            kind = f.reader.u16("extension_type")
            body = f.reader.vector(2, "extension_data")
            length = body.left()
            inner = fields(body, table.get(kind, lambda rest: rest.rest("data")), f.is_bare)
            name = extension_name(kind)
            f.add(name, f"{length} bytes" if length else "empty", at, 4, f"{name} ({kind})", inner)

    return read


def _client_hello(f: FieldReader) -> None:
    f.number(2, "legacy_version", version_name)
    f.raw(32, "random")
    f.opaque(1, "session_id")
    f.numbers(2, "cipher_suites", 2, cipher_name)
    f.numbers(1, "compression_methods", 1, {0: "null", 1: "DEFLATE"}.get)
    if f.reader:
        f.vector(2, "extensions", _extensions(OFFERED))


def _server_hello(f: FieldReader) -> None:
    """Drafts of TLS 1.3 before 22 had neither session id nor compression method."""
    version = f.number(2, "legacy_version", version_name)
    f.raw(32, "random")
    if not is_draft(version):
        f.opaque(1, "session_id")
    f.number(2, "cipher_suite", cipher_name)
    if not is_draft(version):
        f.number(1, "compression_method", {0: "null", 1: "DEFLATE"}.get)
    if f.reader:
        f.vector(2, "extensions", _extensions(ANSWERED))


def _certificate(f: FieldReader) -> None:
    def chain(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(3, ELEMENT, _digest)

    f.vector(3, "certificate_list", chain)


def _certificate_request(f: FieldReader) -> None:
    def authorities(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(2, ELEMENT)

    f.numbers(1, "certificate_types", 1, {1: "rsa_sign", 2: "dss_sign", 64: "ecdsa_sign"}.get)
    at = f.reader.at  # without signature algorithms before TLS 1.2: then the list of authorities takes all that is left
    is_old = f.reader.u16("length") == f.reader.left()
    f.reader.at = at
    if not is_old:
        f.numbers(2, "supported_signature_algorithms", 2, signature_name)
    f.vector(2, "certificate_authorities", authorities)


def _ticket(f: FieldReader) -> None:
    f.number(4, "ticket_lifetime_hint", lambda seconds: f"{seconds} seconds")
    f.opaque(2, "ticket", _digest)


def _signature(f: FieldReader) -> None:
    """A signature with its algorithm (RFC 5246, section 4.7), before TLS 1.2 without, up to the end; none where the
    server is anonymous.
    """
    reader = f.reader
    if int.from_bytes(reader.data[reader.at + 2 : reader.at + 4], "big") == reader.left() - 4:
        f.number(2, "algorithm", signature_name)
        f.opaque(2, "signature")
    elif int.from_bytes(reader.data[reader.at : reader.at + 2], "big") == reader.left() - 2:
        f.opaque(2, "signature")
    elif reader:
        raise Malformed(OtherLength(), reader.at, reader.path)


DH_PARAMETERS = ("dh_p", "dh_g", "dh_Ys")


def _has_dh_parameters(ahead: Reader) -> bool:
    """Whether a prime, a generator and a public value follow (RFC 5246, section 7.4.3); both are below the prime."""
    try:
        prime, *below = (len(ahead.opaque(2, name)) for name in DH_PARAMETERS)
    except Malformed:
        return False
    return max(below) <= prime


def _server_key_exchange(f: FieldReader) -> None:
    """The elliptic curve form (RFC 8422, section 5.4) and that of Diffie-Hellman; anything else stays bytes."""
    reader = f.reader
    if reader.left() > 4 and reader.data[reader.at] == NAMED_CURVE:
        f.number(1, "curve_type", {NAMED_CURVE: "named_curve"}.get)
        f.number(2, "named_curve", group_name)
        f.opaque(1, "public")
        _signature(f)
    elif _has_dh_parameters(Reader(reader.data, reader.path, reader.at, reader.end)):
        for name in DH_PARAMETERS:
            f.opaque(2, name)
        _signature(f)
    else:
        f.rest("exchange_keys")


def _client_key_exchange(f: FieldReader) -> None:
    """A point (RFC 8422, section 5.7), or a public value or encrypted secret (RFC 5246, section 7.4.7)."""
    reader = f.reader
    widths = (w for w in (1, 2) if int.from_bytes(reader.data[reader.at : reader.at + w], "big") == reader.left() - w)
    if (width := next(widths, 0)) and reader:
        f.opaque(width, "exchange_keys")
    else:
        f.rest("exchange_keys")


def _certificate_status(f: FieldReader) -> None:
    """RFC 6066, section 8."""
    f.number(1, "status_type", STATUS_TYPES.get)
    f.opaque(3, "response")


BODIES: dict[int, Read] = {
    HandshakeType.CLIENT_HELLO: _client_hello,
    HandshakeType.SERVER_HELLO: _server_hello,
    HandshakeType.NEW_SESSION_TICKET: _ticket,
    HandshakeType.CERTIFICATE: _certificate,
    HandshakeType.SERVER_KEY_EXCHANGE: _server_key_exchange,
    HandshakeType.CERTIFICATE_REQUEST: _certificate_request,
    HandshakeType.CERTIFICATE_VERIFY: _signature,
    HandshakeType.CLIENT_KEY_EXCHANGE: _client_key_exchange,
    HandshakeType.CERTIFICATE_STATUS: _certificate_status,
}


def _certificate13(f: FieldReader) -> None:
    def chain(inner: FieldReader) -> None:
        while inner.reader:
            number = len(inner.nodes) // 2
            inner.opaque(3, ELEMENT, _digest, f"[{number}]")
            inner.opaque(2, "extensions", name=f"[{number}].extensions")

    f.opaque(1, "certificate_request_context")
    f.vector(3, "certificate_list", chain)


def _certificate_request13(f: FieldReader) -> None:
    f.opaque(1, "certificate_request_context")
    f.vector(2, "extensions", _extensions(OFFERED))


def _ticket13(f: FieldReader) -> None:
    f.number(4, "ticket_lifetime", lambda seconds: f"{seconds} seconds")
    f.number(4, "ticket_age_add")
    f.opaque(1, "ticket_nonce")
    f.opaque(2, "ticket", _digest)
    f.opaque(2, "extensions")


def _verify(f: FieldReader) -> None:
    f.number(2, "algorithm", signature_name)
    f.opaque(2, "signature")


def _key_update(f: FieldReader) -> None:
    f.number(1, "request_update", {0: "update_not_requested", 1: "update_requested"}.get)


BODIES13: dict[int, Read] = {
    **BODIES,
    HandshakeType.NEW_SESSION_TICKET: _ticket13,
    HandshakeType.ENCRYPTED_EXTENSIONS: lambda f: f.vector(2, "extensions", _extensions(ANSWERED)),
    HandshakeType.CERTIFICATE: _certificate13,
    HandshakeType.CERTIFICATE_REQUEST: _certificate_request13,
    HandshakeType.CERTIFICATE_VERIFY: _verify,
    HandshakeType.KEY_UPDATE: _key_update,
}


def handshake_tree(message: bytes, *, is_tls13: bool = False, is_bare: bool = False) -> Node:
    """A handshake message with its header (RFC 8446, section 4). ``is_tls13``: of TLS 1.3. ``is_bare``: as in
    ``FieldReader``. Raises nothing.
    """

    def read(f: FieldReader) -> None:
        kind = f.number(1, "msg_type", message_name)
        f.number(3, "length", lambda value: f"{value} bytes")
        read_body = (BODIES13 if is_tls13 else BODIES).get(kind)
        if read_body is None:
            f.rest("body")
        else:
            read_body(f)

    name = message_name(message[0]) if message else "nothing"
    children = fields(Reader(message, name), read, is_bare)
    return Node(name, f"{len(message):,} bytes", 0, len(message), children, name)


def sslv2_hello_tree(record: bytes, *, is_bare: bool = False) -> Node:
    """A CLIENT-HELLO in SSLv2 framing, without its length (RFC 5246, appendix E.2). Otherwise as ``handshake_tree``."""

    def read(f: FieldReader) -> None:
        f.number(1, "msg_type", {1: "CLIENT-HELLO"}.get)
        f.number(2, "version", version_name)
        lengths = [f.number(2, f"{name}_length") for name in ("cipher_spec", "session_id", "challenge")]
        for length, name in zip(lengths, ("cipher_specs", "session_id", "challenge"), strict=True):
            f.raw(length, name)

    children = fields(Reader(record, "sslv2_client_hello"), read, is_bare)
    return Node("SSLv2 CLIENT-HELLO", f"{len(record)} bytes", 0, len(record), children, "CLIENT-HELLO")


def alert_tree(level: int, code: int) -> Node:
    """An alert in clear (RFC 8446, section 6)."""
    levels: dict[int, str] = {AlertLevel.WARNING: "warning", AlertLevel.FATAL: "fatal"}
    children = (
        Node("level", f"{levels.get(level, 'unknown')} ({level})", 0, 1),
        Node("description", f"{alert_name(code)} ({code})", 1, 1),
    )
    return Node("Alert", f"{levels.get(level, level)} {alert_name(code)}", 0, 2, children)


def flattened(node: Node, path: str = "") -> dict[str, str]:
    """Each field's value by its path, in order; what holds others stands for itself only where it is empty."""
    own_path = f"{path}.{node.name}" if path else node.name
    if not node.children:
        return {own_path: node.value}
    flat: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for child in node.children:
        for name, value in flattened(child, own_path).items():
            key, number = name, numbers.get(name, 2)
            while key in flat:
                key, number = f"{name} #{number}", number + 1
            flat[key], numbers[name] = value, number
    return flat
