"""The one door for strings from the wire. Names, certificates and log lines are an attacker's: they must not move a
cursor, click or run.

Nothing here knows Textual; the app and the text report both call ``safe_text`` on everything that was not written by
us.
"""

from __future__ import annotations

import unicodedata

FORMULA = frozenset("=+-@|%\t\r\n\N{MINUS SIGN}")
"""What a spreadsheet may take for the beginning of a formula, in any width (see ``csv_cell``)."""
HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def safe_text(text: str, limit: int = 300) -> str:
    """The text with control, format, private and unassigned characters shown as escapes, cut to
    ``limit`` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if unicodedata.category(c) not in HIDDEN else escaped_character(c) for c in text)


def path_text(path: str) -> str:
    """A path as text that can be written anywhere: bytes of a file name that are no UTF-8 (surrogates in Python) become
    escapes.
    """
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def escaped_character(character: str) -> str:
    """What stands for it: as many digits as the letter behind the backslash says."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, whose signs may be full-width or small forms as well (``＝``,
    ``﹢``) and stand behind spaces; numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = safe_text(value, 4096)
    begins = value[:1] + text.lstrip()[:1]
    return "'" + text if not FORMULA.isdisjoint(unicodedata.normalize("NFKC", begins)) else text
