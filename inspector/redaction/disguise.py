"""The keyed replacements that everything else is made from. With the same key the same value always becomes the same
other value.

Replacements keep lengths, so that frames, records and messages keep theirs. Names and numbers are replaced by a
permutation without fixed points: a Feistel network P over all values of the same shape, used as P⁻¹(P(x) + 1).
Addresses keep common prefixes (J. Xu et al., Prefix-Preserving IP Address Anonymization, 2002).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import unicodedata
from functools import cached_property

from inspector.tls.registry import PROTOCOLS, is_grease

WORD = re.compile(r"[A-Za-z0-9]+")
ROUNDS = 6
KEY_BYTES = 32
CACHED = 200_000
CJK, SUPPLEMENTARY = (0x4E00, 0x9FA6), (0x20000, 0x2A6D7)
PREFIXES = (4, 16)
"""Of a ticket: a JDK's key number, OpenSSL's key name. Tickets that share one go on sharing one."""


class Disguise:
    """``key``: secret; whoever has it can tell what became of a value that they know."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(b"inspector redaction" + key).digest()
        self._words: dict[str, str] = {}
        self._addresses: dict[bytes, bytes] = {}
        self.digests: dict[bytes, bytes] = {}
        """SHA-256 of what was replaced, by SHA-256 of what it was; filled in by whoever sees the bytes."""

    @cached_property
    def fingerprint(self) -> str:
        """Eight digits that tell keys apart and say nothing else."""
        return self.stream("fingerprint", b"", 4).hex()

    def stream(self, label: str, value: bytes, length: int) -> bytes:
        """``length`` bytes that nobody can foresee without the key."""
        seed = hashlib.blake2b(label.encode() + b"\0" + value, key=self._key, digest_size=32).digest()
        return hashlib.shake_256(seed).digest(length)

    def opaque(self, value: bytes, label: str = "opaque") -> bytes:
        """Other bytes of the same length."""
        new = self.stream(label, value, len(value))
        return new if new != value else bytes(byte ^ 1 for byte in new)

    def ticket(self, value: bytes) -> bytes:
        """A ticket or session id: what shares a key name goes on sharing one. The digests of both are kept."""
        pieces, at = [], 0
        for end in (*PREFIXES, len(value)):
            if at < end <= len(value):
                pieces.append(self.stream("ticket", value[:end], end - at))
                at = end
        new = b"".join(pieces)
        self.note(value, new)
        return new

    def note(self, old: bytes, new: bytes) -> None:
        """Remember what became of a value that facts know by its digest alone."""
        self.digests[hashlib.sha256(old).digest()] = hashlib.sha256(new).digest()

    def digest(self, old: bytes) -> bytes:
        """The digest of what a value became."""
        return self.digests.get(old) or self.stream("digest", old, len(old))

    def number(self, value: int, count: int, label: str) -> int:
        """Another number below ``count``; different ones stay different."""
        if count < 2:
            return value
        return self._backward((self._forward(value, count, label) + 1) % count, count, label)

    def _forward(self, value: int, count: int, label: str) -> int:
        half = (count.bit_length() + 1) // 2
        while True:
            left, right = value >> half, value & (1 << half) - 1
            for turn in range(ROUNDS):
                left, right = right, left ^ self._turn(right, turn, half, label)
            value = left << half | right
            if value < count:
                return value

    def _backward(self, value: int, count: int, label: str) -> int:
        half = (count.bit_length() + 1) // 2
        while True:
            left, right = value >> half, value & (1 << half) - 1
            for turn in reversed(range(ROUNDS)):
                left, right = right ^ self._turn(left, turn, half, label), left
            value = left << half | right
            if value < count:
                return value

    def _turn(self, value: int, turn: int, half: int, label: str) -> int:
        size = (half + 7) // 8
        return (
            int.from_bytes(self.stream(f"{label} {half} {turn}", value.to_bytes(size, "big"), size), "big")
            & (1 << half) - 1
        )

    def text(self, text: str) -> str:
        """Each word replaced by one of the same shape, upper and lower case kept, what stands between words kept; as
        long as before in UTF-8 and UTF-16.
        """
        plain = WORD.sub(lambda m: self._word(m[0]), text)
        return plain if plain.isascii() else "".join(c if c.isascii() else self._character(c) for c in plain)

    def _word(self, word: str) -> str:
        lower = word.lower()
        known = self._words.get(lower)
        if known is None:
            if len(self._words) >= CACHED:
                self._words.clear()
            known = self._words[lower] = self._other_word(lower)
        if word == lower:
            return known
        return "".join(new.upper() if old.isupper() else new for old, new in zip(word, known, strict=True))

    def _other_word(self, word: str) -> str:
        value, count = 0, 1
        for character in word:
            base, digit = (10, ord(character) - 48) if character.isdigit() else (26, ord(character) - 97)
            value, count = value * base + digit, count * base
        shape = "".join("d" if c.isdigit() else "l" for c in word)
        new = self.number(value, count, f"word {shape}")
        letters: list[str] = []
        for character in reversed(word):
            new, digit = divmod(new, 10 if character.isdigit() else 26)
            letters.append(chr(digit + (48 if character.isdigit() else 97)))
        return "".join(reversed(letters))

    def _character(self, character: str) -> str:
        """Another letter that is as long and knows no case."""
        lower = character.lower() if len(character.lower()) == 1 else character
        size = len(character.encode("utf-8", "surrogatepass"))
        value = int.from_bytes(self.stream("character", lower.encode("utf-8", "surrogatepass"), 8), "big")
        if size == 2:
            return TWO_BYTES[value % len(TWO_BYTES)]
        low, high = CJK if size == 3 else SUPPLEMENTARY
        return chr(low + value % (high - low))

    def raw(self, value: bytes) -> bytes:
        """Bytes that are text as a rule: words of ASCII replaced, other bytes too."""
        try:
            return self.text(value.decode("utf-8")).encode()
        except UnicodeDecodeError:
            return (
                "".join(
                    c if c < "\x80" else chr(0xC0 + self.stream("byte", c.encode(), 1)[0] % 23)
                    for c in self.text(value.decode("latin-1", "replace"))
                )
                .encode("latin-1", "replace")[: len(value)]
                .ljust(len(value), b"x")
            )

    def anything(self, value: bytes, label: str = "opaque") -> bytes:
        """Bytes that may be text: words where all can be printed; else, or where that leaves them as they are (an
        address may look like text), other bytes.
        """
        is_printable = value.isascii() and value.decode("ascii").isprintable()
        new = self.raw(value) if is_printable else value
        return new if new != value else self.opaque(value, label)

    def protocol(self, name: bytes) -> bytes:
        """A name of ALPN: registered ones and GREASE stay, for they are everybody's; any other is text that somebody
        chose, and becomes no registered one.
        """
        if _is_everybodys(name):
            return name
        new = self.anything(name, "protocol")
        return self.anything(new, "protocol") if _is_everybodys(new) else new

    def name(self, name: str) -> str:
        """A host name, or an address written as one."""
        try:
            return self.address_text(name)
        except ValueError:
            return self.text(name)

    def address(self, packed: bytes) -> bytes:
        """Another address; as many leading bits are shared with others as before. 4 or 16 bytes."""
        known = self._addresses.get(packed)
        if known is None:
            if len(self._addresses) >= CACHED:
                self._addresses.clear()
            bits = len(packed) * 8
            value, flips = int.from_bytes(packed, "big"), 0
            for bit in range(bits):
                prefix = value >> (bits - bit)
                flips = flips << 1 | self.stream(f"address {bits} {bit}", prefix.to_bytes(16, "big"), 1)[0] & 1
            new = value ^ flips if flips else value ^ 1
            known = self._addresses[packed] = new.to_bytes(len(packed), "big")
        return known

    def address_text(self, text: str) -> str:
        """The same for an address as people write it. Raises ValueError where it is none."""
        return str(ipaddress.ip_address(self.address(ipaddress.ip_address(text).packed)))


def _is_everybodys(protocol: bytes) -> bool:
    is_reserved = len(protocol) == 2 and is_grease(int.from_bytes(protocol, "big"))
    return not protocol or protocol in PROTOCOLS or is_reserved


def _two_bytes() -> str:
    """Letters of two bytes in UTF-8 that are the same in lower case and in every normal form."""
    characters = (chr(c) for c in range(0x80, 0x800))
    return "".join(
        c
        for c in characters
        if unicodedata.category(c) in ("Ll", "Lo")
        and c.lower() == c
        and c.upper().lower() == c
        and unicodedata.normalize("NFKD", c) == c
    )


TWO_BYTES = _two_bytes()
