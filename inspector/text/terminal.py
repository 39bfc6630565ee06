"""The last door before bytes that may reach a terminal: JSON, and text on the standard streams and in files.

Names are made safe where they are put into words (``safe``); a JSON string must keep its value, and the words of an
error may hold anything. A raw C1 control moves a cursor as an escape sequence does, a bidi control swaps what stands
beside it, a line separator makes one line two.
"""

from __future__ import annotations

import io
import re
import unicodedata

from inspector.text.safe import escaped_character

HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]+")
LAYOUT = frozenset("\n\t")


def terminal_json(encoded: bytes) -> bytes:
    """JSON of the same value, in which characters that do not show themselves are escapes (RFC 8259, section 7): C0 and
    C1 controls, format characters (bidi, zero-width), line and paragraph separators, private and unassigned ones.
    """
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode()
    return encoded if text.isprintable() else NOT_PLAIN.sub(_in_json, text).encode()


def _in_json(run: re.Match[str]) -> str:
    text = run.group()
    if text.isprintable():
        return text
    return "".join(_json_escape(c) if unicodedata.category(c) in HIDDEN else c for c in text)


def _json_escape(character: str) -> str:
    """As UTF-16 has it: two escapes beyond the first plane."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def terminal_text(text: str) -> str:
    """Text of any length in which such characters are shown as escapes; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c in LAYOUT or unicodedata.category(c) not in HIDDEN else escaped_character(c) for c in text)


class TerminalText(io.TextIOWrapper):
    """A stream of text that lets only ``terminal_text`` through, and what was written as a control on purpose."""

    def write(self, text: str, /) -> int:
        """As ``TextIOWrapper`` has it."""
        super().write(terminal_text(text))
        return len(text)

    def control(self, sequence: str) -> None:
        """Write our own sequence for the terminal, which is not from outside."""
        super().write(sequence)
