"""Whose packets they are: frames, the two ends of a flow, and flows without TLS."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct


class PackedEndpoint(Struct, frozen=True, order=True, gc=False, array_like=True):
    """``address``: packed, 4 or 16 bytes."""

    address: bytes
    port: int


class OtherFlow(NamedTuple):
    """A flow without TLS. ``client``: its address, empty where too many are known. ``is_silent``: nobody said a byte.
    ``is_unseen``: of bytes that were not captured. ``opening``: the name of the PROXY header that came first, where one
    did; ``answer``: then what the server begins with, its first 16 bytes.
    """

    server: PackedEndpoint
    client: bytes = b""
    is_silent: bool = False
    is_unseen: bool = False
    opening: str = ""
    answer: bytes = b""
