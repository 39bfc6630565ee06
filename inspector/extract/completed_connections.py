"""The facts of connections that opened and closed in one batch and went by the book, by columns over all of them.

Such a connection is told to its end when its batch was read: what is left to do is to put facts together. That needs
neither the readers of its directions nor its flow, only what they would say, and all that is known in columns. The
facts are packed at once. Beside them stays where flow and readers stand, a few hundred bytes, in case that a late
segment comes: then the connection is put together again in the very state in which following it would have left it.

Tests hold these facts against those of connections that were followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import TypeVar

import numpy as np
from msgspec import Struct

from inspector import bounds
from inspector.capture.frames import I64, Rows
from inspector.extract.alerts import AlertNote, AlertNotes
from inspector.extract.assembly import flip_sides
from inspector.extract.connection import new_connection
from inspector.extract.reader_state import ReaderState, stand
from inspector.extract.store import ConnectionStore
from inspector.facts import Close, ConnectionFacts, HandshakeFacts, LaneFacts, Tail
from inspector.wire.addresses import Key
from inspector.wire.flow import Flow
from inspector.wire.regular import DirectionState, FlowState, row_of, state_of
from inspector.wire.sequence_numbers import distance

T = TypeVar("T")
S = TypeVar("S", bound=Struct)


def offsets(sequence: I64, direction: DirectionState[I64]) -> I64:
    """Where sequence numbers lie in their directions (as ``Stream.offset`` says)."""
    return direction.length + distance(direction.isn + 1 + direction.length, sequence)


def other_sides(directions: DirectionState[I64]) -> DirectionState[I64]:
    """For each direction of some flows the other one."""
    other = np.arange(len(directions.isn)) ^ 1
    return DirectionState(*(column[other] for column in directions))


def are_whole(flows: FlowState[I64], directions: DirectionState[I64]) -> Rows:
    """Which flows were closed and have no gap at their end: nothing is acknowledged that did not come."""
    other = other_sides(directions)
    is_short = (directions.ack >= 0) & (other.has_packets == 1) & (offsets(directions.ack, other) - 1 > other.length)
    whole: Rows = (flows.closed == 1) & (_have_fins(directions) | ~is_short.reshape(-1, 2).any(axis=1))
    return whole


def _have_fins(directions: DirectionState[I64]) -> Rows:
    """Which flows both sides ended."""
    ended = directions.fin_frame.reshape(-1, 2) >= 0
    both: Rows = ended[:, 0] & ended[:, 1]
    return both


def structs(kind: type[S], **columns: Iterable[object]) -> Iterator[S]:
    """A struct for each row of some columns; fields without a column have their defaults."""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    required = len(names) - len(defaults)
    missing = {name: repeat(default) for name, default in zip(names[required:], defaults, strict=True)}
    return map(kind, *((missing | columns)[name] for name in names))


class CompletedConnections:
    """Some of a batch. ``keys``, ``first_ns``, ``over_ns``: as in ``CompletedBatch``."""

    def __init__(
        self,
        *,
        flows: FlowState[I64],
        directions: DirectionState[I64],
        readers: ReaderState[I64],
        handshakes: Sequence[HandshakeFacts],
        events: Sequence[bytes],
        alerts: Sequence[Sequence[AlertNote]],
        store: ConnectionStore,
    ) -> None:
        """All columns and lists hold what belongs to them alone. ``events``: packed, as facts hold them."""
        self._store = store
        self._flows, self._directions, self._readers, self._alerts = flows, directions, readers, alerts
        self.keys: Sequence[Key] = list(zip(flows.low.tolist(), flows.high.tolist(), strict=True))
        self.first_ns: Sequence[int] = flows.first_ns.tolist()
        quiet_ns = np.where(_have_fins(directions), bounds.CLOSED_NS, bounds.APART_NS)
        self.over_ns: Sequence[int] = (flows.last_ns + quiet_ns).tolist()
        self._packed = [*map(store.pack, self._facts(handshakes, events))]

    def _facts(self, handshakes: Sequence[HandshakeFacts], events: Sequence[bytes]) -> Iterator[ConnectionFacts]:
        flows = self._flows
        lanes = self._lanes()
        client = 2 * np.arange(len(flows.low)) + flows.opener
        ends = np.where(flows.opener == 0, (flows.low, flows.high), (flows.high, flows.low)).tolist()
        endpoints = {end: self._store.endpoint(end) for end in {*ends[0], *ends[1]}}
        return structs(
            ConnectionFacts,
            client=map(endpoints.__getitem__, ends[0]),
            server=map(endpoints.__getitem__, ends[1]),
            initial_sequence=self._directions.isn[client].tolist(),
            syn=repeat(True),
            first_ns=self.first_ns,
            last_ns=flows.last_ns.tolist(),
            first_frame=flows.first_frame.tolist(),
            last_frame=flows.last_frame.tolist(),
            rtt=_known(flows.rtt.tolist(), flows.rtt >= 0),
            preamble=repeat(""),
            handshake=handshakes,
            from_client=map(lanes.__getitem__, client.tolist()),
            from_server=map(lanes.__getitem__, (client ^ 1).tolist()),
            alerts=[
                AlertNotes(notes).facts(opener, handshake) if notes else ()
                for notes, opener, handshake in zip(self._alerts, flows.opener.tolist(), handshakes, strict=True)
            ],
            anomalies=repeat(()),
            events=events,
        )

    def _lanes(self) -> list[LaneFacts]:
        """What each direction says."""
        directions, readers = self._directions, self._readers
        has_packets = directions.has_packets == 1
        other = other_sides(directions)
        lanes = structs(
            LaneFacts,
            bytes=directions.length.tolist(),
            fin=_closes(directions.fin_ns, directions.fin_frame, directions.fin_ack, other),
            rst=_closes(directions.rst_ns, directions.rst_frame, directions.rst_ack, other),
            has_packets=has_packets.tolist(),
            application_records=readers.records.tolist(),
            application_bytes=readers.bytes.tolist(),
            tail=_tails(readers),
            flight_records=readers.flight_records.tolist(),
            flight_bytes=readers.flight_bytes.tolist(),
            sequence=_known((directions.isn + 1 & 0xFFFFFFFF).tolist(), has_packets),
        )
        return [*lanes]

    def packed(self, index: int) -> bytes:
        """The facts of one of them, as ``Facts.pack`` packs them."""
        return self._packed[index]

    def flow(self, index: int) -> Flow:
        """One of them as following it would have left it."""
        flow, directions, readers = (
            FlowState(*row_of(self._flows, index)),
            [DirectionState(*row_of(self._directions, 2 * index + lane)) for lane in (0, 1)],
            [ReaderState(*row_of(self._readers, 2 * index + lane)) for lane in (0, 1)],
        )
        facts = self._store.unpack(self._packed[index])
        connection = new_connection(self._store)
        connection.go_on(flow.opener, facts.handshake, flip_sides(bytearray(facts.events), flow.opener))
        stand(connection, readers)
        connection.alerts = AlertNotes(self._alerts[index])
        return state_of(flow, directions, connection)

    def ended(self, index: int, *, is_early: bool) -> None:
        """One of them is over."""
        self._store.completed(self._packed[index], is_early=is_early)


def _known(values: Sequence[T], is_known: Rows) -> list[T | None]:
    """None for what is not known."""
    return [value if known else None for value, known in zip(values, is_known.tolist(), strict=True)]


def _closes(ns: I64, frame: I64, ack: I64, other: DirectionState[I64]) -> list[Close | None]:
    """What a FIN or RST of each direction says, None where there is none. ``other``: the other side of each."""
    count, rows = len(frame), np.flatnonzero(frame >= 0)
    other = DirectionState(*(column[rows] for column in other))
    ns, frame, ack = ns[rows], frame[rows], ack[rows]
    has_ack = ack >= 0
    acked = np.where(has_ack & (other.has_packets == 1), offsets(ack, other), -1)
    is_answer = has_ack & np.where(other.fin_frame >= 0, other.fin_after == ack, acked == other.length + 1)
    acked = np.where(acked <= other.length + 1, np.maximum(acked, -1), -1)
    closes: list[Close | None] = [None] * count
    columns = (column.tolist() for column in (ns, frame, acked, is_answer))
    for row, close in zip(rows.tolist(), map(Close, *columns), strict=True):
        closes[row] = close
    return closes


def _tails(readers: ReaderState[I64]) -> list[Tail | None]:
    """The last record of application data of each direction that has one."""
    tails: list[Tail | None] = [None] * len(readers.tail_frame)
    rows = np.flatnonzero(readers.tail_frame)
    columns = (
        readers.tail_size,
        readers.tail_ns,
        readers.tail_frame,
        readers.before_ns,
        readers.before_size,
        readers.before_frame,
        readers.earlier_ns,
    )
    for row, tail in zip(rows.tolist(), map(Tail, *(column[rows].tolist() for column in columns)), strict=True):
        tails[row] = tail
    return tails
