"""Several extractions as one: journals beside captures, and captures that were read side by side."""

from __future__ import annotations

from msgspec.structs import replace

from inspector.facts import (
    FRAME_BITS,
    CaptureFacts,
    ConnectionFacts,
    Facts,
    FrameRange,
    HandshakeFacts,
    LaneFacts,
    absorb,
    pack_events,
    unpack_events,
)


def merge(parts: list[Facts]) -> Facts:
    """Several extractions as one, their captures in the order of the first frame; frame references follow."""
    order = sorted(
        (
            (part_index, index, capture)
            for part_index, part in enumerate(parts)
            for index, capture in enumerate(part.captures)
        ),
        key=lambda item: (item[2].first_ns is None, item[2].first_ns or 0),
    )
    indexes = {(part_index, index): new for new, (part_index, index, _) in enumerate(order)}
    whole = Facts(captures=[_capture_moved(capture, indexes, part) for part, _, capture in order])
    for part_index, part in enumerate(parts):
        moved = {index: indexes[part_index, index] for index in range(len(part.captures))}
        absorb(whole, part)
        if any(a != b for a, b in moved.items()):
            first = len(whole.connections) - len(part.connections)
            whole.connections[first:] = [whole.pack(_moved(whole.unpack(packed), moved)) for packed in part.connections]
    return whole


def _capture_moved(capture: CaptureFacts, indexes: dict[tuple[int, int], int], part: int) -> CaptureFacts:
    if not capture.clocks:
        return capture
    return replace(
        capture, clocks=tuple(clock._replace(other=indexes.get((part, clock.other), 0)) for clock in capture.clocks)
    )


def _moved(connection: ConnectionFacts, captures: dict[int, int]) -> ConnectionFacts:
    """The connection with frame references into captures that have new indexes."""

    def frame(reference: int) -> int:
        return reference and captures[reference >> FRAME_BITS] << FRAME_BITS | reference & (1 << FRAME_BITS) - 1

    def lane(facts: LaneFacts) -> LaneFacts:
        return replace(
            facts,
            fin=facts.fin and replace(facts.fin, frame=frame(facts.fin.frame)),
            rst=facts.rst and replace(facts.rst, frame=frame(facts.rst.frame)),
            tail=facts.tail
            and replace(facts.tail, frame=frame(facts.tail.frame), previous_frame=frame(facts.tail.previous_frame)),
        )

    def handshake(h: HandshakeFacts) -> HandshakeFacts:
        return replace(
            h,
            hello_frame=frame(h.hello_frame),
            answer_frame=frame(h.answer_frame),
            certificate_frame=frame(h.certificate_frame),
            key_exchange_frame=frame(h.key_exchange_frame),
        )

    def ranges(listed: tuple[FrameRange, ...]) -> tuple[FrameRange, ...]:
        return tuple((frame(first), frame(last)) for first, last in listed)

    return replace(
        connection,
        spread=ranges(connection.spread),
        sightings=ranges(connection.sightings),
        first_frame=frame(connection.first_frame),
        last_frame=frame(connection.last_frame),
        handshake=handshake(connection.handshake),
        renegotiations=tuple(handshake(h) for h in connection.renegotiations),
        from_client=lane(connection.from_client),
        from_server=lane(connection.from_server),
        alerts=tuple(replace(a, frame=frame(a.frame)) for a in connection.alerts),
        anomalies=tuple(
            replace(a, frame=frame(a.frame), other_frame=frame(a.other_frame) if a.other_frame else 0)
            for a in connection.anomalies
        ),
        events=pack_events([replace(e, frame=frame(e.frame)) for e in unpack_events(connection.events)]),
    )
