"""What a filter that is being typed may become."""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector.query.arrays import Columns
from inspector.query.fields import FIELDS, field_named

BETWEEN = re.compile(r"[\s()]|&&|\|\|")
"""What ends a word."""

SIGN = re.compile(r"(:|[=!]?=)")
MOST_VALUES = 40
"""Of a field, that are suggested."""


class Suggestion(NamedTuple):
    """What a line may become, and what that means. ``is_whole``: it takes the place of the line, not of its last
    word.
    """

    text: str
    about: str
    is_whole: bool = False


def completions(text: str, columns: Columns | None) -> list[Suggestion]:
    """What the last word may become, with what it means: field names, then the values of a field."""
    word = last_word(text)
    minus = "-" if word.startswith("-") else ""
    bare = word.removeprefix("-")
    name, sign, start = SIGN.split(bare, 1) if SIGN.search(bare) else (bare, "", "")
    field = field_named(name)
    if not sign:
        return [Suggestion(f"{minus}{f.name}:", f.about) for f in FIELDS if f.name.startswith(bare.lower())]
    if field is None:
        return []
    values = columns.by_name[field.name].values if columns is not None else [(value,) for value in field.values]
    if len(values) > 5_000:
        return []
    texts = sorted(
        {
            t
            for v in values
            for item in (v or (None,))
            if isinstance(item, str | bool | None) and (t := _shown(item)).lower().startswith(start.lower())
        }
    )
    return [Suggestion(f"{minus}{name}{sign}{_quoted(t)}", field.about) for t in texts[:MOST_VALUES]]


def last_word(text: str) -> str:
    """What is being typed."""
    return BETWEEN.split(text)[-1].lstrip("!")


def _shown(value: str | bool | None) -> str:
    return "yes" if value is True else "no" if value is False else value or "none"


def _quoted(text: str) -> str:
    return f'"{text}"' if BETWEEN.search(text) else text
