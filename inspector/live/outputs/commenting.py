"""What a live capture finds, said on the packets of a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.held_evidence import WrittenEvidence, said_on_frames
from inspector.live.outputs.packet_stream import ReaderPipe
from inspector.live.sources.source import KEPT_LINES
from inspector.live.update import NewsKind, Update


class Commenting:
    """A listener that comments. Where nobody reads the packets any more the capture ends."""

    def __init__(self, capture: LiveCapture, pipe: ReaderPipe, warn: Callable[[str], object]) -> None:
        """``warn``: what a person should know."""
        self._capture = capture
        self._pipe = pipe
        self._stream = capture.keeping.stream
        self._warn = warn
        self._of_sources: deque[str] = deque(maxlen=KEPT_LINES)

    def update(self, update: Update) -> None:
        """Connections on their first packet, findings on those that prove them."""
        stream, case = self._stream, update.analysis.case
        if stream is None:
            return
        for observed in update.observed(update.decided):
            for leg in (observed.client_leg, *observed.legs):
                text = f"connection {observed.id}, {observed.outcome}, back end {case.label(observed)}"
                stream.comment(leg.first_frame, text)
        for finding in update.findings:
            for reference, text in said_on_frames(finding).items():
                stream.comment(reference, text)

    def news(self, at_ns: int, kind: NewsKind, text: str) -> None:
        """It is told; of what a source says itself the last lines, and only where it has ended or gone."""
        if kind != "source":
            self._warn(text)
            return
        self._of_sources.append(text)
        if any(source.state in ("waiting", "lost") for source in self._capture.sources):
            for line in self._of_sources:
                self._warn(line)
            self._of_sources.clear()

    def written(self, written: WrittenEvidence) -> None:
        """What was not written is told."""
        if written.problem:
            self._warn(written.problem)

    def tick(self) -> None:
        """What has waited long enough goes on its way."""
        if self._stream is not None:
            self._stream.pass_on(self._capture.now_ns)
        self._pipe.look()
        if self._pipe.has_left:
            self._capture.stop()

    def second(self) -> None:
        """Nothing is due then."""
