"""What strangers may send, made by the kind: certificates, fragments, secrets, sections. Each kind has many variants,
of any size; ``test_attacks`` holds the program against all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests import der as d
from tests.build import (
    CHANGE,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    START_NS,
    Flow,
    Pool,
    certificates,
    extension,
    message,
    numbered,
    pcap,
    record,
    server_hello,
    sni,
    vector,
)
from tests.encapsulations import ethernet, ipv4, udp
from tests.odd import NAMES, rsa_key
from tests.test_capture_files import block, interface, option, packet, section

# Certificates.

BIG = 100_000
LONG_NUMBER = d.tlv(6, b"\x2a" + b"\xff" * 3000 + b"\x01")
"""An object identifier with a number of 21,000 bits."""


def nested(value: bytes, wrap: Callable[[bytes], bytes], depth: int) -> bytes:
    for _ in range(depth):
        value = wrap(value)
    return value


CERTIFICATES: dict[str, bytes] = {
    "a long number in an extension's identifier": d.certificate(NAMES, d.seq(LONG_NUMBER, d.tlv(4))),
    "a long number in the key's algorithm": d.certificate(
        NAMES, public_key=d.seq(d.seq(LONG_NUMBER), d.tlv(3, b"\0abc"))
    ),
    "a long number in the signature's algorithm": d.certificate(NAMES, algorithm=d.seq(LONG_NUMBER)),
    "a long number in the curve": d.certificate(
        NAMES, public_key=d.seq(d.seq(d.oid("1.2.840.10045.2.1"), LONG_NUMBER), d.tlv(3, b"\0abc"))
    ),
    "a long number in the subject": d.certificate(
        NAMES, subject=d.seq(d.tlv(0x31, d.seq(LONG_NUMBER, d.tlv(12, b"x"))))
    ),
    "a long number as a name": d.certificate(d.names(d.tlv(0x88, LONG_NUMBER[4:]), d.dns(d.SHARED))),
    "serial number of 100 KB": d.certificate(NAMES, serial=d.tlv(2, b"\x7f" * BIG)),
    "negative serial number of 100 KB": d.certificate(NAMES, serial=d.tlv(2, b"\x80" * BIG)),
    "RSA key of 800,000 bits": d.certificate(NAMES, public_key=rsa_key(1 << (8 * BIG - 1) | 1, 65537)),
    "RSA exponent of 400,000 bits": d.certificate(NAMES, public_key=rsa_key(1 << 2047 | 1, 1 << 4 * BIG)),
    "RSA modulus 0": d.certificate(NAMES, public_key=rsa_key(0, 0)),
    "version of 100 KB": d.certificate(NAMES, version=d.tlv(0xA0, d.tlv(2, b"\x7f" * BIG))),
    "version -1": d.certificate(NAMES, version=d.tlv(0xA0, d.num(-1))),
    "version 2^31": d.certificate(NAMES, version=d.tlv(0xA0, d.num(1 << 31))),
    "no version content": d.certificate(NAMES, version=d.tlv(0xA0)),
    "an extension a thousand times": d.certificate(*[NAMES] * 1_000),
    "5,000 unknown extensions": d.certificate(*[d.extension(f"1.2.3.{n}", b"") for n in range(5_000)]),
    "10,000 names": d.certificate(d.names(*[d.dns(f"{n:x}") for n in range(10_000)], d.dns(d.SHARED))),
    "10,000 addresses": d.certificate(d.names(*[d.tlv(0x87, struct.pack(">I", n)) for n in range(10_000)])),
    "a name of 100 KB": d.certificate(d.names(d.dns("a" * BIG), d.dns(d.SHARED))),
    "subject of 10,000 parts": d.certificate(
        NAMES, subject=d.seq(*[d.tlv(0x31, d.seq(d.oid(d.CN), d.tlv(12, b"x")))] * 10_000)
    ),
    "subject of one part with 10,000 values": d.certificate(
        NAMES, subject=d.seq(d.tlv(0x31, *[d.seq(d.oid(d.CN), d.tlv(12, b"%d" % n)) for n in range(10_000)]))
    ),
    "subject that grows when it is folded": d.certificate(NAMES, subject=d.common_name("\ufdfa" * (BIG // 3))),
    "subject of spaces": d.certificate(NAMES, subject=d.common_name(" " * BIG)),
    "subject of surrogates": d.certificate(NAMES, subject=d.name((d.CN, d.BMP, b"\xd8\x00" * (BIG // 2)))),
    "names in names": d.certificate(
        NAMES, subject=nested(d.common_name("x"), lambda v: d.seq(d.tlv(0x31, d.seq(d.oid(d.CN), v))), 1_000)
    ),
    "directory names in directory names": d.certificate(
        d.names(nested(d.tlv(0xA4, d.common_name("x")), lambda v: d.tlv(0xA4, d.seq(v)), 1_000), d.dns(d.SHARED))
    ),
    "sequences in sequences": d.certificate(
        NAMES, d.extension(d.BASIC_CONSTRAINTS, nested(d.seq(), d.seq, 5_000), d.TRUE)
    ),
    "indefinite lengths in indefinite lengths": b"\x30\x80" * (BIG // 2),
    "strings in pieces in pieces": d.certificate(NAMES, d.seq(d.oid("2.5.29.15"), b"\x24\x80" * (BIG // 4))),
    "fractions of a second by the thousand": d.certificate(
        NAMES,
        validity=d.seq(d.tlv(0x18, b"99991231235959." + b"9" * BIG + b"Z"), d.tlv(0x18, b"00000101000000Z")),
    ),
    "times of bytes": d.certificate(NAMES, validity=d.seq(d.tlv(0x18, b"\xff" * 15), d.tlv(0x17, b"\0" * 13))),
    "empty everything": d.seq(d.seq(d.tlv(0xA0), d.tlv(2), *[d.seq()] * 5, d.tlv(0xA3)), d.seq(), d.tlv(3)),
    "no bytes": b"",
    "a length of 4 GB": b"\x30\x84\xff\xff\xff\xff" + bytes(100),
    "a length of 127 bytes": b"\x30\xff" + bytes(200),
    "zeros": bytes(BIG),
    "0xff": b"\xff" * BIG,
}
CHAINS: dict[str, tuple[bytes, ...]] = {
    **{name: (data,) for name, data in CERTIFICATES.items()},
    "50,000 certificates of no bytes": (b"",) * 50_000,
    "20,000 different certificates": tuple([struct.pack(">I", n) for n in range(20_000)]),
    "one certificate a hundred times": (d.certificate(NAMES),) * 100,
}

PIECE = 16_000


def in_records(*messages: bytes) -> list[bytes]:
    whole = b"".join(messages)
    return [record(22, whole[at : at + PIECE]) for at in range(0, len(whole), PIECE)]


def shown(pool: Pool, chain: tuple[bytes, ...], session: bytes, *, by_client: bool = False) -> Flow:
    """A full handshake in which a chain is shown by the server, or by the client to a server of ``pool``'s first
    chain.
    """
    ours = certificates(*chain)
    theirs = certificates(d.certificate(NAMES)) if by_client else ours
    flow = pool._begin(b"")
    hello = server_hello(numbered(flow.port + (1 << 20)), session)
    for piece in in_records(hello, theirs, message(12, b"s" * 70), DONE):
        flow.server_says(piece)
    for piece in in_records(ours) if by_client else ():
        flow.client_says(piece)
    flow.client_says(KEY_EXCHANGE, CHANGE, FINISHED).server_says(CHANGE, FINISHED)
    return pool._end(flow.close())


# Hellos whose lists have no end.


def hello(random: bytes, number: int, *extensions: bytes, suites: bytes = b"\xc0\x2b") -> bytes:
    listed = vector(2, b"".join((sni("puppetdb.example.com"), *extensions)))
    return message(1, b"\x03\x03" + random + b"\0" + vector(2, suites) + b"\1\0" + listed)


def numbers(first: int, count: int = 5_000) -> bytes:
    return b"".join(struct.pack(">H", (first + n) & 0xFFFF) for n in range(count))


HELLOS: dict[str, Callable[[bytes, int], bytes]] = {
    "suites": lambda random, n: hello(random, n, suites=numbers(n)),
    "extensions": lambda random, n: hello(random, n, *[extension(0x4000 + (i + n) % 5_000) for i in range(5_000)]),
    "groups": lambda random, n: hello(random, n, extension(10, vector(2, numbers(n)))),
    "signature algorithms": lambda random, n: hello(random, n, extension(13, vector(2, numbers(n)))),
    "protocols": lambda random, n: hello(
        random, n, extension(16, vector(2, b"".join(vector(1, b"%d-%d" % (n, i)) for i in range(2_000))))
    ),
    "identities": lambda random, n: hello(
        random,
        n,
        extension(
            41,
            vector(2, b"".join(vector(2, b"%d-%d" % (n, i)) + bytes(4) for i in range(2_000)))
            + vector(2, vector(1, bytes(32))),
        ),
    ),
    "a name": lambda random, n: message(
        1,
        b"\x03\x03" + random + b"\0" + vector(2, b"\xc0\x2b") + b"\1\0" + vector(2, sni(f"{n}" + "a" * 10_000)),
    ),
    "names": lambda random, n: hello(random, n, extension(0, vector(2, vector(2, b"\1\0\1a") * 1_000))),
    "versions": lambda random, n: hello(random, n, extension(43, vector(1, numbers(n, 127)))),
    "point formats": lambda random, n: hello(random, n, extension(11, vector(1, bytes(255)))),
    "everything empty": lambda random, n: hello(
        random, n, *[extension(kind) for kind in range(70)], extension(41), extension(41)
    ),
}

# Fragments that never become whole.

Fragments = Callable[[int], list[bytes]]
"""So many frames."""
MORE = 0x2000


def piece4(body: bytes, ident: int, offset: int, *, more: bool = True, protocol: int = 6) -> bytes:
    """``offset``: in units of eight bytes."""
    position = (MORE if more else 0) | offset & 0x1FFF
    return ethernet(0x0800, ipv4(protocol, body, ident=ident & 0xFFFF, position=position))


def piece6(body: bytes, ident: int, offset: int, *, more: bool = True, before: bytes = b"", source: int = 1) -> bytes:
    """``before``: extension headers in front of the fragment's, the first of which are hop-by-hop options."""
    fragment = struct.pack(">BBHI", 6, 0, (offset & 0x1FFF) << 3 | more, ident & 0xFFFFFFFF) + body
    head = struct.pack(">IHBB", 6 << 28, len(before) + len(fragment), 0 if before else 44, 64)
    ends = b"\xfd" + bytes(11) + struct.pack(">I", source) + b"\xfd" + bytes(14) + b"\2"
    return ethernet(0x86DD, head + ends + before + fragment)


UNIT = b"f" * 8
FRAGMENTS: dict[str, Fragments] = {
    "IPv4, the rest of one": lambda n: [piece4(UNIT, 7, i % 8000 + 1) for i in range(n)],
    "IPv4, one of each": lambda n: [piece4(UNIT, i, 8000) for i in range(n)],
    "IPv4, the first of each": lambda n: [piece4(UNIT, i, 0) for i in range(n)],
    "IPv4, the last of each": lambda n: [piece4(UNIT, i, 8000, more=False) for i in range(n)],
    "IPv4, backwards": lambda n: [piece4(UNIT, 7, 8000 - i % 8000) for i in range(n)],
    "IPv4, every second": lambda n: [piece4(UNIT, i // 4000, i % 4000 * 2) for i in range(n)],
    "IPv4, the same again": lambda n: [piece4(UNIT, 7, 5) for i in range(n)],
    "IPv4, overlapping with other bytes": lambda n: [piece4(bytes((i & 255,)) * 64, 7, i % 64 + 1) for i in range(n)],
    "IPv4, of a byte": lambda n: [piece4(b"x", i & 15, i % 8000, more=False) for i in range(n)],
    "IPv4, of no bytes": lambda n: [piece4(b"", i, i % 8000) for i in range(n)],
    "IPv4, of lengths that no piece has": lambda n: [piece4(b"x" * (i % 7 + 1), 7, i % 100 + 1) for i in range(n)],
    "IPv4, beyond the end": lambda n: [piece4(b"x" * 64, i, 0x1FFF) for i in range(n)],
    "IPv4, ends that differ": lambda n: [piece4(UNIT, 7, i % 8000 + 1, more=False) for i in range(n)],
    "IPv4 of UDP": lambda n: [piece4(UNIT, i, 100, protocol=17) for i in range(n)],
    "IPv6, the rest of one": lambda n: [piece6(UNIT, 7, i % 8000 + 1) for i in range(n)],
    "IPv6, one of each": lambda n: [piece6(UNIT, i, 8000) for i in range(n)],
    "IPv6, the first of each": lambda n: [piece6(UNIT, i, 0) for i in range(n)],
    "IPv6, of as many senders": lambda n: [piece6(UNIT, 7, 8000, source=i) for i in range(n)],
    "IPv6, overlapping with other bytes": lambda n: [piece6(bytes((i & 255,)) * 64, 7, i % 64 + 1) for i in range(n)],
    "IPv6, of no bytes": lambda n: [piece6(b"", i, i % 8000 + 1) for i in range(n)],
    "IPv6, behind other headers": lambda n: [
        piece6(UNIT, i, 8000, before=b"\x3c\0" + bytes(6) + b"\x2c\0" + bytes(6)) for i in range(n)
    ],
    "IPv6, ends that differ": lambda n: [piece6(UNIT, 7, i % 8000 + 1, more=False) for i in range(n)],
}


def capture_of_fragments(kind: str, count: int) -> bytes:
    return pcap((START_NS + n, frame) for n, frame in enumerate(FRAGMENTS[kind](count)))


# Secrets in captures.

KEY_LOG = 0x544C534B


def secrets_block(lines: bytes, kind: int = KEY_LOG, claimed: int | None = None) -> bytes:
    """A Decryption Secrets Block. ``claimed``: how long it says that its secrets are."""
    return block(10, struct.pack("<II", kind, len(lines) if claimed is None else claimed) + lines)


def master_line(n: int) -> bytes:
    return b"CLIENT_RANDOM %064x %s\n" % (n, b"ab" * 48)


def repeated(line: bytes) -> Callable[[int], bytes]:
    return lambda size: line * (size // len(line))


SECRETS: dict[str, Callable[[int], bytes]] = {
    "one comment": lambda size: b"#" + bytes(size - 1),
    "comments": repeated(b"#\n"),
    "empty lines": repeated(b"\n"),
    "short lines": repeated(b"ab\n"),
    "carriage returns": repeated(b"\r"),
    "one line without an end": lambda size: b"A" * size,
    "lines of other labels": repeated(b"X 00 00\n"),
    "hexadecimal that is none": repeated(b"CLIENT_RANDOM " + b"zz" * 32 + b" " + b"zz" * 48 + b"\n"),
    "secrets of wrong lengths": repeated(b"CLIENT_RANDOM 00 00\n"),
    "the same secret": repeated(master_line(1)),
    "different secrets": lambda size: b"".join(map(master_line, range(size // len(master_line(0))))),
    "sessions of a few bytes": lambda size: b"".join(
        b"RSA Session-ID:%08x Master-Key:00\n" % n for n in range(size // 38)
    ),
    "premasters of a byte": lambda size: b"".join(b"PMS_CLIENT_RANDOM %064x 00\n" % n for n in range(size // 86)),
    "spaces": lambda size: b"CLIENT_RANDOM" + b" " * (size - 13),
}


def capture_of_secrets(kind: str, blocks: int, size: int) -> bytes:
    """Blocks of one kind before a frame."""
    one = secrets_block(SECRETS[kind](size))
    return section() + interface() + one * blocks + packet(START_NS // 1000, piece4(UNIT, 1, 0))


# Sections and interfaces of a pcapng.

FRAME = ethernet(0x0800, ipv4(17, udp(53, UNIT)))
STAMP = START_NS // 1000
NANOSECONDS = option(9, b"\x09")
SECTIONS: dict[str, Callable[[int], bytes]] = {
    "sections of a frame": lambda n: (section() + interface() + packet(STAMP, FRAME)) * n,
    "sections of both byte orders": lambda n: (
        (
            section()
            + interface()
            + packet(STAMP, FRAME)
            + section(">")
            + interface(1, b"", ">")
            + packet(STAMP, FRAME, 0, ">")
        )
        * (n // 2)
    ),
    "empty sections": lambda n: section() * n + interface() + packet(STAMP, FRAME),
    "sections without an interface": lambda n: (section() + packet(STAMP, FRAME)) * n,
    "simple packets in sections": lambda n: (
        (section() + interface() + block(3, struct.pack("<I", len(FRAME)) + FRAME)) * n
    ),
    "old packets in sections": lambda n: (
        (section() + interface() + block(2, struct.pack("<HHIIII", 0, 0, 0, 7, len(FRAME), len(FRAME)) + FRAME)) * n
    ),
    "interfaces": lambda n: section() + interface() * n + packet(STAMP, FRAME, n - 1),
    "interfaces between frames": lambda n: (
        section() + b"".join(interface() + packet(STAMP, FRAME, number) for number in range(n))
    ),
    "interfaces of other clocks": lambda n: (
        section()
        + b"".join(
            interface(1, option(9, bytes((number % 100,)))) + packet(STAMP, FRAME, number) for number in range(n)
        )
    ),
    "interfaces of shifted clocks": lambda n: (
        section()
        + b"".join(
            interface(1, option(14, struct.pack("<q", number - n))) + packet(STAMP, FRAME, number)
            for number in range(n)
        )
    ),
    "names of an interface": lambda n: (
        section() + interface(1, option(2, b"") * n + NANOSECONDS) + packet(STAMP, FRAME)
    ),
    "statistics": lambda n: (
        section() + interface() + block(5, bytes(12) + option(5, struct.pack("<Q", 3))) * n + packet(STAMP, FRAME)
    ),
    "blocks of no known type": lambda n: section() + interface() + block(0x0BAD, b"") * n + packet(STAMP, FRAME),
    "frames of interfaces that are not described": lambda n: (
        section() + interface() + b"".join(packet(STAMP, FRAME, number + 1) for number in range(n))
    ),
    "secrets between sections": lambda n: (section() + secrets_block(b"#\n") + interface() + packet(STAMP, FRAME)) * n,
}
