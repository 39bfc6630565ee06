"""The rungs of a connection's ladder, put in order."""

from __future__ import annotations

from inspector.facts import Event
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
