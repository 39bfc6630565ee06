"""The capture that a probe leaves: what its connections said as pcapng, with the secrets of these connections, and the
mark by which readers know that a probe made them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.capture.frames import FrameBatch, packed
from inspector.capture.link_types import LinkType
from inspector.capture.pcapng import interface_of
from inspector.capture.writer import Output, PcapngWriter
from inspector.probe.frames import frames_of
from inspector.probe.transcript import Transcript

COMMENT = (
    "Made by inspector probe: bytes and times are those of the wire, the headers of IP and TCP are made up. These are"
    " the probe's own connections, not users' traffic; the secrets are of these connections alone."
)


def write_capture(transcripts: Sequence[Transcript], key_log: bytes, out: Output, model: str = "") -> None:
    """All frames in the order of time. ``model``: as what client was asked."""
    frames = sorted(
        (frame for transcript in transcripts for frame in frames_of(transcript)), key=lambda frame: frame.ns
    )
    data, offset, lengths = packed([frame.data for frame in frames])
    count = len(frames)
    batch = FrameBatch(
        data=data,
        time_ns=np.fromiter((frame.ns for frame in frames), np.int64, count),
        offset=offset,
        captured=lengths,
        original=lengths,
        link_type=np.full(count, LinkType.RAW, np.int64),
        number=np.arange(1, count + 1, dtype=np.int64),
    )
    writer = PcapngWriter(out, COMMENT, [interface_of(model)])
    if key_log:
        writer.key_log(key_log)
    writer.write(batch)
