"""The capture that a probe leaves: what its connections said as pcapng, with the secrets of these connections, and the
mark by which readers know that a probe made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np

from inspector.capture.frames import FrameBatch, packed
from inspector.capture.link_types import LinkType
from inspector.capture.probe_marks import interface_of
from inspector.capture.writer import Output, PcapngWriter
from inspector.probe.frames import SyntheticFrame, frames_of
from inspector.probe.transcript import Transcript

COMMENT = (
    "Made by inspector probe: bytes and times are those of the wire, the headers of IP and TCP are made up. These are"
    " the probe's own connections, not users' traffic; the secrets are of these connections alone."
)


def write_capture(transcripts: Sequence[Transcript], key_log: bytes, out: Output) -> None:
    """All frames in the order of time, by an interface for each JVM that was stood for."""
    frames = [(frame, transcript.stands_for) for transcript in transcripts for frame in frames_of(transcript)]
    frames.sort(key=lambda framed: framed[0].ns)
    writer = PcapngWriter(out, COMMENT)
    if key_log:
        writer.key_log(key_log)
    for stands_for, alike in groupby(frames, itemgetter(1)):
        writer.write(_batch([frame for frame, _ in alike]), name=interface_of(stands_for))


def _batch(frames: Sequence[SyntheticFrame]) -> FrameBatch:
    data, offset, lengths = packed([frame.data for frame in frames])
    count = len(frames)
    return FrameBatch(
        data=data,
        time_ns=np.fromiter((frame.ns for frame in frames), np.int64, count),
        offset=offset,
        captured=lengths,
        original=lengths,
        link_type=np.full(count, LinkType.RAW, np.int64),
        number=np.arange(1, count + 1, dtype=np.int64),
    )
