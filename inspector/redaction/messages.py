"""Handshake messages in clear with what identifies replaced in place (RFC 5246, section 7.4; RFC 8446, section 4). No
length changes.

``tls.tree`` reads them; ``tls_fields`` says by a field's path what its content becomes. Lengths and types of extensions
stay, so that what could be read can be read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from inspector import bounds
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.tls_fields import EXTENSION_LISTS, TREATMENTS, Treatment
from inspector.tls.tree import handshake_tree, sslv2_hello_tree
from inspector.tls.tree_nodes import MALFORMED, Node
from inspector.tls.types import CLIENT_HELLO, SERVER_HELLO

HEADER, EXTENSION_HEADER = 4, 4
RANDOM_END = HEADER + 34
"""Of a hello: behind its version and random."""


class UnreadableField(ValueError):
    """A length says more than there is."""


class Redactor:
    """Changes messages. ``disguise``: what replacements are made from."""

    def __init__(self, disguise: Disguise) -> None:
        self.disguise = disguise
        self.certificates = Remaker(disguise)
        self._makers: dict[Treatment, Callable[[bytes], bytes]] = {
            Treatment.NAME: disguise.raw,
            Treatment.PROTOCOL: disguise.protocol,
            Treatment.TICKET: disguise.ticket,
            Treatment.CERTIFICATE: self.certificates.certificate,
            Treatment.AUTHORITIES: self.certificates.authorities,
            Treatment.ZERO: lambda old: bytes(len(old)),
        }

    def messages(self, stream: bytes) -> bytes:
        """Messages one after the other, as their records hold them. Of a header that is cut nothing is left."""
        at = 0
        pieces: list[bytes] = []
        while at + HEADER <= len(stream):
            end = at + HEADER + int.from_bytes(stream[at + 1 : at + HEADER], "big")
            message = stream[at:end]
            pieces.append(self.message(message) if end <= len(stream) else self.beginning(message))
            at = end
        pieces.append(bytes(max(len(stream) - at, 0)))
        return b"".join(pieces)

    def message(self, message: bytes) -> bytes:
        """A whole message with its header (RFC 8446, section 4). One that cannot be read is treated as one whose end is
        missing.
        """
        if len(message) > bounds.MESSAGE_BYTES:
            return self.beginning(message)
        tree = handshake_tree(message, is_bare=True)
        _, _, *body = tree.children
        try:
            return self._changed(message, tree, body)
        except UnreadableField:
            return self.beginning(message)

    def sslv2_hello(self, record: bytes) -> bytes:
        """A CLIENT-HELLO in SSLv2 framing, without its length."""
        tree = sslv2_hello_tree(record, is_bare=True)
        try:
            return self._changed(record, tree, tree.children)
        except UnreadableField:
            return self.disguise.opaque(record, "message")

    def beginning(self, message: bytes) -> bytes:
        """A message whose end is missing: its header, of a hello version and random; the rest is not told apart."""
        kept = RANDOM_END if message[0] in (CLIENT_HELLO, SERVER_HELLO) else HEADER
        return message[:kept] + self.disguise.opaque(message[kept:], "message")

    def _changed(self, message: bytes, tree: Node, nodes: Iterable[Node]) -> bytes:
        """The message with these of its fields changed. Raises UnreadableField."""
        new = bytearray(message)
        for node in nodes:
            self._replace(message, new, node, f"{tree.field}.{node.field}")
        return bytes(new)

    def _replace(self, old: bytes, new: bytearray, node: Node, path: str) -> None:
        """A field and those in it. Raises UnreadableField."""
        treatment = TREATMENTS.get(path)
        if treatment is Treatment.KEPT:
            return
        start, end = node.start, node.offset + node.length
        if treatment is not None:
            make = self._makers.get(treatment)
            content = old[start:end]
            new[start:end] = make(content) if make is not None else self.disguise.opaque(content, treatment.value)
        elif path in EXTENSION_LISTS:
            self._extensions(old, new, node, path)
        elif node.children:
            for child in node.children:
                self._replace(old, new, child, f"{path}.{child.field}")
        elif node.field == MALFORMED:
            raise UnreadableField
        else:
            label = "extension" if path.startswith(EXTENSION_LISTS) else "message"
            new[start:end] = self.disguise.opaque(old[start:end], label)

    def _extensions(self, old: bytes, new: bytearray, node: Node, path: str) -> None:
        """A list of extensions. Bytes behind the last one that are too few for another are replaced alone."""
        at = node.start
        for child in node.children:
            end = child.offset + child.length
            if child.field != MALFORMED:
                self._extension(old, new, child, f"{path}.{child.field}")
            elif end - at < EXTENSION_HEADER:
                new[at:end] = self.disguise.opaque(old[at:end], "extension")
            else:
                raise UnreadableField
            at = end

    def _extension(self, old: bytes, new: bytearray, node: Node, path: str) -> None:
        """Of one that cannot be read every field is replaced, known or not; it breaks off in the same place."""
        try:
            for child in node.children:
                self._replace(old, new, child, f"{path}.{child.field}")
        except UnreadableField:
            for leaf in _leaves(node):
                start, end = leaf.start, leaf.offset + leaf.length
                new[start:end] = self.disguise.opaque(old[start:end], "extension")


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children:
        yield node
    for child in node.children:
        yield from _leaves(child)
