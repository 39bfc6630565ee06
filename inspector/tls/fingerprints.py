"""JA3 and JA3S (Salesforce) and JA4 (FoxIO) exactly as their authors define them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache

from inspector.tls.extensions import HelloShape
from inspector.tls.registry import without_grease
from inspector.tls.types import TLS10, TLS11, TLS12, TLS13, ProtocolVersion

JA4_VERSIONS = {
    TLS13: "13",
    TLS12: "12",
    TLS11: "11",
    TLS10: "10",
    ProtocolVersion.SSL_3_0: "s3",
    ProtocolVersion.SSL_2_0: "s2",
}
SERVER_NAME, ALPN = 0, 16


def md5(text: str) -> str:
    """MD5 as a name, not as protection, so that hosts in FIPS mode allow it."""
    return hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()


def _dashed(values: tuple[int, ...]) -> str:
    return "-".join(map(str, without_grease(values)))


def ja3(shape: HelloShape) -> str:
    """MD5 of version, cipher suites, extensions, groups and point formats, without GREASE."""
    formats = "-".join(map(str, shape.point_formats))
    return md5(
        f"{shape.legacy_version},{_dashed(shape.cipher_suites)},{_dashed(shape.extensions)},{_dashed(shape.groups)},{formats}"
    )


def ja3s(version: int, cipher: int, extensions: tuple[int, ...]) -> str:
    """MD5 of version, cipher suite and extensions of a ServerHello."""
    return md5(f"{version},{cipher},{'-'.join(map(str, extensions))}")


@lru_cache(maxsize=128)
def fingerprints(shape: HelloShape) -> tuple[str, str]:
    """The JA3 and JA4 of a hello. Neither depends on the name that is asked for: give the shape without it."""
    return ja3(shape), ja4(shape)


def _hexadecimal(values: Sequence[int]) -> str:
    """Numbers of two bytes, four digits each, between commas."""
    return struct.pack(f">{len(values)}H", *values).hex(",", 2)


def _hash12(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12] if text else "000000000000"


def _alpn(protocols: tuple[bytes, ...]) -> str:
    first = protocols[0] if protocols else b""
    if not first:
        return "00"
    ends = chr(first[0]) + chr(first[-1])
    return ends if ends.isascii() and ends.isalnum() else first.hex()[0] + first.hex()[-1]


def ja4(shape: HelloShape) -> str:
    """The JA4 of a ClientHello over TCP."""
    ciphers = without_grease(shape.cipher_suites)
    extensions = without_grease(shape.extensions)
    versions = without_grease(shape.versions)
    version = JA4_VERSIONS.get(max(versions) if versions else shape.legacy_version, "00")
    named = "d" if SERVER_NAME in extensions else "i"
    head = f"t{version}{named}{min(len(ciphers), 99):02d}{min(len(extensions), 99):02d}{_alpn(shape.alpn)}"
    listed = _hexadecimal(sorted(e for e in extensions if e not in (SERVER_NAME, ALPN)))
    algorithms = _hexadecimal(without_grease(shape.signature_algorithms))
    tail = f"{listed}_{algorithms}" if listed and algorithms else listed
    return f"{head}_{_hash12(_hexadecimal(sorted(ciphers)))}_{_hash12(tail)}"
