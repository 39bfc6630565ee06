"""What a filter is written of. Beside its own signs each may be written as Wireshark's display filters have it:
``outcome == aborted && !(backend eq B)``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from inspector.errors import UsageError
from inspector.query.fields import BY_NAME, OTHER_NAMES, Holds, field_named

OPERATORS = {
    **{sign: sign for sign in (":", "~", "<", "<=", ">", ">=", "!=")},
    "=": ":",
    "==": ":",
    "eq": ":",
    "ne": "!=",
    "contains": "~",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
"""As each is understood. A word is one behind the name of a field alone, and so is ``=``, which stands in names."""

NOT_OPERATORS = ("matches", "in")
"""Words that are operators elsewhere: whoever writes them means no text to look for."""

UNITS: dict[Holds, dict[str, float]] = {
    "number": {"": 1.0},
    "duration": {"": 1.0, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "size": {"": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9},
}

VALUE = r'"[^"]*"|(?:(?!&&|\|\|)[^\s()])+'
NUMBER = re.compile(r"\d[\d.]*")
DETACHED = "|".join(filter(None, (*UNITS["duration"], *UNITS["size"])))
DETACHED_UNIT = re.compile(rf"\s+({DETACHED})(?=[\s()]|&&|\|\||$)", re.IGNORECASE)
"""Behind a number, as in ``5 ms``."""

KNOWN = "|".join(sorted([*BY_NAME, *OTHER_NAMES], key=len, reverse=True))
WORDS = "|".join([*(name for name in OPERATORS if name.isalpha()), *NOT_OPERATORS])
TOKEN = re.compile(
    rf"""\s*(?:
      (?P<open>\() | (?P<close>\))
    | (?P<not>-(?=[\w"(!]|$) | !(?!=) | not(?=[\s(]|$))
    | (?P<and>&& | and(?=[\s(]|$))
    | (?P<or>\|\| | or(?=[\s(]|$))
    | (?P<comparison>
        (?: (?P<field>\w+(?=[:<>~]) | [\w.]+(?=\s*[=!]=)) (?: (?P<sign>[:~]|[<>]=?) | \s*(?P<spaced>[=!]=) \s*)
          | (?P<known>(?ai:{KNOWN})) (?: \s*(?P<free>[<>]=?|=|~) \s* | \s+(?P<word>(?ai:{WORDS}))(?=[\s"(]|$) \s*))
        (?P<value>{VALUE})?)
    | (?P<text>{VALUE}))""",
    re.VERBOSE | re.IGNORECASE,
)

SIGNS = re.compile("[=!<>~&|:-]+")

TokenKind = Literal["open", "close", "not", "and", "or", "comparison", "text"]


class FilterError(UsageError):
    """``reason``: what is wrong, and where. ``column`` counts from 1."""

    def __init__(self, message: str, expression: str, column: int) -> None:
        self.reason = f"{message} at column {column}"
        self.column = column
        super().__init__(f"filter: {self.reason}", f"{expression}\n  {' ' * (column - 1)}^")


class FilterToken(NamedTuple):
    """``text``: as it is written. Columns count from 1. Of a comparison: its ``field`` as it is written, its
    ``operator`` as it is understood, its ``value`` without quotes.
    """

    kind: TokenKind
    text: str
    column: int
    end_column: int
    field: str = ""
    operator: str = ""
    operator_column: int = 0
    value: str = ""
    value_column: int = 0


def tokens(expression: str) -> list[FilterToken]:
    """Raises FilterError."""
    read: list[FilterToken] = []
    position, end = 0, len(expression.rstrip())
    while position < end:
        match = TOKEN.match(expression, position)
        if match is None:
            raise FilterError("cannot read this", expression, position + 1)
        read.append(_token(expression, match))
        position = read[-1].end_column - 1
    return read


def _token(expression: str, match: re.Match[str]) -> FilterToken:
    kind: TokenKind = next(kind for kind in _KINDS if match[kind])
    if kind == "text" and SIGNS.fullmatch(match[kind]):
        missing = "term is missing behind" if match[kind].startswith("-") else "field is missing before"
        raise FilterError(f"a {missing} {match[kind]}", expression, match.start(kind) + 1)
    if kind != "comparison":
        return FilterToken(kind, match[kind], match.start(kind) + 1, match.end() + 1)
    name = "field" if match["field"] else "known"
    sign = next(group for group in _SIGNS if match[group])
    field, operator = match[name], match[sign]
    known = field_named(field)
    if operator.lower() in NOT_OPERATORS:
        column = match.start(sign) + 1
        raise FilterError(f"no operator {operator}: {field}~text contains it, {field}:a* begins so", expression, column)
    if match["value"] is None:
        if known is None and not match["spaced"]:  # a text with such an end
            return FilterToken("text", match[kind], match.start(kind) + 1, match.end() + 1)
        raise FilterError(f"a value is missing behind {match[kind].rstrip()}", expression, match.end() + 1)
    is_measured = known is not None and known.holds != "text" and NUMBER.fullmatch(match["value"])
    unit = DETACHED_UNIT.match(expression, match.end()) if is_measured else None
    end = unit.end() if unit else match.end()
    return FilterToken(
        kind,
        expression[match.start(kind) : end],
        match.start(kind) + 1,
        end + 1,
        field=field,
        operator=OPERATORS[operator.lower()],
        operator_column=match.start(sign) + 1,
        value=match["value"].strip('"') + (unit[1] if unit else ""),
        value_column=match.start("value") + 1,
    )


_KINDS: tuple[TokenKind, ...] = ("open", "close", "not", "and", "or", "comparison", "text")
_SIGNS = ("sign", "spaced", "free", "word")
