"""Handshakes inside an established connection, up to TLS 1.2, by the types, order and times of encrypted records.

The content type of a record stays in clear (RFC 5246, section 6.2.1). Of an encrypted handshake record nothing else is
known, but a side's first one is its Finished; so any further one belongs to a renegotiation. From there on the order
speaks: the client's first record is its ClientHello, where the server's stands before it that is a HelloRequest
(section 7.4.1.1); what the server sends behind the ClientHello is its flight; a ChangeCipherSpec and one more record
are a side's Finished, and end its part. Whose ChangeCipherSpec comes first tells a full handshake from an abbreviated
one (section 7.3). An alert before the server's flight declines; an alert or a close behind it breaks the handshake off.

That one was completed, its records show. That it was declined, broken off or abbreviated rests on what was *not* sent,
and is said only where no encrypted record is missing.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, ConnectionFacts, Event, HandshakeFacts, unpack_events
from inspector.tls.history import ALERTS, CLOSES, Letter
from inspector.tracking.closing import Side, closed_first
from inspector.tracking.kinds import Kind, KindReason
from inspector.tracking.sessions import NOTHING, LedgerEntry

State = Literal["completed", "declined", "aborted", "open"]
ENCRYPTED_HANDSHAKE = Letter.ENCRYPTED_HANDSHAKE.byte[0]


class Renegotiation(Struct, gc=False):
    """``frame``, ``ns``: where it begins. ``records``: all of it, in order. ``flight``: the server's records from the
    ClientHello to the client's next one. ``keyed``: the client's between ClientHello and ChangeCipherSpec.
    ``finished``: frame of the client's Finished, 0 where there is none.

    *declined*: asked for or offered, and not entered; *aborted*: broken off after the server's flight began; ``by``:
    who did; ``ended``: the alert or close. *open*: not completed, and what became of it was not captured.
    ``handshake_index``: its index among the decrypted handshakes, or -1; for those ``kind``, ``reason`` and ``entry``
    are as of a connection's own handshake.
    """

    frame: int
    ns: int
    asked_by_server: bool
    state: State
    by: Side | None
    shape: Literal["full", "abbreviated"] | None
    records: tuple[Event, ...]
    hello: Event | None
    flight: tuple[Event, ...]
    keyed: tuple[Event, ...]
    finished: int
    ended: int
    handshake_index: int = -1
    kind: Kind | None = None
    reason: KindReason | None = None
    entry: LedgerEntry = NOTHING

    @property
    def broken_off_by(self) -> Side | None:
        """Who aborted it."""
        return self.by if self.state == "aborted" else None


class _Attempt:
    """Records of one renegotiation while they are gathered, each with its index in the connection."""

    def __init__(self) -> None:
        self.records: list[tuple[int, Event]] = []
        self.changed = [False, False]
        self.done = [False, False]
        self.alert: tuple[int, Event] | None = None

    def sent(self, side: bool) -> list[tuple[int, Event]]:
        return [pair for pair in self.records if pair[1].from_client == side]

    def has_flight(self) -> bool:
        """Whether the server sent something behind the ClientHello."""
        hello = next((index for index, event in self.records if event.from_client), None)
        return hello is not None and any(not event.from_client and index > hello for index, event in self.records)


def renegotiates(events: bytes) -> bool:
    """Whether a side sent a second encrypted handshake record: a quick look before the events are unpacked."""
    letters = events[LETTER_AT::EVENT_BYTES]
    count = letters.count(ENCRYPTED_HANDSHAKE)
    if count != 2:
        return count > 2
    first, second = letters.find(ENCRYPTED_HANDSHAKE), letters.rfind(ENCRYPTED_HANDSHAKE)
    return events[first * EVENT_BYTES + SIDE_AT] == events[second * EVENT_BYTES + SIDE_AT]


def find_renegotiations(client_leg: ConnectionFacts) -> tuple[Renegotiation, ...]:
    """All of a connection, in order."""
    if client_leg.handshake.answer is None or client_leg.handshake.is_tls13 or not renegotiates(client_leg.events):
        return ()
    events = [event for event in unpack_events(client_leg.events) if not event.decrypted]
    attempts: list[Renegotiation] = []
    for attempt in _attempts(events):
        made = _renegotiation(attempt, events, client_leg)
        made.handshake_index = _index_of(made, client_leg.renegotiations)
        attempts.append(made)
    return tuple(attempts)


def _attempts(events: list[Event]) -> list[_Attempt]:
    """Cut at each side's Finished, and where an alert answers what was only asked for."""
    attempts: list[_Attempt] = []
    current = [0, 0]
    is_first = [True, True]
    for index, event in enumerate(events):
        side = event.from_client
        if event.letter in (Letter.ENCRYPTED_HANDSHAKE, Letter.ENCRYPTED_CHANGE_CIPHER_SPEC):
            if is_first[side]:
                is_first[side] = event.letter != Letter.ENCRYPTED_HANDSHAKE
                continue
            while len(attempts) <= current[side]:
                attempts.append(_Attempt())
            attempt = attempts[current[side]]
            attempt.records.append((index, event))
            if event.letter == Letter.ENCRYPTED_CHANGE_CIPHER_SPEC:
                attempt.changed[side] = True
            elif attempt.changed[side]:
                attempt.done[side] = True
                current[side] += 1
        elif (
            event.letter == Letter.ENCRYPTED_ALERT
            and attempts
            and attempts[-1].alert is None
            and not all(attempts[-1].done)
        ):
            attempts[-1].alert = (index, event)
            if not attempts[-1].has_flight():
                current = [len(attempts), len(attempts)]
    return attempts


def _renegotiation(attempt: _Attempt, events: list[Event], client_leg: ConnectionFacts) -> Renegotiation:
    ours, theirs = attempt.sent(True), attempt.sent(False)
    hello = ours[0] if ours else None
    start = hello[0] if hello is not None else len(events)
    following = next((index for index, _ in ours[1:]), len(events))
    change = {
        side: next((index for index, event in sent if event.letter == Letter.ENCRYPTED_CHANGE_CIPHER_SPEC), len(events))
        for side, sent in ((True, ours), (False, theirs))
    }
    flight = [event for index, event in theirs if start < index < min(following, change[False])]
    keyed = [event for index, event in ours[1:] if index < change[True]]
    finished = next(
        (event.frame for index, event in ours if index > change[True] and event.letter == Letter.ENCRYPTED_HANDSHAKE), 0
    )
    first = attempt.records[0]
    is_whole = not (client_leg.from_client.lost_encrypted or client_leg.from_server.lost_encrypted)
    state, by, ended = _end(attempt, events, client_leg) if is_whole or all(attempt.done) else OPEN
    shape: Literal["full", "abbreviated"] | None = None
    if change[True] != change[False] and (is_whole or max(change.values()) < len(events)):
        shape = "full" if change[True] < change[False] else "abbreviated"
    return Renegotiation(
        frame=first[1].frame,
        ns=first[1].ns,
        asked_by_server=not first[1].from_client,
        state=state,
        by=by,
        shape=shape,
        records=tuple(sorted((event for _, event in attempt.records), key=lambda e: (e.ns, e.frame))),
        hello=hello[1] if hello is not None else None,
        flight=tuple(flight),
        keyed=tuple(keyed),
        finished=finished,
        ended=ended,
    )


End = tuple[State, Side | None, int]
"""What became of it, by whom, and the frame of the alert or close."""
OPEN: End = ("open", None, 0)


def _end(attempt: _Attempt, events: list[Event], client_leg: ConnectionFacts) -> End:
    """Of one of which no record is missing. Who closed is told as TCP tells it, by FINs that were not captured too."""
    if all(attempt.done):
        return "completed", None, 0
    begin = attempt.records[0][0]
    end: Event | None = attempt.alert[1] if attempt.alert is not None else None
    if end is None:
        end = next(
            (event for index, event in enumerate(events) if index > begin and event.letter in CLOSES | ALERTS), None
        )
    if end is None:
        return OPEN
    side: Side = "client" if end.from_client else "server"
    if end.letter in CLOSES:
        side = closed_first(client_leg)[0] or side
    if attempt.has_flight():
        return "aborted", side, end.frame
    if all(not event.from_client for _, event in attempt.records):
        side = "client"  # was asked and did not begin, whoever closed
    return "declined", side, end.frame


def _index_of(made: Renegotiation, handshakes: tuple[HandshakeFacts, ...]) -> int:
    """Which of the decrypted handshakes it is."""
    frames = {event.frame for event in made.records}
    return next(
        (
            number
            for number, handshake in enumerate(handshakes)
            if {handshake.hello_frame, handshake.answer_frame} & frames
        ),
        -1,
    )
