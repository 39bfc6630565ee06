"""What may be wrong with an input, and what the program could not keep of it: a kind with parameters, never a sentence.

Whoever meets such a thing makes a notice; it travels as it is, through processes and journals, and is put into words
where somebody reads it (``findings.wording``). The kinds stand in the files beside this one.

A field's type says what becomes of it in a redacted report: numbers, moments and choices from a table stay; a
``PathText`` is replaced by a name of the same kind; a ``ForeignText`` was put together by somebody else (the system, a
library, an earlier version of this program) and is left out. There is no other kind of field, so that nothing can be
said that is not known to be harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NewType, get_type_hints

from msgspec import Struct

PathText = NewType("PathText", str)
"""A file's name as it was given."""

ForeignText = NewType("ForeignText", str)
"""Words that are not ours; empty where they were left out."""

Moment = NewType("Moment", int)
"""Nanoseconds since the epoch."""


def _snake_case(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Notice(Struct, frozen=True, array_like=True, gc=False, tag=_snake_case):
    """The base of all."""


@cache
def field_types(kind: type[Notice]) -> Mapping[str, object]:
    """The fields of a kind, by name: which of the types above each is of."""
    hints = get_type_hints(kind)
    return {name: hints[name] for name in kind.__struct_fields__}


class Earlier(Notice, frozen=True, array_like=True):
    """What a journal of an earlier version says in words."""

    text: ForeignText
