"""Values of a certificate (X.690), and which of them name nobody: those alone stay, everything else is replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from inspector.tls.x509.der import DerError, bounds

CONSTRUCTED, CLASS, CONTEXT, REGISTERED_ID = 0x20, 0xC0, 0x80, 8
INTEGER, BIT_STRING, OBJECT_IDENTIFIER = 0x02, 0x03, 0x06
NUMBERS, SMALL = (0x01, INTEGER, 0x0A), 4
"""BOOLEAN, INTEGER and ENUMERATED of so many bytes name nobody."""

NULL, TIMES = 0x05, (0x17, 0x18)
TIME = re.compile(rb"(\d{10}|\d{12}|\d{14})([.,]\d+)?(Z|[+-]\d{4})?")
WORD = re.compile(rb"[A-Za-z0-9]{2,}")
"""What may be a name, where none should be: values of a damaged certificate may have a wrong tag."""

DEPTH = 16


def oid(text: str) -> bytes:
    """An object identifier, encoded."""
    numbers = [int(n) for n in text.split(".")]
    encoded = bytearray((numbers[0] * 40 + numbers[1],))
    for number in numbers[2:]:
        digits = [number & 127]
        while number := number >> 7:
            digits.append(number & 127 | 128)
        encoded += bytes(reversed(digits))
    return bytes(encoded)


WORDLIKE_CURVES = tuple(oid(f"1.3.101.{n}") for n in (110, 111, 112, 113))
"""X25519, X448, Ed25519, Ed448 (RFC 8410): other object identifiers in use have no two letters or digits in a row."""


class Item(NamedTuple):
    """One TLV. ``start`` to ``end``: its content. ``at``: its tag."""

    tag: int
    at: int
    start: int
    end: int


class NoCertificate(ValueError):
    """The bytes are no DER of a certificate."""


def items(data: bytes | bytearray, start: int, end: int) -> Iterator[Item]:
    """The TLVs side by side in a range. Raises NoCertificate."""
    at = start
    while at < end:
        try:
            tag, first, last, behind = bounds(data, at)
        except DerError:
            raise NoCertificate from None
        if behind > end or data[at : at + 2].isalpha():  # no certificate has tags that are letters
            raise NoCertificate
        yield Item(tag, at, first, last)
        at = behind


def is_whole(data: bytearray, item: Item) -> bool:
    """Whether a constructed value holds values, as it should."""
    try:
        return all(True for _ in items(data, item.start, item.end))
    except NoCertificate:
        return False


def names_nobody(tag: int, content: bytes, general_names: bool = False) -> bool:
    """Whether a value is NULL, a time, an object identifier or a small number, and is so by its content too, for the
    tag may be wrong. ``general_names``: as in ``certificates.Remaker``.
    """
    if tag in TIMES:
        return TIME.fullmatch(content) is not None
    if tag == OBJECT_IDENTIFIER or (general_names and tag == CONTEXT | REGISTERED_ID):
        return content in WORDLIKE_CURVES or WORD.search(content) is None
    if tag in NUMBERS or tag == BIT_STRING:
        return len(content) <= SMALL and WORD.search(content) is None
    return tag == NULL and not content


def is_mask(content: bytes) -> bool:
    """Whether bytes are a mask of a network, or none at all."""
    return "01" not in "".join(f"{byte:08b}" for byte in content)


def holds_no_name(data: bytearray, start: int, end: int, depth: int = 0) -> bool:
    """Whether a range is DER of values that name nobody; context tags stand for numbers and times there. Raises
    NoCertificate.
    """
    for item in items(data, start, end):
        content = bytes(data[item.start : item.end])
        if item.tag & CONSTRUCTED:
            if depth > DEPTH or not holds_no_name(data, item.start, item.end, depth + 1):
                return False
        elif item.tag & CLASS == CONTEXT:
            if not any(names_nobody(tag, content) for tag in (INTEGER, *TIMES)):
                return False
        elif not names_nobody(item.tag, content):
            return False
    return True
