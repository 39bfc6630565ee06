"""The way of the data, in one place: frames become segments, flows, ordered bytes, records, messages, and in the end facts.

``extract(captures) → facts`` (in ``extraction``, which runs an engine on each core) is the first of two pure halves; ``judge(facts)`` in ``findings``
is the second. The engine is single-writer: one thread feeds it. It knows no clock and no screen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

from inspector import bounds
from inspector.capture.frames import FrameBatch
from inspector.facts import ConnectionFacts, Endpoint, Facts
from inspector.tls import messages
from inspector.tracking.connections import Channel, Connection
from inspector.wire.flows import Began, FlowTable
from inspector.wire.interleaving import merged
from inspector.wire.runs import Reach
from inspector.wire.segments import SegmentBatch, SegmentDecoder


class Opens(Protocol):
    """Secrets, as far as the engine knows of them."""

    def channel(self, connection: Connection) -> Channel: ...


class Engine:
    """Takes frame batches and gathers facts. Also the store of certificates and the place where finished flows arrive."""

    def __init__(self, from_middle: bool = False, secrets: Opens | None = None) -> None:
        """``from_middle``: frames went before the first one that will be fed. ``secrets``: what opens encrypted records."""
        self.facts = Facts()
        self.secrets = secrets
        self.undecoded: dict[int, int] = {}
        self.begun_before: list[tuple[Began, int, Endpoint, int]] = []
        """Of flows that may have begun before the first frame: how, when, the server, and the connection's index in ``facts``, or -1 where it was no TLS."""
        self._decoder = SegmentDecoder()
        self._flows = FlowTable(self._decoder.addresses, self, self, from_middle)
        self._chains: dict[bytes, tuple[bytes, ...]] = {}

    def feed(self, *window: FrameBatch) -> SegmentBatch:
        """Frames in, of one or of several captures at one time; their segments. The buffers may be used again afterwards."""
        decoded = [self._decoder.decode(batch) for batch in window]
        for segments in decoded:
            if segments.undecoded:
                self.undecoded[segments.capture] = self.undecoded.get(segments.capture, 0) + segments.undecoded
        segments = decoded[0] if len(decoded) == 1 else merged(decoded)
        self._flows.feed(segments)
        return segments

    def drain(self) -> None:
        """From now on only the flows that are open are followed."""
        self._flows.drain()

    @property
    def followed(self) -> dict[Began, int]:
        """Those flows, once they have ended, with the times of their last frames."""
        return self._flows.followed

    def follow(self, *window: FrameBatch) -> bool:
        """Frames for the open flows alone; False once there is none."""
        self._flows.feed(merged([self._decoder.decode(batch) for batch in window]))
        return not self._flows.is_empty

    def finish(self) -> Facts:
        """No more frames: all that is known."""
        self._flows.finish()
        if self._flows.evicted:
            self.facts.bounded.append(f"{self._flows.evicted} flows were closed early because more than {bounds.FLOWS} were open at once")
        return self.facts

    def channel(self, connection: Connection) -> Channel | None:
        """What opens a connection's encrypted records, where there are secrets."""
        return self.secrets.channel(connection) if self.secrets is not None else None

    def certificate(self, digest: bytes) -> bytes | None:
        """A certificate (DER) that was seen."""
        return self.facts.certificates.get(digest)

    def chain(self, body: bytes, *, is_modern: bool = False) -> tuple[bytes, ...]:
        """The digests of a Certificate message's chain; keeps the certificates. ``is_modern``: of TLS 1.3. Raises Malformed."""
        known = self._chains.get(body)
        if known is None:
            if len(self._chains) > bounds.CACHE:
                self._chains.clear()
            certificates = messages.certificate13(body) if is_modern else messages.certificate(body)
            known = tuple(hashlib.sha256(der).digest() for der in certificates)
            self._chains[body] = known
            for digest, der in zip(known, certificates, strict=True):
                if len(self.facts.certificates) < bounds.CERTIFICATES:
                    self.facts.certificates.setdefault(digest, der)
        return known

    def connection(self, found: ConnectionFacts, began: Began | None) -> None:
        """A finished connection."""
        if began is not None:
            self.begun_before.append((began, found.first_ns, found.server, len(self.facts.connections)))
        self.facts.add(found)

    def other(self, server: Endpoint, began: Began | None, first_ns: int) -> None:
        """A finished flow without TLS."""
        if began is not None:
            self.begun_before.append((began, first_ns, server, -1))
        others = self.facts.other_flows
        if server in others or len(others) < bounds.CACHE:
            others[server] = others.get(server, 0) + 1


class LiveEngine(Engine):
    """An engine that never ends: connections are handed out as they end, or as their handshake is decided, and are not kept."""

    def __init__(self, most_flows: int, secrets: Opens | None = None) -> None:
        """``most_flows``: open at once; beyond it the longest idle ones are closed."""
        super().__init__(secrets=secrets)
        self._flows = FlowTable(self._decoder.addresses, self, self, live=True, most=most_flows)
        self._ended: list[ConnectionFacts] = []
        self.evicted = 0

    def take(self, batch: FrameBatch) -> tuple[SegmentBatch, Reach | None]:
        """Frames in; also their segments, and how far into each somebody looked."""
        segments = self.feed(batch)
        self.evicted = self._flows.evicted
        return segments, self._flows.reach if len(segments) else None

    def settle(self, now_ns: int) -> tuple[list[ConnectionFacts], Iterator[ConnectionFacts]]:
        """Connections that have ended, and open ones whose handshake is decided since; the latter must be packed at once. ``now_ns``: packet time that
        goes on where no packets come.
        """
        self._flows.settle(now_ns)
        return self._in_order(), self._flows.decided()

    def decided(self) -> Iterator[ConnectionFacts]:
        """All connections whose handshake is decided and that were not handed out yet; they must be packed at once."""
        return self._flows.decided(at_once=True)

    def close(self) -> list[ConnectionFacts]:
        """No more frames: all that was open."""
        self._flows.finish()
        return self._in_order()

    def _in_order(self) -> list[ConnectionFacts]:
        """What has ended, in the order of its last frames: what a session was given by ends before it is offered again."""
        ended, self._ended = self._ended, []
        ended.sort(key=lambda found: found.last_ns)
        return ended

    def forget_certificates(self, used: set[bytes]) -> None:
        """Keep only those that are still used."""
        self.facts.certificates = {digest: der for digest, der in self.facts.certificates.items() if digest in used}
        self._chains.clear()

    def connection(self, found: ConnectionFacts, began: Began | None) -> None:
        """A finished connection."""
        self._ended.append(found)
