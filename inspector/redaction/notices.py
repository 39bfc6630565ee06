"""What a redacted report may repeat of a notice: numbers, moments and choices from a table. Paths are replaced, and
whatever else somebody put into words is left out.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar, get_type_hints

from inspector.errors.notice import Notice, PathText
from inspector.redaction.disguise import Disguise
from inspector.redaction.paths import path_name

N = TypeVar("N", bound=Notice)


def redacted_notice(notice: N, disguise: Disguise) -> N:
    """A notice of the same kind that names nobody."""
    hints = get_type_hints(type(notice))
    values: dict[str, object] = {}
    for name in notice.__struct_fields__:
        value = getattr(notice, name)
        if isinstance(value, Notice):
            values[name] = redacted_notice(value, disguise)
        elif hints[name] is PathText:
            values[name] = path_name(value, disguise)
        else:
            values[name] = value if isinstance(value, int | float | Enum) else ""
    return type(notice)(**values)
