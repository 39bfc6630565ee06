"""Structs as JSON with gaps: most of a row of the document is word for word that of thousands of others, so it is
encoded once, and the few values that are a row's own are put into it.

A *stencil* is a format of bytes: the JSON of one such Struct, with a *gap* in the place of each value that differs. The
names and the order of fields, and all that stands between the gaps, come from the Struct itself and from msgspec, so
that the types of the document stay the only schema. What decides about everything that is no gap is the *kind* of a
row, a key of few small values. A null has no value to be put in: its gap prints the null and swallows what it is
handed, so that rows of every kind hand over the same values in the same order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import msgspec
from msgspec import Struct

from inspector import bounds
from inspector.document import FrameRef

VALUE = b"%b"
"""A gap for what is JSON already."""
TEXT = b'"%b"'
"""For a text in which JSON escapes nothing."""
TIME = b'"%b.%09dZ"'
"""For a time: day and second as text, then nanoseconds."""
NUMBER = b"%d"
NO_TEXT, NO_NUMBER, NO_TIME = b"null%.0b", b"null%.0a", b"null%.0b%.0a"
"""For a null: print it, and nothing of what is put into them."""

MOST_MET = 65_536
"""Kinds that are remembered, of which no stencil is made yet."""

encode = msgspec.json.encode


def stencil(row: Struct, gaps: Mapping[str, bytes]) -> bytes:
    """The JSON of a Struct. ``gaps``: by field, what stands there instead of its value: a gap, or a stencil."""
    return b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), gaps[name] if name in gaps else literally(getattr(row, name)))
        for name in row.__struct_fields__
    )


def literally(value: object) -> bytes:
    """A value as JSON, the same in each row of a kind."""
    return encode(value).replace(b"%", b"%%")


def text_gap(text: str | None) -> bytes:
    """For a text like this one."""
    return TEXT if text is not None else NO_TEXT


def frame_gap(reference: FrameRef | None) -> bytes:
    """For the number of a frame in the same capture, or null."""
    return b"[%d,%%d]" % reference[0] if reference is not None else NO_NUMBER


class Stencils:
    """Stencils by kind. One is made when its kind comes the second time: what never repeats is not worth one."""

    def __init__(self) -> None:
        self._stencils: dict[Hashable, bytes] = {}
        self._met: set[int] = set()
        self.get = self._stencils.get

    def is_repeated(self, kind: Hashable) -> bool:
        """Whether a kind that has no stencil came before, as far as is remembered."""
        mark = hash(kind)
        if mark in self._met:
            return True
        if len(self._met) >= MOST_MET:
            self._met.clear()
        self._met.add(mark)
        return False

    def keep(self, kind: Hashable, made: bytes) -> bytes:
        """The stencil of a kind."""
        if len(self._stencils) >= bounds.CACHE:
            self._stencils.clear()
        self._stencils[kind] = made
        return made
