"""From a secret to the keys of records: the PRF of TLS 1.0 to 1.2 (RFC 2246, section 5; RFC 5246, section 5) and HKDF
of TLS 1.3 (RFC 8446, section 7.1).
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from inspector.tls.types import TLS12

MASTER_BYTES = 48
HASHES = {"SHA256": "sha256", "SHA384": "sha384", "SM3": "sm3"}


def _expanded(digest: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 5246, section 5."""
    output = b""
    a = seed
    while len(output) < length:
        a = hmac.digest(secret, a, digest)
        output += hmac.digest(secret, a + seed, digest)
    return output[:length]


def prf(version: int, digest: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function. ``digest``: hashlib's name of the suite's hash; before TLS 1.2 MD5 and SHA-1 are
    joined.
    """
    if version >= TLS12:
        return _expanded(digest, secret, label + seed, length)
    half = (len(secret) + 1) // 2
    first, second = (
        _expanded("md5", secret[:half], label + seed, length),
        _expanded("sha1", secret[-half:], label + seed, length),
    )
    return bytes(a ^ b for a, b in zip(first, second, strict=True))


def master_secret(version: int, digest: str, premaster: bytes, randoms: bytes, session_hash: bytes | None) -> bytes:
    """The master secret. ``randoms``: client's and server's. ``session_hash``: of the transcript, with extended master
    secret (RFC 7627, section 4).
    """
    if session_hash is not None:
        return prf(version, digest, premaster, b"extended master secret", session_hash, MASTER_BYTES)
    return prf(version, digest, premaster, b"master secret", randoms, MASTER_BYTES)


def transcript_hash(version: int, digest: str, messages: bytes) -> bytes:
    """What RFC 7627 calls session_hash: the hash of all handshake messages up to ClientKeyExchange."""
    if version >= TLS12:
        return hashlib.new(digest, messages).digest()
    return (
        hashlib.md5(messages, usedforsecurity=False).digest() + hashlib.sha1(messages, usedforsecurity=False).digest()
    )


@lru_cache(maxsize=64)
def _label(label: str, length: int) -> bytes:
    whole = b"tls13 " + label.encode()
    return length.to_bytes(2, "big") + bytes([len(whole)]) + whole + b"\0"


def expand_label(digest: str, secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context."""
    info = _label(label, length)
    output = block = b""
    while len(output) < length:
        block = hmac.digest(secret, block + info + bytes([len(output) // len(block) + 1 if block else 1]), digest)
        output += block
    return output[:length]
