"""Which TLS implementation a client runs, told from the shape of its ClientHello. Always an inference; ``basis`` says
from what.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Literal, NamedTuple

from inspector import bounds
from inspector.tls.registry import SCSV, is_grease
from inspector.tls.shapes import HelloShape

TLS13_SUITES = 0x13
"""The first byte of the cipher suites of TLS 1.3 (RFC 8446, appendix B.4)."""
ENCRYPT_THEN_MAC, RENEGOTIATION_INFO, STATUS_REQUEST_V2, SCT = 22, 65281, 17, 18

JSSE_ORDERS = (
    (0, 1, 5, 10, 11, 16, 17, 23, 35, 13, 43, 44, 45, 47, 50, 51, RENEGOTIATION_INFO, 41),
    (0, 1, 5, 10, 11, 13, 50, 16, 17, 23, 35, 43, 44, 45, 47, 51, RENEGOTIATION_INFO, 41),
    (10, 11, 13, 23, 0, 1, 5, 17, 16, RENEGOTIATION_INFO),
)
"""The order in which JDK 13 and later, JDK 11 and 8u261, and JDK 7 and 8 write their extensions."""


class Stack(NamedTuple):
    """``name``: jsse, openssl, go, nss, gnutls, schannel, boringssl or unknown."""

    name: str
    basis: tuple[str, ...]

    @property
    def grade(self) -> Literal["inferred", "not_visible"]:
        """``inferred``, or ``not_visible`` where nothing tells."""
        return "not_visible" if self.name == "unknown" else "inferred"


UNKNOWN = Stack("unknown", ())


def _in_order(extensions: tuple[int, ...], order: tuple[int, ...]) -> bool:
    rank = {kind: i for i, kind in enumerate(order)}
    try:
        places = [rank[kind] for kind in extensions]
    except KeyError:
        return False
    return places == sorted(places)


def _adjacent(extensions: tuple[int, ...], *wanted: int) -> bool:
    return any(extensions[i : i + len(wanted)] == wanted for i in range(len(extensions)))


_stacks: dict[bytes, Stack] = {}


def stack(shape: HelloShape) -> Stack:
    """The implementation that writes hellos like this one."""
    known = _stacks.get(shape.key)
    if known is None:
        known = _recognise(shape)
        if shape.key and len(_stacks) < bounds.CACHE:
            _stacks[shape.key] = known
    return known


_programs: dict[bytes, bytes] = {}


def program(shape: HelloShape | None) -> bytes:
    """What tells programs of one stack at one address apart: their cipher suites. Those of TLS 1.3 and GREASE are left
    out, and no extension counts, for they change with the session that is offered; empty where there is no hello.
    """
    if shape is None:
        return b""
    known = _programs.get(shape.key)
    if known is None:
        suites = [code for code in shape.cipher_suites if code >> 8 != TLS13_SUITES and not is_grease(code)]
        known = hashlib.blake2s(
            struct.pack(f">{len(suites)}H", *(code & 0xFFFF for code in suites)), digest_size=8
        ).digest()
        if shape.key and len(_programs) < bounds.CACHE:
            _programs[shape.key] = known
    return known


def _recognise(shape: HelloShape) -> Stack:
    if any(is_grease(e) for e in shape.extensions) or any(is_grease(c) for c in shape.cipher_suites):
        return Stack("boringssl", ("GREASE values",))
    extensions = shape.extensions
    if not extensions:
        return UNKNOWN
    if (
        SCSV in shape.cipher_suites[-1:]
        and RENEGOTIATION_INFO not in extensions
        and shape.point_formats in ((), (0,))
        and len(extensions) >= 2
        and any(_in_order(extensions, order) for order in JSSE_ORDERS)
    ):
        basis = ["extension order", "TLS_EMPTY_RENEGOTIATION_INFO_SCSV last"]
        if STATUS_REQUEST_V2 in extensions:
            basis.append("status_request_v2")
        return Stack("jsse", tuple(basis))
    if _adjacent(extensions, 11, 10):
        return Stack("openssl", ("ec_point_formats before supported_groups",))
    if _adjacent(extensions, 23, RENEGOTIATION_INFO, 10, 11):
        return Stack("nss", ("extension order",))
    if ENCRYPT_THEN_MAC in extensions and RENEGOTIATION_INFO in extensions:
        return Stack("gnutls", ("encrypt_then_mac and renegotiation_info",))
    if SCT in extensions and RENEGOTIATION_INFO in extensions and _adjacent(extensions, 10, 11):
        return Stack("go", ("extension order", "signed_certificate_timestamp"))
    if extensions[-1] == RENEGOTIATION_INFO and 23 in extensions:
        return Stack("schannel", ("extension order",))
    return UNKNOWN
