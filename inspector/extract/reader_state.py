"""Where the reader of a direction stands, as a row or as columns, and how it is brought there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from inspector.capture.frames import I64
from inspector.extract.connection import ConnectionAssembly
from inspector.tls.types import CLEAR, ENCRYPTED

T = TypeVar("T", int, I64)


class ReaderState(NamedTuple, Generic[T]):
    """One direction, or a column over many. ``has_records``: 0 where it holds none, and nothing was read. ``want``,
    ``position``, ``sealed``: as in ``RecordReader``. ``records``, ``bytes``: of application data. ``tail_size``,
    ``tail_frame``, ``tail_ns``: of the last record of it; ``before_size``, ``before_frame``, ``before_ns``: of the one
    before that; ``earlier_ns``: of the third last; 0 where there is none.
    ``flight_records``, ``flight_bytes``: of application data before the other direction's first one.
    """

    has_records: T
    want: T
    position: T
    sealed: T
    records: T
    bytes: T
    tail_size: T
    tail_frame: T
    tail_ns: T
    before_size: T
    before_frame: T
    before_ns: T
    earlier_ns: T
    flight_records: T
    flight_bytes: T


def is_misread(sealed: int, *, is_tls13: bool) -> bool:
    """Whether records only seemed to be encrypted: TLS 1.3 encrypts none of the type handshake."""
    return is_tls13 and sealed == ENCRYPTED


def stand(connection: ConnectionAssembly, states: Sequence[ReaderState[int]]) -> None:
    """Bring both record readers to where they stand. ``states``: of lane 0 and lane 1. The connection knows what its
    messages say.
    """
    for lane, state in enumerate(states):
        if not state.has_records:
            continue
        reader = connection.reader(lane)
        reader.stand(
            state.want, state.position, CLEAR if reader.is_tls13 else state.sealed, is_flowing=state.records > 0
        )
        connection.tls = True
        if state.records:
            flight = state.flight_records, state.flight_bytes
            last = state.tail_size, (0, state.tail_frame, state.tail_ns)
            before = state.before_size, (0, state.before_frame, state.before_ns)
            connection.application.go_on(lane, state.records, state.bytes, (last, before, state.earlier_ns), flight)
