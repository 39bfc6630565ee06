"""Flights of which the capture holds a part: sessions of three back ends that are resumed, declined and given up, and
of every third connection bytes are missing, at any place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from tests.attacks.attack import Attack, Crowd, Given, abort_flows
from tests.attacks.sessions import abbreviated, full, psk_offered
from tests.build import Flow, Segment, certificate, ethernet, numbered, ordered, pcap, record

LEAVES = [certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in (3, 4, 5)]
SNAPPED = 54
"""Bytes of the headers."""


class Truth(NamedTuple):
    """What a connection was. ``leaf``: the place of its back end; of that which issued what was offered, ``origin``."""

    kind: str
    leaf: int
    origin: int | None = None
    is_given_up: bool = False


@dataclass
class Made:
    """Connections, what each was, and how many bytes of each segment the capture holds, where not all."""

    pool: Crowd
    truths: dict[tuple[str, int], Truth]
    snapped: dict[int, int]


def ticket(number: int) -> bytes:
    return struct.pack(">I", number) * 40


def given_up(flow: Flow) -> None:
    """The client ends it, with an alert, where it would have sent its key."""
    place = next(n for n, s in enumerate(flow.segments) if s.from_client and s.payload[:1] == b"\x16" and n > 4)
    at, sent = flow.segments[place], flow.segments[place].seq
    flow.segments[place:] = [replace(at, payload=record(21, bytes([2, 42])))]
    flow.sent = [sent + 7, flow.segments[place - 1].seq + len(flow.segments[place - 1].payload)]
    flow.ns = at.ns + 1_000_000
    flow.close()


def by_ids(pool: Crowd, number: int, truths: list[Truth]) -> None:
    """Issued, resumed, and declined by another back end, which half of the time is given up."""
    issuer, other, ident = number % 3, (number + 1 + number // 3 % 2) % 3, numbered(300_000 + number)
    full(pool, ident, der=LEAVES[issuer])
    abbreviated(pool, ident)
    last = full(pool, numbered(600_000 + number), offered=ident, der=LEAVES[other])
    _told(last, number, issuer, other, truths)


def by_tickets(pool: Crowd, number: int, truths: list[Truth]) -> None:
    """The same by tickets, which the server of another key declines."""
    issuer, other, one = number % 3, (number + 1 + number // 3 % 2) % 3, ticket(number)
    full(pool, b"", ticket=b"", issued=one, der=LEAVES[issuer])
    abbreviated(pool, numbered(300_000 + number), one)
    last = full(pool, b"", offered=numbered(600_000 + number), ticket=one, issued=ticket(-1 - number & 0xFFFF_FFFF),
                der=LEAVES[other])  # fmt: skip
    _told(last, number, issuer, other, truths)


def _told(last: Flow, number: int, issuer: int, other: int, truths: list[Truth]) -> None:
    if number % 2:
        given_up(last)
    truths += [Truth("full", issuer), Truth("resumed", issuer, issuer)]
    truths.append(Truth("full", other, issuer, is_given_up=bool(number % 2)))


def by_keys(pool: Crowd, number: int, truths: list[Truth]) -> None:
    """TLS 1.3: offered, accepted or declined; of back ends nothing can be seen."""
    psk_offered(pool, ticket(number), accepted=number % 2 == 0)
    truths.append(Truth("resumed" if number % 2 == 0 else "full", -1))


STORIES: dict[str, Callable[[Crowd, int, list[Truth]], None]] = {
    "ids": by_ids,
    "tickets": by_tickets,
    "TLS 1.3": by_keys,
}

Harm = Callable[[Made, Flow, int], None]
"""Of a connection by its number."""


def flight(flow: Flow, *, by_client: bool) -> int:
    """The place of the largest segment of a side, which is its flight or hello."""
    own = [n for n, s in enumerate(flow.segments) if s.from_client == by_client]
    return max(own, key=lambda n: len(flow.segments[n].payload))


def without(segment: Segment, first: int, last: int) -> list[Segment]:
    """What is left of a segment without the bytes from ``first`` to ``last``."""
    before = replace(segment, payload=segment.payload[:first])
    behind = replace(segment, seq=segment.seq + last, payload=segment.payload[last:])
    return [one for one in (before, behind) if one.payload]


def cut(made: Made, flow: Flow, number: int, *, by_client: bool = False) -> None:
    """The rest of the flight is lost; the connection goes on."""
    place = flight(flow, by_client=by_client)
    length = len(flow.segments[place].payload)
    flow.segments[place : place + 1] = without(flow.segments[place], number * 7 % length, length)


def ended(made: Made, flow: Flow, number: int) -> None:
    """The capture ends in it."""
    place = flight(flow, by_client=False)
    cut(made, flow, number)
    del flow.segments[place + 1 :]


def begun(made: Made, flow: Flow, number: int) -> None:
    """The capture begins in it."""
    place = flight(flow, by_client=False)
    whole = flow.segments[place]
    flow.segments[: place + 1] = without(whole, 0, number * 7 % len(whole.payload))


def hole(made: Made, flow: Flow, number: int, *, by_client: bool = False) -> None:
    """Some bytes in it are lost."""
    place = flight(flow, by_client=by_client)
    length = len(flow.segments[place].payload)
    first = number * 7 % length
    flow.segments[place : place + 1] = without(flow.segments[place], first, min(first + 1 + number % 90, length))


def holes(made: Made, flow: Flow, number: int) -> None:
    """Several in both directions."""
    for step in range(3):
        hole(made, flow, number * 13 + step * 41)
        hole(made, flow, number * 11 + step * 29, by_client=True)


def snapped(made: Made, flow: Flow, number: int) -> None:
    """All segments but the first few are held up to a length."""
    for segment in flow.segments:
        if segment.payload:
            made.snapped[id(segment)] = SNAPPED + number * 7 % 700


def one_missing(made: Made, flow: Flow, number: int) -> None:
    """One segment is lost."""
    del flow.segments[3 + number % (len(flow.segments) - 3)]


HARMS: dict[str, Harm] = {
    "cut": cut,
    "cut, the client's": partial(cut, by_client=True),
    "ended": ended,
    "begun": begun,
    "a hole": hole,
    "several holes": holes,
    "snapped": snapped,
    "a segment lost": one_missing,
}


def made(story: str, harm: str, count: int) -> Made:
    """So many sessions."""
    pool, truths = Crowd(), list[Truth]()
    for number in range(count):
        STORIES[story](pool, number, truths)
    known = {(flow.client, flow.port): truth for flow, truth in zip(pool.flows, truths, strict=True)}
    result = Made(pool, known, {})
    for number, flow in enumerate(pool.flows):
        if number % 3 == number // 9 % 3:
            HARMS[harm](result, flow, number)
    return result


def recorded(flows: Iterable[Flow], held: dict[int, int]) -> bytes:
    """A capture that holds so many bytes of some segments."""
    out = bytearray(pcap([]))
    for segment in ordered(flows):
        frame = ethernet(segment)
        some = frame[: held.get(id(segment), len(frame))]
        out += struct.pack("<IIII", *divmod(segment.ns, 10**9), len(some), len(frame)) + some
    return bytes(out)


def harmed(names: tuple[str, str], count: int) -> Given:
    """As a capture, with an abort of other back ends behind it."""
    one = made(*names, count)
    return Given(recorded([*one.pool.flows, *abort_flows(one.pool.ns)], one.snapped))


ATTACKS = tuple(
    Attack("flights", f"{story}, {harm}", partial(harmed, (story, harm)), 60, 5_000, aborts=-1)
    for story in STORIES
    for harm in HARMS
)
