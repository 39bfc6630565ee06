"""An engine that never ends: connections are handed out when they were read, when their handshake is decided and when
they end, and are not kept.

A connection that opens and closes within one batch is *completed*: all of it is known at once, but late segments may
come of it for a moment yet. So it is handed out when its batch was read, and only named once more when it is over.
Others are open for longer than a batch: they are handed out when their handshake is decided, and again when they end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from inspector import bounds
from inspector.capture.frames import I64, FrameBatch
from inspector.extract.connection import ConnectionAssembly
from inspector.extract.engine import FEWEST, Engine
from inspector.extract.kept_values import KeptValues, stored_memory
from inspector.extract.store import RecordDecryptors
from inspector.facts import ConnectionFacts
from inspector.tls.x509.certificate import names_memory
from inspector.wire.flow import Flow
from inspector.wire.flow_owner import BatchReader
from inspector.wire.grouping import Grouped
from inspector.wire.live_flows import LiveFlowTable
from inspector.wire.losses import Losses
from inspector.wire.parsed_extent import ParsedExtent
from inspector.wire.segments import SegmentBatch

FEW = 200
"""Connections that are judged twice without much cost: as soon as they are decided, and when they end."""


def _named_memory(certificate: bytes) -> int:
    """Bytes that a certificate takes, with those of its names, which judgements hold against each other."""
    return stored_memory(certificate) + names_memory(certificate)


class CompletedConnection(NamedTuple):
    """A connection that opened and closed within one batch, and its facts as ``Facts.pack`` packs them."""

    facts: ConnectionFacts
    packed: bytes


class LiveBatch(NamedTuple):
    """What became of a batch of frames. ``extent``: how far into each segment somebody looked, where that is noted.
    ``completed``: connections in the order of their last frames.
    """

    segments: SegmentBatch
    extent: ParsedExtent | None
    completed: list[CompletedConnection]


class Settled(NamedTuple):
    """What has come to an end. ``ended``: connections, in the order of their last frames, for what a session was given
    by ends before it is offered again. ``over``: completed ones of which no late segment came, packed, in the order of
    their ClientHellos.
    """

    ended: list[ConnectionFacts]
    over: list[bytes]


class LiveEngine(Engine):
    """``most_flows``: open at once; beyond it the longest idle ones are closed. Ten times as many may be half open.
    ``notes_extent``: whether it is noted how far into each segment somebody looks. ``columns``: as in ``Engine``.
    """

    def __init__(
        self,
        most_flows: int,
        secrets: RecordDecryptors | None = None,
        *,
        notes_extent: bool = False,
        columns: int = FEWEST,
    ) -> None:
        super().__init__(secrets=secrets, columns=columns)
        self._flows = self._live = LiveFlowTable(
            self._decoder.addresses,
            self,
            most_flows=most_flows,
            most_half_open=10 * most_flows,
            notes_extent=notes_extent,
        )
        self._completed: list[CompletedConnection] = []
        self._ended: list[ConnectionFacts] = []
        self._over: list[bytes] = []

    def take(self, batch: FrameBatch) -> LiveBatch:
        """Frames in."""
        segments = self.feed(batch)
        completed = sorted(self._completed, key=lambda connection: connection.facts.last_ns)
        self._completed = []
        return LiveBatch(segments, self._flows.extent if len(segments) else None, completed)

    def settle(self, now_ns: int) -> Settled:
        """What has ended. ``now_ns``: packet time that goes on where no packets come."""
        self._live.settle(now_ns)
        return self._settled()

    def decided(self) -> Iterator[ConnectionFacts]:
        """Open connections whose handshake is decided, each once; they must be packed at once. Those that were
        established come when this is asked again.
        """
        return self._facts_of(self._live.decided())

    def decided_at_once(self, sessions: Collection[bytes]) -> Iterator[ConnectionFacts]:
        """The same without waiting, of those that were issued or offered one of these sessions; of all where they are
        few.
        """
        if self._live.undecided <= FEW:
            return self._facts_of(self._live.decided(lambda flow: True))

        def has_to_do(flow: Flow) -> bool:
            assert isinstance(flow.consumer, ConnectionAssembly)
            return any(key in sessions for key in flow.consumer.handshake.sessions())

        return self._facts_of(self._live.decided(has_to_do))

    def _facts_of(self, flows: Iterator[Flow]) -> Iterator[ConnectionFacts]:
        for flow in flows:
            facts = None
            with self.border:
                facts = self._connection_facts(flow)
            if facts is not None:
                yield facts

    def read_batch(self, grouped: Grouped, opening: I64) -> BatchReader | None:
        """As ``Engine.read_batch``; where it fails nothing was completed."""
        before = len(self._completed)
        batch = super().read_batch(grouped, opening)
        if batch is None:
            del self._completed[before:]
        return batch

    def close(self) -> Settled:
        """No more frames: all that was open has ended, and no datagram becomes whole any more."""
        self._flows.finish()
        for fragments in self._decoder.waiting().values():
            self.losses.setdefault(fragments.capture, Losses()).fragments([fragments])
        return self._settled()

    def _settled(self) -> Settled:
        settled = Settled(sorted(self._ended, key=lambda connection: connection.last_ns), sorted(self._over))
        self._ended, self._over = [], []
        return settled

    def _kept_certificates(self) -> KeptValues[bytes]:
        return KeptValues(bounds.CERTIFICATES, bounds.LIVE_CERTIFICATE_BYTES, _named_memory)

    @property
    def most_shape_bytes(self) -> int:
        """Of all shapes of either hello that are kept."""
        return bounds.LIVE_SHAPES_BYTES

    def forget_certificates(self, used: Iterable[bytes]) -> Collection[bytes]:
        """Keep only those that are still used; the others' digests."""
        return self.certificates.retain(used)

    def pack(self, connection: ConnectionFacts) -> bytes:
        """A connection that was completed."""
        packed = super().pack(connection)
        self._completed.append(CompletedConnection(connection, packed))
        return packed

    def completed(self, packed: bytes, *, is_early: bool) -> None:
        """It is over."""
        self._over.append(packed)

    def _connection(self, finished: ConnectionFacts) -> None:
        """One that was open for longer has ended."""
        self._ended.append(finished)
