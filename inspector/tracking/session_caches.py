"""Which connections share a session cache: an offered session proves whose cache it lay in, whatever the address it
came from.

One JVM holds a cache for each SSLContext, and several programs may share an address. A connection belongs with the one
that was issued what it offers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from inspector.tracking.observed import Observed


def find_caches(observed: Sequence[Observed]) -> array[int]:
    """For each connection the first one of its cache, as far as offers lead back: uint32. A connection that offers
    nothing known begins anew.
    """
    first = array("I")
    for member in observed:
        issuer = member.issuer
        first.append(first[issuer] if issuer is not None and issuer < len(first) else member.index)
    return first
