"""ClientHellos that differ only in the name that they ask for: a client that speaks to a hundred thousand hosts says
everything else each time alike.

The name is cut out where it stands, the first ``server_name`` among the extensions (RFC 6066, section 3), and what is
left is looked up. What is left says the same whatever the name was: fingerprints leave the name out, and the key of a
shape is a digest of its text, in which the name stands in one place.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import NamedTuple

from inspector.tls.extension_types import ExtensionType
from inspector.tls.extensions import HelloShape
from inspector.tls.types import NameType

NAME_AT = HelloShape._fields.index("server_name")
SERVER_NAME = int(ExtensionType.SERVER_NAME).to_bytes(2, "big")
EXTENSION_HEADER, NAME_HEADER = 4, 5
"""Bytes before an extension's content, and before the name in it: the length of the list, the kind of name, its length.
"""


class Parted(NamedTuple):
    """A hello without its name, and without the lengths that the name is counted in; and the name."""

    rest: bytes
    name: bytes


def key_of(text: str) -> bytes:
    """The key of the shape that has this text."""
    return blake2s(text.encode(), digest_size=8).digest()


def without_name(hello: bytes) -> Parted | None:
    """A ClientHello, of which random and session id are left out already, parted; None where it asks for no name, or
    for several at once, or where lengths do not fit.
    """
    compression = 4 + int.from_bytes(hello[2:4], "big")
    if compression >= len(hello):
        return None
    size = compression + 1 + hello[compression]
    extensions = at = size + 2
    if int.from_bytes(hello[size:extensions], "big") != len(hello) - extensions:
        return None
    while at + EXTENSION_HEADER <= len(hello):
        content = at + EXTENSION_HEADER
        end = content + int.from_bytes(hello[content - 2 : content], "big")
        if hello[at : at + 2] == SERVER_NAME:
            name = content + NAME_HEADER
            if end > len(hello) or hello[content:name] != _header(end - name):
                return None
            return Parted(hello[:size] + hello[extensions : at + 2] + hello[end:], hello[name:end])
        at = end
    return None


def _header(length: int) -> bytes:
    """What stands before the only name in its extension, a name of so many bytes; nothing is equal to it below 0."""
    if length < 0:
        return b""
    return (length + 3).to_bytes(2, "big") + bytes((NameType.HOST_NAME,)) + length.to_bytes(2, "big")


class HelloPattern:
    """What hellos have in common that differ only in their names."""

    def __init__(self, shape: HelloShape, ticket: bytes | None, psk_identities: tuple[bytes, ...]) -> None:
        """``shape``: of one of them."""
        self.ticket = ticket
        self.psk_identities = psk_identities
        self._shape = shape
        bare = shape._replace(ja3="", ja4="", key=b"")
        texts = [f"{name}={value!r}" for name, value in zip(bare._fields, bare, strict=True)]
        self._before = f"{type(shape).__name__}({', '.join([*texts[:NAME_AT], 'server_name='])}"
        self._behind = f", {', '.join(texts[NAME_AT + 1 :])})"

    def shape_of(self, name: bytes) -> HelloShape:
        """The shape of the one with this name."""
        return self._shape._replace(server_name=name, key=key_of(f"{self._before}{name!r}{self._behind}"))
