"""A recording of a real client as frames that are replayed: where in each frame stands what a replay changes, and what
the network does to them. Checksums of TCP are not made anew.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

import dpkt

from tests.build import ACK, FIN, SYN, Flow, ethernet, record
from tests.conftest import CAPTURES
from tests.encapsulations import Wrap, ipv6, udp

STORY = CAPTURES / "jdk17-abort.pcap.gz"
ABORTS = 8
PORT = 8081
SEGMENT, RECORD = 1448, 1 << 14
WIRE_NS = 12_000
"""One segment on a link of 1 Gbit/s."""
RESENT_AFTER_NS = 30_000_000
LOSS, SWAPPED, SENT_TWICE = 0.01, 0.005, 0.005
ASKED, SHOWN = b"puppetdb.example.com", re.compile(rb"puppetdb[123]\.example\.com")


class Replay(NamedTuple):
    """What one replay puts in place of the story's: addresses of four bytes, a mask over randoms and session ids, a
    number for its certificates and one for the name that it asks for.
    """

    client: bytes
    server: bytes
    mask: int
    leaf: int | None = None
    name: int | None = None


class StoryFrame(NamedTuple):
    """A frame of the recording. Offsets: of both IPv4 addresses (or the last four bytes of IPv6 ones), of the TCP
    payload, of randoms and session ids with their lengths, of names asked for and names in certificates.
    """

    ns: int
    frame: bytes
    client: int
    server: int
    body: int = 0
    flags: int = 0
    from_client: bool = True
    port: int = 0
    secrets: tuple[tuple[int, int], ...] = ()
    asked: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    is_filler: bool = False

    @property
    def payload(self) -> bytes:
        return self.frame[self.body :] if self.body else b""

    def replayed(self, replay: Replay) -> bytes:
        out = bytearray(self.frame)
        out[self.client : self.client + 4] = replay.client
        out[self.server : self.server + 4] = replay.server
        for at, length in self.secrets:
            mask = replay.mask & ((1 << 8 * length) - 1)
            out[at : at + length] = (int.from_bytes(out[at : at + length], "big") ^ mask).to_bytes(length, "big")
        if replay.name is not None:
            for at in self.asked:
                out[at : at + 8] = b"s%07d" % replay.name
        if replay.leaf is not None:
            for at in self.shown:
                out[at : at + 8] = b"p%06d-" % replay.leaf
        return bytes(out)


def described(ns: int, frame: bytes) -> StoryFrame:
    """An Ethernet frame with IPv4 and TCP, as a frame of the story."""
    tcp = 14 + (frame[14] & 15) * 4
    source, target = struct.unpack_from(">HH", frame, tcp)
    body, end = tcp + (frame[tcp + 12] >> 4) * 4, 14 + struct.unpack_from(">H", frame, 16)[0]
    frame, from_client = frame[:end], target == PORT
    secrets = []
    if frame[body : body + 1] == b"\x16" and frame[body + 5 : body + 6] in (b"\1", b"\2"):
        secrets = [(body + 11, 32)]
        if length := frame[body + 43]:
            secrets.append((body + 44, length))
    return StoryFrame(
        ns,
        frame,
        *((26, 30) if from_client else (30, 26)),
        body=body,
        flags=frame[tcp + 13],
        from_client=from_client,
        port=source if from_client else target,
        secrets=tuple(secrets),
        asked=tuple(m.start() for m in re.finditer(re.escape(ASKED), frame)),
        shown=tuple(m.start() for m in SHOWN.finditer(frame)),
    )


def story() -> list[StoryFrame]:
    """The recording, from its first frame on."""
    with gzip.open(STORY) as file:
        frames = [(round(at * 1e6) * 1000, data) for at, data in dpkt.pcap.UniversalReader(io.BytesIO(file.read()))]
    return [described(ns - frames[0][0], data) for ns, data in frames]


def one_handshake() -> list[StoryFrame]:
    """The story's first connection: a full handshake that succeeds."""
    frames = story()
    return [frame for frame in frames if frame.port == frames[0].port]


def with_numbers(frame: StoryFrame, ns: int, sent: int, received: int) -> StoryFrame:
    """The frame at another time, with so many bytes more before it on its own side and on the other."""
    data, tcp = bytearray(frame.frame), 14 + (frame.frame[14] & 15) * 4
    for at, more in ((tcp + 4, sent), (tcp + 8, received)):
        struct.pack_into(">I", data, at, (struct.unpack_from(">I", data, at)[0] + more) & 0xFFFFFFFF)
    return frame._replace(ns=ns, frame=bytes(data))


def with_payload(frame: StoryFrame, payload: bytes) -> StoryFrame:
    """The frame's headers with another payload, and nothing but ACK set."""
    data = bytearray(frame.frame[: frame.body]) + payload
    struct.pack_into(">H", data, 16, len(data) - 14)
    data[14 + (data[14] & 15) * 4 + 13] = ACK
    return frame._replace(frame=bytes(data), flags=ACK, secrets=(), asked=(), shown=())


def filled(frames: Iterable[StoryFrame], size: int, coalesced: Callable[[], int] = lambda: 1) -> Iterator[StoryFrame]:
    """The story with so many bytes of application data from the server in each established connection, before it
    closes. ``coalesced``: how many segments the next frame holds. The client acknowledges every second frame.
    """
    filler = record(23, random.Random(7).randbytes(RECORD))
    stream = (filler * (size // len(filler) + 1))[: -(-size // len(filler)) * len(filler)]
    more: dict[int, int] = {}
    established: dict[int, StoryFrame] = {}
    late = 0
    for frame in frames:
        port, before = frame.port, 0
        if frame.from_client and frame.payload[:1] == b"\x17":
            established[port] = frame
        elif not frame.from_client and frame.flags & FIN and port in established and port not in more:
            answer, behind = with_payload(frame, b""), with_payload(established[port], b"")
            behind = with_numbers(behind, 0, len(established[port].payload), 0)
            behind = with_numbers(behind, 0, 0, number(frame, 4) - number(behind, 8))
            at = 0
            while at < len(stream):
                piece = stream[at : at + SEGMENT * coalesced()]
                late += WIRE_NS * -(-len(piece) // SEGMENT)
                yield with_numbers(with_payload(answer, piece), frame.ns + late, at, 0)._replace(is_filler=True)
                at, before = at + len(piece), before + 1
                if before % 2 == 0:
                    yield with_numbers(behind, frame.ns + late, 0, at)
            more[port] = len(stream)
        sent = more.get(port, 0)
        yield with_numbers(frame, frame.ns + late, *((0, sent) if frame.from_client else (sent, 0)))


def number(frame: StoryFrame, at: int) -> int:
    """The sequence number (4) or that of the acknowledgement (8)."""
    value: int = struct.unpack_from(">I", frame.frame, 14 + (frame.frame[14] & 15) * 4 + at)[0]
    return value


def battered(frames: Iterable[StoryFrame], dice: random.Random) -> Iterator[StoryFrame]:
    """What a bad network and a hurried capture make of it: segments that are lost on the way and sent again (half of
    them are captured both times, half only the second time, all after what else was under way), swapped, sent twice
    and cut anew. Of application data frames are also lost for good. Who waits for a segment waits with all that
    follows, so whatever was agreed in the story is agreed in the same order.
    """
    waiting = list(frames)
    late = at = 0
    while at < len(waiting):
        frame = waiting[at]._replace(ns=waiting[at].ns + late)
        at += 1
        fate = dice.random()
        if frame.is_filler and dice.random() < LOSS:
            continue
        flight = at
        while flight < len(waiting) and is_same_flight(frame, waiting[flight]):
            flight += 1
        if frame.flags & (SYN | FIN) or not frame.payload or fate >= LOSS + SWAPPED + SENT_TWICE:
            yield frame
        elif fate < LOSS:
            if was_captured := dice.random() < 0.5:
                yield frame
            for other in waiting[at:flight]:
                yield other._replace(ns=other.ns + late)
            late += RESENT_AFTER_NS
            again = first_segment(frame) if was_captured else frame
            yield again._replace(ns=waiting[flight - 1].ns + late)
            at = flight
        elif fate < LOSS + SWAPPED and flight > at:
            other = waiting[at]
            at += 1
            yield other._replace(ns=frame.ns)
            yield frame._replace(ns=other.ns + late)
        else:
            yield frame
            yield first_segment(frame)


def is_same_flight(frame: StoryFrame, other: StoryFrame) -> bool:
    same = (frame.port, frame.from_client) == (other.port, other.from_client)
    return same and bool(other.payload) and not other.flags & FIN


def first_segment(frame: StoryFrame) -> StoryFrame:
    """What a sender sends again of a frame that held several segments: the first of them."""
    if not frame.is_filler or len(frame.payload) <= SEGMENT:
        return frame
    return with_payload(frame, frame.payload[:SEGMENT])


def foreign(length: int, dice: random.Random) -> Iterator[StoryFrame]:
    """What else a client does meanwhile: HTTP without TLS, SSH, DNS and ARP."""
    for number in range(16):
        ns = dice.randrange(length)
        flow = Flow(20_000 + number, ns, server_port=22 if number % 3 == 0 else 80).open()
        if flow.server_port == 22:
            flow.server_says(b"SSH-2.0-OpenSSH_9.2\r\n").client_says(b"SSH-2.0-OpenSSH_9.2\r\n")
            for _ in range(5):
                flow.client_says(dice.randbytes(64)).server_says(dice.randbytes(128))
        else:
            flow.client_says(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
            flow.server_says(b"HTTP/1.1 200 OK\r\nContent-Length: 14480\r\n\r\n" + bytes(SEGMENT))
            for _ in range(9):
                flow.server_says(bytes(SEGMENT))
        for segment in flow.close().segments:
            ends = (26, 30) if segment.from_client else (30, 26)
            yield StoryFrame(segment.ns, ethernet(segment), *ends)
    for number in range(30):
        ns = dice.randrange(length)
        question = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + b"\3www\7example\3com\0\0\1\0\1"
        address = bytes(4)
        for asks in (True, False):
            datagram = udp(53, question, 30_000 + number) if asks else udp(30_000 + number, question, 53)
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), number, 0, 64, 17, 0) + address * 2
            yield StoryFrame(
                ns + (not asks) * 1_000_000, bytes(12) + b"\x08\0" + head + datagram, *((26, 30) if asks else (30, 26))
            )
        yield StoryFrame(ns, bytes(12) + b"\x08\x06\0\1\x08\0\6\4\0\1" + bytes(20) + bytes(18), 28, 38)


def wrapped(frame: StoryFrame, wrap: Wrap) -> StoryFrame:
    """The frame behind other headers, whose length does not depend on a replay."""
    return moved(frame, wrap(frame.frame))


def over_ipv6(frame: StoryFrame) -> StoryFrame:
    """The frame's TCP segment over IPv6, to addresses that end as those of IPv4."""
    ip = 14 + (frame.frame[14] & 15) * 4
    packet = bytearray(ipv6(6, frame.frame[ip:]))
    packet[8:40] = ip_address("fd00::").packed * 2
    client, server = (34, 50) if frame.from_client else (50, 34)
    return moved(frame, bytes(12) + b"\x86\xdd" + packet)._replace(client=client, server=server)


def moved(frame: StoryFrame, data: bytes) -> StoryFrame:
    """The frame with more in front: every offset is that much larger."""
    more = len(data) - len(frame.frame)
    return frame._replace(
        frame=data,
        client=frame.client + more,
        server=frame.server + more,
        body=frame.body + more,
        secrets=tuple((at + more, length) for at, length in frame.secrets),
        asked=tuple(at + more for at in frame.asked),
        shown=tuple(at + more for at in frame.shown),
    )
