"""Times in answers of DuckDB, to the nanosecond: Python's own would cut them to microseconds, so they are asked for as
numbers, wherever they stand in lists, structs and maps.

What is called ``kind`` is a type of DuckDB: ``id``, and ``children`` where it has some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspector.text.times import rfc3339_signed

Form = Callable[[Any], object]
MOMENTS = ("timestamp_ns", "timestamptz_ns")
LISTS = ("list", "array")
STRUCTS = ("struct", "tuple")
SCALAR_KEYS = (*MOMENTS, "varchar")
"""Keys of maps that Python can have: of others DuckDB makes a pair of lists."""


def holds_times(kind: Any) -> bool:
    """Whether values of it are to be asked for otherwise."""
    return kind.id in MOMENTS or any(map(holds_times, _parts(kind)))


def _parts(kind: Any) -> list[Any]:
    """The types of what its values consist of, of those kinds that can be taken apart."""
    if kind.id == "map" and kind.children[0][1].id not in SCALAR_KEYS:
        return []
    return [part for name, part in kind.children if name != "size"] if kind.id in (*LISTS, *STRUCTS, "map") else []


def asked_for(kind: Any, value: str, depth: int = 0) -> str:
    """SQL for a value with its times as numbers. ``value``: SQL, too; ``depth``: how many lists it is in."""
    if not holds_times(kind):
        return value
    parts = _parts(kind)
    each = f"t{depth}"
    if kind.id in MOMENTS:
        return f"epoch_ns({value})"
    if kind.id in LISTS:
        return f"[{asked_for(parts[0], each, depth + 1)} FOR {each} IN {value}]"
    if kind.id == "map":
        keys, values = (
            f"[{asked_for(part, each, depth + 1)} FOR {each} IN map_{name}({value})]"
            for name, part in zip(("keys", "values"), parts, strict=True)
        )
        return f"map({keys}, {values})"
    names = [name for name, _ in kind.children]
    if any(names):
        fields = (
            f"{(key := _quoted(name))}: {asked_for(part, f'struct_extract({value}, {key})', depth)}"
            for name, part in kind.children
        )
        made = f"{{{', '.join(fields)}}}"
    else:
        members = (asked_for(part, f"struct_extract({value}, {number})", depth) for number, part in enumerate(parts, 1))
        made = f"row({', '.join(members)})"
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {made} END"


def form(kind: Any) -> Form:
    """What makes of a value that was asked for so what is printed: of times what RFC 3339 writes."""
    if not holds_times(kind):
        return printed
    parts = [form(part) for part in _parts(kind)]

    def made(value: Any) -> object:
        if value is None:
            return None
        if kind.id in MOMENTS:
            return rfc3339_signed(value)
        if kind.id in LISTS:
            return [parts[0](each) for each in value]
        if kind.id == "map":
            return {parts[0](key): parts[1](each) for key, each in value.items()}
        if isinstance(value, dict):
            return {name: part(each) for (name, each), part in zip(value.items(), parts, strict=True)}
        return [part(each) for each, part in zip(value, parts, strict=True)]

    return made


def printed(value: Any) -> object:
    """What is printed of any value: bytes as hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {printed(key): printed(each) for key, each in value.items()}
    return [printed(each) for each in value] if isinstance(value, list | tuple) else value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
