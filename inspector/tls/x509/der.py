"""ASN.1 values in BER, as far as Java and OpenSSL take it (X.690): tag, length, content.

DER has one encoding for each value; what issues certificates in the field does not always know that. Java's
``sun.security.util.DerValue`` and OpenSSL's
``ASN1_get_object`` read lengths that are longer than they need be and indefinite ones, and so does this. Tags of
several bytes they know in no certificate.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OBJECT_IDENTIFIER = 1, 2, 3, 4, 5, 6
SEQUENCE, SET = 0x30, 0x31
UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING = 0x0C, 0x12, 0x13, 0x14, 0x16
VISIBLE_STRING, GENERAL_STRING, UNIVERSAL_STRING, BMP_STRING = 0x1A, 0x1B, 0x1C, 0x1E
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
CONSTRUCTED, CONTEXT, CLASS, NUMBER = 0x20, 0x80, 0xC0, 0x1F

INDEFINITE = 0x80
END_OF_CONTENTS = b"\0\0"
DEPTH = 64
"""How deep values of indefinite length stand in each other at most."""

OID_BYTES = 4096
"""The longest object identifier that Java reads."""

ARC_BITS = 128
"""The longest number in one that anybody needs: a UUID (X.667)."""


class DerError(ValueError):
    """The bytes are not what they should be."""


class Value(NamedTuple):
    """One value. ``content`` without the tag, the length and what ends an indefinite length."""

    tag: int
    content: bytes


_new = tuple.__new__
"""Makes a ``Value`` of a tuple in half the time that its own constructor takes."""


def first(data: bytes) -> tuple[Value, bytes]:
    """The value that stands first, and what follows it. Raises DerError."""
    tag, start, end, behind = bounds(data, 0)
    return _new(Value, (tag, data[start:end])), data[behind:]


def one(data: bytes) -> Value:
    """The only value. Raises DerError, also where something follows it."""
    value, rest = first(data)
    if rest:
        raise DerError
    return value


def several(data: bytes) -> list[Value]:
    """Values side by side. Raises DerError."""
    values: list[Value] = []
    at, size = 0, len(data)
    while at < size:
        start = at + 2
        if start <= size and data[at] & NUMBER != NUMBER and data[at + 1] < INDEFINITE:  # most are short
            tag, end = data[at], start + data[at + 1]
            if end > size:
                raise DerError
            at = end
        else:
            tag, start, end, at = bounds(data, at)
        values.append(_new(Value, (tag, data[start:end])))
    return values


def bounds(data: bytes | bytearray, at: int) -> tuple[int, int, int, int]:
    """Of the value at a place: its tag, where its content begins and ends, and where the next value begins. Raises
    DerError.
    """
    tag, start, length = _header(data, at)
    if length >= 0:
        return tag, start, start + length, start + length
    end = _end_of_contents(data, start, DEPTH)
    return tag, start, end, end + len(END_OF_CONTENTS)


def _header(data: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """Tag, where the content begins, and its length; -1 where that is indefinite."""
    if at + 2 > len(data) or data[at] & NUMBER == NUMBER:
        raise DerError
    tag, length, start = data[at], data[at + 1], at + 2
    if length == INDEFINITE:
        if not tag & CONSTRUCTED:
            raise DerError
        return tag, start, -1
    if length & INDEFINITE:
        count = length & 127
        if count > 4 or start + count > len(data):
            raise DerError
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise DerError
    return tag, start, length


def _end_of_contents(data: bytes | bytearray, at: int, depth: int) -> int:
    if not depth:
        raise DerError
    while data[at : at + 2] != END_OF_CONTENTS:
        _, start, length = _header(data, at)
        at = start + length if length >= 0 else _end_of_contents(data, start, depth - 1) + len(END_OF_CONTENTS)
    return at


def encoded(value: Value) -> bytes:
    """The value in DER."""
    size = len(value.content)
    if size < INDEFINITE:
        return bytes((value.tag, size)) + value.content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((value.tag, INDEFINITE | len(length))) + length + value.content


def of_tag(value: Value, tag: int) -> bytes:
    """The content of a value of this tag. Raises DerError where it has another."""
    if value.tag != tag:
        raise DerError
    return value.content


def boolean(value: Value) -> bool:
    """A BOOLEAN, true by any byte but zero. Raises DerError."""
    content = of_tag(value, BOOLEAN)
    if len(content) != 1:
        raise DerError
    return content != b"\0"


def integer(value: Value) -> int:
    """An INTEGER, whether or not it is as short as it could be. Raises DerError."""
    content = of_tag(value, INTEGER)
    if not content:
        raise DerError
    return int.from_bytes(content, "big", signed=True)


def small_integer(value: Value) -> int:
    """An INTEGER of at most 32 bits, as Java reads versions and lengths. Raises DerError."""
    number = integer(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise DerError
    return number


def oid(value: Value) -> str:
    """An OBJECT IDENTIFIER as dotted numbers. Raises DerError."""
    return dotted(of_tag(value, OBJECT_IDENTIFIER))


@lru_cache(maxsize=4096)
def dotted(content: bytes) -> str:
    """The numbers of an object identifier (X.690, section 8.19). Raises DerError."""
    if not 0 < len(content) <= OID_BYTES or content[-1] & 128:
        raise DerError
    numbers: list[int] = []
    number, begins = 0, True
    for byte in content:
        if begins and byte == 128:
            raise DerError  # a number with a leading zero
        number, begins = number << 7 | byte & 127, not byte & 128
        if begins:
            numbers.append(number)
            number = 0
    root = min(numbers[0] // 40, 2)
    return ".".join([_written(number) for number in (root, numbers[0] - 40 * root, *numbers[1:])])


def _written(number: int) -> str:
    """In hexadecimal where it is longer than any that somebody registered: decimal digits of a number that is thousands
    of bits long take long, and Python refuses them.
    """
    return str(number) if number.bit_length() <= ARC_BITS else f"{number:#x}"


def bits(value: Value) -> bytes:
    """The bytes of a BIT STRING, its padding taken as zeros. Raises DerError."""
    content = of_tag(value, BIT_STRING)
    if not content or content[0] > 7 or (content[0] and len(content) == 1):
        raise DerError
    whole = content[1:]
    return whole[:-1] + bytes((whole[-1] & 0xFF << content[0] & 0xFF,)) if content[0] else whole


def octets(value: Value, depth: int = DEPTH) -> bytes:
    """An OCTET STRING, in pieces too. Raises DerError."""
    if value.tag == OCTET_STRING:
        return value.content
    if value.tag & ~CLASS != OCTET_STRING | CONSTRUCTED or not depth:
        raise DerError
    return b"".join(octets(piece, depth - 1) for piece in several(value.content))
