"""The interfaces of this machine, by libpcap where there is one, else by Scapy."""

from __future__ import annotations

import ctypes
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from inspector.live.sources.libpcap import ERRBUF_BYTES
from inspector.live.sources.pcap_library import Device, PcapLibrary, decoded, pcap_library

FAMILY_BYTES = 2
ADDRESSES = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""Where the address stands in a ``struct sockaddr`` of this family, and its length: ip(7), ipv6(7)."""


class NetworkInterface(NamedTuple):
    """``addresses``: as text. ``text``: what libpcap says of it."""

    name: str
    addresses: tuple[str, ...]
    text: str


def interfaces() -> list[NetworkInterface]:
    """All that can be captured, in the order in which libpcap prefers them; Scapy's where libpcap says none."""
    try:
        library = pcap_library()
    except ImportError:
        return _by_scapy()
    return _by_libpcap(library) or _by_scapy()


def _by_libpcap(library: PcapLibrary) -> list[NetworkInterface]:
    first = ctypes.POINTER(Device)()
    if library.functions.pcap_findalldevs(ctypes.byref(first), ctypes.create_string_buffer(ERRBUF_BYTES)) < 0:
        return []
    try:
        return [
            NetworkInterface(
                device.name.decode("utf-8", "surrogateescape"),
                tuple(filter(None, (_address(entry.address) for entry in _linked(device.addresses)))),
                decoded(device.description),
            )
            for device in _linked(first)
        ]
    finally:
        library.functions.pcap_freealldevs(first)


def _linked(pointer: Any) -> Iterator[Any]:
    """What a list of C's holds."""
    while pointer:
        yield pointer.contents
        pointer = pointer.contents.next


def _address(at: int | None) -> str:
    """Of a ``struct sockaddr``; empty where it is of no family of the Internet."""
    if at is None:
        return ""
    family = int.from_bytes(ctypes.string_at(at, FAMILY_BYTES), sys.byteorder)
    if family not in ADDRESSES:
        return ""
    offset, length = ADDRESSES[socket.AddressFamily(family)]
    return socket.inet_ntop(family, ctypes.string_at(at + offset, length))


def _by_scapy() -> list[NetworkInterface]:
    import scapy.arch  # noqa: F401 - knows them: without it there are none
    from scapy.interfaces import get_working_ifaces

    known = [NetworkInterface("any", (), "all interfaces")]
    for interface in get_working_ifaces():
        addresses = tuple(a for version in (4, 6) for a in interface.ips.get(version, ()))
        known.append(NetworkInterface(interface.name, addresses, ""))
    return known
