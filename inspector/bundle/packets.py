"""evidence.pcapng: the connections of a slice, cut to what proves something, with comments that say which rule, which role and which original frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from inspector.bundle.cutting import Cut, cut_flow, shortened
from inspector.bundle.held import HeldFlow, Holding
from inspector.bundle.slices import Slice, seen_in
from inspector.capture.frames import FrameBatch
from inspector.capture.writer import Output, PcapngWriter
from inspector.document import Finding
from inspector.evidence import flow_of
from inspector.facts import FRAME_BITS, frame_reference
from inspector.findings.case import Case
from inspector.tracking.observed import Observed
from inspector.tracking.sessions import is_modern

PADDING = 256
BATCH = 4096


class Packet(NamedTuple):
    """A frame to write. ``frame``: the original's reference. ``original``: its length on the wire."""

    frame: int
    ns: int
    link_type: int
    data: bytes
    original: int


class Written(NamedTuple):
    """``frames``: evidence frame numbers by original reference. ``is_whole``: false where memory ran out and later frames are missing."""

    frames: dict[int, int]
    is_whole: bool


def held(paths: Sequence[str], seen: Sequence[Observed]) -> Holding:
    """The frames of some connections and their legs. Raises UnreadableError."""
    holding = Holding([flow_of(leg) for s in seen for leg in (s.main, *s.legs)])
    holding.read(paths)
    return holding


def packets(holding: Holding, seen: Sequence[Observed]) -> list[Packet]:
    """The frames cut, in the order of their capture."""
    legs = [leg for s in seen for leg in (s.main, *s.legs)]
    cuts: Iterable[tuple[HeldFlow, list[Cut]]] = (
        (flow, list(cut_flow(flow, leg.handshake.answer_ns, is_modern(leg.handshake)))) for flow, leg in zip(holding.flows, legs, strict=True)
    )
    found = {cut.frame.frame: Packet(cut.frame.frame, cut.frame.ns, cut.frame.link_type, shortened(cut), cut.frame.original) for _, some in cuts for cut in some}
    return [found[frame] for frame in sorted(found, key=lambda f: (found[f].ns, f))]


def comments(case: Case, findings: Sequence[Finding], found: Slice) -> dict[int, str]:
    """What is said on which frame, by original reference."""
    paths = [c.path for c in case.facts.captures]
    said: dict[int, list[str]] = {}
    for seen in seen_in(case, found):
        for leg in (seen.main, *seen.legs):
            said.setdefault(leg.first_frame, []).append(f"connection {seen.id}, {seen.outcome}, back end {case.label(seen)}")
    for finding in findings:
        if finding.id in found.same or finding.id in found.other:
            for item in finding.evidence:
                for capture, number in item.frames:
                    said.setdefault(frame_reference(capture, number), []).append(f"{finding.rule}, {item.role}: {item.text} (finding {finding.id})")
    return {reference: f"inspector: {'; '.join(dict.fromkeys(parts))}. Original {original(paths, reference)}" for reference, parts in said.items()}


def original(paths: Sequence[str], reference: int) -> str:
    """``frame 470 of vip.pcap``."""
    capture = reference >> FRAME_BITS
    name = paths[capture].rsplit("/", 1)[-1] if capture < len(paths) else "?"
    return f"frame {reference & (1 << FRAME_BITS) - 1} of {name}"


def write(out: Output, found: Sequence[Packet], said: dict[int, str], section: str, is_whole: bool) -> Written:
    """All packets, in one file with one interface for each link type."""
    writer = PcapngWriter(out, section)
    places: dict[int, int] = {}
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]
        lengths = np.array([len(p.data) for p in some], np.int64)
        offsets = np.zeros(len(some), np.int64)
        np.cumsum(lengths[:-1], out=offsets[1:])
        numbers = np.arange(start + 1, start + len(some) + 1, dtype=np.int64)
        batch = FrameBatch(
            np.frombuffer(b"".join([*(p.data for p in some), bytes(PADDING)]), np.uint8),
            np.array([p.ns for p in some], np.int64),
            offsets,
            lengths,
            np.array([max(p.original, len(p.data)) for p in some], np.int64),
            np.array([p.link_type for p in some], np.int64),
            numbers,
        )
        places.update({p.frame: number for p, number in zip(some, numbers.tolist(), strict=True)})
        writer.write(batch, {places[p.frame]: said[p.frame] for p in some if p.frame in said})
    return Written(places, is_whole)


__all__ = ["Packet", "Written", "comments", "held", "packets", "write"]
