"""Fields of messages as nodes, read one after the other: what each is called, what it says, where its bytes lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from inspector.tls.anomalies import mistake_text
from inspector.tls.reader import Malformed, Reader

MOST_CHILDREN = 400
"""More elements than this of one vector are counted, not shown."""

ELEMENT = "[]"
"""The field that stands for every element of a vector, and is shown by its number."""

MALFORMED, TRAILING = "malformed", "trailing bytes"
"""What cannot be read, and what follows when all has been read."""


class Node(NamedTuple):
    """A field. ``offset`` and ``length``: its bytes in the message, which begins with its handshake header.

    ``name``: as it is shown, with the number of an element or of an extension. ``field``: without it, so that equal
    fields of all messages have equal paths. ``start``: of its content in the message, behind the length that announces
    it.
    """

    name: str
    value: str
    offset: int
    length: int
    children: tuple[Node, ...] = ()
    field: str = ""
    start: int = 0


class FieldReader:
    """Reads fields one after the other and keeps a node of each. ``is_bare``: for programs, which need all fields and
    no words: nodes without values, all numbers of a vector as one element, and no bound on elements.
    """

    def __init__(self, reader: Reader, is_bare: bool) -> None:
        self.reader = reader
        self.is_bare = is_bare
        self.nodes: list[Node] = []

    def number(self, width: int, field: str, named: Callable[[int], str | None] = lambda value: None) -> int:
        """An unsigned integer of ``width`` bytes with its name, if it has one."""
        at = self.reader.at
        value = int.from_bytes(self.reader.take(width, field), "big")
        if self.is_bare:
            self.add(field, "", at)
        else:
            text = named(value)
            self.add(field, f"{text} (0x{value:0{2 * width}x})" if text else str(value), at)
        return value

    def raw(self, count: int, field: str) -> None:
        """Bytes of a fixed length."""
        at = self.reader.at
        data = self.reader.take(count, field)
        self.add(field, "" if self.is_bare else data.hex() or "empty", at)

    def rest(self, field: str) -> None:
        """All bytes that are left; nothing where there are none."""
        if self.reader:
            self.raw(self.reader.left(), field)

    def opaque(self, width: int, field: str, shown: Callable[[bytes], str] = bytes.hex, name: str = "") -> None:
        """Bytes behind a length of ``width`` bytes."""
        at = self.reader.at
        data = self.reader.opaque(width, field)
        self.add(field, "" if self.is_bare else shown(data) or "empty", at, width, name)

    def vector(self, width: int, field: str, read: Callable[[FieldReader], None]) -> None:
        """A vector behind a length of ``width`` bytes whose elements ``read`` reads."""
        at = self.reader.at
        inner = fields(self.reader.vector(width, field), read, self.is_bare)
        count = f"{len(inner)} {'entry' if len(inner) == 1 else 'entries'}" if inner else "empty"
        self.add(field, count, at, width, children=inner)

    def numbers(self, width: int, field: str, each: int, named: Callable[[int], str | None]) -> None:
        """A vector of integers of ``each`` bytes."""

        def read(inner: FieldReader) -> None:
            if inner.is_bare and inner.reader.left() >= each:
                inner.raw(inner.reader.left() // each * each, ELEMENT)
            while inner.reader:
                inner.number(each, ELEMENT, named)

        self.vector(width, field, read)

    def add(
        self, field: str, value: str, at: int, width: int = 0, name: str = "", children: tuple[Node, ...] = ()
    ) -> None:
        """A node for what was read since ``at``. ``width``: of what stands before its content."""
        if not name:
            name = f"[{len(self.nodes)}]" if field == ELEMENT else field
        length = self.reader.at - at
        self.nodes.append(Node._make((name, value, at, length, children, field, at + width)))


def fields(reader: Reader, read: Callable[[FieldReader], None], is_bare: bool) -> tuple[Node, ...]:
    """The nodes that ``read`` gives; what it leaves, or cannot read, has a node of its own. ``is_bare``: as in
    ``FieldReader``.
    """
    reader_of_fields = FieldReader(reader, is_bare)
    try:
        read(reader_of_fields)
        reader_of_fields.rest(TRAILING)
    except Malformed as problem:
        reader.at = min(max(reader.at, problem.offset), reader.end)
        text = f"{mistake_text(problem.mistake)} at offset {problem.offset}"
        length = reader.end - reader.at
        reader_of_fields.nodes.append(Node(MALFORMED, text, reader.at, length, field=MALFORMED, start=reader.at))
    nodes = tuple(reader_of_fields.nodes)
    if len(nodes) > MOST_CHILDREN and not is_bare:
        kept = nodes[:MOST_CHILDREN]
        nodes = (*kept, Node("…", f"{len(nodes) - len(kept)} more", kept[-1].offset, 0))
    return nodes
