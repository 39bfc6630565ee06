"""Which TLS implementation a client runs, told from the shape of its ClientHello. Always an inference; ``basis`` says
from what.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import Literal, NamedTuple

from inspector.tls.extension_types import ExtensionType as X
from inspector.tls.extensions import HelloShape
from inspector.tls.registry import SCSV, is_grease

TLS13_SUITES = 0x13
"""The first byte of the cipher suites of TLS 1.3 (RFC 8446, appendix B.4)."""

JSSE_ORDERS = (
    (
        X.SERVER_NAME,
        X.MAX_FRAGMENT_LENGTH,
        X.STATUS_REQUEST,
        X.SUPPORTED_GROUPS,
        X.EC_POINT_FORMATS,
        X.ALPN,
        X.STATUS_REQUEST_V2,
        X.EXTENDED_MASTER_SECRET,
        X.SESSION_TICKET,
        X.SIGNATURE_ALGORITHMS,
        X.SUPPORTED_VERSIONS,
        X.COOKIE,
        X.PSK_KEY_EXCHANGE_MODES,
        X.CERTIFICATE_AUTHORITIES,
        X.SIGNATURE_ALGORITHMS_CERT,
        X.KEY_SHARE,
        X.RENEGOTIATION_INFO,
        X.PRE_SHARED_KEY,
    ),
    (
        X.SERVER_NAME,
        X.MAX_FRAGMENT_LENGTH,
        X.STATUS_REQUEST,
        X.SUPPORTED_GROUPS,
        X.EC_POINT_FORMATS,
        X.SIGNATURE_ALGORITHMS,
        X.SIGNATURE_ALGORITHMS_CERT,
        X.ALPN,
        X.STATUS_REQUEST_V2,
        X.EXTENDED_MASTER_SECRET,
        X.SESSION_TICKET,
        X.SUPPORTED_VERSIONS,
        X.COOKIE,
        X.PSK_KEY_EXCHANGE_MODES,
        X.CERTIFICATE_AUTHORITIES,
        X.KEY_SHARE,
        X.RENEGOTIATION_INFO,
        X.PRE_SHARED_KEY,
    ),
    (
        X.SUPPORTED_GROUPS,
        X.EC_POINT_FORMATS,
        X.SIGNATURE_ALGORITHMS,
        X.EXTENDED_MASTER_SECRET,
        X.SERVER_NAME,
        X.MAX_FRAGMENT_LENGTH,
        X.STATUS_REQUEST,
        X.STATUS_REQUEST_V2,
        X.ALPN,
        X.RENEGOTIATION_INFO,
    ),
)
"""The order in which JDK 13 and later, JDK 11 and 8u261, and JDK 7 and 8 write their extensions."""


JSSE_TLS13 = (X.SIGNATURE_ALGORITHMS_CERT, X.PSK_KEY_EXCHANGE_MODES, X.KEY_SHARE)
"""What a JDK sends where it offers TLS 1.3 alone, and so no TLS_EMPTY_RENEGOTIATION_INFO_SCSV, in an order that no
other stack writes."""


class Stack(NamedTuple):
    """``name``: jsse, openssl, go, nss, gnutls, schannel, boringssl, probe or unknown. ``stands_for``: as what client a
    probe asked, "" where nothing says it.
    """

    name: str
    basis: tuple[str, ...]
    stands_for: str = ""

    @property
    def grade(self) -> Literal["inferred", "not_visible"]:
        """``inferred``, or ``not_visible`` where nothing tells."""
        return "not_visible" if self.name == "unknown" else "inferred"

    @property
    def is_probe(self) -> bool:
        """Whether it is a probe."""
        return self.name == PROBE.name


UNKNOWN = Stack("unknown", ())
PROBE = Stack("probe", ("the capture says that a probe made it",))
"""OpenSSL that asks as a Java client does: the rule is asked what Java would do, and the probe goes on. Who asks as
another is another client, with sessions of its own.
"""


def _in_order(extensions: tuple[int, ...], order: tuple[int, ...]) -> bool:
    rank = {kind: i for i, kind in enumerate(order)}
    try:
        ranks = [rank[kind] for kind in extensions]
    except KeyError:
        return False
    return ranks == sorted(ranks)


def _adjacent(extensions: tuple[int, ...], *wanted: int) -> bool:
    return any(extensions[i : i + len(wanted)] == wanted for i in range(len(extensions)))


class Writer(NamedTuple):
    """Who writes hellos of one shape. ``program``: what tells programs of one stack at one address apart, empty where
    there is no hello.
    """

    stack: Stack
    program: bytes


NOBODY = Writer(UNKNOWN, b"")


def writer(shape: HelloShape) -> Writer:
    """Who writes hellos like this one; the stack only where it was read to its end."""
    return _writer(shape.cipher_suites, shape.extensions, shape.point_formats, shape.partial)


@lru_cache(maxsize=512)
def _writer(
    cipher_suites: tuple[int, ...], extensions: tuple[int, ...], point_formats: tuple[int, ...], partial: bool
) -> Writer:
    stack = UNKNOWN if partial else _recognised(cipher_suites, extensions, point_formats)
    return Writer(stack, _program(cipher_suites))


def _program(cipher_suites: tuple[int, ...]) -> bytes:
    """A digest of the cipher suites. Those of TLS 1.3 and GREASE are left out, and no extension counts, for they change
    with the session that is offered.
    """
    suites = [code for code in cipher_suites if code >> 8 != TLS13_SUITES and not is_grease(code)]
    return hashlib.blake2s(struct.pack(f">{len(suites)}H", *(code & 0xFFFF for code in suites)), digest_size=8).digest()


def _recognised(cipher_suites: tuple[int, ...], extensions: tuple[int, ...], point_formats: tuple[int, ...]) -> Stack:
    if any(is_grease(e) for e in extensions) or any(is_grease(c) for c in cipher_suites):
        return Stack("boringssl", ("GREASE values",))
    if not extensions:
        return UNKNOWN
    is_tls13_alone = all(code >> 8 == TLS13_SUITES for code in cipher_suites)
    is_written_so = any(_in_order(extensions, order) for order in JSSE_ORDERS[:2])
    if is_tls13_alone and set(JSSE_TLS13) <= set(extensions) and is_written_so:
        return Stack("jsse", ("extension order, TLS 1.3 alone",))
    if (
        SCSV in cipher_suites[-1:]
        and X.RENEGOTIATION_INFO not in extensions
        and point_formats in ((), (0,))
        and len(extensions) >= 2
        and any(_in_order(extensions, order) for order in JSSE_ORDERS)
    ):
        basis = ["extension order", "TLS_EMPTY_RENEGOTIATION_INFO_SCSV last"]
        if X.STATUS_REQUEST_V2 in extensions:
            basis.append("status_request_v2")
        return Stack("jsse", tuple(basis))
    if _adjacent(extensions, X.EC_POINT_FORMATS, X.SUPPORTED_GROUPS):
        return Stack("openssl", ("ec_point_formats before supported_groups",))
    if _adjacent(extensions, X.EXTENDED_MASTER_SECRET, X.RENEGOTIATION_INFO, X.SUPPORTED_GROUPS, X.EC_POINT_FORMATS):
        return Stack("nss", ("extension order",))
    if X.ENCRYPT_THEN_MAC in extensions and X.RENEGOTIATION_INFO in extensions:
        return Stack("gnutls", ("encrypt_then_mac and renegotiation_info",))
    if (
        X.SIGNED_CERTIFICATE_TIMESTAMP in extensions
        and X.RENEGOTIATION_INFO in extensions
        and _adjacent(extensions, X.SUPPORTED_GROUPS, X.EC_POINT_FORMATS)
    ):
        return Stack("go", ("extension order", "signed_certificate_timestamp"))
    if extensions[-1] == X.RENEGOTIATION_INFO and X.EXTENDED_MASTER_SECRET in extensions:
        return Stack("schannel", ("extension order",))
    return UNKNOWN
