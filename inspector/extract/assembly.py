"""A flow that was followed as facts: what TCP says of it, and what its connection gathered."""

from __future__ import annotations

from typing import NamedTuple

from inspector.extract.conflicts import conflict_facts, is_contradicted
from inspector.extract.connection import ConnectionAssembly
from inspector.facts import (
    EVENT_BYTES,
    LETTER_AT,
    SIDE_AT,
    AnomalyFact,
    Close,
    ConnectionFacts,
    LaneFacts,
    OtherFlow,
    PackedEndpoint,
    message_bits,
)
from inspector.tls.preamble import PROXY_HEADERS, preamble_name
from inspector.tracking.rungs import out_of_order
from inspector.wire.addresses import AddressTable
from inspector.wire.flow import Ending, Flow, FlowKey, Moment


class BegunBefore(NamedTuple):
    """A flow that may be the rest of one from before the first frame. ``first``, ``last``: of its frames. ``result``:
    the index of its connection in the facts, or what it was without TLS.
    """

    began: FlowKey
    first: Moment
    last: Moment
    result: int | OtherFlow


def connection_facts(flow: Flow, connection: ConnectionAssembly, addresses: AddressTable) -> ConnectionFacts:
    """A flow with TLS. ``connection``: the flow's consumer."""
    client = flow.client_lane()
    not_decrypted, opened = connection.channel.outcome() if connection.channel is not None else (None, (0, 0))
    connection.handshake.missing = connection.missing_bits(client)
    events = event_facts(connection, client)
    connection.handshake.messages = message_bits(events[LETTER_AT::EVENT_BYTES], events[SIDE_AT::EVENT_BYTES])
    return ConnectionFacts(
        client=_endpoint(addresses, flow.key[client]),
        server=_endpoint(addresses, flow.key[1 - client]),
        initial_sequence=flow.streams[client].initial_sequence(),
        syn=flow.isns[client] is not None,
        first_ns=flow.first[0],
        last_ns=flow.last[0],
        first_frame=flow.first[1],
        last_frame=flow.last[1],
        rtt=flow.rtt,
        preamble=connection.preamble,
        handshake=connection.handshake,
        from_client=_lane_facts(flow, connection, client, opened[client]),
        from_server=_lane_facts(flow, connection, 1 - client, opened[1 - client]),
        alerts=connection.alerts.facts(client, connection.handshake),
        anomalies=(*_anomaly_facts(connection, client, events), *conflict_facts(flow, client)),
        events=events,
        renegotiations=tuple(connection.handshakes[1:]),
        secrets=not_decrypted,
        spread=flow.spread.ranges() if flow.spread is not None else (),
        sightings=flow.spread.sightings() if flow.spread is not None else (),
    )


def other_flow(flow: Flow, connection: ConnectionAssembly, addresses: AddressTable) -> OtherFlow:
    """A flow without TLS. ``connection``: the flow's consumer."""
    lane = flow.client_lane()
    opening = preamble_name(connection.openings[lane])
    has_header = opening in PROXY_HEADERS
    is_silent = None not in flow.isns and not any(stream.received or stream.top for stream in flow.streams)
    return OtherFlow(
        _endpoint(addresses, flow.key[1 - lane]),
        addresses.address(flow.key[lane] >> 16),
        is_silent,
        flow.is_unseen,
        opening if has_header else "",
        connection.openings[1 - lane] if has_header else b"",
    )


def _endpoint(addresses: AddressTable, end: int) -> PackedEndpoint:
    return PackedEndpoint(addresses.address(end >> 16), end & 0xFFFF)


def _close(flow: Flow, lane: int, ending: Ending) -> Close:
    """What a FIN or RST of one side says of the other side."""
    stream, fin = flow.streams[1 - lane], flow.fins[1 - lane]
    if ending.ack is None:
        return Close(ending.ns, ending.frame)
    acked = stream.offset(ending.ack) if stream.anchored else -1
    is_answer = (
        fin.after == ending.ack
        if fin is not None
        else acked == (stream.top if flow.tops is None else flow.tops[1 - lane]) + 1
    )
    return Close(ending.ns, ending.frame, acked if 0 <= acked <= stream.top + 1 else -1, is_answer)


def _lane_facts(flow: Flow, connection: ConnectionAssembly, lane: int, opened: int) -> LaneFacts:
    """What one direction says. ``opened``: encrypted records that secrets opened."""
    stream, fin, rst = flow.streams[lane], flow.fins[lane], flow.resets[lane]
    reader, missed = connection.reader(lane), stream.top - stream.received
    records, size, tail = connection.application.facts(lane)
    flight_records, flight_bytes = connection.application.flight(lane)
    return LaneFacts(
        bytes=stream.received,
        gap=missed if missed > 0 else 0,
        fin=None if fin is None else _close(flow, lane, fin),
        rst=None if rst is None else _close(flow, lane, rst),
        lost=reader.torn,
        has_packets=flow.packets[lane],
        application_records=records,
        application_bytes=size,
        opened=opened,
        tail=tail,
        searched_bytes=reader.searched_bytes,
        sequence_jump=stream.sequence_jump,
        sequence=stream.initial_sequence() + 1 & 0xFFFFFFFF if stream.anchored else None,
        lost_encrypted=reader.lost_encrypted,
        opening=connection.openings[lane],
        flight_records=flight_records,
        flight_bytes=flight_bytes,
        contradicted=is_contradicted(stream),
    )


def _anomaly_facts(connection: ConnectionAssembly, client: int, events: bytes) -> tuple[AnomalyFact, ...]:
    """All anomalies, the client's first; also messages out of their order."""
    order = out_of_order(events)
    if not connection.anomalies and not order:
        return ()
    facts_of_anomalies = [
        AnomalyFact(what.kind, what, lane == client, offset, path, frame)
        for lane, what, offset, path, frame in connection.anomalies
    ]
    facts_of_anomalies.sort(key=lambda a: (not a.from_client, a.offset))
    return (*facts_of_anomalies, *order)


def event_facts(connection: ConnectionAssembly, client: int) -> bytes:
    """All rungs by time; within a frame the order of the bytes is kept."""
    return bytes(flip_sides(connection.ladder.in_turn(), client))


def flip_sides(events: bytearray, client: int) -> bytearray:
    """Sides of packed events from "lane" to "from the client", or back. ``client``: the lane of the client."""
    if client == 0:
        events[SIDE_AT::EVENT_BYTES] = events[SIDE_AT::EVENT_BYTES].translate(FLIP)
    return events


FLIP = bytes([1, 0, *range(2, 256)])
