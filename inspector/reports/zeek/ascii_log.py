"""A log as Zeek's ASCII writer has it: lines of ``#`` that say how it is written and what its columns are, then a line
a row, its fields between tabs; what is unset is ``-``, what is empty ``(empty)``; members of sets and vectors stand
between commas.

Whatever stands in a text and is no printable character is escaped as its bytes, ``\\x09``; so is what would be taken
for a separator, for unset or for empty. A backslash is two.
"""

from __future__ import annotations

import re
import unicodedata

from inspector.reports.zeek.columns import LogColumn, Scalar, Values
from inspector.text.terminal import HIDDEN
from inspector.text.times import SECOND_NS, rfc3339

UNSET, EMPTY, SEPARATOR, MEMBERS = "-", "(empty)", "\t", ","
NOT_PLAIN = re.compile(r"[^\x20-\x5b\x5d-\x7e]")
MICROSECOND_NS = 1_000


def head(path: str, columns: tuple[LogColumn, ...], opened_ns: int) -> bytes:
    """The first lines. ``opened_ns``: by the capture's clock, so that the same capture gives the same log."""
    lines = (
        "#separator \\x09",
        f"#set_separator\t{MEMBERS}",
        f"#empty_field\t{EMPTY}",
        f"#unset_field\t{UNSET}",
        f"#path\t{path}",
        f"#open\t{_moment(opened_ns)}",
        "\t".join(("#fields", *(column.name for column in columns))),
        "\t".join(("#types", *(column.kind for column in columns))),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def end(closed_ns: int) -> bytes:
    """The last line."""
    return f"#close\t{_moment(closed_ns)}\n".encode()


def _moment(ns: int) -> str:
    day, clock = rfc3339(ns)[:19].split("T")
    return f"{day}-{clock.replace(':', '-')}"


def row(columns: tuple[LogColumn, ...], values: Values) -> bytes:
    """A line."""
    get = values.get
    return SEPARATOR.join([_field(get(name), kind) for name, kind in columns]).encode() + b"\n"


def _field(value: Scalar | list[str] | None, kind: str) -> str:
    if value is None:
        return UNSET
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return MEMBERS.join([_text(member).replace(MEMBERS, "\\x2c") for member in value]) or EMPTY
    return seconds(value) if kind in ("time", "interval") else str(value)


def seconds(ns: int) -> str:
    """With microseconds, cut and not rounded."""
    whole, rest = divmod(abs(ns), SECOND_NS)
    return f"{'-' if ns < 0 else ''}{whole}.{rest // MICROSECOND_NS:06d}"


def _text(text: str) -> str:
    if not text:
        return EMPTY
    if text in (UNSET, EMPTY):
        return f"\\x{ord(text[0]):02x}{text[1:]}"
    return NOT_PLAIN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character == "\\":
        return "\\\\"
    if unicodedata.category(character) not in HIDDEN:
        return character
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
