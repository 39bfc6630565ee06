"""Evidence frames with what identifies replaced: each TCP segment in a packet of its own, IP and TCP headers made anew,
its payload redacted.

Link headers, tunnels, options of IP and TCP are gone, and with them hardware addresses, VLANs and host clocks.
Handshake messages in clear are changed in place; all that is encrypted is zeroed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from inspector.packets.buffer import BufferedFlow, BufferedFrame
from inspector.packets.cut import CutPacket, cut_piece
from inspector.packets.layout import ALERT_BYTES, HEADER, RecordSpan, StreamImage, lanes
from inspector.redaction.disguise import Disguise
from inspector.redaction.messages import Redactor
from inspector.redaction.preambles import harmless
from inspector.tls.types import ALERT, CHANGE_CIPHER_SPEC
from inspector.wire.headers import BARE_IP
from inspector.wire.segments import ACK

SSLV2_LENGTH = 2
"""Bytes of the length before a record of SSLv2."""

CHANGE_BYTES, ALERTS = 1, 4 * ALERT_BYTES
"""A ChangeCipherSpec, and as many alerts as one record in clear may hold."""

WINDOW = 65_535
HOPS = 64


def redacted_packets(flow: BufferedFlow, is_tls13: bool, redactor: Redactor) -> Iterator[CutPacket]:
    """The frames of a flow."""
    ends = tuple(redactor.disguise.address(end.address) for end in flow.ends)
    ports = tuple(end.port for end in flow.ends)
    for lane in lanes(flow, is_tls13):
        image = _image(lane, redactor)
        kept = lane.kept()
        for at, frame in zip(lane.offsets, lane.frames, strict=True):
            payload = cut_piece(_redacted(frame, at, lane, image, redactor.disguise), at, kept)
            source, target = (0, 1) if frame.is_client else (1, 0)
            head = _headers(frame, ends[source], ends[target], ports[source], ports[target])
            yield CutPacket(
                frame.frame,
                frame.ns,
                BARE_IP[len(ends[0])],
                head + payload,
                len(head) + frame.length,
            )


def _image(lane: StreamImage, redactor: Redactor) -> bytearray:
    """The bytes of a direction as they are shown."""
    image = bytearray(len(lane.image))
    before = harmless(bytes(lane.image[: lane.start] if lane.start >= 0 else lane.image))
    image[: len(before)] = before
    if lane.start < 0:
        return image
    if lane.sslv2:
        image[:SSLV2_LENGTH] = lane.image[:SSLV2_LENGTH]
        image[SSLV2_LENGTH : lane.sslv2] = redactor.sslv2_hello(bytes(lane.image[SSLV2_LENGTH : lane.sslv2]))
    for record in lane.records:
        image[record.at : record.at + HEADER] = lane.image[record.at : record.at + HEADER]
        start = record.at + HEADER
        end = start + _signal_bytes(record)
        image[start:end] = lane.image[start:end]
    _messages(lane, image, redactor)
    return image


def _signal_bytes(record: RecordSpan) -> int:
    """How many bytes of a record are an alert or ChangeCipherSpec in clear. Longer alerts are encrypted, whether or not
    the ChangeCipherSpec before them was captured.
    """
    if record.kind == ALERT and record.length <= (ALERTS if record.is_clear else ALERT_BYTES):
        return record.length
    return CHANGE_BYTES if record.kind == CHANGE_CIPHER_SPEC and record.is_clear and record.length else 0


def _messages(lane: StreamImage, image: bytearray, redactor: Redactor) -> None:
    """Handshake messages in clear, put together from their records, changed and laid back."""
    intervals = lane.clear_handshake()
    new = redactor.messages(b"".join(lane.image[low:high] for low, high in intervals))
    at = 0
    for low, high in intervals:
        image[low:high] = new[at : at + high - low]
        at += high - low


def _redacted(frame: BufferedFrame, at: int, lane: StreamImage, image: bytearray, disguise: Disguise) -> bytes:
    """A segment's payload; a copy that differs from the first one goes on differing in the same bytes."""
    low, high = max(at, 0), min(at + len(frame.payload), len(image))
    payload = bytearray(len(frame.payload))
    if low >= high:
        return bytes(payload)
    piece = frame.payload[low - at : high - at]
    new = image[low:high]
    old = lane.image[low:high]
    if piece != old:
        other = disguise.opaque(piece, "copy")
        bytewise = zip(new, old, piece, other, strict=True)
        new = bytearray(n if first == copy else o ^ (o == n) for n, first, copy, o in bytewise)
    payload[low - at : high - at] = new
    return bytes(payload)


def _headers(frame: BufferedFrame, source: bytes, target: bytes, source_port: int, target_port: int) -> bytes:
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
    words = sum(struct.unpack(">10H", head))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    head[10:12] = (~words & 0xFFFF).to_bytes(2, "big")
    return bytes(head) + tcp
