"""Flows that opened and closed within one batch and were read as a whole: what is known of them stays as it is, unless
a late segment comes.

Nothing has to be followed of such a flow any more, so no ``Flow`` is made of it. Its reader keeps what it takes to make
one, which is *woken* in the rare case that more comes of it before it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from inspector.wire.addresses import Key
from inspector.wire.flow import Flow


class CompletedBatch(Protocol):
    """Those of one batch. Beside each other: ``keys``; ``first_ns``; ``over_ns``, until when late segments may come."""

    keys: Sequence[Key]
    first_ns: Sequence[int]
    over_ns: Sequence[int]

    def flow(self, index: int) -> Flow:
        """One of them as following it would have left it."""

    def ended(self, index: int, *, is_early: bool) -> None:
        """One of them is over. ``is_early``: it may have begun before the first frame."""


class _Entry(NamedTuple):
    over_ns: int
    batch: CompletedBatch
    number: int
    is_early: bool


class CompletedFlows:
    """By their endpoints."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[CompletedBatch, int]]:
        """Each as one of its batch."""
        return ((entry.batch, entry.number) for entry in self._entries.values())

    def keys(self) -> Iterable[Key]:
        """The endpoints of all."""
        return self._entries.keys()

    def is_early(self, key: Key) -> bool | None:
        """Whether one may have begun before the first frame; None where none has these endpoints."""
        entry = self._entries.get(key)
        return entry.is_early if entry is not None else None

    def add(self, batch: CompletedBatch, early_ns: int) -> None:
        """Keep those of a batch, none of which is kept. ``early_ns``: what begins before that may have begun before the
        first frame.
        """
        for index, (key, first_ns, over_ns) in enumerate(zip(batch.keys, batch.first_ns, batch.over_ns, strict=True)):
            self._entries[key] = _Entry(over_ns, batch, index, first_ns < early_ns)

    def wake(self, key: Key) -> Flow | None:
        """Take one out, to be followed again; None where none has these endpoints."""
        entry = self._entries.pop(key, None)
        return entry.batch.flow(entry.number) if entry is not None else None

    def end_over(self, now: int) -> None:
        """End those of which nothing can come any more at a time."""
        for key in [key for key, entry in self._entries.items() if entry.over_ns < now]:
            entry = self._entries.pop(key)
            entry.batch.ended(entry.number, is_early=entry.is_early)

    def end_all(self) -> None:
        """End all of them."""
        for entry in self._entries.values():
            entry.batch.ended(entry.number, is_early=entry.is_early)
        self._entries.clear()
