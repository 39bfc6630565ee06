"""The other half of ``inspector.secrets.openers``: records sealed under given keys, for tests alone."""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from inspector.secrets.derivation import expand_label, prf
from inspector.secrets.openers import BLOCK_CIPHERS, DIGESTS, Suite
from inspector.tls.protection import Protection, protection_of
from inspector.tls.types import TLS11

Seal = Callable[[int, int, bytes], bytes]
"""Sequence number, content type and plaintext to the record's fragment."""

MASTER, CLIENT, SERVER = bytes(range(48)), b"c" * 32, b"s" * 32


def suite_of(code: int, version: int = 0x0303, *, encrypt_then_mac: bool = False) -> Suite:
    protection = protection_of(code)
    assert protection is not None
    return Suite(protection, version, encrypt_then_mac)


def aead_of(protection: Protection, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    if protection.mode == "chacha20":
        return ChaCha20Poly1305(key)
    return AESGCM(key) if protection.mode == "gcm" else AESCCM(key, protection.tag)


def keys_of(suite: Suite, from_client: bool) -> tuple[bytes, bytes, bytes]:
    """MAC key, key, IV of a direction (RFC 5246, section 6.3), derived on their own."""
    p = suite.protection
    iv = {"gcm": 4, "ccm": 4, "chacha20": 12, "cbc": p.block}.get(p.mode, 0)
    block = prf(suite.version, suite.digest, MASTER, b"key expansion", SERVER + CLIENT, 2 * (p.mac + p.key + iv))
    at = 0
    parts: list[bytes] = []
    for size in (p.mac, p.mac, p.key, p.key, iv, iv):
        parts.append(block[at : at + size])
        at += size
    side = 0 if from_client else 1
    return parts[side], parts[2 + side], parts[4 + side]


def sealer(suite: Suite, from_client: bool, padding: int = 0) -> Seal:
    """Up to TLS 1.2. ``padding``: blocks more than CBC needs."""
    p = suite.protection
    mac_key, key, iv = keys_of(suite, from_client)
    last = [iv]

    def mac(sequence: int, kind: int, data: bytes) -> bytes:
        return hmac.digest(
            mac_key, struct.pack(">QBHH", sequence, kind, suite.version, len(data)) + data, DIGESTS[p.digest]
        )

    def seal(sequence: int, kind: int, plain: bytes) -> bytes:
        if p.mode in ("gcm", "ccm", "chacha20"):
            explicit = os.urandom(p.explicit)
            nonce = iv + explicit if p.explicit else (int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big")
            return explicit + aead_of(p, key).encrypt(
                nonce, plain, struct.pack(">QBHH", sequence, kind, suite.version, len(plain))
            )
        if p.mode == "null":
            return plain + mac(sequence, kind, plain)
        data = plain if suite.encrypt_then_mac else plain + mac(sequence, kind, plain)
        count = p.block - len(data) % p.block + padding * p.block
        data += bytes([count - 1]) * count
        own = os.urandom(p.block) if suite.version >= TLS11 else last[0]
        encryptor = Cipher(BLOCK_CIPHERS[p.algorithm](key), modes.CBC(own)).encryptor()
        sealed = encryptor.update(data) + encryptor.finalize()
        last[0] = sealed[-p.block :]
        sealed = own + sealed if suite.version >= TLS11 else sealed
        return sealed + mac(sequence, kind, sealed) if suite.encrypt_then_mac else sealed

    return seal


def modern_sealer(suite: Suite, secret: bytes, padding: int = 0) -> Seal:
    """TLS 1.3."""
    key, iv = (
        expand_label(suite.digest, secret, "key", suite.protection.key),
        expand_label(suite.digest, secret, "iv", 12),
    )
    aead = aead_of(suite.protection, key)

    def seal(sequence: int, kind: int, plain: bytes) -> bytes:
        inner = plain + bytes([kind]) + bytes(padding)
        header = struct.pack(">BHH", 23, 0x0303, len(inner) + suite.protection.tag)
        return aead.encrypt((int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big"), inner, header)

    return seal
