"""The same connections inside every encapsulation: the same analysis. Cut anywhere and with any bytes: a named loss,
and never an exception.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from inspector.capture.files import Story
from inspector.document import Document
from inspector.facts import CaptureFacts
from inspector.wire.encapsulation_table import TABLE
from inspector.wire.encapsulations import Space
from inspector.wire.segments import SegmentDecoder
from tests.build import MS, START_NS, Pool, certificate, document_of, ethernet, facts_of, numbered, pcap
from tests.encapsulations import (
    ENCAPSULATIONS,
    ethernet as framed,
    in_fragments,
    ipv4,
    ipv6,
    over_ip,
    over_udp,
    udp,
    vxlan,
)
from tests.test_segmentation import compared

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
Frames = list[tuple[int, bytes]]


def plain(version: int = 4) -> Frames:
    pool = Pool()
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))
    if version == 6:
        for flow in pool.flows:
            flow.client, flow.server = "fd00::10", "fd00::100"
    return [(s.ns, ethernet(s)) for s in pool.segments()]


def told(document: Document) -> Any:
    found = compared(document)
    del found["captures"]
    return found


def analysed(folder: Path, frames: Frames, link_type: int = 1) -> Document:
    path = folder / "wrapped.pcap"
    path.write_bytes(pcap(frames, link_type=link_type))
    return document_of(path)


def capture_of(folder: Path, frames: Frames, link_type: int = 1) -> CaptureFacts:
    path = folder / "wrapped.pcap"
    path.write_bytes(pcap(frames, link_type=link_type))
    return facts_of(path).captures[0]


@pytest.fixture(scope="module", params=[4, 6])
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Any]:
    return request.param, told(analysed(tmp_path_factory.mktemp("plain"), plain(request.param)))


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_the_same_analysis(tmp_path: Path, expected: tuple[int, Any], name: str) -> None:
    version, analysis = expected
    link_type, wrap = ENCAPSULATIONS[name]
    document = analysed(tmp_path, [(ns, wrap(frame)) for ns, frame in plain(version)], link_type)
    assert told(document) == analysis
    assert document.captures[0].undecoded == 0
    assert [f.verdict for f in document.findings if f.rule == "certificate-change-abort"] == ["confirmed"]


@pytest.mark.parametrize("size", [8, 24, 560, 1480])
@pytest.mark.parametrize("name", ["Ethernet", "VXLAN", "GRE"])
def test_fragments(tmp_path: Path, expected: tuple[int, Any], name: str, size: int) -> None:
    version, analysis = expected
    if version == 6 and name == "Ethernet":
        return  # routers do not cut IPv6; its fragments are in another test
    cut = in_fragments(size, ENCAPSULATIONS[name][1])
    document = analysed(tmp_path, [(ns, piece) for ns, frame in plain(version) for piece in cut(frame)])
    assert told(document) == analysis
    assert document.captures[0].undecoded == 0


def test_fragments_of_capwap(tmp_path: Path) -> None:
    """Access points cut what is too long for their tunnel."""

    def pieces(number: int, frame: bytes) -> list[bytes]:
        found = []
        for at in range(0, len(frame), 400):
            is_last = at + 400 >= len(frame)
            head = b"\0\x10\x02" + (b"\xc0" if is_last else b"\x80") + number.to_bytes(2, "big") + at.to_bytes(2, "big")
            found.append(framed(0x0800, ipv4(17, udp(5247, head + frame[at : at + 400]))))
        return found

    frames = [(ns, piece) for number, (ns, frame) in enumerate(plain()) for piece in pieces(number, frame)]
    assert told(analysed(tmp_path, frames)) == told(analysed(tmp_path, plain()))


def test_every_opener_is_tried() -> None:
    """The table and the builder go together: each link type that is opened has a frame of its own here."""
    opened = {number for (space, number), entry in TABLE.items() if space == Space.LINK_TYPE and entry.opens}
    alike = {12: 101, 14: 101, 229: 101, 11: 100, 19: 100, 106: 100, 8: 101, 241: 240, 284: 281, 285: 281}
    assert {alike.get(number, number) for number in opened} <= {link_type for link_type, _ in ENCAPSULATIONS.values()}


HELLO = next(frame for _, frame in plain() if len(frame) > 100)


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_cut_at_every_byte(tmp_path: Path, name: str) -> None:
    """Each cut frame gives its segment, or is named as one that was cut; none is passed over in silence."""
    link_type, wrap = ENCAPSULATIONS[name]
    frame = wrap(HELLO)
    out = bytearray(pcap([], link_type=link_type))
    for length in range(1, len(frame)):
        out += struct.pack("<IIII", START_NS // 10**9, length, length, len(frame)) + frame[:length]
    path = tmp_path / "cut.pcap"
    path.write_bytes(bytes(out))
    for batch in Story([str(path)]).batches():
        segments = SegmentDecoder().decode(batch)
        assert sorted(set(segments.number.tolist())) == segments.number.tolist()
        unproven = (
            0 if "another port" not in name else sum(number > 41 for number in batch.number.tolist()) - len(segments)
        )
        assert len(segments) + segments.stops.total() + unproven >= len(batch)
        assert len(segments) + segments.stops.total() <= len(batch)
        assert {stop.why for stop in segments.stops} <= {"cut", "unknown"}
        assert len(segments) >= len(HELLO) - 54 - 1


def random_frames(dice: random.Random, starts: list[bytes]) -> Frames:
    return [(START_NS + i * MS, start + dice.randbytes(dice.randrange(90))) for i, start in enumerate(starts * 4)]


@pytest.mark.parametrize(
    "link_type", sorted({number for space, number in TABLE if space == Space.LINK_TYPE} | {2_000, 65_535})
)
def test_random_bytes_under_every_link_type(tmp_path: Path, link_type: int) -> None:
    dice = random.Random(link_type)
    frames = random_frames(dice, [b""] * 60)
    capture = capture_of(tmp_path, frames, link_type)
    assert capture.packets == 240
    assert capture.undecoded == sum(found.frames for found in capture.unopened)


def test_random_bytes_under_every_number(tmp_path: Path) -> None:
    dice = random.Random(7)
    starts = [bytes(12) + number.to_bytes(2, "big") for space, number in TABLE if space in (Space.ETHERTYPE, Space.GRE)]
    starts += [bytes(12) + b"\x08\0" + ipv4(protocol, bytes(60))[:20] for protocol in range(256)]
    starts += [framed(0x0800, ipv4(17, udp(port, bytes(60))[:8])) for space, port in TABLE if space == Space.UDP_PORT]
    starts += [framed(0x880B, number.to_bytes(2, "big")) for space, number in TABLE if space == Space.PPP]
    starts += [framed(0x0800, ipv4(47, flags.to_bytes(2, "big"))) for flags in range(0, 1 << 16, 997)]
    capture = capture_of(tmp_path, random_frames(dice, starts))
    assert capture.undecoded == sum(found.frames for found in capture.unopened)
    assert len(capture.unopened) <= 65


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bytes(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for link_type, wrap in ENCAPSULATIONS.values():
        frame = bytearray(wrap(HELLO))
        frames: Frames = []
        for i in range(40):
            changed = bytearray(frame)
            for _ in range(dice.randrange(1, 4)):
                changed[dice.randrange(min(len(frame), 120))] = dice.randrange(256)
            frames.append((START_NS + i * MS, bytes(changed)))
        capture_of(tmp_path, frames, link_type)


ORDINARY = {
    "ARP": framed(0x0806, bytes(28)),
    "LLDP": framed(0x88CC, bytes(40)),
    "STP": bytes(12) + b"\0\x26\x42\x42\x03" + bytes(35),
    "CDP": bytes(12) + b"\0\x30\xaa\xaa\x03\0\0\x0c\x20\0" + bytes(40),
    "IPX": bytes(12) + b"\0\x30\xff\xff" + bytes(46),
    "NetBIOS": bytes(12) + b"\0\x30\xf0\xf0\x03" + bytes(45),
    "PPPoE discovery": framed(0x8863, bytes(40)),
    "ICMP": framed(0x0800, ipv4(1, bytes(40))),
    "OSPF": framed(0x0800, ipv4(89, bytes(40))),
    "VRRP": framed(0x0800, ipv4(112, bytes(20))),
    "SCTP": framed(0x0800, ipv4(132, bytes(20))),
    "DNS": framed(0x0800, ipv4(17, udp(53, bytes(30)))),
    "DNS to a port that tunnels have": framed(0x0800, ipv4(17, udp(4789, b"\x12\x34\x81\x80" + bytes(30), source=53))),
    "QUIC": framed(0x0800, ipv4(17, udp(443, b"\xc3\0\0\0\1" + bytes(60)))),
    "IKE on its second port": framed(0x0800, ipv4(17, udp(4500, bytes(4) + b"ike" * 20, source=4500))),
    "GTP echo": framed(0x0800, ipv4(17, udp(2152, b"\x32\x01\0\4" + bytes(8)))),
    "L2TP control": framed(0x0800, ipv4(17, udp(1701, b"\xc8\x02\0\x0c" + bytes(8)))),
    "CAPWAP keep-alive": framed(0x0800, ipv4(17, udp(5247, b"\0\x10\2\x08" + bytes(12)))),
    "Geneve control": framed(0x0800, ipv4(17, udp(6081, b"\0\x80\x65\x58" + bytes(12)))),
    "fragments of UDP": framed(0x0800, ipv4(17, bytes(64), position=0x2000)),
    "ICMP in VXLAN": over_udp(4789, vxlan)(framed(0x0800, ipv4(1, bytes(40)))),
    "SNAP of another owner": bytes(12) + b"\0\x30\xaa\xaa\x03\x08\0\x07\x80\x9b" + bytes(40),
    "TZSP that only registers": framed(0x0800, ipv4(17, udp(37008, b"\1\4\0\0" + bytes(40)))),
    "WireGuard handshake": framed(0x0800, ipv4(17, udp(51820, b"\1\0\0\0" + bytes(140)))),
    "OpenVPN control": framed(0x0800, ipv4(17, udp(1194, b"\x38" + bytes(40)))),
    "GRE keepalive": over_ip(47, lambda frame: bytes(4))(b""),
    "associated channel of MPLS": framed(0x8847, b"\0\x01\x01\x40\x10\0\0\x07" + bytes(24)),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_traffic_is_no_loss(tmp_path: Path, name: str) -> None:
    assert capture_of(tmp_path, [(START_NS, ORDINARY[name])]).unopened == ()


LOST = {
    "802.15.4": (230, bytes(40), ("link_type", 230, "IEEE802_15_4_NOFCS", "unknown")),
    "a link type that nobody knows": (30_000, bytes(40), ("link_type", 30_000, "", "unknown")),
    "an EtherType that nobody knows": (1, framed(0x4321, bytes(40)), ("ethertype", 0x4321, "", "unknown")),
    "an IP protocol that nobody knows": (1, framed(0x0800, ipv4(200, bytes(40))), ("ip_protocol", 200, "", "unknown")),
    "ESP": (1, framed(0x0800, ipv4(50, b"e" * 60)), ("ip_protocol", 50, "ESP", "encrypted")),
    "ESP in UDP": (
        1,
        framed(0x0800, ipv4(17, udp(4500, b"e" * 60, source=4500))),
        ("udp_port", 4500, "ESP in UDP", "encrypted"),
    ),
    "MACsec": (1, framed(0x88E5, b"\x2c\0\0\0\0\1" + bytes(60)), ("ethertype", 0x88E5, "MACsec", "encrypted")),
    "802.11": (105, b"\x08\x41" + bytes(22) + b"e" * 60, ("link_type", 105, "IEEE802_11", "encrypted")),
    "IPComp": (1, framed(0x0800, ipv4(108, b"c" * 60)), ("ip_protocol", 108, "IPComp", "compressed")),
    "Van Jacobson": (9, b"\xff\x03\0\x2d" + bytes(40), ("ppp", 0x2D, "Van Jacobson compressed TCP/IP", "compressed")),
    "CAPWAP in DTLS": (
        1,
        framed(0x0800, ipv4(17, udp(5247, b"\1\0\0\0" + bytes(40)))),
        ("udp_port", 5247, "CAPWAP", "encrypted"),
    ),
    "VXLAN that is none": (
        1,
        framed(0x0800, ipv4(17, udp(4789, b"\xff" * 40))),
        ("udp_port", 4789, "VXLAN", "malformed"),
    ),
    "fragments of TCP": (
        1,
        framed(0x0800, ipv4(6, bytes(64), position=0x2000)),
        ("ip_protocol", 6, "TCP", "incomplete"),
    ),
    "IPv4 that is none": (1, framed(0x0800, bytes(40)), ("ethertype", 0x0800, "IPv4", "malformed")),
    "extension headers without an end": (
        1,
        framed(0x86DD, ipv6(0, bytes(8) * 20)),
        ("ethertype", 0x86DD, "IPv6", "malformed"),
    ),
    "DTLS that is none": (
        1,
        framed(0x0800, ipv4(17, udp(4755, bytes(40)))),
        ("udp_port", 4755, "GRE in UDP with DTLS", "malformed"),
    ),
    "a fragment of DOCSIS": (143, b"\xf8\0\0\x28" + bytes(40), ("link_type", 143, "DOCSIS", "fragment")),
    "WireGuard": (
        1,
        framed(0x0800, ipv4(17, udp(51820, b"\4\0\0\0" + bytes(60)))),
        ("udp_port", 51820, "WireGuard", "encrypted"),
    ),
    "OpenVPN": (
        1,
        framed(0x0800, ipv4(17, udp(1194, b"\x30" + bytes(60)))),
        ("udp_port", 1194, "OpenVPN", "encrypted"),
    ),
    "labels without an end": (1, framed(0x8847, b"\0\x01\0\x40" * 20), ("ethertype", 0x8847, "MPLS", "malformed")),
    "LISP with a protocol that nobody knows": (
        1,
        framed(0x0800, ipv4(17, udp(4341, b"\x04\0\0\x77" + bytes(40)))),
        ("udp_port", 4341, "LISP", "unknown"),
    ),
    "TZSP with a protocol that nobody knows": (
        1,
        framed(0x0800, ipv4(17, udp(37008, b"\1\0\x77\x77\1" + bytes(40)))),
        ("udp_port", 37008, "TZSP", "unknown"),
    ),
    "TCP that is none": (1, framed(0x0800, ipv4(6, bytes(40))), ("ip_protocol", 6, "TCP", "malformed")),
}


@pytest.mark.parametrize("name", LOST)
def test_what_may_hide_tls_is_named(tmp_path: Path, name: str) -> None:
    link_type, frame, wanted = LOST[name]
    capture = capture_of(tmp_path, [(START_NS, frame), (START_NS + MS, frame)], link_type)
    assert [found[:4] for found in capture.unopened] == [wanted]
    assert capture.undecoded == 2
    document = analysed(tmp_path, [(START_NS, frame)], link_type)
    limit = next(limit for limit in document.limits if limit.kind == "undecoded")
    assert str(wanted[1]) in limit.text or f"{wanted[1]:#06x}" in limit.text
    assert wanted[2] in limit.text


def test_fragments_that_never_become_whole_take_linear_time(tmp_path: Path) -> None:
    """Also where all are of one datagram, or each has a datagram of its own."""
    one = [(START_NS + i, framed(0x0800, ipv4(6, b"f" * 8, position=0x2000 | i % 8000 + 1))) for i in range(30_000)]
    many = [
        (START_NS + i, framed(0x0800, ipv4(6, b"f" * 8, ident=i & 0xFFFF, position=0x2000 | 8000)))
        for i in range(5_000)
    ]
    capture = capture_of(tmp_path, one + many)
    assert [(found.space, found.number, found.why, found.frames) for found in capture.unopened] == [
        ("ip_protocol", 6, "incomplete", 35_000)
    ]


def test_a_frame_of_many_frames_takes_linear_time(tmp_path: Path) -> None:
    """An aggregate of 200,000 empty frames, and record headers with as many extensions."""
    aggregate = b"\x88\x01" + bytes(24) + (bytes(14) + b"\0\0") * 200_000
    aggregate = aggregate[:24] + b"\x80\0" + aggregate[26:]
    capture_of(tmp_path, [(START_NS, aggregate)], 105)
    capture_of(tmp_path, [(START_NS, bytes(8) + b"\x82" + bytes(7) + (b"\x80" + bytes(7)) * 400_000)], 197)
