"""The way of the data, in one place: frames become segments, flows, ordered bytes, records, messages, and in the end facts.

``extract(captures) → facts`` (``parallel``, which runs one engine a core) is the first of two pure halves; ``judge(facts)`` in ``findings`` is the
second. The engine is single-writer: one thread feeds it. It knows no clock and no screen.
"""

from __future__ import annotations

import hashlib

from inspector import bounds
from inspector.capture.files import Progress, Story
from inspector.capture.frames import CaptureInfo, FrameBatch
from inspector.facts import CaptureFacts, ConnectionFacts, Endpoint, Facts
from inspector.tls import messages
from inspector.wire.flows import FlowTable
from inspector.wire.segments import SegmentDecoder


class Engine:
    """Takes frame batches and gathers facts. Also the store of certificates and the place where finished flows arrive."""

    def __init__(self, share: int = 0, shares: int = 1) -> None:
        """``share`` of ``shares``: which part of the flows is followed."""
        self.facts = Facts()
        self.undecoded: dict[int, int] = {}
        self._decoder = SegmentDecoder()
        self._flows = FlowTable(self._decoder.addresses, self, self, share, shares)
        self._chains: dict[bytes, tuple[bytes, ...]] = {}

    def feed(self, batch: FrameBatch) -> None:
        """Frames in. The batch's buffer may be used again afterwards."""
        segments = self._decoder.decode(batch)
        if segments.undecoded:
            self.undecoded[batch.capture] = self.undecoded.get(batch.capture, 0) + segments.undecoded
        self._flows.feed(segments)

    def finish(self) -> Facts:
        """No more frames: all that is known."""
        self._flows.finish()
        if self._flows.evicted:
            self.facts.bounded.append(f"{self._flows.evicted} flows were closed early because more than {bounds.FLOWS} were open at once")
        return self.facts

    def chain(self, body: bytes) -> tuple[bytes, ...]:
        """The digests of a Certificate message's chain; keeps the certificates. Raises Malformed."""
        known = self._chains.get(body)
        if known is None:
            if len(self._chains) > bounds.CACHE:
                self._chains.clear()
            certificates = messages.certificate(body)
            known = tuple(hashlib.sha256(der).digest() for der in certificates)
            self._chains[body] = known
            for digest, der in zip(known, certificates, strict=True):
                if len(self.facts.certificates) < bounds.CERTIFICATES:
                    self.facts.certificates.setdefault(digest, der)
        return known

    def connection(self, found: ConnectionFacts) -> None:
        """A finished connection."""
        self.facts.add(found)

    def other(self, server: Endpoint) -> None:
        """A finished flow without TLS."""
        others = self.facts.other_flows
        if server in others or len(others) < bounds.CACHE:
            others[server] = others.get(server, 0) + 1


def extract_share(story: Story, share: int = 0, shares: int = 1, progress: Progress | None = None) -> Facts:
    """The facts of one share of the flows of a story; captures and problems are named by share 0."""
    engine = Engine(share, shares)
    for batch in story.batches(progress):
        engine.feed(batch)
    found = engine.finish()
    found.captures = [_capture_facts(file.info, engine.undecoded.get(index, 0)) for index, file in enumerate(story.captures)]
    found.problems = [(path, str(error)) for path, error in story.problems]
    return found


def _capture_facts(info: CaptureInfo, undecoded: int) -> CaptureFacts:
    return CaptureFacts(
        info.path,
        info.packets,
        info.bytes,
        info.first_ns,
        info.last_ns,
        tuple(sorted(info.link_types)),
        info.truncated,
        undecoded,
        info.snapped,
        info.drops,
        info.damage,
    )
