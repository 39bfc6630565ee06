"""The rungs of a connection's ladder, put in order."""

from __future__ import annotations

from inspector import bounds
from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, AnomalyFact, Event, unpack_events
from inspector.tls.handshake import unexpected
from inspector.tls.history import SEGMENTS


def in_order(events: list[Event]) -> list[Event]:
    """By time, yet what a side says stays in the order of its stream, also where its segments were reordered on their
    way.
    """
    latest = {(side, decrypted): 0 for side in (False, True) for decrypted in (False, True)}
    keyed: list[tuple[int, Event]] = []
    for event in events:
        ns = event.ns
        if event.letter not in SEGMENTS:
            lane = (event.from_client, event.decrypted)  # what is decrypted may come later than what follows it
            ns = latest[lane] = max(ns, latest[lane])
        keyed.append((ns, event))
    keyed.sort(key=lambda pair: pair[0])
    return [event for _, event in keyed]


def out_of_order(events: bytes) -> list[AnomalyFact]:
    """Messages that come out of their order."""
    order = unexpected(events[LETTER_AT::EVENT_BYTES], events[SIDE_AT::EVENT_BYTES])
    listed = unpack_events(events) if order else []
    return [
        AnomalyFact(anomaly.kind, anomaly, listed[i].from_client, 0, "handshake", listed[i].frame)
        for i, anomaly in order[: bounds.ANOMALIES]
    ]
