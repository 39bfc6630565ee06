"""The engine of one part of a story that is read in parts, maybe by machines that know nothing of each other.

It keeps what may belong to flows from before its part, and can be put away at the end of it with the flows that are
open, as bytes; whoever takes it up again follows these in what the engines of later parts have kept, so that hardly a
frame is read twice.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from inspector.capture.frames import FrameBatch
from inspector.extract.engine import FEWEST, Engine
from inspector.extract.kept_values import KeptValues
from inspector.wire.continued import Continued, ContinuedFlows
from inspector.wire.continuing_flows import ContinuingFlowTable
from inspector.wire.flow import FlowKey
from inspector.wire.fragments import Key as DatagramKey
from inspector.wire.interleaving import merged
from inspector.wire.runs import Key, mixed

T = TypeVar("T")


class ContinuingEngine(Engine):
    """As ``Engine``."""

    def __init__(self, from_middle: bool = False, columns: int = FEWEST) -> None:
        """``from_middle``, ``columns``: as in ``Engine``."""
        super().__init__(from_middle, columns=columns)
        self._flows = self._continuing = ContinuingFlowTable(self._decoder.addresses, self, from_middle=from_middle)
        if from_middle:
            self._continuing.continued = ContinuedFlows(self._decoder.addresses)

    def read_tail(self, kept: ContinuedFlows, *window: FrameBatch) -> None:
        """Keep the last frames of the part, where the next one begins before their end: they are counted, and not
        followed before ``follow_tail``.
        """
        segments = self._read(*window)
        if len(segments):
            kept.note_all(segments, int(segments.time_ns.max()))

    def follow_tail(self, tail: Continued) -> None:
        """Follow them, maybe together with frames of the next part that belong to their flows."""
        for segments in tail.all(self._decoder.addresses):
            self._flows.feed(segments)

    def take_continued(self) -> Continued | None:
        """What was kept for the engines of earlier parts; None where there are none. Nothing is kept any more."""
        kept, self._continuing.continued = self._continuing.continued, None
        return kept.segments() if kept is not None else None

    def follow_continued(self, continued: Continued) -> None:
        """Follow the open flows in what another engine kept."""
        for now, segments in continued.of(self._continuing.open_ends(), self._decoder.addresses):
            if segments is not None:
                self._flows.feed(segments)
            self._continuing.wait_until(now)

    def follow_and_keep(self, kept: ContinuedFlows, flows: Sequence[Key] | None, *window: FrameBatch) -> bool:
        """Follow the open flows in frames, and keep the segments of some of them, or of all; False once none of these
        is open.
        """
        segments = merged([self._decoded(batch) for batch in window])
        ends = np.array(flows, np.uint64).reshape(-1, 2) if flows is not None else self._continuing.open_ends()
        some = segments.select(np.isin(mixed(*segments.ends()), mixed(ends[:, 0], ends[:, 1])))
        if len(some):
            kept.note_all(some, int(segments.time_ns.max()))
        self._flows.feed(segments)
        return self._continuing.has_any(flows) if flows is not None else not self.is_empty

    def kept_flows(self) -> ContinuedFlows:
        """For ``read_tail`` and ``follow_and_keep``."""
        return ContinuedFlows(self._decoder.addresses)

    def sent_again(self, continued: Continued, tail: Continued | None) -> list[Key]:
        """The open flows, and those of a tail, whose SYN was captured again where the other engine did not keep all
        that followed.
        """
        addresses = self._decoder.addresses
        ends = [self._continuing.open_ends()]
        if tail is not None:
            ends += [np.stack(segments.ends(), axis=1) for segments in tail.all(addresses)]
        withheld = continued.withheld_from(np.concatenate(ends), addresses)
        return [key for key, sequences in withheld.items() if self._continuing.may_begin_by(key, sequences)]

    @property
    def is_empty(self) -> bool:
        """No flow is open."""
        return self._flows.is_empty

    def forget(self, followed: Mapping[FlowKey, int]) -> None:
        """Do not follow the flows that another engine has followed (as its ``followed`` says): they are the same."""
        self._continuing.forget(followed)

    def unfinished(self) -> frozenset[DatagramKey]:
        """The datagrams of which fragments are missing."""
        return self._decoder.parted()

    def put_away(self) -> bytes:
        """All of it as bytes, for ``taken_up``."""
        file = io.BytesIO()
        _EnginePickler(file, pickle.HIGHEST_PROTOCOL).dump(self)
        return file.getvalue()


def taken_up(data: bytes) -> ContinuingEngine:
    """An engine that was put away."""
    engine: ContinuingEngine = pickle.loads(data)
    return engine


class _EnginePickler(pickle.Pickler):
    """Keeps the bounds of values that are elsewhere pickled as plain dictionaries."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, KeptValues):
            return _kept_again, (dict(obj), obj.__dict__)
        return NotImplemented


def _kept_again(values: dict[bytes, T], state: Mapping[str, object]) -> KeptValues[T]:
    kept: KeptValues[T] = KeptValues.__new__(KeptValues)
    dict.update(kept, values)
    kept.__dict__.update(state)
    return kept
