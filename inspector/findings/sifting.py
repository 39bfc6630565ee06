"""A case of facts, whatever they hold: where joining and judging all connections stumbles, those over which it does are
left out, as few as are found by halving, and named as a mistake of this program (``errors.internal``).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from inspector.errors.internal import Border
from inspector.facts import Facts
from inspector.findings.case import Case, Options, build
from inspector.tracking.certificate_reader import READER, CertificateReader

TRIES = 32
"""So many times it may stumble: halving finds one connection among thousands, or some that stand together."""


def sifted(facts: Facts, options: Options, reader: CertificateReader = READER) -> Case:
    """The case of all connections that can be judged together. ``reader``: of their certificates. Raises what goes
    wrong where none can be.
    """
    border = Border()
    with border:
        return build(facts, options, reader)
    (mistake,) = border.notices()
    sound = _sound(facts, options, reader)
    case = build(_with(facts, sound), options, reader)
    for _ in range(len(facts.connections) - len(sound)):
        case.border.note(mistake.where)
    return case


def _sound(facts: Facts, options: Options, reader: CertificateReader) -> list[bytes]:
    """Connections that can be judged together, of which some part must be left out."""
    sound: list[bytes] = []
    parts = _halves(list(facts.connections))
    tries = TRIES
    while parts:
        part = parts.pop()
        border = Border()
        with border:
            build(_with(facts, [*sound, *part]), options, reader)
        if not border.count:
            sound += part
            continue
        tries -= 1
        if len(part) > 1 and tries > 0:
            parts += _halves(part)
    return sound


def _halves(part: list[bytes]) -> list[list[bytes]]:
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]


def _with(facts: Facts, connections: Sequence[bytes]) -> Facts:
    return msgspec.structs.replace(facts, connections=list(connections))
