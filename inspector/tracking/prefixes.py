"""The prefixes of packed connections as columns: what is sorted and compared before anything is unpacked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.facts.spool import PREFIX_BYTES, TIME_BYTES, SpooledConnections

AT_ONCE = 4096


def random_ends(packed: Sequence[bytes]) -> np.ndarray:
    """The last eight bytes of each client random (uint64 in any byte order); 0 where none was captured."""
    if isinstance(packed, SpooledConnections):
        return np.array(packed.random_ends, np.uint64)
    return np.frombuffer(_column(packed, TIME_BYTES, PREFIX_BYTES), np.uint64)


def times(packed: Sequence[bytes]) -> np.ndarray:
    """The times of the ClientHellos (uint64), each 2^63 later than it was, so that they are in the order of the
    bytes.
    """
    if isinstance(packed, SpooledConnections):
        return np.array(packed.moments, np.uint64)
    return np.frombuffer(_column(packed, 0, TIME_BYTES), ">u8").astype(np.uint64)


def _column(packed: Sequence[bytes], start: int, stop: int) -> bytearray:
    column = bytearray()
    for at in range(0, len(packed), AT_ONCE):  # each piece takes six times its eight bytes while it is one
        column += b"".join([each[start:stop] for each in packed[at : at + AT_ONCE]])
    return column


def repeated(values: np.ndarray) -> np.ndarray:
    """The values that are there more than once, in order."""
    in_order = np.sort(values)
    again = in_order[1:][in_order[1:] == in_order[:-1]]
    return np.concatenate((again[:1], again[1:][again[1:] != again[:-1]]))  # np.unique loads masked arrays: 7 ms
