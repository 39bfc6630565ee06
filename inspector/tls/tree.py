"""Handshake messages as trees for people: every field with its value, its name in the registries, and where its bytes
lie.

``messages`` reads what the analysis needs, fast; this reads everything, for one message at a time. Any bytes give a
tree: where they stop making sense a node says so and holds the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from inspector.tls.anomalies import mistake_text
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
from inspector.tls.types import AlertLevel, ExtensionType, HandshakeType

MOST_CHILDREN = 400
"""More elements than this of one vector are counted, not shown."""


class Node(NamedTuple):
    """A field. ``offset`` and ``length``: its bytes in the message, which begins with its handshake header."""

    name: str
    value: str
    offset: int
    length: int
    children: tuple[Node, ...] = ()


class FieldReader:
    """Reads fields one after the other and keeps a node of each."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.nodes: list[Node] = []

    def number(self, width: int, name: str, named: Callable[[int], str | None] = lambda value: None) -> int:
        """An unsigned integer of ``width`` bytes with its name, if it has one."""
        at = self.reader.at
        value = int.from_bytes(self.reader.take(width, name), "big")
        text = named(value)
        self.add(name, f"{text} (0x{value:0{2 * width}x})" if text else str(value), at)
        return value

    def raw(self, count: int, name: str) -> None:
        """Bytes of a fixed length."""
        at = self.reader.at
        self.add(name, self.reader.take(count, name).hex() or "empty", at)

    def rest(self, name: str) -> None:
        """All bytes that are left; nothing where there are none."""
        if self.reader:
            self.raw(self.reader.left(), name)

    def opaque(self, width: int, name: str, shown: Callable[[bytes], str] = bytes.hex) -> None:
        """Bytes behind a length of ``width`` bytes."""
        at = self.reader.at
        self.add(name, shown(self.reader.opaque(width, name)) or "empty", at)

    def vector(self, width: int, name: str, read: Callable[[FieldReader], None], value: str = "") -> None:
        """A vector behind a length of ``width`` bytes whose elements ``read`` reads."""
        at = self.reader.at
        inner = fields(self.reader.vector(width, name), read)
        count = f"{len(inner)} {'entry' if len(inner) == 1 else 'entries'}" if inner else "empty"
        self.add(name, value or count, at, inner)

    def numbers(self, width: int, name: str, each: int, named: Callable[[int], str | None]) -> None:
        """A vector of integers of ``each`` bytes."""

        def read(inner: FieldReader) -> None:
            while inner.reader:
                inner.number(each, f"[{len(inner.nodes)}]", named)

        self.vector(width, name, read)

    def add(self, name: str, value: str, at: int, children: tuple[Node, ...] = ()) -> None:
        """A node for what was read since ``at``."""
        self.nodes.append(Node(name, value, at, self.reader.at - at, children))


def fields(reader: Reader, read: Callable[[FieldReader], None]) -> tuple[Node, ...]:
    """The nodes that ``read`` finds; what it leaves, or cannot read, has a node of its own."""
    reader_of_fields = FieldReader(reader)
    try:
        read(reader_of_fields)
        reader_of_fields.rest("trailing bytes")
    except Malformed as problem:
        reader.at = min(max(reader.at, problem.offset), reader.end)
        reader_of_fields.nodes.append(
            Node(
                "malformed",
                f"{mistake_text(problem.mistake)} at offset {problem.offset}",
                reader.at,
                reader.end - reader.at,
            )
        )
    nodes = tuple(reader_of_fields.nodes)
    if len(nodes) > MOST_CHILDREN:
        kept = nodes[:MOST_CHILDREN]
        nodes = (*kept, Node("…", f"{len(nodes) - len(kept)} more", kept[-1].offset, 0))
    return nodes


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _digest(data: bytes) -> str:
    return f"{len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"


def _versions(f: FieldReader) -> None:
    while f.reader:
        f.number(2, f"[{len(f.nodes)}]", version_name)


def _protocols(f: FieldReader) -> None:
    def names(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(1, f"[{len(inner.nodes)}]", _text)

    f.vector(2, "protocol_name_list", names)


def _server_name(f: FieldReader) -> None:
    def names(inner: FieldReader) -> None:
        while inner.reader:
            inner.number(1, "name_type", {0: "host_name"}.get)
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


Read = Callable[[FieldReader], None]

OFFERED: dict[int, Read] = {
    ExtensionType.SERVER_NAME: _server_name,
    ExtensionType.SUPPORTED_GROUPS: lambda f: f.numbers(2, "named_group_list", 2, group_name),
    ExtensionType.EC_POINT_FORMATS: lambda f: f.numbers(
        1,
        "ec_point_format_list",
        1,
        {0: "uncompressed", 1: "ansiX962_compressed_prime", 2: "ansiX962_compressed_char2"}.get,
    ),
    ExtensionType.SIGNATURE_ALGORITHMS: lambda f: f.numbers(2, "supported_signature_algorithms", 2, signature_name),
    ExtensionType.ALPN: _protocols,
    ExtensionType.SESSION_TICKET: lambda f: f.rest("ticket"),
    ExtensionType.PRE_SHARED_KEY: _psks,
    ExtensionType.SUPPORTED_VERSIONS: lambda f: f.vector(1, "versions", _versions),
    ExtensionType.PSK_KEY_EXCHANGE_MODES: lambda f: f.numbers(1, "ke_modes", 1, {0: "psk_ke", 1: "psk_dhe_ke"}.get),
    ExtensionType.SIGNATURE_ALGORITHMS_CERT: lambda f: f.numbers(
        2, "supported_signature_algorithms", 2, signature_name
    ),
    ExtensionType.KEY_SHARE: _shares,
    ExtensionType.RENEGOTIATION_INFO: lambda f: f.opaque(1, "renegotiated_connection"),
}
ANSWERED: dict[int, Read] = {
    ExtensionType.SERVER_NAME: lambda f: None,
    ExtensionType.EC_POINT_FORMATS: OFFERED[ExtensionType.EC_POINT_FORMATS],
    ExtensionType.ALPN: _protocols,
    ExtensionType.PRE_SHARED_KEY: lambda f: _one(f, "selected_identity"),
    ExtensionType.SUPPORTED_VERSIONS: lambda f: _one(f, "selected_version", version_name),
    ExtensionType.KEY_SHARE: _share,
    ExtensionType.RENEGOTIATION_INFO: OFFERED[ExtensionType.RENEGOTIATION_INFO],
}


def _one(f: FieldReader, name: str, named: Callable[[int], str | None] = lambda value: None) -> None:
    f.number(2, name, named)


def _extensions(table: dict[int, Read]) -> Read:
    def read(f: FieldReader) -> None:
        while f.reader:
            at = f.reader.at
            kind = f.reader.u16("extension_type")
            body = f.reader.vector(2, "extension_data")
            length = body.left()
            inner = fields(body, table.get(kind, lambda rest: rest.rest("data")))
            f.add(f"{extension_name(kind)} ({kind})", f"{length} bytes" if length else "empty", at, inner)

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
    f.number(2, "legacy_version", version_name)
    f.raw(32, "random")
    f.opaque(1, "session_id")
    f.number(2, "cipher_suite", cipher_name)
    f.number(1, "compression_method", {0: "null", 1: "DEFLATE"}.get)
    if f.reader:
        f.vector(2, "extensions", _extensions(ANSWERED))


def _certificate(f: FieldReader) -> None:
    def chain(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(3, f"[{len(inner.nodes)}]", _digest)

    f.vector(3, "certificate_list", chain)


def _certificate_request(f: FieldReader) -> None:
    def authorities(inner: FieldReader) -> None:
        while inner.reader:
            inner.opaque(2, f"[{len(inner.nodes)}]")

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


def _key_exchange(f: FieldReader) -> None:
    """The elliptic curve form (RFC 8422, section 5.4); anything else stays bytes."""
    if f.reader.left() > 4 and f.reader.data[f.reader.at] == 3:
        f.number(1, "curve_type", {3: "named_curve"}.get)
        f.number(2, "named_curve", group_name)
        f.opaque(1, "public")
        f.rest("signature")
    else:
        f.rest("exchange_keys")


BODIES: dict[int, Read] = {
    HandshakeType.CLIENT_HELLO: _client_hello,
    HandshakeType.SERVER_HELLO: _server_hello,
    HandshakeType.NEW_SESSION_TICKET: _ticket,
    HandshakeType.CERTIFICATE: _certificate,
    HandshakeType.SERVER_KEY_EXCHANGE: _key_exchange,
    HandshakeType.CERTIFICATE_REQUEST: _certificate_request,
}


def _certificate13(f: FieldReader) -> None:
    def chain(inner: FieldReader) -> None:
        while inner.reader:
            number = len(inner.nodes) // 2
            inner.opaque(3, f"[{number}]", _digest)
            inner.opaque(2, f"[{number}].extensions")

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
    HandshakeType.ENCRYPTED_EXTENSIONS: lambda f: f.vector(
        2,
        "extensions",
        _extensions({**ANSWERED, ExtensionType.SUPPORTED_GROUPS: OFFERED[ExtensionType.SUPPORTED_GROUPS]}),
    ),
    HandshakeType.CERTIFICATE: _certificate13,
    HandshakeType.CERTIFICATE_REQUEST: _certificate_request13,
    HandshakeType.CERTIFICATE_VERIFY: _verify,
    HandshakeType.KEY_UPDATE: _key_update,
}


def handshake_tree(message: bytes, *, is_tls13: bool = False) -> Node:
    """A handshake message with its header (RFC 8446, section 4). ``is_tls13``: of TLS 1.3. Raises nothing."""

    def read(f: FieldReader) -> None:
        kind = f.number(1, "msg_type", message_name)
        f.number(3, "length", lambda value: f"{value} bytes")
        read_body = (BODIES13 if is_tls13 else BODIES).get(kind)
        if read_body is None:
            f.rest("body")
        else:
            read_body(f)

    name = message_name(message[0]) if message else "nothing"
    return Node(name, f"{len(message):,} bytes", 0, len(message), fields(Reader(message, name), read))


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
    for child in node.children:
        for name, value in flattened(child, own_path).items():
            key, number = name, 2
            while key in flat:
                key, number = f"{name} #{number}", number + 1
            flat[key] = value
    return flat
