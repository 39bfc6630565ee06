"""Connections of one service put together that cannot be told apart: by what the client asked, who answered, what came
of it. There are few such groups however many connections there are, and what is compared is compared once for each.

Only equal questions have comparable answers. Of a hello counts what a server chooses by: versions, suites, extensions,
groups, signature algorithms, protocols, the name. GREASE, padding and what changes with the session that is offered
count for nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from inspector.tls.extension_types import ExtensionType
from inspector.tls.extensions import HelloShape
from inspector.tls.registry import is_grease
from inspector.tracking.observed import Observed

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


def alike(members: Iterable[Observed], turns: Mapping[bytes, Sequence[int]] | None = None) -> list[Alike]:
    """The groups of some connections, which come in the order of their hellos. ``turns``: of certificates, by digest,
    the moments (ns) from which on they are valid, or no longer.
    """
    turns = turns or {}
    groups: dict[Hashable, Alike] = {}
    for observed in members:
        offer, answer = observed.offer, observed.answer
        has_failed = observed.outcome == "aborted"
        key = (
            offer.key if offer is not None else None,
            answer.key if answer is not None else None,
            observed.leaf,
            observed.backend,
            observed.kind,
            observed.shown,
            observed.outcome,
            bisect_right(turns.get(observed.leaf, ()), observed.hello_ns) if turns and observed.leaf else 0,
        )
        group = groups.get(key)
        if group is None:
            groups[key] = Alike(
                sample=observed,
                backend=observed.backend,
                count=1,
                failed=int(has_failed),
                first_ns=observed.hello_ns,
                last_ns=observed.hello_ns,
            )
        else:
            group.count += 1
            group.failed += has_failed
            group.last_ns = observed.hello_ns
    if len(groups) > 1:
        for group in groups.values():
            offer = group.sample.offer
            if offer is not None and not offer.partial:
                group.question = asked_of(offer)
    return list(groups.values())


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
