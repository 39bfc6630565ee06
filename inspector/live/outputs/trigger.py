"""Trigger capture: an incident writes the frames of its story, which are held in memory, into a pcapng file of its own,
a moment after it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence

from inspector.capture.writer import PcapngWriter
from inspector.errors import UsageError
from inspector.live.outputs import disk
from inspector.live.outputs.held_evidence import BEFORE_NS, BYTES, EvidenceRequest, HeldEvidence, WrittenEvidence
from inspector.packets import reread as evidence

FILES = 1_000
PATTERN = re.compile(r"incident-\w+\.pcapng")


class Trigger(HeldEvidence):
    """Into files of a directory."""

    def __init__(
        self,
        directory: str,
        names: Sequence[str],
        before_ns: int = BEFORE_NS,
        most_bytes: int = BYTES,
        least_mib: int = disk.FREE_MIB,
    ) -> None:
        """Raises UsageError where nothing can be written to the directory."""
        super().__init__(before_ns, most_bytes)
        self.directory = directory
        self._names = names
        self._least_mib = least_mib
        self._before = 0
        """Files of earlier runs in the directory: a service that is started again and again fills no disk."""
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._before = sum(PATTERN.fullmatch(name) is not None for name in os.listdir(directory))
            disk.create(os.path.join(directory, ".try")).close()
            os.unlink(os.path.join(directory, ".try"))
        except OSError as error:
            raise UsageError(f"--incidents {directory}: {disk.reason(error)}") from None

    def _obstacle(self) -> str:
        is_crowded = self._before + self.written + len(self._wanted) >= FILES
        return f"{FILES:,} files lie in {self.directory}" if is_crowded else ""

    def path_of(self, incident: str) -> str:
        """Where the packets of an incident lie, or will."""
        return os.path.join(self.directory, f"incident-{incident}.pcapng")

    def _write(self, wanted: EvidenceRequest) -> WrittenEvidence:
        path = self.path_of(wanted.id)
        flows = wanted.flows()
        written: set[frozenset[object]] = set()
        try:
            disk.require_space(path, self._least_mib)
            with disk.create(path) as raw:
                content = io.BytesIO()
                writer = PcapngWriter(content, wanted.comment, self._names)
                for batch, segments in self._frames_of(flows):
                    writer.write(batch, evidence.comments_on(batch, wanted.comments))
                    written.update(
                        frozenset(pair) for pair in zip(segments.source.tolist(), segments.target.tolist(), strict=True)
                    )
                disk.write_all(raw, content.getbuffer())
        except OSError as error:
            return WrittenEvidence(wanted.id, "", 0, len(flows), f"{path}: {disk.reason(error)}")
        self.written += 1
        return WrittenEvidence(wanted.id, path, writer.count, max(len(flows) - len(written), 0), "")
