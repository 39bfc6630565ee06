"""Words for what could not be read of the frames themselves: those that were not opened, and payload that was cut away
while capturing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from inspector.facts import CaptureFacts, Unopened
from inspector.tracking.services import ip_text

NAMED = 8
"""Kinds that a sentence lists."""

SPACES = {
    "link_type": "link type {}",
    "ethertype": "EtherType 0x{:04x}",
    "llc": "LLC",
    "ieee80211": "IEEE 802.11",
    "ppp": "PPP protocol 0x{:04x}",
    "ip_protocol": "IP protocol {}",
    "gre": "GRE protocol 0x{:04x}",
    "udp_port": "UDP port {}",
}
REASONS = {
    "unknown": "",
    "cut": ", cut inside a header",
    "malformed": ", headers that do not hold",
    "encrypted": ", encrypted",
    "compressed": ", compressed",
    "fragment": ", in fragments of that layer",
    "incomplete": ", fragments of datagrams that never became whole",
}


class Carrier(NamedTuple):
    """What frames of a capture that were not opened may carry: connections to anybody, or only to some ``hosts``.

    What cannot be told may carry anything: an unknown encapsulation, a header that was cut, MACsec on a link. An
    encrypted tunnel runs between two addresses, and who speaks to a service past it, in clear, does not speak to it
    inside: so it counts only for a service that is at one of its ends.
    """

    is_any: bool
    hosts: frozenset[str]

    def may_carry(self, addresses: Collection[str]) -> bool:
        """Whether it may be connections to a service at some addresses."""
        return self.is_any or not self.hosts.isdisjoint(addresses)


def carrier(capture: CaptureFacts) -> Carrier:
    """What those of one capture may carry."""
    if not capture.unopened:
        return Carrier(capture.undecoded > 0, frozenset())
    ends = frozenset(ip_text(end) for unopened in capture.unopened for end in unopened.ends)
    return Carrier(any(not unopened.ends for unopened in capture.unopened), ends)


def not_opened(capture: CaptureFacts) -> str:
    """How many frames were not opened, and what they are; empty where all were."""
    count = capture.undecoded
    if not count:
        return ""
    if not capture.unopened:  # a journal of before they were named
        return f"{_frames(count, capture.packets)} not opened"
    frames: Counter[Unopened] = Counter()
    for unopened in capture.unopened:
        frames[unopened._replace(frames=0, ends=())] += unopened.frames
    listed_first = [unopened._replace(frames=many) for unopened, many in frames.most_common()]
    kinds = [_kind(unopened, count) for unopened in listed_first[:NAMED]]
    others = sum(unopened.frames for unopened in listed_first[NAMED:])
    listed = "; ".join([*kinds, *([f"{others:,} of other kinds"] if others else [])])
    return f"{_frames(count, capture.packets)} not opened: {listed}. They may carry TLS"


def clipped(capture: CaptureFacts, *, is_missed: bool) -> str:
    """What the snap length took away of TCP's payload, where all of it was or where it is missed (``is_missed``); else
    empty.
    """
    if not capture.clipped:
        return ""
    if capture.clipped >= capture.payload:
        by = f" by the snap length of {capture.snap_length} bytes" if capture.snap_length else ""
        return f"all payload was cut away{by}: only headers are left, no handshake can be read; capture again with -s 0"
    if not is_missed or not capture.snap_length:
        return ""
    lacking = f"{capture.clipped:,} of {capture.payload:,} bytes of payload are missing"
    return (
        f"{capture.snapped:,} of {capture.packets:,} frames were cut by the snap length of {capture.snap_length} bytes:"
        f" {lacking}; capture again with -s 0"
    )


def _frames(count: int, total: int) -> str:
    return (
        f"{count:,} of {total:,} frames {'was' if count == 1 else 'were'}"
        if total
        else f"{count:,} frame{' was' if count == 1 else 's were'}"
    )


def _kind(unopened: Unopened, count: int) -> str:
    if unopened.space not in SPACES:
        return f"{unopened.frames:,} of other kinds"
    name = f" ({unopened.name})" if unopened.name else ""
    many = "" if unopened.frames == count else f"{unopened.frames:,} of "
    return f"{many}{SPACES[unopened.space].format(unopened.number)}{name}{REASONS.get(unopened.why, '')}"
