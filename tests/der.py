"""Certificates made value by value (X.690), so that each can be as wrong as one likes: a small DER builder, and a tree
of values that can be changed.
"""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONSTRUCTED = 0x20


def tlv(tag: int, *content: bytes) -> bytes:
    """One value in DER."""
    body = b"".join(content)
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(length))) + length + body


def seq(*content: bytes) -> bytes:
    return tlv(0x30, *content)


def num(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    out = bytearray()
    for number in (first * 40 + second, *rest):
        digits = [number & 127]
        while number := number >> 7:
            digits.append(number & 127 | 128)
        out += bytes(reversed(digits))
    return tlv(6, bytes(out))


CN, ORGANIZATION, EMAIL = "2.5.4.3", "2.5.4.10", "1.2.840.113549.1.9.1"
UTF8, PRINTABLE, T61, IA5, UNIVERSAL, BMP = 0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A distinguished name of (type, string type, value)."""
    return seq(*(tlv(0x31, seq(oid(kind), tlv(tag, value))) for kind, tag, value in attributes))


def common_name(text: str) -> bytes:
    return name((CN, UTF8, text.encode()))


def extension(kind: str, value: bytes, critical: bytes = b"") -> bytes:
    """``critical``: the boolean as encoded; empty where it is left out."""
    return seq(oid(kind), critical, tlv(4, value))


TRUE, FALSE = b"\x01\x01\xff", b"\x01\x01\x00"
SAN, BASIC_CONSTRAINTS, POLICIES, TIMESTAMPS = "2.5.29.17", "2.5.29.19", "2.5.29.32", "1.3.6.1.4.1.11129.2.4.2"
SHARED, OWN = "puppetdb.example.com", "pdb2.example.com"


def dns(text: str) -> bytes:
    return tlv(0x82, text.encode())


def names(*general: bytes, critical: bytes = b"") -> bytes:
    """Subject alternative names as an extension."""
    return extension(SAN, seq(*general), critical)


@cache
def key() -> bytes:
    """A SubjectPublicKeyInfo on P-256."""
    return (
        ec.derive_private_key(7, ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


ECDSA = seq(oid("1.2.840.10045.4.3.2"))
VERSION_3 = tlv(0xA0, num(2))
VALIDITY = seq(tlv(0x17, b"240101000000Z"), tlv(0x17, b"340101000000Z"))


def certificate(
    *extensions: bytes,
    version: bytes = VERSION_3,
    serial: bytes = b"\x02\x01\x01",
    issuer: bytes | None = None,
    validity: bytes = VALIDITY,
    subject: bytes | None = None,
    public_key: bytes | None = None,
    algorithm: bytes = ECDSA,
    outer: bytes | None = None,
    identifiers: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """A certificate of ``pdb2.example.com`` by ``Test CA``; what is not given is as it should be. ``extensions``: none
    leaves the field out.
    """
    fields = (
        version,
        serial,
        algorithm,
        common_name("Test CA") if issuer is None else issuer,
        validity,
        common_name(OWN) if subject is None else subject,
        key() if public_key is None else public_key,
        identifiers,
        tlv(0xA3, seq(*extensions)) if extensions else b"",
    )
    return seq(seq(*fields), algorithm if outer is None else outer, tlv(3, b"\0" + seq(num(5), num(6)))) + behind


@dataclass
class Node:
    """A value in a tree that can be changed. ``wrapped``: DER inside an OCTET STRING or BIT STRING,
    behind ``prefix``.
    """

    tag: int
    content: bytes = b""
    children: list[Node] = field(default_factory=list)
    prefix: bytes = b""
    padding: int = 0

    def encoded(self) -> bytes:
        """With all lengths made anew; ``padding`` bytes more of length than it needs."""
        body = self.prefix + b"".join(c.encoded() for c in self.children) if self.children else self.content
        if not self.padding:
            return tlv(self.tag, body)
        length = len(body).to_bytes(min(4, (len(body).bit_length() + 7) // 8 + self.padding), "big")
        return bytes((self.tag, 128 | len(length))) + length + body

    def every(self) -> list[Node]:
        """Itself and all below it."""
        return [self, *(node for child in self.children for node in child.every())]


def tree(data: bytes) -> list[Node]:
    """Values side by side. Raises ValueError."""
    nodes = []
    at = 0
    while at < len(data):
        tag, size, start = data[at], data[at + 1], at + 2
        if size & 128:
            count = size & 127
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise ValueError
        content = data[start : start + size]
        node = Node(tag, content)
        prefix = content[:1] if tag == 3 else b""
        if tag & CONSTRUCTED or tag in (3, 4):
            try:
                node.children, node.prefix = tree(content[len(prefix) :]), prefix
            except (ValueError, IndexError):
                node.children = []
        nodes.append(node)
        at = start + size
    return nodes


TAGS = (
    1,
    2,
    3,
    4,
    5,
    6,
    0x0C,
    0x12,
    0x13,
    0x14,
    0x16,
    0x17,
    0x18,
    0x1A,
    0x1B,
    0x1C,
    0x1E,
    0x30,
    0x31,
    0x80,
    0x81,
    0x82,
    0x84,
    0x86,
    0x87,
    0x88,
    0xA0,
    0xA1,
    0xA3,
    0xA4,
    0xA5,
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The certificate with one to three changes to its values, lengths in order again, or with some bytes turned."""
    try:
        [whole] = tree(data)
    except (ValueError, IndexError):
        whole = None
    if whole is None or rng.random() < 0.15:
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    for _ in range(rng.randint(1, 3)):
        nodes = whole.every()
        node = rng.choice(nodes)
        what = rng.randrange(9)
        if what == 0:
            node.tag = rng.choice(TAGS)
        elif what == 1 and node.children:
            node.children.pop(rng.randrange(len(node.children)))
        elif what == 2 and node.children:
            node.children.insert(rng.randrange(len(node.children) + 1), deepcopy(rng.choice(node.children)))
        elif what == 3 and node.children:
            node.children.insert(rng.randrange(len(node.children) + 1), deepcopy(rng.choice(nodes[1:])))
        elif what == 4:
            node.padding = rng.randint(1, 2)
        elif what == 5 and node.children:
            rng.shuffle(node.children)
        elif what == 6:
            node.children, node.content = [], rng.randbytes(rng.choice((0, 1, 4, 8, 16, 20)))
        elif not node.children and node.content:
            content = bytearray(node.content)
            place = rng.randrange(len(content))
            if what == 7:
                content[place] = rng.choice(
                    (0, 0x20, 0x25, 0x2A, 0x2E, 0x3A, 0x40, 0x5B, 0x7F, 0x80, 0xE9, 0xFF, rng.randrange(256))
                )
            else:
                content[place : place + 1] = rng.choice((b"", b"  ", b"Z", b"+0100", b".5", b"00", b"\xc3\xa9"))
            node.content = bytes(content)
    return whole.encoded()
