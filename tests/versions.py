"""Captures in which somebody put segments in: other bytes for a place of a stream that another segment fills. Each kind
changes the last connection of a story, in which a client aborts because the certificate changed.

What is right for each is known from how it was made: which version a receiver can have taken, or that nobody can tell.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from tests.build import ACK, MS, RST, Flow, Pool, Segment, certificate, ethernet, numbered, ordered

A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
X, Y = numbered(1), numbered(2)
AT = 150
"""Where in the server's flight the versions differ: in its certificate."""

Frame = tuple[int, bytes]
IP, TCP = 14, 34
"""Where an Ethernet frame's headers begin."""


def summed(frame: bytes, spoil: int = 0, ttl: int = 64) -> bytes:
    """A frame with the checksum of TCP that it must have. ``spoil``: what is added to it."""
    tcp = bytearray(frame[TCP:])
    tcp[16:18] = bytes(2)
    pseudo = frame[IP + 12 : IP + 20] + struct.pack(">HH", 6, len(tcp))
    words = pseudo + tcp + bytes(len(tcp) & 1)
    total = sum(struct.unpack(f">{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    tcp[16:18] = struct.pack(">H", ((~total & 0xFFFF) + spoil) & 0xFFFF)
    ip = bytearray(frame[IP:TCP])
    ip[8] = ttl
    return frame[:IP] + bytes(ip) + bytes(tcp)


def other(data: bytes, at: int = AT, count: int = 4) -> bytes:
    """The same bytes but for some."""
    return data[:at] + bytes(b ^ 0x55 for b in data[at : at + count]) + data[at + count :]


class Story:
    """A client's sessions at two back ends; the last one is aborted. ``flight``: the server's in it, whose frame is to
    be met by another version.
    """

    def __init__(self) -> None:
        pool = Pool()
        pool.full(A, X)
        pool.resumed(X)
        self.flow = pool.given_up(B, Y, X)
        self.flows = pool.flows
        self.flight = next(s for s in self.flow.segments if not s.from_client and s.payload)
        self.hello = next(s for s in self.flow.segments if s.from_client and s.payload)
        self.alert = next(s for s in self.flow.segments if s.from_client and len(s.payload) == 7)
        self.spoiled: set[int] = set()
        """Segments whose checksum is wrong."""
        self.has_checksums = False

    def put(self, ns: int, like: Segment, payload: bytes, seq: int = 0, flags: int = ACK) -> Segment:
        """Another segment. ``seq``: how much further it begins."""
        added = Segment(ns, like.from_client, flags, like.seq + seq, payload, self.flow, like.ack)
        self.flow.segments.append(added)
        return added

    def acknowledge(self, ns: int, segment: Segment) -> None:
        """The receiver has it, and says so in a segment of its own that carries nothing else."""
        end = segment.seq + len(segment.payload)
        self.flow.segments.append(Segment(ns, not segment.from_client, ACK, segment.ack, b"", self.flow, end))

    def frames(self) -> list[Frame]:
        return [
            (s.ns, summed(ethernet(s), 1 if id(s) in self.spoiled else 0) if self.has_checksums else ethernet(s))
            for s in ordered(self.flows)
        ]


class Kind(NamedTuple):
    """``make`` changes a story. ``taken``: as in ``VersionTaken``, of each one. ``size``: how many bytes differ."""

    make: Callable[[Story], None]
    taken: tuple[str, ...]
    size: int = 4


def _sent_again(story: Story) -> None:
    """Right behind it, before anybody can have acknowledged it."""
    story.put(story.flight.ns + 10, story.flight, other(story.flight.payload))


def _sent_before(story: Story) -> None:
    """The other version comes first, and is what is read (insertion)."""
    genuine = story.flight.payload
    story.put(story.flight.ns - 10, story.flight, other(genuine))


def _acknowledged(story: Story) -> None:
    story.acknowledge(story.flight.ns + 10, story.flight)
    story.put(story.flight.ns + 20, story.flight, other(story.flight.payload))


def _acknowledged_with_data(story: Story) -> None:
    """The client's alert acknowledges the flight."""
    story.put(story.alert.ns + 10, story.flight, other(story.flight.payload))


def _acknowledged_in_part(story: Story) -> None:
    story.flow.segments.append(Segment(story.flight.ns + 10, True, ACK, 144, b"", story.flow, AT))
    story.put(story.flight.ns + 20, story.flight, other(story.flight.payload))


def _acknowledged_too_late(story: Story) -> None:
    story.put(story.flight.ns + 10, story.flight, other(story.flight.payload))
    story.acknowledge(story.flight.ns + 20, story.flight)


def _acknowledged_beyond(story: Story) -> None:
    """An acknowledgement of what nobody sent proves nothing."""
    end = story.flight.seq + 100_000
    story.flow.segments.append(Segment(story.flight.ns + 10, True, ACK, 144, b"", story.flow, end))
    story.put(story.flight.ns + 20, story.flight, other(story.flight.payload))


def _acknowledged_before_it_came(story: Story) -> None:
    """Nobody had sent it yet, as far as was seen."""
    story.acknowledge(story.flight.ns - 10, story.flight)
    story.put(story.flight.ns + 20, story.flight, other(story.flight.payload))


def _acknowledged_over_a_loss(story: Story) -> None:
    """The capture lacks the first part of the flight, which was sent again; its receiver had both."""
    flight = story.flight
    story.flow.segments.remove(flight)
    story.put(flight.ns, flight, flight.payload[200:], 200)
    story.acknowledge(flight.ns + 10, flight)
    story.put(flight.ns + 20, flight, other(flight.payload, 250)[200:], 200)
    story.put(flight.ns + 30, flight, flight.payload[:200])


def _within(story: Story) -> None:
    """A small segment in the midst of a large one."""
    story.put(story.flight.ns + 10, story.flight, other(story.flight.payload)[AT - 20 : AT + 30], AT - 20)


def _around(story: Story) -> None:
    """The first version in small segments, the second around all of them."""
    whole = story.flight.payload
    story.flight.payload = whole[:100]
    for number, at in enumerate(range(100, len(whole), 60), 1):
        story.put(story.flight.ns + number, story.flight, whole[at : at + 60], at)
    story.put(story.flight.ns + 100, story.flight, other(whole))


def _out_of_order(story: Story) -> None:
    """Both wait for an earlier segment: stacks keep the one or the other."""
    whole = story.flight.payload
    story.flight.payload, ns = whole[:100], story.flight.ns
    story.flight.ns += 100
    story.put(ns, story.flight, whole[100:], 100)
    story.put(ns + 10, story.flight, other(whole)[100:], 100)


def _left_overlap(story: Story) -> None:
    """A later segment begins before one that waits and reaches into it."""
    whole = story.flight.payload
    story.flight.payload, ns = whole[:100], story.flight.ns
    story.flight.ns += 100
    story.put(ns, story.flight, whole[AT - 10 :], AT - 10)
    story.put(ns + 10, story.flight, other(whole)[120 : AT + 20], 120)
    story.put(ns + 200, story.flight, whole[100 : AT + 20], 100)


def _client_hello(story: Story) -> None:
    """The offered session is another one."""
    payload = story.hello.payload
    story.put(story.hello.ns + 10, story.hello, other(payload, payload.index(X)))


def _alert(story: Story) -> None:
    """The alert's description alone."""
    story.put(story.alert.ns + 10, story.alert, b"\x28", 6)


def _damaged_second(story: Story) -> None:
    story.has_checksums = True
    story.spoiled.add(id(story.put(story.flight.ns + 10, story.flight, other(story.flight.payload))))
    story.put(story.flight.ns + 20, story.flight, story.flight.payload)
    _more_of_the_server(story)


def _damaged_first(story: Story) -> None:
    """What was read is what the receiver dropped."""
    story.has_checksums = True
    story.spoiled.add(id(story.put(story.flight.ns - 10, story.flight, other(story.flight.payload))))
    _more_of_the_server(story)


def _damaged_both(story: Story) -> None:
    """Whatever came in their place was not captured."""
    story.has_checksums = True
    whole = story.flight.payload
    story.put(story.flight.ns + 1, story.flight, whole[300:], 300)
    story.flight.payload = whole[:300]
    again = story.put(story.flight.ns + 10, story.flight, other(whole[:300]))
    story.spoiled |= {id(story.flight), id(again)}


def _offloaded(story: Story) -> None:
    """All of the server's checksums are wrong: they are computed behind the place of the capture."""
    story.has_checksums = True
    story.put(story.flight.ns + 10, story.flight, other(story.flight.payload))
    _more_of_the_server(story)
    story.spoiled |= {id(s) for s in story.flow.segments if not s.from_client and s is not story.flight}


def _more_of_the_server(story: Story) -> None:
    """A segment more, by whose checksum others can be measured: the flight in two."""
    whole = story.flight.payload
    for segment in [s for s in story.flow.segments if not s.from_client and len(s.payload) == len(whole)]:
        rest = story.put(segment.ns + 1, story.flight, whole[300:], 300)
        if id(segment) in story.spoiled:
            story.flow.segments.remove(rest)
        segment.payload = segment.payload[:300]


KINDS: dict[str, Kind] = {
    "sent again": Kind(_sent_again, ("unknown",)),
    "sent before": Kind(_sent_before, ("unknown",)),
    "acknowledged": Kind(_acknowledged, ("acknowledged",)),
    "acknowledged with data": Kind(_acknowledged_with_data, ("acknowledged",)),
    "acknowledged in part": Kind(_acknowledged_in_part, ("unknown",)),
    "acknowledged too late": Kind(_acknowledged_too_late, ("unknown",)),
    "acknowledged beyond": Kind(_acknowledged_beyond, ("unknown",)),
    "acknowledged before it came": Kind(_acknowledged_before_it_came, ("unknown",)),
    "acknowledged over a loss": Kind(_acknowledged_over_a_loss, ("acknowledged",)),
    "within": Kind(_within, ("unknown",)),
    "around": Kind(_around, ("unknown",)),
    "out of order": Kind(_out_of_order, ("unknown",)),
    "left overlap": Kind(_left_overlap, ("unknown", "unknown")),
    "client hello": Kind(_client_hello, ("unknown",)),
    "alert": Kind(_alert, ("unknown",), 1),
    "damaged second": Kind(_damaged_second, ("first",)),
    "damaged first": Kind(_damaged_first, ("second",)),
    "damaged both": Kind(_damaged_both, ("unknown",)),
    "offloaded": Kind(_offloaded, ("unknown",)),
}


def made(name: str) -> Story:
    """A story of a kind."""
    story = Story()
    KINDS[name].make(story)
    return story


# What is no conflict.


def _keep_alive(story: Story) -> None:
    """One byte that the other side had, of any value (RFC 9293, section 3.8.4)."""
    story.acknowledge(story.flight.ns + 10, story.flight)
    story.put(story.flight.ns + 20, story.flight, b"\0", len(story.flight.payload) - 1)
    story.put(story.flight.ns + 30, story.flight, b"\x17", AT)  # some repeat an earlier one


def _repeated(story: Story) -> None:
    for segment in list(story.flow.segments):
        if segment.payload:
            story.put(segment.ns + 10, segment, segment.payload)
            story.put(segment.ns + 20, segment, segment.payload[3:50], 3)


def _behind_the_end(story: Story) -> None:
    """Nobody takes anything when both sides have closed."""
    last = max(s.ns for s in story.flow.segments)
    story.put(last + 10, story.flight, other(story.flight.payload))


def _behind_a_reset(story: Story) -> None:
    end = story.alert.seq + len(story.alert.payload)
    story.flow.segments = [s for s in story.flow.segments if s.ns <= story.alert.ns]
    story.flow.segments.append(Segment(story.alert.ns + 10, True, RST | ACK, end, b"", story.flow, story.alert.ack))
    story.put(story.alert.ns + 20, story.flight, other(story.flight.payload))


def _long_afterwards(story: Story) -> None:
    """Nothing is compared for longer than a sender tries."""
    for segment in story.flow.segments:
        if segment.ns > story.flight.ns:
            segment.ns += 11_000 * MS
    story.put(story.flight.ns + 10_500 * MS, story.flight, other(story.flight.payload))


NO_CONFLICT: dict[str, Callable[[Story], None]] = {
    "keep-alive": _keep_alive,
    "repeated": _repeated,
    "behind the end": _behind_the_end,
    "behind a reset": _behind_a_reset,
    "long afterwards": _long_afterwards,
}


def flood(count: int) -> list[Flow]:
    """A flow whose hello is contradicted so many times."""
    pool = Pool()
    flow = pool.full(A, X)
    hello = next(s for s in flow.segments if s.payload)
    for number in range(count):
        payload = bytes(b ^ (number % 255 + 1) for b in hello.payload)
        flow.segments.append(Segment(hello.ns + 1 + number, True, ACK, hello.seq, payload, flow, hello.ack))
    return pool.flows
