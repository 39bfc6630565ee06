"""Two lossy copies of one capture, whose clocks are apart: together they say what a file of all their frames says.

``python -m tests.lossy [COUNT [SEED]]`` tries many (200 by default) and prints what failed; ``test_lossy.py`` tries
some. A failure is repeated by its seed.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from inspector.document import Document
from tests.build import document_of
from tests.conftest import CAPTURES
from tests.cuts import SECOND, Frame, by_time, frames_of, later, link_type, write

MS = SECOND // 1000
LATE = (
    0,
    2 * MS,
    -40 * MS,
    200 * MS,
    SECOND // 2,
    -SECOND // 2,
    15 * SECOND,
    -15 * SECOND,
    3600 * SECOND,
    -3600 * SECOND,
)
SHARES = (0.005, 0.02, 0.05)
JITTER_NS = 50_000
"""Two taps at one place stamp a frame that much apart."""

RECORDINGS = (
    *("both-legs", "ipv6", "jdk17-abort", "jdk25-abort", "mixed-pool", "mutual-tls", "rotated", "silent-abort"),
    *("strict-round-robin", "tickets", "tls10", "tls13", "tolerated"),
)


class Taken(NamedTuple):
    """Two lossy copies, and all that either of them holds. ``is_whole``: that is the whole recording."""

    copies: tuple[list[Frame], list[Frame]]
    union: list[Frame]
    is_whole: bool


@lru_cache(maxsize=32)
def recording(name: str) -> tuple[list[Frame], int, Any]:
    """Frames, link type, and what the analysis says."""
    path = next(CAPTURES.glob(f"{name}.pcap*"))
    return frames_of(path), link_type(path), said(document_of(path))


def taken(dice: random.Random, frames: list[Frame], share: float, late: int) -> Taken:
    """``share``: of the frames is lost in each copy. ``late``: the second one's clock."""
    kept = [(dice.random() >= share, dice.random() >= share) for _ in frames]
    first, second = ([f for f, has in zip(frames, kept, strict=True) if has[copy]] for copy in (0, 1))
    jitter = dice.choice((0, JITTER_NS))
    second = by_time(f._replace(ns=f.ns + dice.randrange(jitter + 1)) for f in second)
    union = [f for f, has in zip(frames, kept, strict=True) if any(has)]
    return Taken((first, later(second, late)), union, len(union) == len(frames))


def said(document: Document) -> dict[str, Any]:
    """What may not depend on where a frame lies, nor on the clock that it was stamped by."""
    labels = {b.id: (b.label, tuple(b.addresses), b.leaf) for b in document.backends}
    return {
        "connections": sorted(
            (
                str(c.client_endpoint),
                str(c.server_endpoint),
                c.outcome,
                str(h.kind),
                str(h.declined),
                str(labels.get(c.backend or "")),
                len(c.legs),
            )
            for c in document.connections
            for h in c.handshakes[:1]
        ),
        "findings": Counter((f.rule, f.verdict) for f in document.findings),
        "backends": sorted(
            (b.label, b.connections, b.full, b.resumed, b.declined, b.aborted) for b in document.backends
        ),
        "services": [
            (s.name, s.port, s.assessment.state, s.assessment.grade, s.connections) for s in document.services
        ],
        "before": sorted((limit.kind, limit.text) for limit in document.limits if limit.kind == "before_capture"),
    }


def tried(seed: int, folder: Path, name: str = "", share: float = 0, late: int | None = None) -> tuple[str, list[str]]:
    """One pair of copies: how it was made, and what the analysis says otherwise than that of all frames. What is not
    given is chosen by the seed.
    """
    dice = random.Random(seed)
    chosen = (dice.choice(RECORDINGS), dice.choice(SHARES), dice.choice(LATE))
    name, share, late = name or chosen[0], share or chosen[1], chosen[2] if late is None else late
    frames, kind, whole = recording(name)
    made = taken(dice, frames, share, late)
    expected = whole if made.is_whole else said(document_of(write(folder / "union.pcap", made.union, kind)))
    found = said(document_of(*(write(folder / f"{n}.pcap", copy, kind) for n, copy in enumerate(made.copies))))
    wrong = [f"{key}: {_apart(found[key], expected[key])}" for key in expected if found[key] != expected[key]]
    return f"seed {seed}: {name}, {share:.1%} lost, {late / SECOND:+g} s", wrong


def _apart(found: Any, expected: Any) -> str:
    """Two lists or counts: what is there more and less often."""
    mine, other = (
        Counter(found) if not isinstance(found, Counter) else found,
        Counter(expected) if not isinstance(expected, Counter) else expected,
    )
    return f"+{sorted(map(str, (mine - other).elements()))} -{sorted(map(str, (other - mine).elements()))}"


def main(count: int, seed: int) -> int:
    started, bad = time.time(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            how, wrong = tried(number, Path(folder))
            if wrong:
                bad["all"] += 1
                bad[how.split(", ")[2]] += 1
                bad[how.split(", ")[1]] += 1
                print(how, *wrong, sep="\n    ", flush=True)
    print(f"{count} pairs of copies, {bad.pop('all', 0)} told otherwise {dict(bad)}, {time.time() - started:.0f} s")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
