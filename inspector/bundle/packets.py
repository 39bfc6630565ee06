"""evidence.pcapng: the connections of a slice, cut to what proves something, with comments that say which rule, which
role and which original frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from inspector.bundle.slices import Slice, observed_in
from inspector.capture.frames import FrameBatch, packed
from inspector.capture.writer import Output, PcapngWriter
from inspector.document import Finding
from inspector.facts import FRAME_BITS, CaptureFacts, frame_reference, unpack_events
from inspector.findings.case import Case
from inspector.packets.buffer import FrameBuffer
from inspector.packets.cut import CutPacket, cut_flow, packet
from inspector.packets.reread import clocks_late, flow_of
from inspector.redaction.frames import redacted_packets
from inspector.redaction.messages import Redactor
from inspector.tracking.observed import Observed

BATCH = 4096


def buffered_frames(
    paths: Sequence[str], observed: Sequence[Observed], captures: Sequence[CaptureFacts]
) -> FrameBuffer:
    """The frames of some connections and their legs, by one clock. Raises UnreadableError."""
    buffer = FrameBuffer([flow_of(leg) for s in observed for leg in (s.client_leg, *s.legs)])
    buffer.read(paths, clocks_late(captures))
    return buffer


def packets(buffer: FrameBuffer, observed: Sequence[Observed], redactor: Redactor | None = None) -> list[CutPacket]:
    """The frames cut, in the order of their capture; with ``redactor``, what identifies replaced."""
    legs = [leg for s in observed for leg in (s.client_leg, *s.legs)]
    packets_by_frame: dict[int, CutPacket] = {}
    for flow, leg in zip(buffer.flows, legs, strict=True):
        tls13 = leg.handshake.is_tls13
        if redactor is not None:
            packets_by_frame.update((p.frame, p) for p in redacted_packets(flow, tls13, redactor))
        else:
            packets_by_frame.update(
                (cut.frame.frame, packet(cut))
                for cut in cut_flow(
                    flow,
                    leg.handshake.answer_ns,
                    tls13,
                    unpack_events(leg.events) if leg.secrets is not None else (),
                )
            )
    return sorted(packets_by_frame.values(), key=lambda p: (p.ns, p.frame))


def comments(case: Case, findings: Sequence[Finding], cut: Slice) -> dict[int, str]:
    """What is said on which frame, by original reference."""
    paths = [c.path for c in case.facts.captures]
    proven = set(cut.findings)
    comments: dict[int, list[str]] = {}
    for observed in observed_in(case, cut):
        for leg in (observed.client_leg, *observed.legs):
            comments.setdefault(leg.first_frame, []).append(
                f"connection {observed.id}, {observed.outcome}, back end {case.label(observed)}"
            )
    for finding in findings:
        if finding.id in proven:
            for item in finding.evidence:
                for capture, number in item.frames:
                    comments.setdefault(frame_reference(capture, number), []).append(
                        f"{finding.rule}, {item.role}: {item.text} (finding {finding.id})"
                    )
    return {
        reference: f"inspector: {'; '.join(dict.fromkeys(parts))}. Original {original(paths, reference)}"
        for reference, parts in comments.items()
    }


def original(paths: Sequence[str], reference: int) -> str:
    """``frame 470 of vip.pcap``."""
    capture = reference >> FRAME_BITS
    name = paths[capture].rsplit("/", 1)[-1] if capture < len(paths) else "?"
    return f"frame {reference & (1 << FRAME_BITS) - 1} of {name}"


def write(
    out: Output,
    cut_packets: Sequence[CutPacket],
    comments: dict[int, str],
    section: str,
    key_log: bytes = b"",
    *,
    interface: Callable[[int], str] = lambda reference: "",
) -> dict[int, int]:
    """All packets, in one file with one interface for each link type. The evidence frame numbers by original reference.
    ``key_log``: secrets that go with them. ``interface``: what the interface of a frame is called.
    """
    writer = PcapngWriter(out, section)
    if key_log:
        writer.key_log(key_log)
    evidence_numbers: dict[int, int] = {}
    for start in range(0, len(cut_packets), BATCH):
        some = cut_packets[start : start + BATCH]
        buffer, offsets, lengths = packed([p.data for p in some])
        numbers = np.arange(start + 1, start + len(some) + 1, dtype=np.int64)
        batch = FrameBatch(
            data=buffer,
            time_ns=np.array([p.ns for p in some], np.int64),
            offset=offsets,
            captured=lengths,
            original=np.array([max(p.original, len(p.data)) for p in some], np.int64),
            link_type=np.array([p.link_type for p in some], np.int64),
            number=numbers,
        )
        evidence_numbers.update({p.frame: number for p, number in zip(some, numbers.tolist(), strict=True)})
        theirs = {evidence_numbers[p.frame]: comments[p.frame] for p in some if p.frame in comments}
        at = 0
        for name, alike in itertools.groupby(some, lambda packet: interface(packet.frame)):
            stop = at + sum(1 for _ in alike)
            writer.write(batch.select(slice(at, stop)), theirs, name=name)
            at = stop
    return evidence_numbers
