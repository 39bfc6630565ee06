"""Evidence frames with what identifies replaced: each TCP segment in a packet of its own, IP and TCP headers made anew,
its payload redacted.

Link headers, tunnels, options of IP and TCP are gone, and with them hardware addresses, VLANs and host clocks.
Handshake messages in clear are changed in place; all that is encrypted is zeroed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from inspector.packets.cut import CutPacket, cut_piece
from inspector.packets.held import HeldFlow, HeldFrame
from inspector.packets.layout import HEADER, StreamImage, lanes
from inspector.redaction.disguise import Disguise
from inspector.redaction.messages import Redactor
from inspector.tls.preamble import PREAMBLES
from inspector.tls.types import ALERT, CHANGE_CIPHER_SPEC
from inspector.wire.segments import ACK, IPV4, IPV6

WINDOW = 65_535
HOPS = 64


def redacted_packets(flow: HeldFlow, is_tls13: bool, redactor: Redactor) -> Iterator[CutPacket]:
    """The frames of a flow."""
    ends = tuple(redactor.disguise.address(end.address) for end in flow.ends)
    ports = tuple(end.port for end in flow.ends)
    for lane in lanes(flow, is_tls13):
        image = _image(lane, redactor)
        kept = lane.kept()
        for at, frame in zip(lane.places, lane.frames, strict=True):
            payload = cut_piece(_redacted(frame, at, lane, image), at, kept)
            source, target = (0, 1) if frame.is_client else (1, 0)
            head = _headers(frame, ends[source], ends[target], ports[source], ports[target])
            yield CutPacket(
                frame.frame, frame.ns, IPV4 if len(ends[0]) == 4 else IPV6, head + payload, len(head) + frame.length
            )


def _image(lane: StreamImage, redactor: Redactor) -> bytearray:
    """The bytes of a direction as they are shown."""
    image = bytearray(len(lane.image))
    if lane.start < 0:
        return image
    _before(lane, image)
    if lane.sslv2:
        _sslv2(lane, image, redactor.disguise)
    for record in lane.records:
        image[record.at : record.at + HEADER] = lane.image[record.at : record.at + HEADER]
        is_open = record.is_clear or (record.kind == ALERT and record.length == 2)
        if record.kind in (ALERT, CHANGE_CIPHER_SPEC) and is_open:
            start = record.at + HEADER
            image[start : start + record.length] = lane.image[start : start + record.length]
    _messages(lane, image, redactor)
    return image


def _before(lane: StreamImage, image: bytearray) -> None:
    """What stands before the first record: enough of it to tell what it is."""
    head = bytes(lane.image[: lane.start])
    known = next((start for start, _ in PREAMBLES if head.startswith(start)), b"")
    image[: min(len(known), lane.start)] = known[: lane.start]


def _sslv2(lane: StreamImage, image: bytearray, disguise: Disguise) -> None:
    """A CLIENT-HELLO in SSLv2 framing: its session id is replaced (RFC 5246, appendix E.2)."""
    hello = bytearray(lane.image[: lane.sslv2])
    suites, length = int.from_bytes(hello[5:7], "big"), int.from_bytes(hello[7:9], "big")
    start = 11 + suites
    hello[start : start + length] = disguise.ticket(bytes(hello[start : start + length]))
    image[: lane.sslv2] = hello


def _messages(lane: StreamImage, image: bytearray, redactor: Redactor) -> None:
    """Handshake messages in clear, put together from their records, changed and laid back."""
    places = lane.clear_handshake()
    new = redactor.messages(b"".join(lane.image[low:high] for low, high in places))
    at = 0
    for low, high in places:
        image[low:high] = new[at : at + high - low]
        at += high - low


def _redacted(frame: HeldFrame, at: int, lane: StreamImage, image: bytearray) -> bytes:
    """A segment's payload; a copy that differs from the first one goes on differing in the same bits."""
    low, high = max(at, 0), min(at + len(frame.payload), len(image))
    payload = bytearray(len(frame.payload))
    if low >= high:
        return bytes(payload)
    piece = frame.payload[low - at : high - at]
    new = image[low:high]
    old = lane.image[low:high]
    if piece != old:
        new = bytearray(n ^ o ^ p for n, o, p in zip(new, old, piece, strict=True))
    payload[low - at : high - at] = new
    return bytes(payload)


def _headers(frame: HeldFrame, source: bytes, target: bytes, source_port: int, target_port: int) -> bytes:
    """IP and TCP headers without options. Checksums of TCP are left out: they are zero."""
    flags = frame.flags & 0xFF
    acknowledged = frame.ack & 0xFFFFFFFF if flags & ACK else 0
    tcp = struct.pack(
        ">HHIIBBHHH", source_port, target_port, frame.seq & 0xFFFFFFFF, acknowledged, 5 << 4, flags, WINDOW, 0, 0
    )
    length = len(tcp) + frame.length
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, length if length <= 65_535 else 0, 6, HOPS) + source + target + tcp
    total = 20 + length if 20 + length <= 65_535 else 0
    head = bytearray(struct.pack(">BBHHHBBH", 0x45, 0, total, 0, 0x4000, HOPS, 6, 0) + source + target)
    words = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    head[10:12] = (~words & 0xFFFF).to_bytes(2, "big")
    return bytes(head) + tcp
