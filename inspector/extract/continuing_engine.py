"""The engine of one part of a story that is read in parts, maybe by machines that know nothing of each other.

It hands over what may belong to flows from before its part, and can be put away at the end of it with the flows that
are open, as bytes; whoever takes it up again follows these in what the engines of later parts have handed over, so that
hardly a frame is read twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from inspector.capture.frames import U64, FrameBatch
from inspector.capture.references import FRAME_BITS, frame_reference
from inspector.errors.internal import Border
from inspector.extract.completed_connections import CompletedConnections
from inspector.extract.engine import FEWEST, Engine
from inspector.facts import ConnectionFacts, Facts
from inspector.wire.addresses import Ends, Key
from inspector.wire.continued import Continued, ContinuedFlows
from inspector.wire.continuing_flows import ContinuingFlowTable
from inspector.wire.flow import FlowKey, Moment
from inspector.wire.fragments import Key as DatagramKey
from inspector.wire.grouping import mixed
from inspector.wire.interleaving import merged
from inspector.wire.segments import SegmentBatch


def _rows(keys: Sequence[Key]) -> U64:
    return np.array(keys, np.uint64).reshape(-1, 2)


class ContinuingEngine(Engine):
    """As ``Engine``."""

    def __init__(self, from_middle: bool = False, columns: int = FEWEST) -> None:
        """``from_middle``, ``columns``: as in ``Engine``."""
        super().__init__(from_middle, columns=columns)
        self._flows = self._continuing = ContinuingFlowTable(self._decoder.addresses, self, from_middle=from_middle)
        if from_middle:
            self._continuing.continued = ContinuedFlows(self._decoder.addresses)

    def feed(self, *window: FrameBatch) -> SegmentBatch:
        """As ``Engine.feed``."""
        if self._continuing.continued is not None:
            self._continuing.continued.window += 1
        return super().feed(*window)

    def read_tail(self, kept: ContinuedFlows, *window: FrameBatch) -> None:
        """Keep the last frames of the part, where the next one begins before their end: they are counted, and not
        followed before ``follow_tail``.
        """
        segments = self._read(*window)
        if len(segments):
            kept.note_all(segments, int(segments.time_ns.max()))

    def take_continued(self) -> Continued | None:
        """What is handed over to the engines of earlier parts; None where there are none. Nothing is from now on."""
        kept, self._continuing.continued = self._continuing.continued, None
        return kept.segments(self._continuing.noted_ns) if kept is not None else None

    def open_part(self, continued: Continued) -> Continued:
        """What is of flows that are open, taken out of what another engine handed over."""
        flows = self._continuing
        return continued.take(flows.open_ends(), flows.foreign_ends(), self._decoder.addresses)

    def follow_tail(self, tail: Continued) -> None:
        """Follow the last frames of a part, maybe together with frames of the next one that belong to their flows;
        behind them come those of other flows, which may be earlier.
        """
        for segments in tail.all(self._decoder.addresses):
            self._continuing.feed_ahead(segments)

    def withheld_from(self, continued: Continued, tail: Continued | None) -> list[Key]:
        """Of which flows more may be needed than another engine handed over."""
        addresses = self._decoder.addresses
        ends = [self._continuing.open_ends()]
        if tail is not None:
            ends += [np.stack(segments.ends(), axis=1) for segments in tail.all(addresses)]
        return continued.withheld_from(np.concatenate(ends), addresses)

    def expect(self, continued: Continued, unread: Iterable[Key]) -> None:
        """What comes next was handed over so. ``unread``: of which flows there is more."""
        self._continuing.expect(unread, continued.noted_ns)

    @property
    def missed(self) -> frozenset[Ends]:
        """The flows of which there was more, and of which it was needed."""
        return frozenset(map(self._decoder.addresses.endpoints, self._continuing.shared.missed))

    def keys(self, flows: Iterable[Ends]) -> list[Key]:
        """Flows as they are numbered here."""
        number = self._decoder.addresses.number
        numbered = ([number(end.address) << 16 | end.port for end in ends] for ends in flows)
        return [(min(ends), max(ends)) for ends in numbered]

    def references(self, continued: Continued, flows: Iterable[Ends]) -> frozenset[int]:
        """Of the segments of some flows that were handed over, and not followed yet."""
        return continued.references(_rows(self.keys(flows)), self._decoder.addresses)

    def follow_continued(self, continued: Continued) -> None:
        """Follow what another engine handed over, and the open flows in the copies beside it."""
        for now, segments, copies, _ in continued.pieces:
            here, beside = (
                continued.renumbered(part, self._decoder.addresses) if part is not None else None
                for part in (segments, copies)
            )
            self._continuing.feed_beside(here, beside, now)

    def follow_and_keep(
        self, kept: ContinuedFlows, flows: Iterable[Ends], handed: Collection[int], *window: FrameBatch
    ) -> bool:
        """Follow some flows in frames that another engine has read, and keep the segments that it has followed; False
        once none of them is open. ``handed``: the references of those that it has not.
        """
        kept.window += 1
        segments = merged([self._decoded(batch) for batch in window])
        keys = self.keys(flows)
        if len(segments):
            ends = _rows(keys)
            some = segments.select(np.isin(mixed(*segments.ends()), mixed(ends[:, 0], ends[:, 1])))
            is_handed = np.isin(some.number + frame_reference(some.capture, 0), np.array([*handed], np.int64))
            now = int(segments.time_ns.max())
            copies = some.select(~is_handed)
            if len(copies):
                kept.note_all(copies, now)
            self._continuing.feed_beside(some.select(is_handed), copies, now)
        return self._continuing.has_any(keys)

    def kept_flows(self) -> ContinuedFlows:
        """For ``read_tail`` and ``follow_and_keep``."""
        return ContinuedFlows(self._decoder.addresses)

    @property
    def is_empty(self) -> bool:
        """No flow is open."""
        return self._flows.is_empty

    @property
    def open_count(self) -> int:
        """How many flows are open, or may have late segments."""
        return self._continuing.open_count

    def forget(self, followed: Mapping[FlowKey, Moment]) -> None:
        """Do not follow the flows that another engine has followed (as its ``followed`` says): they are the same."""
        self._continuing.forget(followed)

    def unfinished(self) -> frozenset[DatagramKey]:
        """The datagrams of which fragments are missing."""
        return self._decoder.parted()

    def take_facts(self) -> Facts:
        """What is known of flows that are over, and of bounds that were reached, since this was asked last."""
        facts = self.facts
        facts.bounded += self.not_kept()
        shared = (self.certificates, self.authority_lists, self.offers, self.answers)
        certificates, authorities, offers, answers = shared
        self.facts = Facts(certificates=certificates, authorities=authorities, offers=offers, answers=answers)
        for kept in shared:
            kept.forget_missed()
        self._flows.closed_early.clear()
        self.border = Border()
        return replace(
            facts,
            certificates=dict(certificates),
            authorities=dict(authorities),
            offers=dict(offers),
            answers=dict(answers),
        )

    def keep_only_open(self) -> None:
        """Forget what is of no use to the flows that are open, but for facts that were not taken."""
        connections = [*map(self.facts.unpack, self._completed_connections()), *self._open_connections()]
        handshakes = [each for facts in connections for each in (facts.handshake, *facts.renegotiations)]
        self.certificates.retain(digest for each in handshakes for digest in (*each.chain, *each.client_chain))
        self.authority_lists.retain(each.authorities for each in handshakes if each.authorities)
        self.offers.retain(each.offer.key for each in handshakes if each.offer is not None)
        self.answers.retain(each.answer.key for each in handshakes if each.answer is not None)
        first = self.first_capture()
        self.losses = {capture: lost for capture, lost in self.losses.items() if capture >= first}

    def first_capture(self) -> int:
        """The first of the captures that have frames of flows which are open, or fragments of datagrams that are not
        whole; a later one than all where there are none.
        """
        frames = [self.facts.unpack(packed).first_frame for packed in self._completed_connections()]
        first_frame = self._continuing.first_frame()
        captures = [
            reference >> FRAME_BITS for reference in (frames if first_frame is None else [*frames, first_frame])
        ]
        captures += [fragments.capture for fragments in self._decoder.waiting().values()]
        return min(captures, default=1 + max(self.losses, default=-1))

    def _completed_connections(self) -> Iterator[bytes]:
        for batch, number in self._flows.completed_flows:
            assert isinstance(batch, CompletedConnections)
            yield batch.packed(number)

    def _open_connections(self) -> Iterator[ConnectionFacts]:
        for flow in self._flows.open_flows:
            if flow.consumer.is_recognised:
                with self.border:
                    yield self._connection_facts(flow)
