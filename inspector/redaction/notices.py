"""What a redacted report may repeat of a notice: numbers, moments and choices from a table. Paths are replaced, and
whatever else somebody put into words is left out.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from inspector.errors.notice import Notice, PathText, field_types
from inspector.redaction.disguise import Disguise
from inspector.redaction.paths import path_name

N = TypeVar("N", bound=Notice)


def redacted_notice(notice: N, disguise: Disguise) -> N:
    """A notice of the same kind that names nobody."""
    values: dict[str, object] = {}
    for name, kind in field_types(type(notice)).items():
        value = getattr(notice, name)
        if isinstance(value, Notice):
            values[name] = redacted_notice(value, disguise)
        elif kind is PathText:
            values[name] = path_name(value, disguise)
        else:
            values[name] = value if isinstance(value, int | float | Enum) else ""
    return type(notice)(**values)
