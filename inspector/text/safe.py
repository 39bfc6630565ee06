"""The one door for strings from the wire. Names, certificates and log lines are an attacker's: they must not move a
cursor, click or run.

Nothing here knows Textual; the app and the text report both call ``safe_text`` on everything that was not written by
us.
"""

from __future__ import annotations

import unicodedata

from inspector.text.cells import cut, is_settled

FORMULA = frozenset("=+-@|%\t\r\n\N{MINUS SIGN}")
"""What a spreadsheet may take for the beginning of a formula, in any width (see ``csv_cell``)."""


def safe_text(text: str, limit: int = 300) -> str:
    """The text cut to ``limit`` characters, those shown as escapes that are invisible, or of which terminals do not
    agree where they stand and how many cells they take: control, format, private and unassigned ones, spaces but the
    usual one, combining marks, emoji, letters written from right to left.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if is_settled(c) else escaped_character(c) for c in text)


def safe_cell(text: str, room: int) -> str:
    """The same for the cell of a table: at most ``room`` cells of a terminal, escapes among them, so that no name makes
    a column so wide that others must leave.
    """
    return cut(safe_text(text, max(room + 1, 1)), room)


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
    begins = value[:1] + value.lstrip()[:1]
    return "'" + text if not FORMULA.isdisjoint(unicodedata.normalize("NFKC", begins)) else text
