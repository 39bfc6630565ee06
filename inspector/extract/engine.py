"""The way of the data, in one place: frames become segments, flows, ordered bytes, records, messages, and in the end
facts.

``extract(captures) → facts`` (in ``processes``, which runs an engine on each core) is the first of two pure halves;
``judge(facts)`` in ``findings`` is the second. The engine is single-writer: one thread feeds it. It knows no clock and
no screen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inspector import bounds
from inspector.capture.frames import I64, U64, CaptureInfo, FrameBatch
from inspector.errors.bounds import AuthoritiesNotKept, Bound, CertificatesNotKept, FlowsClosedEarly, HellosNotKept
from inspector.errors.internal import Border
from inspector.extract.assembly import BegunBefore, connection_facts, other_flow
from inspector.extract.connection import ConnectionAssembly, new_connection
from inspector.extract.failing_frames import without_failing_frames
from inspector.extract.hello_segments import begins_with_hello
from inspector.extract.kept_values import STORED_BYTES, KeptValues, stored_memory
from inspector.extract.openings import Openings
from inspector.extract.store import RecordDecryptor, RecordDecryptors
from inspector.facts import CaptureFacts, ConnectionFacts, Facts, OtherFlow, PackedEndpoint, Unopened, absorb
from inspector.text.safe import path_text
from inspector.tls import messages
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.message_cache import MessageCache
from inspector.tls.types import TLS13
from inspector.tls.x509.certificate import certificate_memory
from inspector.wire.encapsulation_table import entry
from inspector.wire.flow import Flow, FlowKey, Moment
from inspector.wire.flow_owner import BatchReader
from inspector.wire.flows import LATE_NS, FlowTable
from inspector.wire.fragments import Key, Waiting
from inspector.wire.grouping import Grouped
from inspector.wire.interleaving import merged
from inspector.wire.losses import Losses
from inspector.wire.segments import SegmentBatch, SegmentDecoder

if TYPE_CHECKING:
    from inspector.secrets.lanes import DecryptionClient

DIGEST_BYTES = 100
"""What a digest takes in memory, about."""

FEWEST = 8
"""Flows that open in one batch for which columns pay."""


class Engine:
    """Takes frame batches and gathers facts. Also the store of certificates and of the authorities that servers accept,
    and the place where finished flows arrive.
    """

    def __init__(
        self,
        from_middle: bool = False,
        secrets: RecordDecryptors | None = None,
        columns: int = FEWEST,
        *,
        beside: int = 0,
    ) -> None:
        """``from_middle``: frames went before the first one that will be fed. ``secrets``: what opens encrypted
        records. ``columns``: so many flows that open in a batch are read by columns; 0 for never. ``beside``: so many
        others read the same story, and all have room for as much as one alone.
        """
        self.columns = columns
        self._readers = 1 + beside
        self.certificates = self._kept_certificates()
        self.authority_lists = KeptValues[bytes](
            bounds.AUTHORITY_LISTS, bounds.AUTHORITY_BYTES // self._readers, stored_memory
        )
        self.offers = KeptValues(bounds.SHAPES, self.most_shape_bytes, HelloShape.memory)
        self.answers = KeptValues(bounds.SHAPES, self.most_shape_bytes, AnswerShape.memory)
        self.facts = Facts(
            certificates=self.certificates,
            authorities=self.authority_lists,
            offers=self.offers,
            answers=self.answers,
        )
        self.secrets = secrets
        self.losses: dict[int, Losses] = {}
        """By capture."""

        self.border = Border()
        """Where mistakes of whatever reads a frame or a connection end."""

        self.waiting: dict[Key, Waiting] = {}
        """Fragments of datagrams that did not become whole; at the end."""

        self.parted: frozenset[Key] = frozenset()
        """Datagrams of which some fragments came before ``drain``, and others may follow."""

        self.begun_before: list[BegunBefore] = []
        """Flows that may have begun before the first frame."""

        self.early: list[int] = []
        """Which connections may, of those that were completed in one batch."""

        self._decoder = SegmentDecoder()
        self.openings: Openings | None = None
        """Where several captures are compared."""
        self._is_disordered = False
        """Frames came long behind later ones: what is kept of flows until then depends on where reading began."""
        self._latest_ns = 0
        self._is_following = False
        self._flows: FlowTable = FlowTable(self._decoder.addresses, self, from_middle=from_middle)
        self._chains: MessageCache[tuple[bytes, bool], tuple[bytes, ...]] = MessageCache()
        self._requests: MessageCache[tuple[bytes, int], tuple[bytes, bytes]] = MessageCache()

    def feed(self, *window: FrameBatch) -> SegmentBatch:
        """Frames in, of one or of several captures at one time; their segments. The buffers may be used again
        afterwards.
        """
        segments = self._read(*window)
        self._flows.feed(segments)
        return segments

    def _read(self, *window: FrameBatch) -> SegmentBatch:
        """The segments of frames, which are counted."""
        self._note_order(window)
        decoded = [self._decoded(batch) for batch in window]
        for segments in decoded:
            self.losses.setdefault(segments.capture, Losses()).add(segments)
        for fragment in self._decoder.given_up():
            self.losses.setdefault(fragment.capture, Losses()).fragments([fragment])
        if self.openings is not None:
            for segments in decoded:
                self.openings.add(segments)
        return merged(decoded)

    def _note_order(self, window: Sequence[FrameBatch]) -> None:
        times = [batch.time_ns for batch in window if len(batch)]
        if times:
            self._is_disordered |= min(int(column.min()) for column in times) < self._latest_ns - LATE_NS
            self._latest_ns = max(self._latest_ns, *(int(column.max()) for column in times))

    def _decoded(self, batch: FrameBatch) -> SegmentBatch:
        """The segments of a batch; without those of frames over which this program stumbles."""
        with self.border:
            return self._decoder.decode(batch)
        with self.border:
            return self._decoder.decode(without_failing_frames(batch))
        return self._decoder.decode(batch.select(np.zeros(0, np.int64)))

    def compare_clocks(self) -> None:
        """From now on note what tells by how much the clocks of captures are apart that hold the same packets."""
        self.openings = Openings(self._decoder.addresses)

    def drain(self) -> None:
        """From now on only the flows that are open are followed."""
        self._is_following = True
        self.parted = self._decoder.parted()
        self._flows.drain()

    @property
    def followed(self) -> dict[FlowKey, Moment]:
        """Those flows, once they have ended: from when on their ends were left to whoever reads on there."""
        return self._flows.shared.followed

    @property
    def is_undecided(self) -> bool:
        """What this and another engine found cannot be joined."""
        return self._flows.shared.is_undecided or self._is_disordered

    def follow(self, *window: FrameBatch) -> bool:
        """Frames for the open flows alone; False once there is none."""
        self._note_order(window)
        self._flows.feed(merged([self._decoded(batch) for batch in window]))
        return not self._flows.is_empty

    def so_far(self) -> Facts:
        """A copy of what is known by now, without captures: the flows that are over, and the connections that are still
        followed, as far as what became of their handshakes is decided. It leaves no trace: more may be fed.
        """
        from inspector.extract.completed_connections import CompletedConnections  # as in ``read_batch``

        copy = Facts()
        absorb(copy, self.facts)
        for batch, number in self._flows.completed_flows:
            assert isinstance(batch, CompletedConnections)
            copy.connections.append(batch.packed(number))
        for flow in self._flows.open_flows:
            if flow.is_decided and flow.consumer.is_recognised:
                with self.border:
                    copy.add(self._connection_facts(flow))
        return copy

    def finish(self) -> Facts:
        """No more frames: all that is known."""
        self._flows.finish()
        self.waiting = {
            key: fragment
            for key, fragment in self._decoder.waiting().items()
            if not self._is_following or key in self.parted
        }
        self.facts.bounded += self.not_kept()
        return self.facts

    def not_kept(self) -> list[Bound]:
        """What was too much to be followed, or to be kept."""
        return [
            *(FlowsClosedEarly(count, most) for most, count in self._flows.closed_early.items()),
            *([CertificatesNotKept(missed)] if (missed := self.certificates.missed) else []),
            *([AuthoritiesNotKept(missed)] if (missed := self.authority_lists.missed) else []),
            *([HellosNotKept(missed)] if (missed := self.offers.missed + self.answers.missed) else []),
            *self.border.notices(),
        ]

    @property
    def has_secrets(self) -> bool:
        """Whether encrypted records may be opened."""
        return self.secrets is not None

    def channel(self, connection: DecryptionClient) -> RecordDecryptor | None:
        """What opens a connection's encrypted records, where there are secrets."""
        return self.secrets.channel(connection) if self.secrets is not None else None

    def certificate(self, digest: bytes) -> bytes | None:
        """A certificate (DER) that was seen."""
        return self.facts.certificates.get(digest)

    def chain(self, body: bytes, *, is_tls13: bool = False) -> tuple[bytes, ...]:
        """The digests of a Certificate message's chain; keeps the certificates. ``is_tls13``: of TLS 1.3. Raises
        Malformed.
        """
        kept = self.certificates
        known = self._chains.get((body, is_tls13))
        if known is not None and kept.keys() >= set(known):
            for digest in set(known):
                kept[digest] = kept[digest]
            return known
        certificates = messages.certificate13(body) if is_tls13 else messages.certificate(body)
        known = tuple(hashlib.sha256(der).digest() for der in certificates)
        whole = len(body) + len(known) * STORED_BYTES
        for digest, der in dict(zip(known, certificates, strict=True)).items():  # twice in one message is once met
            kept.meet(digest, der, whole)
        return self._chains.keep((body, is_tls13), known, len(body) + len(known) * DIGEST_BYTES)

    def _kept_certificates(self) -> KeptValues[bytes]:
        return KeptValues(bounds.CERTIFICATES, bounds.CERTIFICATE_BYTES // self._readers, certificate_memory)

    @property
    def most_shape_bytes(self) -> int:
        """Of all shapes of either hello that are kept."""
        return bounds.SHAPES_BYTES // self._readers

    def authorities(self, body: bytes, version: int) -> bytes:
        """The digest of the list of authorities in a CertificateRequest of that version; keeps the list. Raises
        Malformed.
        """
        known = self._requests.get((body, version))
        if known is None:
            listed = (
                messages.certificate_authorities13(body)
                if version >= TLS13
                else messages.certificate_authorities(body, version)
            )
            known = self._requests.keep(
                (body, version), (hashlib.sha256(listed).digest(), listed), len(body) + len(listed)
            )
        digest, listed = known
        self.authority_lists[digest] = listed
        return digest

    def consumer(self) -> ConnectionAssembly:
        """Of a flow that opens."""
        return new_connection(self)

    opens = staticmethod(begins_with_hello)
    """Which segments may be how a direction begins."""

    def read_batch(self, grouped: Grouped, opening: I64) -> BatchReader | None:
        """Flows that open in a batch by columns, where they are so many that it pays and nothing is decrypted."""
        if not self.columns or len(opening) < self.columns or self.has_secrets:
            return None
        from inspector.extract.regular_connections import RegularConnections  # few captures need it

        with self.border:
            return RegularConnections(grouped, opening, self)
        return None  # each by itself, then

    def ended(self, flow: Flow) -> None:
        """A flow is over."""
        if not flow.consumer.is_recognised:
            assert isinstance(flow.consumer, ConnectionAssembly)
            other = self._other(other_flow(flow, flow.consumer, self._decoder.addresses))
            if flow.began is not None:
                self.begun_before.append(BegunBefore(flow.began, flow.first, flow.last, other))
            return
        facts = self._connection_facts(flow)
        if flow.began is not None:
            self.begun_before.append(BegunBefore(flow.began, flow.first, flow.last, len(self.facts.connections)))
        self._connection(facts)

    def endpoint(self, end: int) -> PackedEndpoint:
        """An end of a flow."""
        return PackedEndpoint(self._decoder.addresses.address(end >> 16), end & 0xFFFF)

    def pack(self, connection: ConnectionFacts) -> bytes:
        """As ``Facts.pack``."""
        return self.facts.pack(connection)

    def unpack(self, packed: bytes) -> ConnectionFacts:
        """As ``Facts.unpack``."""
        return self.facts.unpack(packed)

    def completed(self, packed: bytes, *, is_early: bool) -> None:
        """A connection is over that was completed in one batch. ``is_early``: it may have begun before the first
        frame.
        """
        if is_early:
            self.early.append(len(self.facts.connections))
        self.facts.connections.append(packed)

    def never_opened(self, clients: U64, servers: U64) -> None:
        """Flows of which nothing came but a SYN, or a SYN and a RST."""
        pairs, counts = _counted(servers, clients >> np.uint64(16))
        full = 2 * bounds.CACHE
        self._never_opened(pairs[:full], counts[:full])
        addresses, flows = self._decoder.addresses, self.facts.other_flows
        rest, times = pairs[full:], counts[full:]
        if len(rest) and len(flows) >= full:  # then only those that are known are counted
            known = [addresses.number(flow.server.address) << 16 | flow.server.port for flow in flows]
            is_known = np.isin(rest[:, 0], np.array(known, np.uint64))
            rest, times = rest[is_known], times[is_known]
        self._never_opened(rest, times)

    def _never_opened(self, pairs: U64, counts: I64) -> None:
        addresses = self._decoder.addresses
        for (server, client), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            flow = OtherFlow(PackedEndpoint(*addresses.endpoint(server)), addresses.address(client))
            self._other(flow, count)

    def _connection_facts(self, flow: Flow) -> ConnectionFacts:
        assert isinstance(flow.consumer, ConnectionAssembly)
        return connection_facts(flow, flow.consumer, self._decoder.addresses)

    def _connection(self, finished: ConnectionFacts) -> None:
        """A finished connection."""
        self.facts.add(finished)

    def _other(self, flow: OtherFlow, count: int = 1) -> OtherFlow:
        """Finished flows without TLS, and as which they are counted: where there are too many clients they are not told
        apart any more.
        """
        flows = self.facts.other_flows
        if flow not in flows and len(flows) >= bounds.CACHE:
            flow = OtherFlow(flow.server, is_unseen=flow.is_unseen)
        if flow in flows or len(flows) < 2 * bounds.CACHE:
            flows[flow] = flows.get(flow, 0) + count
        return flow


def _counted(one: U64, other: U64) -> tuple[U64, I64]:
    """The different pairs of two columns in the order in which they first appear, and how often each does."""
    order = np.lexsort((other, one))
    pairs = np.stack([one[order], other[order]], axis=1)
    heads = np.flatnonzero(np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1)))[: len(pairs)]
    first = order[heads]  # lexsort is stable
    appearance = np.argsort(first)
    return pairs[heads][appearance], np.diff(np.append(heads, len(pairs)))[appearance]


def capture_facts(info: CaptureInfo, losses: Losses) -> CaptureFacts:
    """What is known of a capture, and what could not be read of it."""
    return CaptureFacts(
        path=path_text(info.path),
        packets=info.packets,
        bytes=info.bytes_read,
        first_ns=info.first_ns,
        last_ns=info.last_ns,
        link_types=tuple(sorted(info.link_types)),
        truncated=info.truncated,
        undecoded=losses.frames,
        snapped=info.snapped,
        drops=info.drops,
        damage=info.damage,
        unopened=tuple(
            Unopened(str(stop.layer[0]), stop.layer[1], entry(stop.layer).name, stop.why, frames, stop.ends)
            for stop, frames in losses.most_frequent()
        ),
        snap_length=info.snap_length,
        payload=losses.payload,
        clipped=losses.clipped,
        tick_ns=info.tick_ns,
        steps=tuple(info.steps),
        has_secrets=info.has_secrets,
        is_probe=info.probe.is_probe is True,
        probe_turns=tuple(info.probe.turns),
    )
