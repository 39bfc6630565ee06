"""What a live capture keeps: the journal, the recording, the evidence of incidents; and the logs and key logs that are
read beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inspector.capture.frames import FrameBatch
from inspector.extract.journal import Journal
from inspector.live.outputs.held_evidence import HeldEvidence, kept_lengths
from inspector.live.outputs.packet_stream import PacketStream
from inspector.live.outputs.recording import Conditions, Recording
from inspector.live.sources.growing import GrowingLogs
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.segments import SegmentBatch

if TYPE_CHECKING:
    from inspector.live.sources.growing_keys import GrowingKeys


@dataclass(slots=True)
class Keeping:
    """What is kept where. ``stop``: conditions at which the capture ends. ``logs``, ``keys``: what is
    read beside it.
    """

    journal: Journal | None = None
    recording: Recording | None = None
    trigger: HeldEvidence | None = None
    stream: PacketStream | None = None
    logs: GrowingLogs | None = None
    keys: GrowingKeys | None = None
    stop: Conditions = field(default_factory=Conditions)

    def write_frames(
        self, batch: FrameBatch, segments: SegmentBatch, extent: ParsedExtent | None, newest_ns: int
    ) -> None:
        """Frames that were analysed, as far as they are wanted. ``segments``, ``extent``: as in ``kept_lengths``.
        ``newest_ns``: when the last of them was captured.
        """
        if self.recording is None and self.trigger is None:
            return
        keep, rows = kept_lengths(batch, segments, extent)
        if self.recording is not None:
            self.recording.write(batch, keep, newest_ns)
        if self.trigger is not None:
            self.trigger.hold(batch, keep, rows)

    def flush(self) -> None:
        """What was recorded is on the disk."""
        if self.recording is not None:
            self.recording.flush()

    def settle(self) -> None:
        """What was written is whole on the disk, and the recording at its end."""
        if self.recording is not None:
            self.recording.close()
        if self.journal is not None:
            self.journal.settle()

    def close(self) -> None:
        """Nothing more is written or read."""
        for kept in (self.recording, self.journal, self.logs, self.keys):
            if kept is not None:
                kept.close()

    def is_over(self, seconds: float, packets: int, incidents: int) -> bool:
        """Whether a capture that took so long and saw so much meets a condition to stop."""
        stop, recording = self.stop, self.recording
        if stop.duration is not None and seconds >= stop.duration:
            return True
        if stop.packets is not None and packets >= stop.packets:
            return True
        if stop.incidents is not None and incidents >= stop.incidents:
            return not (self.trigger is not None and self.trigger.is_waiting)
        if recording is None:
            return False
        return bool(
            (stop.filesize is not None and recording.bytes >= stop.filesize * 1000)
            or (stop.files is not None and recording.files > stop.files)
        )
