"""Connections of one service put together that cannot be told apart: by what the client asked, who answered, what came
of it. There are few such groups however many connections there are, and what is compared is compared once for each.

Only equal questions have comparable answers. Of a hello counts what a server chooses by: versions, suites, extensions,
groups, signature algorithms, protocols, the name. GREASE, padding and what changes with the session that is offered
count for nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from inspector.tls.extension_types import ExtensionType
from inspector.tls.extensions import HelloShape
from inspector.tls.registry import is_grease
from inspector.tracking.observed import Observed
from inspector.tracking.tallies import Tally

Question = Hashable
_NOT_COUNTED = frozenset((ExtensionType.PADDING, ExtensionType.PRE_SHARED_KEY, ExtensionType.EARLY_DATA))


class Alike(Struct, gc=False):
    """``sample``: the first of them. ``question``: equal where the servers were asked the same, None where it was not
    read whole, or where all connections are alike. ``backend``: -1 where it is not known. ``failed``: how many of the
    ``count`` were aborted. ``first_ns``, ``last_ns``: of their hellos.
    """

    sample: Observed
    backend: int
    count: int
    failed: int
    first_ns: int
    last_ns: int
    question: Question = None


def alike(observed: Sequence[Observed], tallies: Mapping[int, Iterable[Tally]]) -> list[Alike]:
    """The groups of some connections of ``observed``, which stands in the order of hellos. ``tallies``: of those, by
    how often their certificates had become valid, or expired, by then.
    """
    groups: dict[Hashable, list[Tally]] = {}
    for turn, of_turn in tallies.items():
        for tally in of_turn:
            shape = tally.shape
            offer, answer, traits = shape.offer, shape.answer, shape.traits
            key = (
                offer.key if offer is not None else None,
                answer.key if answer is not None else None,
                shape.leaf,
                tally.backend,
                traits.kind,
                shape.shown,
                traits.outcome,
                turn,
            )
            groups.setdefault(key, []).append(tally)
    put_together = [_together(observed, group) for group in groups.values()]
    put_together.sort(key=lambda one: one.sample.index)
    if len(put_together) > 1:
        for one in put_together:
            offer = one.sample.offer
            if offer is not None and not offer.partial:
                one.question = asked_of(offer)
    return put_together


def _together(observed: Sequence[Observed], tallies: Sequence[Tally]) -> Alike:
    sample = observed[tallies[0].first]
    last = observed[max(tally.last for tally in tallies)]
    count = sum(tally.count for tally in tallies)
    return Alike(
        sample=sample,
        backend=sample.backend,
        count=count,
        failed=count if sample.outcome == "aborted" else 0,
        first_ns=sample.hello_ns,
        last_ns=last.hello_ns,
    )


@lru_cache(maxsize=512)
def asked_of(offer: HelloShape) -> Question:
    """What a server may choose by."""
    return (
        offer.legacy_version,
        _plain(offer.cipher_suites),
        frozenset(_plain(offer.extensions)) - _NOT_COUNTED,
        _plain(offer.groups),
        _plain(offer.signature_algorithms),
        _plain(offer.versions),
        offer.alpn,
        (offer.server_name or b"").lower(),
    )


def _plain(codes: Sequence[int]) -> tuple[int, ...]:
    return tuple([code for code in codes if not is_grease(code)])
