"""Addresses as small numbers, so that both ends of a segment fit into columns of integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from inspector.capture.frames import I64, U8


class FlowEnd(NamedTuple):
    """``address``: packed, 4 or 16 bytes."""

    address: bytes
    port: int


Ends = tuple[FlowEnd, FlowEnd]
"""Both endpoints of a flow, the lower first."""

Key = tuple[int, int]
"""Both ends of a flow as ``address number << 16 | port``, the lower first."""


class AddressTable:
    """IP addresses as numbers: IPv4 as itself, IPv6 as 2**32 plus the order of its first appearance."""

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._address: dict[int, bytes] = {}
        self._next = 1 << 32

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._address)

    def number(self, address: bytes) -> int:
        """The number of a packed address of 4 or 16 bytes."""
        if len(address) == 4:
            return int.from_bytes(address, "big")
        known_number = self._number.get(address)
        if known_number is None:
            known_number = self._number[address] = self._next
            self._address[known_number] = address
            self._next += 1
        return known_number

    def numbers(self, addresses: U8) -> I64:
        """Those of many IPv6 addresses, rows of 16 bytes."""
        halves = np.ascontiguousarray(addresses).view(np.uint64)
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        ordered = halves[order]
        is_new = np.ones(len(ordered), np.bool_)
        is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        group = np.empty(len(ordered), np.int64)
        group[order] = np.cumsum(is_new) - 1
        first = order[is_new]  # lexsort is stable: the first row that has each address
        number = np.zeros(len(first), np.int64)
        for index in np.argsort(first).tolist():
            number[index] = self.number(addresses[first[index]].tobytes())
        return number[group]

    def long_addresses(self) -> dict[int, bytes]:
        """Those that are no IPv4 addresses, by number."""
        return dict(self._address)

    def address(self, number: int) -> bytes:
        """The packed address of a number."""
        return number.to_bytes(4, "big") if number < 1 << 32 else self._address[number]

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget all others. A number that was forgotten is never given again."""
        self._address = {number: self._address[number] for number in set(numbers) if number >= 1 << 32}
        self._number = {address: number for number, address in self._address.items()}

    def endpoint(self, end: int) -> FlowEnd:
        """An end of a flow, ``address number << 16 | port``."""
        return FlowEnd(self.address(end >> 16), end & 0xFFFF)

    def endpoints(self, key: Key) -> Ends:
        """Both ends of a flow."""
        low, high = (self.endpoint(end) for end in key)
        return (low, high) if low < high else (high, low)
