"""How a cipher suite protects records: its keys, and what the length of an encrypted record tells of the plaintext.

Up to TLS 1.2 lengths leak: with an AEAD suite the plaintext's is known exactly, with CBC up to the padding (RFC 5246,
section 6.2.3; RFC 5288; RFC 6655; RFC 7905; encrypt-then-MAC: RFC 7366).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.types import TLS11

Mode = Literal["gcm", "ccm", "chacha20", "cbc", "stream", "null"]

MOST_PADDING = 256
"""A CBC record may be padded by so many bytes at most, the length byte included; most programs pad to the next block
only.
"""


class Protection(NamedTuple):
    """A suite's protection. Lengths in bytes. ``explicit``: nonce or IV in each record. ``tag``: authentication tag.
    ``mac``: length of the HMAC.
    ``prf``: hash of the key derivation in TLS 1.2 and 1.3.
    """

    mode: Mode
    algorithm: str
    key: int
    block: int
    explicit: int
    tag: int
    digest: str
    mac: int
    prf: str


class Extent(NamedTuple):
    """How long something is: from ``low`` to ``high`` bytes, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"

    def has(self, length: int) -> bool:
        """Whether a length is within."""
        return self.low <= length <= self.high

    def plus(self, other: Extent) -> Extent:
        """Both together."""
        return Extent(self.low + other.low, self.high + other.high)


NOTHING = Extent(0, 0)

MACS = {"MD5": 16, "SHA": 20, "SHA1": 20, "SHA256": 32, "SHA384": 48}
_BLOCKS = {
    "3DES_EDE": ("3DES", 24, 8),
    "DES": ("DES", 8, 8),
    "IDEA": ("IDEA", 16, 8),
    "SEED": ("SEED", 16, 16),
    "DES40": ("DES", 8, 8),
    "RC2_CBC_40": ("RC2", 16, 8),
}
_AEAD = re.compile(r"(AES|CAMELLIA|ARIA|SM4)_(?:(128|256)_)?(GCM|CCM)(_8)?(?:_(SHA256|SHA384|SM3))?")
_CBC = re.compile(
    r"(?:(AES|CAMELLIA|ARIA)_(128|256)|(3DES_EDE|DES|IDEA|SEED|DES40|RC2_CBC_40))_CBC(?:_40)?_(SHA256|SHA384|SHA|MD5)"
)
_STREAM = re.compile(r"RC4_(\d+)_(SHA|MD5)")
_NULL = re.compile(r"NULL_(SHA256|SHA384|SHA|MD5)")


@lru_cache(maxsize=1024)
def protection_of(suite: int) -> Protection | None:
    """The protection of a cipher suite by its IANA name; None where it is not known."""
    name = CIPHER_SUITES.get(suite, "")
    cipher = name.split("_WITH_")[-1].removeprefix("TLS_")
    is_tls13 = "_WITH_" not in name
    if cipher.startswith("CHACHA20_POLY1305"):
        return Protection(
            mode="chacha20", algorithm="CHACHA20", key=32, block=0, explicit=0, tag=16, digest="", mac=0, prf="SHA256"
        )
    if match := _AEAD.fullmatch(cipher):
        algorithm, bits, mode, short, digest = match.groups()
        tag = 8 if short else 16
        return Protection(
            mode="gcm" if mode == "GCM" else "ccm",
            algorithm=algorithm,
            key=int(bits or 128) // 8,
            block=16,
            explicit=0 if is_tls13 else 8,
            tag=tag,
            digest="",
            mac=0,
            prf=digest or "SHA256",
        )
    if match := _CBC.fullmatch(cipher):
        algorithm, bits, other, digest = match.groups()
        algorithm, key, block = (algorithm, int(bits) // 8, 16) if algorithm else _BLOCKS[other]
        return Protection(
            mode="cbc",
            algorithm=algorithm,
            key=key,
            block=block,
            explicit=block,
            tag=0,
            digest=digest,
            mac=MACS[digest],
            prf="SHA384" if digest == "SHA384" else "SHA256",
        )
    if match := _STREAM.fullmatch(cipher):
        return Protection(
            mode="stream",
            algorithm="RC4",
            key=int(match[1]) // 8,
            block=0,
            explicit=0,
            tag=0,
            digest=match[2],
            mac=MACS[match[2]],
            prf="SHA256",
        )
    if match := _NULL.fullmatch(cipher):
        return Protection(
            mode="null",
            algorithm="NULL",
            key=0,
            block=0,
            explicit=0,
            tag=0,
            digest=match[1],
            mac=MACS[match[1]],
            prf="SHA384" if match[1] == "SHA384" else "SHA256",
        )
    return None


def plaintext_extent(
    protection: Protection, version: int, encrypt_then_mac: bool, length: int, is_padded_freely: bool = False
) -> Extent | None:
    """How long the plaintext of an encrypted record is, up to TLS 1.2; None where no plaintext gives such a record.
    ``length``: of the record without its header. ``is_padded_freely``: CBC padding may be longer than needed.
    """
    mode = protection.mode
    if mode != "cbc":
        exact = length - protection.explicit - protection.tag - protection.mac
        return Extent(exact, exact) if exact >= 0 else None
    block = protection.block
    sealed = length - (block if version >= TLS11 else 0)
    if encrypt_then_mac:
        sealed -= protection.mac
    content = sealed if encrypt_then_mac else sealed - protection.mac
    if sealed <= 0 or sealed % block or content < 1:
        return None
    return Extent(max(content - (MOST_PADDING if is_padded_freely else block), 0), content - 1)
