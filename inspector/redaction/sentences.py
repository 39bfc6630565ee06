"""Which sentences about a capture a redacted report may repeat: those that are known here, word by word. Whatever else
a capture, a journal or a log was given to say may hold a name, and is not repeated.
"""

from __future__ import annotations

import re

OTHERWISE = "something that the original names"
"""In place of a sentence that is not known."""

LEFT_OUT = "…"

REPEATED = (
    "# older connections were forgotten, so that memory stays bounded",
    "# older connections were forgotten, so that memory stays bounded, and can be found in the journal",
    "# flows were closed early because more than # were open at once",
    "lists of client certificate authorities of which the names were not kept, for there are too many: #",
    "the journal * lost # times what was written to it",
    "a file could not be read",
    "frame # claims # bytes; the rest of the file is not read",
    "the file ends inside frame #",
    "a block of # bytes behind frame #; the rest of the file is not read",
    "the file ends inside a block behind frame #",
    "reading stopped behind frame #: *",
    "more than # connections; the first of them are used",
    "more than # failures; the first of them are used",
    "cannot be read: *",
    "cannot be read behind line #: *",
    "is no text",
    "is empty",
    "is of no known format: neither puppetserver.log nor a log of HAProxy",
    "a journal keeps facts, no packets",
    "this machine's clock was set forward by # s at *",
    "this machine's clock was set back by # s at *",
    "*: frames are not written: *",
    "*: the journal is not written: *",
    "*: what was kept before cannot be read: *",
    "*: what was written last stands here and cannot be read without the right to write to its directory",
)
"""``#`` stands for a number, ``*`` for what is left out."""


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            {"#": r"(-?\d[\d,.]*)", "*": ".*?"}.get(piece, re.escape(piece)) for piece in re.split(r"([#*])", sentence)
        ),
        re.DOTALL,
    )


PATTERNS = [(_pattern(sentence), sentence.replace("*", LEFT_OUT)) for sentence in REPEATED]


def repeated(sentence: str) -> str:
    """The sentence as far as it can be repeated: numbers stay, names do not."""
    if not sentence:
        return ""
    for pattern, form in PATTERNS:
        match = pattern.fullmatch(sentence)
        if match is not None:
            pieces = form.split("#")
            return pieces[0] + "".join(number + piece for number, piece in zip(match.groups(), pieces[1:], strict=True))
    return OTHERWISE
