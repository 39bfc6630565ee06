"""Which segments begin as a hello does, by columns."""

from __future__ import annotations

import numpy as np

from inspector.capture.frames import I64, U8, Rows
from inspector.tls.types import CLIENT_HELLO, HANDSHAKE, MAJOR, SERVER_HELLO

HELLO_KIND = 5
"""Where in a record the type of its first handshake message stands."""


def begins_with_hello(octets: U8, start: I64, captured: I64) -> Rows:
    """Which segments begin as a hello does. Each begins a span, so that a hello is noticed where nobody looks any more,
    behind a preamble of any length.
    """
    at = np.minimum(start, max(len(octets) - HELLO_KIND - 1, 0))
    mask: Rows = (captured > HELLO_KIND) & (octets[at] == HANDSHAKE)
    some = np.flatnonzero(mask)
    kind = octets[start[some] + HELLO_KIND]
    mask[some] = (octets[start[some] + 1] == MAJOR) & ((kind == CLIENT_HELLO) | (kind == SERVER_HELLO))
    return mask
