"""A case of facts, whatever they hold: where joining and judging all connections stumbles, those over which it does are
left out, as few as are found by halving, and named as a mistake of this program (``errors.internal``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from inspector.errors import InspectorError
from inspector.errors.internal import Border
from inspector.facts import Facts
from inspector.facts.spool import selected
from inspector.findings.building import build
from inspector.findings.case import Case, Options
from inspector.tracking.certificate_reader import READER, CertificateReader

TRIES = 32
"""So many times it may stumble: halving finds one connection among thousands, or some that stand together."""


def sifted(
    facts: Facts,
    options: Options,
    reader: CertificateReader = READER,
    advance: Callable[[int], None] | None = None,
) -> Case:
    """The case of all connections that can be judged together. ``reader``: of their certificates. ``advance``: as in
    ``observe``. Raises what goes wrong where none can be.
    """
    border = Border(InspectorError)
    with border:
        return build(facts, options, reader, advance)
    (mistake,) = border.notices()
    sound = _sound(facts, options, reader)
    case = build(_with(facts, sound), options, reader)
    for _ in range(len(facts.connections) - len(sound)):
        case.border.note(mistake.where)
    return case


def _sound(facts: Facts, options: Options, reader: CertificateReader) -> list[int]:
    """The indices of connections that can be judged together, where some part must be left out."""
    sound: list[int] = []
    parts = _halves(range(len(facts.connections)))
    tries = TRIES
    while parts:
        part = parts.pop()
        border = Border(InspectorError)
        with border:
            build(_with(facts, [*sound, *part]), options, reader)
        if not border.count:
            sound += part
            continue
        tries -= 1
        if len(part) > 1 and tries > 0:
            parts += _halves(part)
    return sound


def _halves(part: range) -> list[range]:
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]


def _with(facts: Facts, indices: Sequence[int]) -> Facts:
    return msgspec.structs.replace(facts, connections=selected(facts.connections, indices))
