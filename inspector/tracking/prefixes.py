"""The prefixes of packed connections as columns: what is sorted and compared before anything is unpacked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.facts import PREFIX_BYTES

TIME_BYTES = 8
"""The time of the ClientHello stands first, the end of the client's random behind it."""


def random_ends(packed: Sequence[bytes]) -> np.ndarray:
    """The last eight bytes of each client random (uint64 in any byte order); 0 where none was captured."""
    return np.frombuffer(b"".join([each[TIME_BYTES:PREFIX_BYTES] for each in packed]), np.uint64)


def repeated(values: np.ndarray) -> np.ndarray:
    """The values that are there more than once, in order."""
    in_order = np.sort(values)
    again = in_order[1:][in_order[1:] == in_order[:-1]]
    return np.concatenate((again[:1], again[1:][again[1:] != again[:-1]]))  # np.unique loads masked arrays: 7 ms
