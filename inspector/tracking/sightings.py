"""Every connection once, by one clock, whatever number of captures and journals holds it.

A *sighting* is one recording of a connection's packets. There are several where two captures overlap, one is a copy of
the other in another format, a journal stands beside the capture that it was made from, a switch hands on each frame
twice, or two taps hang on one wire. The same packets go over the same hop of the way, so the endpoints are equal; what
a balancer sends on is not a sighting but a *leg*: other endpoints, the same handshake (``legs``).

Two sightings between the same endpoints are of one connection where nothing contradicts (another random, a SYN with
another sequence number), and

* a hello was captured in both, and its random is equal: 32 bytes that do not repeat (RFC 8446, section 4.1.2),
* or the sequence numbers of the bytes overlap, in each direction that both hold (RFC 9293, section 3.4),
* or each holds one direction only, and they begin at about the same time: a tap for each direction.

Of each direction the fullest sighting counts: what was lost on one way is often there on the other. Where the others
were captured stays with the connection. Which connections are compared at all is looked up in the prefix of the packed
ones, without unpacking: those whose client random stands there twice, or not at all.

Before that, clocks are made one, for vantage points each have their own: that of both directions (``directions``), then
those of all vantage points (``vantage_clocks``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from itertools import islice

import msgspec
import numpy as np

from inspector import bounds
from inspector.facts import (
    AlertFact,
    ClockOffset,
    ConnectionFacts,
    Facts,
    FrameRange,
    HandshakeFacts,
    LaneFacts,
    PackedEndpoint,
    pack_events,
    unpack_events,
)
from inspector.facts.spool import selected
from inspector.tracking.directions import SAMPLE, skews
from inspector.tracking.prefixes import random_ends, repeated, times
from inspector.tracking.rungs import in_order
from inspector.tracking.shared_clocks import by_clock
from inspector.tracking.vantage import Vantages, retimed
from inspector.tracking.vantage_clocks import offsets

NEAR = 32
"""A sighting without a client random is held against so many connections between its endpoints, and any against so many
sightings of one.
"""

CLIENT_SIDE, SERVER_SIDE = 0x00FF, 0xFF00
"""The C_ and S_ bits of ``HandshakeFacts.messages`` and ``missing``."""


def merge_sightings(facts: Facts) -> Facts:
    """The same facts, or facts of the same captures with fewer connections and times of one clock. Facts that were
    merged stay as they are. There may be millions that are compared, so few are unpacked at once.
    """
    vantages = Vantages(facts.captures)
    facts = _one_clock_for_directions(facts, vantages)
    ends = random_ends(facts.connections)
    is_repeated = np.isin(ends, repeated(ends))
    suspects = np.flatnonzero((ends == 0) | is_repeated)
    agreed = offsets(_handshakes(facts, ends, np.flatnonzero(is_repeated)), vantages)
    facts = _aligned(facts, agreed.compared)
    if not len(suspects):
        return facts
    late = agreed.late
    if any(late.values()):
        moved = (
            (index, retimed(connection, -by, -by))
            for index, connection in enumerate(facts.unpack_all(facts.connections))
            if (by := late.get(vantages.home(connection), 0))
        )
        facts = _replaced(facts, moved, {v[0]: offset for v, offset in agreed.clock_offsets.items() if not v[1]})
    return _with_merged_groups(facts, _between_same_ends(facts, suspects.tolist()))


def ordered(facts: Facts) -> MutableSequence[bytes]:
    """All connections in the order of their ClientHellos; of those at the same moment, in the order of their frames."""
    moments = times(facts.connections)
    order = np.argsort(moments, kind="stable")
    moments = moments[order]
    edges = np.flatnonzero(np.concatenate(([True], moments[1:] != moments[:-1], [True])))
    several = np.flatnonzero(np.diff(edges) > 1)
    for first, behind in zip(edges[several].tolist(), edges[several + 1].tolist(), strict=True):
        order[first:behind] = sorted(order[first:behind].tolist(), key=lambda index: _first_frame(facts, index))
    return selected(facts.connections, order.tolist())


def _first_frame(facts: Facts, index: int) -> tuple[int, PackedEndpoint, PackedEndpoint, bytes]:
    packed = facts.connections[index]
    connection = facts.unpack(packed)
    return connection.handshake.hello_frame or connection.first_frame, connection.client, connection.server, packed


def _one_clock_for_directions(facts: Facts, vantages: Vantages) -> Facts:
    """Take out what the clock of the servers' frames is late."""
    packed = facts.connections
    step = max(len(packed) // SAMPLE, 1)
    skews_of = skews((facts.unpack(packed[index]) for index in range(0, len(packed), step)), vantages)
    if not skews_of:
        return facts
    moved = (
        (index, retimed(connection, 0, -skew.ns))
        for index, connection in enumerate(facts.unpack_all(packed))
        if (skew := skews_of.get(vantages.sides(connection))) is not None
    )
    offsets = {pair[1][0]: ClockOffset(*skew, other=pair[0][0]) for pair, skew in skews_of.items()}
    return _replaced(facts, moved, offsets)


def _replaced(facts: Facts, moved: Iterable[tuple[int, ConnectionFacts]], offsets: dict[int, ClockOffset]) -> Facts:
    """The facts with some connections, by their indices, replaced, and with what is known of clocks by capture."""
    connections = facts.connections[:]
    copy = msgspec.structs.replace(facts, captures=list(facts.captures), connections=connections)
    for index, connection in moved:
        copy.connections[index] = copy.pack(connection)
    for capture, offset in offsets.items():
        if capture < len(copy.captures):
            old = copy.captures[capture]
            copy.captures[capture] = msgspec.structs.replace(old, clocks=(*old.clocks, offset))
    return copy


def _aligned(facts: Facts, compared: set[int]) -> Facts:
    """The facts with it said of each capture of a host whether its clock was compared with those of the others.
    ``compared``: indices of captures.
    """
    captures = facts.captures
    is_alone = [False] * len(captures)
    if len({capture.host for capture in captures if capture.host and capture.packets}) > 1:
        for group in by_clock(captures):
            if compared.isdisjoint(group) and any(captures[index].packets for index in group):
                for index in group:
                    is_alone[index] = bool(captures[index].host)
    if is_alone == [capture.is_unaligned for capture in captures]:
        return facts
    captures = [
        msgspec.structs.replace(capture, is_unaligned=is_unaligned)
        for capture, is_unaligned in zip(captures, is_alone, strict=True)
    ]
    return msgspec.structs.replace(facts, captures=captures)


def _handshakes(facts: Facts, ends: np.ndarray, again: np.ndarray) -> Iterator[list[ConnectionFacts]]:
    """Those of one handshake: both randoms are equal, or only one server random is known. ``again``: indices of
    connections the end of whose client random is there more than once.
    """
    by_end = again[np.argsort(ends[again], kind="stable")]
    edges = np.flatnonzero(np.diff(ends[by_end])) + 1
    for alike in np.split(by_end, edges):
        groups: dict[bytes, dict[bytes, list[ConnectionFacts]]] = {}
        for connection in facts.unpack_all(facts.connections[index] for index in alike.tolist()):
            handshake = connection.handshake
            if handshake.client_random:
                by_server = groups.setdefault(handshake.client_random, {})
                by_server.setdefault(handshake.server_random, []).append(connection)
        for by_server in groups.values():
            unanswered = by_server.pop(b"", [])
            if len(by_server) < 2:
                by_server = {b"": [connection for members in by_server.values() for connection in members]}
                by_server[b""] += unanswered
            yield from (members for members in by_server.values() if len(members) > 1)


def _between_same_ends(facts: Facts, suspects: list[int]) -> list[list[int]]:
    """Connections that another may equal, by their indices: those between the same endpoints, where there are several,
    in the order in which they began. ``suspects``: whose client random is there twice, or was not captured; whoever has
    the same endpoints as one of the latter is held against it too.
    """
    groups: dict[bytes, list[tuple[int, int]]] = {}
    without_random: set[bytes] = set()
    for index in suspects:
        connection = facts.unpack(facts.connections[index])
        ends = _ends(connection.client, connection.server)
        groups.setdefault(ends, []).append((connection.first_ns, index))
        if not connection.handshake.client_random:
            without_random.add(ends)
    if without_random:
        known = set(suspects)
        for index, packed in enumerate(facts.connections):
            if index not in known:
                head = facts.head(packed)
                ends = _ends(head.client, head.server)
                if ends in without_random:
                    groups[ends].append((head.first_ns, index))
    return [[index for _, index in sorted(group)] for group in groups.values() if len(group) > 1]


def _ends(client: PackedEndpoint, server: PackedEndpoint) -> bytes:
    """Two endpoints, whoever of them is the client: few bytes, for there may be millions."""
    one, other = (_END.pack(end.port, len(end.address)) + end.address for end in (client, server))
    return one + other if one < other else other + one


_END = struct.Struct(">HB")


def _with_merged_groups(facts: Facts, groups: Iterable[list[int]]) -> Facts:
    """The facts with one connection for all sightings of it. ``groups``: as ``_between_same_ends`` says."""
    connections = facts.connections[:]
    dropped: set[int] = set()
    for indices in groups:
        sightings = _SightingGroups()
        for index in indices:
            sightings.add(index, facts.unpack(facts.connections[index]))
        for group in sightings.groups:
            if len(group) > 1:
                first, *further = sorted(group)
                connections[first] = facts.pack(merged(list(group.values())))
                dropped.update(further)
    if not dropped:
        return facts
    left = [index for index in range(len(connections)) if index not in dropped]
    return msgspec.structs.replace(facts, connections=selected(connections, left))


class _SightingGroups:
    """The connections between two endpoints, each with its sightings by their indices."""

    def __init__(self) -> None:
        self.groups: list[dict[int, ConnectionFacts]] = []
        self._by_random: dict[bytes, dict[int, ConnectionFacts]] = {}

    def add(self, index: int, connection: ConnectionFacts) -> None:
        """One more sighting, of a known connection or of a new one."""
        random = connection.handshake.client_random
        known = self._by_random.get(random) if random else None
        likely = [known] if known is not None else self.groups[-NEAR:]
        group = next((g for g in likely if all(is_same(other, connection) for other in islice(g.values(), NEAR))), None)
        if group is None:
            group = {}
            self.groups.append(group)
        group[index] = connection
        if random:
            self._by_random.setdefault(random, group)


def is_same(one: ConnectionFacts, other: ConnectionFacts) -> bool:
    """Whether two sightings between the same endpoints are of one connection."""
    a, b = one.handshake, other.handshake
    if a.client_random and b.client_random and a.client_random != b.client_random:
        return False
    if a.server_random and b.server_random and a.server_random != b.server_random:
        return False
    is_turned = one.client != other.client
    lanes = [
        (one.from_client, other.from_server if is_turned else other.from_client),
        (one.from_server, other.from_client if is_turned else other.from_server),
    ]
    if one.syn and other.syn and not is_turned and one.initial_sequence != other.initial_sequence:
        return False
    if (a.client_random and b.client_random) or (a.server_random and b.server_random):
        return True
    disjoint = [apart for mine, theirs in lanes if (apart := _is_disjoint(mine, theirs)) is not None]
    if not disjoint:  # each holds one direction only, and not the same one
        return abs(one.first_ns - other.first_ns) < bounds.APART_NS
    return not any(disjoint)


def _is_disjoint(one: LaneFacts, other: LaneFacts) -> bool | None:
    """Whether the bytes of one direction are not the same: their sequence numbers do not overlap, nor meet where one
    has none (RFC 9293, section 3.4). None: not known.
    """
    if one.sequence is None or other.sequence is None:
        return None
    between = (other.sequence - one.sequence + (1 << 31)) % (1 << 32) - (1 << 31)
    return not -(other.bytes + other.gap) <= between <= one.bytes + one.gap


def merged(sightings: Sequence[ConnectionFacts]) -> ConnectionFacts:
    """One connection of several sightings: of each direction the fullest one, the earliest of equals."""
    base = max(sightings, key=lambda c: _worth(c, True)[:1] + _worth(c, False)[:1] + _worth(c, True) + _worth(c, False))
    alike = [c for c in sightings if c.client == base.client]
    ours, theirs = (max(alike, key=lambda c: (_worth(c, side), c is base)) for side in (True, False))
    composed = base if ours is theirs is base else _composed(base, ours, theirs)
    used = {id(base), id(ours), id(theirs)}
    elsewhere: list[FrameRange] = []
    for c in sightings:
        elsewhere += (*(() if id(c) in used else c.frame_ranges), *c.sightings)
    spread = base.spread
    if composed is not base:
        lanes = [frame_range for c in (ours, theirs) if c is not base for frame_range in c.frame_ranges]
        spread = tuple(sorted({*base.frame_ranges, *lanes}))
    return msgspec.structs.replace(composed, spread=spread, sightings=tuple(dict.fromkeys(elsewhere)))


def _worth(connection: ConnectionFacts, of_client: bool) -> tuple[bool, bool, bool, int, int]:
    """How much a sighting says of one direction: nothing lost first, then the messages, then the bytes."""
    lane = connection.from_client if of_client else connection.from_server
    messages = connection.handshake.messages & (CLIENT_SIDE if of_client else SERVER_SIDE)
    has_hello = bool(connection.handshake.client_random if of_client else connection.handshake.server_random)
    return lane.has_packets and not lane.lost, lane.has_packets, has_hello, messages.bit_count(), lane.bytes


def _composed(base: ConnectionFacts, ours: ConnectionFacts, theirs: ConnectionFacts) -> ConnectionFacts:
    """The client's direction of one sighting and the server's of another."""
    mine, answered = ours.handshake, theirs.handshake
    handshake = HandshakeFacts(
        offer=mine.offer,
        client_random=mine.client_random,
        offered_id=mine.offered_id,
        offered_ticket=mine.offered_ticket,
        offered_psks=mine.offered_psks,
        answer=answered.answer,
        server_random=answered.server_random,
        answered_id=answered.answered_id,
        retried=answered.retried,
        chain=answered.chain,
        client_chain=mine.client_chain,
        authorities=answered.authorities,
        issued_ticket=answered.issued_ticket,
        messages=mine.messages & CLIENT_SIDE | answered.messages & SERVER_SIDE,
        hello_frame=mine.hello_frame,
        answer_frame=answered.answer_frame,
        certificate_frame=answered.certificate_frame,
        key_exchange_frame=mine.key_exchange_frame,
        hello_ns=mine.hello_ns,
        answer_ns=answered.answer_ns,
        issued_tickets=answered.issued_tickets,
        identity_name=mine.identity_name,
        alpn=answered.alpn,
        certificate_end=answered.certificate_end,
        group=answered.group,
        missing=mine.missing & CLIENT_SIDE | answered.missing & SERVER_SIDE,
    )
    events = [e for e in unpack_events(ours.events) if e.from_client] + [
        e for e in unpack_events(theirs.events) if not e.from_client
    ]
    alerts: list[AlertFact] = [a for a in ours.alerts if a.from_client] + [
        a for a in theirs.alerts if not a.from_client
    ]
    first, last = min((ours, theirs, base), key=lambda c: c.first_ns), max((ours, theirs), key=lambda c: c.last_ns)
    return msgspec.structs.replace(
        base,
        initial_sequence=ours.initial_sequence,
        syn=ours.syn,
        first_ns=first.first_ns,
        last_ns=last.last_ns,
        first_frame=first.first_frame,
        last_frame=last.last_frame,
        preamble=ours.preamble or theirs.preamble,
        handshake=handshake,
        from_client=ours.from_client,
        from_server=theirs.from_server,
        alerts=tuple(sorted(alerts, key=lambda a: (a.ns, a.frame))),
        anomalies=(*(a for a in ours.anomalies if a.from_client), *(a for a in theirs.anomalies if not a.from_client)),
        events=pack_events(in_order(events)),
    )
