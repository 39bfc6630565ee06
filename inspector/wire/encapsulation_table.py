"""The one table of encapsulations, put together: every layer that is known by its number, and what that means for
columns of numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inspector.wire.encapsulations import LENGTHS, LLC, SWAPPED, Encapsulation, Layer, Space
from inspector.wire.ethertypes import ETHERTYPES, PPP, PPP_CONTROL, llc
from inspector.wire.ip_tunnels import GRE, IP_PROTOCOLS
from inspector.wire.link_types import LINK_TYPES, swapped_80211
from inspector.wire.udp_tunnels import UDP_PORTS, udp

IP_PROTOCOLS = {**IP_PROTOCOLS, 17: Encapsulation("UDP", udp)}
TABLE: dict[Layer, Encapsulation] = {
    LLC: Encapsulation("LLC", llc),
    SWAPPED: Encapsulation("IEEE 802.11", swapped_80211),
    **{
        (space, number): entry
        for space, entries in (
            (Space.LINK_TYPE, LINK_TYPES),
            (Space.ETHERTYPE, ETHERTYPES),
            (Space.PPP, PPP),
            (Space.IP_PROTOCOL, IP_PROTOCOLS),
            (Space.GRE, ETHERTYPES | GRE),
            (Space.UDP_PORT, UDP_PORTS),
        )
        for number, entry in entries.items()
    },
}
UNKNOWN, PLAIN = Encapsulation(""), Encapsulation("", is_plain=True)


def entry(layer: Layer) -> Encapsulation:
    """What a layer is. Nothing is known of most numbers; some ranges carry no TCP all the same."""
    encapsulation = TABLE.get(layer)
    if encapsulation is not None:
        return encapsulation
    space, number = layer
    is_plain = (
        (space in (Space.ETHERTYPE, Space.GRE) and number < LENGTHS)
        or (space == Space.PPP and number >= PPP_CONTROL)
        or space == Space.UDP_PORT
    )
    return PLAIN if is_plain else UNKNOWN


PASSED, HEADER, DATAGRAM, OPENED, LOST = range(5)
"""What columns do with a packet by its protocol: nothing, read a TCP header, look at UDP's ports, walk, or count it."""


def _meaning(number: int) -> int:
    known = entry((Space.IP_PROTOCOL, number))
    if number in (6, 17):
        return HEADER if number == 6 else DATAGRAM
    return PASSED if known.is_plain else OPENED if known.opens else LOST


PROTOCOL: npt.NDArray[np.uint8] = np.array([_meaning(number) for number in range(256)], np.uint8)
TUNNEL_PORT: npt.NDArray[np.bool_] = np.zeros(1 << 16, np.bool_)
TUNNEL_PORT[list(UDP_PORTS)] = True
