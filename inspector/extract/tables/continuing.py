"""Which part a new one goes on from: the latest of the same place that left its open flows here, and that nobody has
gone on from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from inspector.capture.rotation import sequence_name
from inspector.extract.open_flows import NotTakenUp, OpenFlows, OpenFlowsFolder
from inspector.extract.tables.inputs import Origin, PartPlan
from inspector.extract.tables.manifest import PartManifest
from inspector.text.version import VERSION
from inspector.wire.flows import LATE_NS

MOST_ENDS = 8
"""Parts of one place that nobody has gone on from, and whose open flows are kept: the latest."""


class Continuation(NamedTuple):
    """``part``: the one to go on from, and what it left; "" for none. ``not_followed``: where others were there to go
    on from, why none of them can be.
    """

    part: str = ""
    open_flows: OpenFlows | None = None
    not_followed: NotTakenUp | None = None


def sequence_names(paths: Sequence[str]) -> tuple[str, ...]:
    """The rotated sets that captures belong to, by hashes of their names."""
    names = {"/".join(sequence_name(os.path.abspath(path))) for path in paths}
    return tuple(sorted(hashlib.sha256(os.fsencode(name)).hexdigest()[:16] for name in names))


def continuation(
    parts: Sequence[PartManifest],
    plan: PartPlan,
    origin: Origin,
    folder: OpenFlowsFolder,
    first_ns: Callable[[], int | None],
) -> Continuation:
    """What a plan may go on from. ``parts``: those that are whole. ``first_ns``: tells when the first frame came of
    what is to be read, as far as that is known; it is asked where there is a part to go on from.
    """
    replaced = {part.name for part in plan.replaced}
    ends = _ends([part for part in parts if origin.holds(part) and part.name not in replaced])
    sequences = sequence_names([each.path for each in plan.inputs if each.role == "capture"])
    usable: list[tuple[bool, int, str, OpenFlows]] = []
    reasons: list[NotTakenUp] = []
    for part in ends:
        left = folder.open_flows(part.name) if part.engine == VERSION else "other_program"
        if isinstance(left, str):
            reasons.append(left)
        elif (beginning := first_ns()) is not None and beginning < left.last_ns - LATE_NS:
            reasons.append("later")
        else:
            usable.append((left.sequences == sequences, left.last_ns, part.name, left))
    if not usable:
        return Continuation(not_followed=min(reasons, default=None, key=_WEIGHT.index))
    *_, name, open_flows = max(usable, key=lambda each: each[:3])
    return Continuation(name, open_flows)


_WEIGHT: tuple[NotTakenUp, ...] = ("damaged", "foreign", "other_program", "later", "missing")
"""Of several reasons the one that tells most."""


def kept_parts(parts: Sequence[PartManifest], folder: OpenFlowsFolder) -> set[str]:
    """The parts whose open flows are still of use: those that nobody has gone on from, and those that these went on
    from, for their captures may grow and be read once more.
    """
    kept: set[str] = set()
    places = {(part.vantage, part.redaction) for part in parts}
    for vantage, redaction in places:
        last_ns: dict[str, int] = {}
        ends = _ends([part for part in parts if (part.vantage, part.redaction) == (vantage, redaction)])
        for part in ends:
            left = folder.open_flows(part.name)
            if isinstance(left, OpenFlows):
                last_ns[part.name] = left.last_ns
        latest = sorted(last_ns, key=lambda name: last_ns[name])[-MOST_ENDS:]
        kept.update(latest, (part.continues for part in ends if part.name in latest))
    return kept


def _ends(parts: Sequence[PartManifest]) -> list[PartManifest]:
    """Those that none of the others has gone on from."""
    continued = {part.continues for part in parts if part.continues}
    return [part for part in parts if not part.open_of and not continued & {part.name, *part.replaces}]
