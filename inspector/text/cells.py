"""Cells of a terminal: which characters take the same number on every one, and how many a text takes.

A combining mark, a joined emoji, a letter that is written from right to left: each terminal counts and places them in
its own way, and what stands behind them in a line moves. So only characters pass the door (``safe_text``) of which
each takes its own one or two cells, where it stands (Unicode Standard Annex #11, East Asian Width; #9, Bidirectional
Algorithm; #29, Text Segmentation). What is measured here has come through it.
"""

from __future__ import annotations

import textwrap
import unicodedata
from functools import lru_cache

WIDE = (
    ("\u2e80", "\ua4cf"),
    ("\uac00", "\ud7a3"),
    ("\uf900", "\ufaff"),
    ("\ufe30", "\ufe6f"),
    ("\uff01", "\uffe6"),
    ("\U00020000", "\U0003fffd"),
)
"""Where characters of two cells are so everywhere: ideographs, kana, Hangul, their punctuation and full forms. The
others are emoji, and what terminals learnt late.
"""

UNSETTLED = (
    ("\u1100", "\u11ff"),  # Hangul that is put together
    ("\ua960", "\ua97f"),
    ("\ud7b0", "\ud7ff"),
    ("\u3164", "\u3164"),  # fillers
    ("\uffa0", "\uffa0"),
    ("\u0e33", "\u0e33"),  # letters that join with the one before or behind them
    ("\u0eb3", "\u0eb3"),
    ("\u0d4e", "\u0d4e"),
    ("\uff9e", "\uff9f"),
    ("\U000111c2", "\U000111c3"),
    ("\U0001193f", "\U0001193f"),
    ("\U00011941", "\U00011941"),
    ("\U00011a3a", "\U00011a3a"),
    ("\U00011a84", "\U00011a89"),
    ("\U00011d46", "\U00011d46"),
    ("\u2630", "\u2637"),  # became wide in Unicode 16
    ("\u268a", "\u268f"),
    ("\u4dc0", "\u4dff"),
    ("\U0001d300", "\U0001d37f"),
    ("\ufb1d", "\ufdff"),  # Hebrew and Arabic presentation forms, ligatures among them
    ("\U0001f000", "\U0001faff"),  # emoji, and letters that make flags of two
)

FILLER = "\ue000"
"""Stands behind a wide character while lines are broken; as any private one it does not pass the door."""


@lru_cache(maxsize=1 << 14)
def is_settled(character: str) -> bool:
    """Whether it takes the same cells on every terminal, by itself, and shows."""
    if character.isascii():
        return character.isprintable()
    width = unicodedata.east_asian_width(character)
    return (
        character.isprintable()
        and unicodedata.category(character)[0] != "M"
        and unicodedata.bidirectional(character) not in ("R", "AL", "AN")
        and not _is_in(UNSETTLED, character)
        and (width not in ("W", "F") or _is_in(WIDE, character))
        and (width != "A" or character < WIDE[0][0])
    )


def _is_in(ranges: tuple[tuple[str, str], ...], character: str) -> bool:
    return any(low <= character <= high for low, high in ranges)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def cell_count(text: str) -> int:
    """How many a text takes."""
    return len(text) if text.isascii() else len(text) + sum(map(_is_wide, text))


def cut(text: str, room: int) -> str:
    """As much of a text as has room; what is cut ends in an ellipsis."""
    if cell_count(text) <= room:
        return text
    end = 0
    for index, character in enumerate(text):
        end += cell_count(character)
        if end >= room:
            return text[:index].rstrip() + "…" if room > 0 else ""
    return text


def left_aligned(text: str, room: int) -> str:
    """The text with spaces behind it."""
    return text + " " * (room - cell_count(text))


def right_aligned(text: str, room: int) -> str:
    """The text with spaces before it."""
    return " " * (room - cell_count(text)) + text


def wrapped(text: str, first: str, following: str, width: int, *, breaks_words: bool = False) -> list[str]:
    """Lines of at most ``width`` cells, ``first`` and ``following`` before them; words stay whole, unless those that
    are longer than a line may be broken.
    """
    filled = text if text.isascii() else "".join(c + FILLER if _is_wide(c) else c for c in text)
    lines = textwrap.wrap(
        filled,
        width,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=breaks_words,
        break_on_hyphens=False,
    )
    return [line.replace(FILLER, "") for line in lines]
