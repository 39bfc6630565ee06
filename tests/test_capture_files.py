"""Forms of captures: byte orders, time resolutions, pcapng, compression, standard input, directories, damage; links and
tunnels.
"""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, strategies as st

from inspector.capture import files
from inspector.capture.files import Story
from inspector.capture.inputs import _is_plain
from inspector.document import Document
from inspector.errors import UnreadableError
from tests.build import Pool, Segment, capture, certificate, document_of, ethernet, numbered, pcap, written
from tests.test_segmentation import compared

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
Frames = list[tuple[int, bytes]]


def pool() -> Pool:
    made = Pool()
    made.full(A, numbered(1))
    made.resumed(numbered(1))
    made.given_up(B, numbered(2), numbered(1))
    return made


def frames(link: Callable[[Segment], bytes] = ethernet) -> Frames:
    return [(s.ns, link(s)) for s in pool().segments()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return without_captures(document_of(written(tmp_path_factory.mktemp("form"), pool().flows)))


def without_captures(document: Document) -> Any:
    found = compared(document)
    del found["captures"]
    return found


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int = 1, options: bytes = b"", order: str = "<") -> bytes:
    return block(
        1,
        struct.pack(order + "HHI", link_type, 0, 0) + options + (struct.pack(order + "HH", 0, 0) if options else b""),
        order,
    )


def packet(stamp: int, frame: bytes, number: int = 0, order: str = "<") -> bytes:
    return block(
        6, struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)) + frame, order
    )


def pcapng_nanoseconds(order: str = "<") -> bytes:
    return (
        section(order)
        + interface(1, option(9, b"\x09", order), order)
        + b"".join(packet(ns, f, 0, order) for ns, f in frames())
    )


def pcapng_two_sections() -> bytes:
    """Microseconds and big-endian first, then 2**-30 seconds and little-endian; frames alternate between two
    interfaces.
    """
    listed = frames()
    half = len(listed) // 2
    first = (
        section(">")
        + interface(1, b"", ">")
        + interface(1, b"", ">")
        + b"".join(packet(ns // 1000, f, i % 2, ">") for i, (ns, f) in enumerate(listed[:half]))
    )
    second = (
        section()
        + interface(1, option(9, b"\x9e"))
        + b"".join(packet((ns << 30) // 10**9 + 1, f) for ns, f in listed[half:])
    )
    return first + block(10, struct.pack(">II", 0x57474B4C, 4) + b"keys", ">") + second


def zstd_blocks() -> bytes:
    """One frame of many small blocks, as a program writes that flushes while it captures."""
    data, compressor = pcap(frames()), zstandard.ZstdCompressor().compressobj()
    pieces = [
        compressor.compress(data[i : i + 400]) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        for i in range(0, len(data), 400)
    ]
    return b"".join(pieces) + compressor.flush()


FORMS: dict[str, Callable[[], bytes]] = {
    "big endian": lambda: pcap(frames(), order=">"),
    "microseconds": lambda: pcap(frames(), nano=False),
    "pcapng": pcapng_nanoseconds,
    "pcapng big endian": lambda: pcapng_nanoseconds(">"),
    "pcapng sections": pcapng_two_sections,
    "gz": lambda: gzip.compress(pcap(frames())),
    "gz members": lambda: gzip.compress(pcap(frames())[:500]) + gzip.compress(pcap(frames())[500:]),
    "zst blocks": zstd_blocks,
    "zst": lambda: zstandard.compress(pcap(frames())),
    "zst frames": lambda: zstandard.compress(pcap(frames())[:700]) + zstandard.compress(pcap(frames())[700:]),
    "pcapng gz": lambda: gzip.compress(pcapng_nanoseconds()),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path: Path, expected: Any, form: str) -> None:
    path = tmp_path / "capture"
    path.write_bytes(FORMS[form]())
    assert without_captures(document_of(path)) == expected


@pytest.mark.parametrize("form", ["pcapng", "gz", "zst", "microseconds"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, expected: Any, form: str) -> None:
    class Dribble(io.RawIOBase):
        """A pipe that gives a few bytes at a time."""

        def __init__(self, data: bytes) -> None:
            self._data = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            piece, self._data = self._data[: min(len(buffer), 999)], self._data[min(len(buffer), 999) :]
            buffer[: len(piece)] = piece
            return len(piece)

    monkeypatch.setattr(files, "standard_input", io.BufferedReader(Dribble(FORMS[form]())))
    assert without_captures(document_of(Path("-"))) == expected


def test_directory(tmp_path: Path, expected: Any) -> None:
    listed = frames()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.pcap1").write_bytes(pcap(listed[:20]))
    (tmp_path / "two.pcapng.gz").write_bytes(gzip.compress(pcap(listed[20:])))
    (tmp_path / "notes.txt").write_text("no capture")
    assert without_captures(document_of(tmp_path)) == expected


@given(st.text("a./") | st.text())
def test_a_path_that_needs_no_pathlib_is_left_as_it_is(path: str) -> None:
    assert not _is_plain(path) or str(Path(path)) == path or not path
    assert not all(part.isalpha() for part in path.split("/")) or _is_plain(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, I am text\n", "not a pcap"),
        (b"\xd4\xc3\xb2\xa1\2\0", "ends inside its header"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "ends inside its header"),
        (b"SQLite format 3\0" + bytes(100), "a journal holds no packets"),
        (b"\x1f\x8b\x08\0", "damaged compression"),
        (gzip.compress(b"", mtime=0), "empty"),
        (gzip.compress(b"text", mtime=0), "not a pcap"),
        (b"\x28\xb5\x2f\xfd\0", "damaged compression"),
        (b"\x1f\x8b" + bytes(30), "damaged compression"),
    ],
    ids=[
        "nothing",
        "text",
        "cut pcap header",
        "cut pcapng header",
        "a journal",
        "cut gz header",
        "gz of nothing",
        "gz of text",
        "cut zst",
        "damaged gz",
    ],
)
def test_no_capture(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match=words):
        Story([str(path)])


def test_missing_and_directories_without_captures(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        Story([str(tmp_path / "none.pcap")])
    with pytest.raises(UnreadableError, match="no capture in this directory"):
        Story([str(tmp_path)])


def test_one_bad_among_good(tmp_path: Path, expected: Any) -> None:
    good = written(tmp_path, pool().flows)
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"text")
    document = document_of(bad, good, tmp_path / "missing.pcap")
    assert [limit.kind for limit in document.limits if limit.kind == "unreadable"] == ["unreadable"] * 2
    assert len(document.connections) == len(expected["connections"])


@pytest.mark.parametrize("keep", [600, 1000, 2000])
@pytest.mark.parametrize("form", ["big endian", "pcapng", "gz", "zst blocks"])
def test_cut_in_the_middle(tmp_path: Path, keep: int, form: str) -> None:
    path = tmp_path / "cut"
    data = FORMS[form]()
    path.write_bytes(data[: min(keep, len(data) - 3)])
    document = document_of(path)
    assert document.captures[0].truncated
    assert any(limit.kind == "truncated" for limit in document.limits)


def test_damaged_record_header(tmp_path: Path) -> None:
    data = bytearray(pcap(frames()))
    at = 24
    for _ in range(10):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    struct.pack_into("<I", data, at + 8, 0x7FFFFFFF)
    path = tmp_path / "damaged.pcap"
    path.write_bytes(data)
    document = document_of(path)
    assert document.captures[0].packets == 10
    assert any(limit.kind == "damaged" and "frame 11" in limit.text for limit in document.limits)


def test_snapped_frames(tmp_path: Path) -> None:
    """Frames cut by the snaplen: what is missing is a loss, and nothing is invented."""
    out = bytearray(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 200, 1))
    for ns, frame in frames():
        out += struct.pack("<IIII", ns // 10**9, ns % 10**9, min(len(frame), 200), len(frame)) + frame[:200]
    path = tmp_path / "snapped.pcap"
    path.write_bytes(out)
    document = document_of(path)
    assert any(limit.kind == "lost_bytes" for limit in document.limits)
    assert not any(f.rule == "certificate-change-abort" and f.verdict == "confirmed" for f in document.findings)


def ip_of(segment: Segment) -> bytes:
    return ethernet(segment)[14:]


def udp(port: int, body: bytes) -> bytes:
    return struct.pack(">HHHH", 50_000, port, 8 + len(body), 0) + body


def ipv4(protocol: int, body: bytes) -> bytes:
    return (
        struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0, b"\xac\x10\0\1", b"\xac\x10\0\2")
        + body
    )


def ether(kind: int, body: bytes) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + body


def with_options(segment: Segment) -> bytes:
    packet = bytearray(ip_of(segment))
    packet[0] = 0x47
    packet[20:20] = b"\x01\x01\x01\x01\x01\x01\x01\x00"
    struct.pack_into(">H", packet, 2, len(packet))
    return ether(0x0800, bytes(packet))


def padded(segment: Segment) -> bytes:
    """An Ethernet trailer behind the IP length, as some balancers append one."""
    return ethernet(segment) + b"\x16\x03\x03trailer that is no payload"


def offloaded(segment: Segment) -> bytes:
    packet = bytearray(ip_of(segment))
    struct.pack_into(">H", packet, 2, 0)
    return ether(0x0800, bytes(packet))


LINKS: dict[str, tuple[int, Callable[[Segment], bytes]]] = {
    "vlan": (1, lambda s: bytes(12) + b"\x81\x00\x00\x07" + ethernet(s)[12:]),
    "qinq": (1, lambda s: bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + ethernet(s)[12:]),
    "three tags": (1, lambda s: bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x81\x00\x00\x09" + ethernet(s)[12:]),
    "cooked": (113, lambda s: bytes(14) + b"\x08\x00" + ip_of(s)),
    "cooked v2": (276, lambda s: b"\x08\x00" + bytes(18) + ip_of(s)),
    "raw": (101, ip_of),
    "raw 12": (12, ip_of),
    "null": (0, lambda s: b"\2\0\0\0" + ip_of(s)),
    "loop": (108, lambda s: b"\0\0\0\2" + ip_of(s)),
    "options": (1, with_options),
    "trailer": (1, padded),
    "ip length 0": (1, offloaded),
    "ip in ip": (1, lambda s: ether(0x0800, ipv4(4, ip_of(s)))),
    "gre": (1, lambda s: ether(0x0800, ipv4(47, b"\0\0\x08\0" + ip_of(s)))),
    "gre key": (1, lambda s: ether(0x0800, ipv4(47, b"\x20\0\x65\x58\0\0\0\1" + ethernet(s)))),
    "erspan ii": (1, lambda s: ether(0x0800, ipv4(47, b"\x10\0\x88\xbe\0\0\0\1" + bytes(8) + ethernet(s)))),
    "erspan iii": (1, lambda s: ether(0x0800, ipv4(47, b"\x10\0\x22\xeb\0\0\0\1" + bytes(12) + ethernet(s)))),
    "vxlan": (1, lambda s: ether(0x0800, ipv4(17, udp(4789, b"\x08\0\0\0\0\0\7\0" + ethernet(s))))),
    "geneve": (1, lambda s: ether(0x0800, ipv4(17, udp(6081, b"\x01\0\x65\x58\0\0\7\0\0\0\0\0" + ethernet(s))))),
    "mpls": (1, lambda s: ether(0x8847, b"\0\0\x11\x40" + ip_of(s))),
    "pppoe": (1, lambda s: ether(0x8864, b"\x11\0\0\1" + struct.pack(">H", len(ip_of(s)) + 2) + b"\0\x21" + ip_of(s))),
}


@pytest.mark.parametrize("link", LINKS)
def test_links_and_tunnels(tmp_path: Path, expected: Any, link: str) -> None:
    link_type, make = LINKS[link]
    path = tmp_path / "link.pcap"
    path.write_bytes(pcap([(s.ns, make(s)) for s in pool().segments()], link_type=link_type))
    assert without_captures(document_of(path)) == expected


def test_fragments(tmp_path: Path, expected: Any) -> None:
    """Each packet of the server in two IP fragments, the second one first."""
    listed: Frames = []
    for number, s in enumerate(pool().segments()):
        packet = ip_of(s)
        if s.from_client or len(packet) < 80:
            listed.append((s.ns, ether(0x0800, packet)))
            continue
        head, body = bytearray(packet[:20]), packet[20:]
        for offset, piece, more in ((48, body[48:], 0), (0, body[:48], 1)):
            struct.pack_into(">HHH", head, 2, 20 + len(piece), number + 1, more << 13 | offset // 8)
            listed.append((s.ns, ether(0x0800, bytes(head) + piece)))
    path = tmp_path / "fragments.pcap"
    path.write_bytes(pcap(listed))
    assert without_captures(document_of(path)) == expected


def test_ipv6_with_extension_headers(tmp_path: Path) -> None:
    made = pool()
    for flow in made.flows:
        flow.client, flow.server = "fd99::10", "fd99::100"
    plain = without_captures(document_of(written(tmp_path, made.flows, "plain.pcap")))

    def extended(s: Segment) -> bytes:
        packet = bytearray(ethernet(s))
        headers = b"\x3c\0" + bytes(6) + b"\x06\0" + bytes(6)
        packet[20] = 0
        packet[54:54] = headers
        struct.pack_into(">H", packet, 18, len(packet) - 54)
        return bytes(packet)

    path = tmp_path / "extended.pcap"
    path.write_bytes(pcap([(s.ns, extended(s)) for s in made.segments()]))
    assert without_captures(document_of(path)) == plain
    assert plain["services"][0]["addresses"] == ["fd99::100"]


def test_unknown_link_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.pcap"
    path.write_bytes(pcap(frames(), link_type=147))
    document = document_of(path)
    assert document.captures[0].undecoded == document.captures[0].packets > 0
    assert any(limit.kind == "undecoded" for limit in document.limits)


def test_frames_longer_than_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Any) -> None:
    from inspector.capture import blocks

    monkeypatch.setattr(blocks.ByteSource.__init__, "__defaults__", (64,))
    for data in (capture(pool().flows), pcapng_nanoseconds()):
        path = tmp_path / "long"
        path.write_bytes(data)
        assert without_captures(document_of(path)) == expected


def test_plain_flows_are_other_flows(tmp_path: Path) -> None:
    from tests.build import START_NS, Flow

    made = pool()
    made.flows.append(
        Flow(55_000, START_NS)
        .open()
        .client_says(b"GET / HTTP/1.1\r\n\r\n")
        .server_says(b"HTTP/1.1 200 OK\r\n\r\n" * 5)
        .close()
    )
    document = document_of(written(tmp_path, made.flows))
    assert len(document.connections) == 3
    assert document.services[0].other_flows == 1
