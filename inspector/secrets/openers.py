"""Opening protected records of one direction under one set of keys, in order.

AES-GCM, AES-CCM, ChaCha20-Poly1305 (RFC 5288, RFC 6655, RFC 7905, RFC 8446, section 5.2), AES-CBC and 3DES-CBC with
HMAC before or after it (RFC 5246, section 6.2.3.2; RFC 7366), NULL. Whatever is opened was authenticated: a record that
is not what these keys made gives ``NotOpened``, never garbage.
"""

from __future__ import annotations

import hmac
import struct
from bisect import bisect_left
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from inspector.secrets.derivation import HASHES, expand_label, prf
from inspector.tls.protection import Protection
from inspector.tls.types import APPLICATION_DATA, TLS11

SALT, NONCE = 4, 12
BLOCK_CIPHERS: dict[str, type[algorithms.AES] | type[TripleDES]] = {"AES": algorithms.AES, "3DES": TripleDES}
DIGESTS = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


class NotOpened(Exception):
    """A record does not open with these keys."""


class Opener(Protocol):
    """One direction under one set of keys."""

    def open(self, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        """The plaintext of a record. ``version``: of its header. Raises NotOpened."""

    def passed(self, body: bytes | None) -> None:
        """A record of application data that is not opened."""


class Suite(NamedTuple):
    """What a handshake negotiated for its records."""

    protection: Protection
    version: int
    encrypt_then_mac: bool

    @property
    def digest(self) -> str:
        """The hash of key derivation, by hashlib's name."""
        return HASHES.get(self.protection.prf, "sha256")


def is_supported(protection: Protection | None) -> bool:
    """Whether records of a suite can be opened."""
    if protection is None:
        return False
    if protection.mode == "cbc":
        return protection.algorithm in BLOCK_CIPHERS
    return protection.mode in ("chacha20", "null") or (
        protection.mode in ("gcm", "ccm") and protection.algorithm == "AES"
    )


def _aead(protection: Protection, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    if protection.mode == "gcm":
        return AESGCM(key)
    if protection.mode == "ccm":
        return AESCCM(key, protection.tag)
    return ChaCha20Poly1305(key)


class Aead:
    """AEAD up to TLS 1.2. ``salt``: the implicit part of the nonce, all of it for ChaCha20-Poly1305."""

    def __init__(self, protection: Protection, key: bytes, salt: bytes) -> None:
        self._cipher = _aead(protection, key)
        self._salt = salt
        self._explicit = protection.explicit
        self._tag = protection.tag

    def open(self, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        """See ``Opener``."""
        explicit = self._explicit
        length = len(body) - explicit - self._tag
        if length < 0:
            raise NotOpened
        nonce = self._salt + body[:explicit] if explicit else _xor(self._salt, sequence)
        try:
            return self._cipher.decrypt(nonce, body[explicit:], struct.pack(">QBHH", sequence, kind, version, length))
        except InvalidTag:
            raise NotOpened from None

    def passed(self, body: bytes | None) -> None:
        """See ``Opener``."""


def _xor(iv: bytes, sequence: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ sequence).to_bytes(NONCE, "big")


class Cbc:
    """CBC with HMAC. Before TLS 1.1 the IV of a record is the last block of the one before it, of whatever type."""

    def __init__(self, suite: Suite, key: bytes, mac_key: bytes, iv: bytes) -> None:
        self._key = BLOCK_CIPHERS[suite.protection.algorithm](key)
        self._mac_key = mac_key
        self._suite = suite
        self._digest = DIGESTS[suite.protection.digest]
        self._iv: bytes | None = iv

    def open(self, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        """See ``Opener``."""
        protection, block, size = self._suite.protection, self._suite.protection.block, self._suite.protection.mac
        sealed, iv = body, self._iv
        if self._suite.encrypt_then_mac:
            sealed, mac = body[:-size], body[-size:]
            if not hmac.compare_digest(mac, self._mac(sequence, kind, version, sealed)):
                raise NotOpened
        if self._suite.version >= TLS11:
            iv, sealed = sealed[:block], sealed[block:]
        else:
            self._iv = sealed[-block:]
        if iv is None or len(iv) != block or not sealed or len(sealed) % block:
            raise NotOpened
        decryptor = Cipher(self._key, modes.CBC(iv)).decryptor()
        plain = decryptor.update(sealed) + decryptor.finalize()
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != plain[-1:] * padding:
            raise NotOpened
        plain = plain[:-padding]
        if self._suite.encrypt_then_mac:
            return plain
        if len(plain) < protection.mac:
            raise NotOpened
        plain, mac = plain[:-size], plain[-size:]
        if not hmac.compare_digest(mac, self._mac(sequence, kind, version, plain)):
            raise NotOpened
        return plain

    def _mac(self, sequence: int, kind: int, version: int, data: bytes) -> bytes:
        return hmac.digest(self._mac_key, struct.pack(">QBHH", sequence, kind, version, len(data)) + data, self._digest)

    def passed(self, body: bytes | None) -> None:
        """See ``Opener``."""
        if self._suite.version >= TLS11:
            return
        end = len(body) - (self._suite.protection.mac if self._suite.encrypt_then_mac else 0) if body else 0
        self._iv = (
            body[end - self._suite.protection.block : end] if body and end >= self._suite.protection.block else None
        )


class Null:
    """No encryption; the MAC is checked where its key is known."""

    def __init__(self, protection: Protection, mac_key: bytes) -> None:
        self._digest = DIGESTS[protection.digest]
        self._size = protection.mac
        self._mac_key = mac_key

    def open(self, sequence: int, kind: int, version: int, body: bytes) -> bytes:
        """See ``Opener``."""
        if len(body) < self._size:
            raise NotOpened
        plain, mac = body[: -self._size], body[-self._size :]
        expected = hmac.digest(
            self._mac_key, struct.pack(">QBHH", sequence, kind, version, len(plain)) + plain, self._digest
        )
        if not hmac.compare_digest(mac, expected):
            raise NotOpened
        return plain

    def passed(self, body: bytes | None) -> None:
        """See ``Opener``."""


def openers(suite: Suite, master: bytes, client_random: bytes, server_random: bytes) -> tuple[Opener, Opener]:
    """The client's and the server's direction up to TLS 1.2 (RFC 5246, section 6.3)."""
    protection = suite.protection
    is_aead = protection.mode in ("gcm", "ccm", "chacha20")
    iv = (
        NONCE
        if protection.mode == "chacha20"
        else SALT
        if is_aead
        else protection.block
        if protection.mode == "cbc"
        else 0
    )
    sizes = (protection.mac, protection.mac, protection.key, protection.key, iv, iv)
    block = prf(suite.version, suite.digest, master, b"key expansion", server_random + client_random, sum(sizes))
    parts: list[bytes] = []
    for size in sizes:
        parts.append(block[:size])
        block = block[size:]
    client_mac, server_mac, client_key, server_key, client_iv, server_iv = parts
    if is_aead:
        return Aead(protection, client_key, client_iv), Aead(protection, server_key, server_iv)
    if protection.mode == "cbc":
        return Cbc(suite, client_key, client_mac, client_iv), Cbc(suite, server_key, server_mac, server_iv)
    return Null(protection, client_mac), Null(protection, server_mac)


class Traffic:
    """One direction of TLS 1.3 under one traffic secret (RFC 8446, sections 5.2 and 7.3)."""

    def __init__(self, protection: Protection, digest: str, secret: bytes) -> None:
        self._protection = protection
        self._digest = digest
        self._secret = secret
        self._key = expand_label(digest, secret, "key", protection.key)
        self._iv = expand_label(digest, secret, "iv", NONCE)
        self._cipher = _aead(protection, self._key)

    def updated(self) -> Traffic:
        """The keys behind a KeyUpdate (section 7.2)."""
        return Traffic(
            self._protection, self._digest, expand_label(self._digest, self._secret, "traffic upd", len(self._secret))
        )

    def open(self, sequence: int, version: int, body: bytes) -> tuple[int, bytes]:
        """The inner content type and what a record holds. Raises NotOpened."""
        if len(body) <= self._protection.tag:
            raise NotOpened
        try:
            inner = self._cipher.decrypt(
                _xor(self._iv, sequence), body, struct.pack(">BHH", APPLICATION_DATA, version, len(body))
            )
        except InvalidTag:
            raise NotOpened from None
        inner = inner.rstrip(b"\0")
        return (inner[-1], inner[:-1]) if inner else (0, b"")

    def inner_type(self, sequence: int, body: bytes) -> int:
        """The inner content type (RFC 8446, section 5.2), read from the end of a record without opening the rest of it,
        however long the padding is: JSSE pads all but data. 0 where there is none.
        """
        end = len(body) - self._protection.tag
        if end <= 0:
            return 0
        size = 64 if self._protection.mode == "chacha20" else 16
        block = (end - 1) // size
        plain = self._keystream(sequence, block).encryptor().update(body[block * size : end]).rstrip(b"\0")
        if plain:
            return plain[-1]
        stream = self._keystream(sequence, 0).encryptor().update(bytes(end))  # where it equals the record stand zeros
        padding = bisect_left(range(end), True, key=lambda at: body[at:end] == stream[at:])
        return body[padding - 1] ^ stream[padding - 1] if padding else 0

    def _keystream(self, sequence: int, block: int) -> Cipher[modes.CTR] | Cipher[None]:
        """From a block of a record's content on."""
        nonce = _xor(self._iv, sequence)
        if self._protection.mode == "chacha20":
            return Cipher(algorithms.ChaCha20(self._key, (block + 1).to_bytes(4, "little") + nonce), None)
        counter = nonce + (block + 2).to_bytes(4, "big")
        if self._protection.mode != "gcm":
            counter = b"\2" + nonce + (block + 1).to_bytes(3, "big")
        return Cipher(algorithms.AES(self._key), modes.CTR(counter))
