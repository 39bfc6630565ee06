"""The interfaces of this machine, by libpcap where its binding is there, else by Scapy."""

from __future__ import annotations

from socket import AF_INET, AF_INET6
from typing import NamedTuple


class NetworkInterface(NamedTuple):
    """``addresses``: as text. ``text``: what libpcap says of it."""

    name: str
    addresses: tuple[str, ...]
    text: str


def interfaces() -> list[NetworkInterface]:
    """All that can be captured, in the order in which libpcap prefers them."""
    try:
        import cypcap
    except ImportError:
        return _by_scapy()
    known = []
    for interface in cypcap.findalldevs():
        addresses = tuple(
            address.addr[1][0].partition("%")[0]
            for address in interface.addresses
            if address.addr is not None and address.addr[0] in (AF_INET, AF_INET6)
        )
        known.append(NetworkInterface(interface.name, addresses, interface.description or ""))
    return known


def _by_scapy() -> list[NetworkInterface]:
    from scapy.interfaces import get_working_ifaces

    known = [NetworkInterface("any", (), "all interfaces")]
    for interface in get_working_ifaces():
        addresses = tuple(a for version in (4, 6) for a in interface.ips.get(version, ()))
        known.append(NetworkInterface(interface.name, addresses, ""))
    return known
