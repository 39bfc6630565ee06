"""One flow: a 5-tuple while it lives, which side is the client, who closed it."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from inspector import bounds
from inspector.capture.references import FRAME_BITS
from inspector.wire.addresses import Ends, Key
from inspector.wire.consumer import FlowConsumer
from inspector.wire.segments import ACK, FIN, RST, SYN, URG
from inspector.wire.sequence_numbers import distance
from inspector.wire.spread import Spread
from inspector.wire.streams import PLAUSIBLE_START, Stream

Moment = tuple[int, int]
"""A place in a story: the time of a frame, and its reference."""


class FlowKey(NamedTuple):
    """``initial_sequence``: of the SYN that a flow began with; None where it did not begin with a SYN."""

    ends: Ends
    initial_sequence: int | None


class Ending(Struct, frozen=True, gc=False):
    """A FIN or RST as it was captured. ``after``: the sequence number behind it. ``ack``: the acknowledgement number,
    None where it has none.
    """

    ns: int
    frame: int
    after: int
    ack: int | None


class Flow:
    """One 5-tuple and its lifetime. Lane 0 runs from the lower endpoint to the higher, lane 1 back."""

    __slots__ = (
        "acks",
        "began",
        "closed",
        "consumer",
        "fins",
        "first",
        "is_answered",
        "is_foreign",
        "is_shared",
        "isns",
        "key",
        "last",
        "older",
        "packets",
        "received",
        "resets",
        "rtt",
        "spread",
        "streams",
        "syn_ns",
        "tops",
        "until",
        "was_established",
    )

    def __init__(self, key: Key, consumer: FlowConsumer, ns: int, frame: int) -> None:
        self.key = key
        self.consumer = consumer
        first, second = consumer.directions
        self.streams = (Stream(first), Stream(second))
        self.isns: list[int | None] = [None, None]
        self.fins: list[Ending | None] = [None, None]
        self.resets: list[Ending | None] = [None, None]
        self.packets = [False, False]
        self.acks: list[int | None] = [None, None]
        """What each side acknowledged last of the other, as far as its segments with data, FIN or RST say it, or what
        answers a SYN.
        """
        self.received: list[tuple[int | None, int | None]] = [(None, None), (None, None)]
        """Of each stream the highest sequence number behind what was sent, and the highest of them that the other side
        acknowledged, in earlier batches, while its first bytes are compared.
        """
        self.tops: tuple[int, int] | None = None
        """At the end: how long each stream is by its own segments; one number more that is acknowledged is a FIN that
        was not captured.
        """
        self.closed = False
        """Both sides said FIN, or one reset."""
        self.was_established = False
        """Live: both sides had agreed when it was last looked at."""
        self.first = (ns, frame)
        self.last = (ns, frame)
        self.syn_ns: int | None = None
        self.rtt: int | None = None
        self.began: FlowKey | None = None
        self.older: Flow | None = None
        """The connection before this one on the same endpoints, while frames of it may still come: two taps need not
        agree on the time.
        """
        self.spread: Spread | None = None
        """None where all frames are in one capture."""
        self.is_answered = False
        """Its last segment was a SYN with ACK."""
        self.is_foreign = False
        """It is another table's: it is followed here for the sake of the older one alone."""
        self.is_shared = False
        """Another table may have taken a piece of it for a flow that began there."""
        self.until: Moment | None = None
        """Where it was replaced: when what replaced it began."""

    def note_control(self, lane: int, control: int, seq: int, length: int, ending: Ending) -> None:
        """A FIN or RST, or urgent data. ``ending``: where it closes its side."""
        stream = self.streams[lane]
        if control & URG and length:
            stream.note_urgent(seq, ending.frame)
        if not control & (FIN | RST):
            return
        if control & FIN and self.fins[lane] is None:
            self.fins[lane] = ending
            self.consumer.closed(lane, ending.frame, ending.ns, is_reset=False)
        if control & RST and self.resets[lane] is None:
            self.resets[lane] = ending
            self.consumer.closed(lane, ending.frame, ending.ns, is_reset=True)
        if (self.fins[0] is not None and self.fins[1] is not None) or any(self.resets):
            self.close()
        stream.ends_at(stream.offset(seq) + length - bool(control & RST))  # a RST may stand behind a FIN

    def close(self) -> None:
        """Nothing is taken any more, whatever comes."""
        self.closed = True
        for stream in self.streams:
            stream.is_compared = False

    def client_lane(self) -> int:
        """The side that is the client: as the consumer or the SYN say, else the one with the higher port."""
        if self.consumer.client_lane is not None:
            return self.consumer.client_lane
        return 0 if self.key[0] & 0xFFFF > self.key[1] & 0xFFFF else 1

    def settle_ends(self) -> None:
        """What one side acknowledged the other has sent, whether it was captured or not (RFC 9293, section 3.4); one
        number less where that may be a FIN.
        """
        self.tops = (self.streams[0].top, self.streams[1].top)
        if self.fins[0] is not None and self.fins[1] is not None:
            return  # each side said itself where it ends
        for lane, ack in enumerate(self.acks):
            other = self.streams[1 - lane]
            if ack is not None and other.anchored:
                other.ends_at(other.offset(ack) - 1)

    @property
    def is_unseen(self) -> bool:
        """Whether bytes were sent that were not captured."""
        return any(stream.top > stream.received for stream in self.streams)

    def is_over(self, ns: int) -> bool:
        """Whether a segment at this time comes too late to belong to this flow."""
        return ns - self.last[0] > self.quiet_ns

    @property
    def quiet_ns(self) -> int:
        """How long a next segment is waited for: for as long as a flow may be idle, until it is closed."""
        if not self.closed:
            return bounds.IDLE_NS
        return bounds.CLOSED_NS if all(self.fins) else bounds.APART_NS

    @property
    def is_decided(self) -> bool:
        """Whether what became of it can be told by now: one closed, one gave up, or both sides agreed."""
        return any(self.fins) or any(self.resets) or self.consumer.has_failed or self.consumer.is_established

    def gives_way(self, control: int, lane: int, seq: int, ns: int) -> bool:
        """Whether a segment is none of this connection: it begins a new one, or comes too late."""
        return bool(control & SYN and self.restarts(lane, seq, ns)) or self.is_over(ns)

    def restarts(self, lane: int, seq: int, ns: int) -> bool:
        """Whether a SYN begins a new connection on this pair of endpoints, rather than being sent or captured again."""
        known = self.isns[lane]
        if known is not None:
            return known != seq or (self.streams[lane].top > 0 and ns - self.last[0] > bounds.CLOSED_NS)
        stream = self.streams[lane]
        if not self.packets[lane]:
            return self.is_over(ns)
        if not stream.is_placed:
            ending = self.fins[lane] or self.resets[lane]  # all that this side is known to have sent
            return ending is not None and abs(distance(seq + 1, ending.after)) > PLAUSIBLE_START
        start = stream.offset(seq + 1)
        return start != 0 if stream.anchored else abs(start) > PLAUSIBLE_START

    def extend(self, moment: Moment) -> None:
        """A frame came before the first one, or behind the last; of those at one time the last in the capture stays."""
        is_first = moment[0] < self.first[0]
        if is_first or self.spread is not None or (moment[1] ^ self.first[1]) >> FRAME_BITS:
            self.spread = (self.spread or Spread(self.first[1], self.last[1])).widened((moment[1],))
        if is_first:
            self.first = moment
        else:
            self.last = max(self.last, moment)

    def first_frames(self) -> tuple[int, ...]:
        """References of the first frame, and of the lowest one in each capture where there are several."""
        ranges = self.spread.ranges() if self.spread is not None else ()
        return (self.first[1], *(low for low, _ in ranges))

    def synchronise(self, lane: int, seq: int, flags: int, ns: int, frame: int) -> None:
        """A SYN came."""
        consumer = self.consumer
        if self.isns[lane] is None:
            self.isns[lane] = seq
            consumer.opened(lane, frame, ns)
        elif (frame ^ self.first[1]) >> FRAME_BITS:
            self.spread = self.spread or Spread(self.first[1], self.last[1])
            self.spread.again.add(frame >> FRAME_BITS)
        self.streams[lane].anchor(seq + 1 & 0xFFFFFFFF)
        self.is_answered = flags & ACK != 0
        if not self.is_answered:
            self.syn_ns = self.syn_ns or ns
            if consumer.client_lane is None:
                consumer.client_lane = lane

    def note_round_trip(self, lane: int, ack: int, ns: int, *, is_empty: bool) -> None:
        """A segment came right behind a SYN with ACK: where it is the client's empty answer, it ends a round trip (RFC
        9293, section 3.5).
        """
        self.is_answered = False
        isn = self.isns[1 - lane]
        if (
            is_empty
            and self.rtt is None
            and self.syn_ns is not None
            and lane == self.consumer.client_lane
            and isn is not None
            and ack == isn + 1 & 0xFFFFFFFF
            and not self.streams[lane].top
        ):
            self.rtt = ns - self.syn_ns

    def owner(self, lane: int, seq: int, control: int) -> Flow:
        """Which connection a segment belongs to: this one, or the one before it while this side's SYN has not come."""
        older = self.older
        if older is None or control & SYN or self.isns[lane] is not None:
            return self
        stream = older.streams[lane]
        return older if stream.anchored and abs(stream.offset(seq) - stream.next) < PLAUSIBLE_START else self
