"""Java's rule held against a connection: what the decision table (``jsse``) needs is taken from what was observed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

from inspector.findings.jsse import Decision, Offer, RuleReason, Step, decide
from inspector.tracking.kinds import KindReason
from inspector.tracking.observed import Observed


class Judgement(NamedTuple):
    """Java's rule on one handshake. ``identity``: the step by which its certificate is the cached one's equal."""

    decision: Decision
    cached_leaf: bytes | None = None
    identity: Step | None = None


_NOTHING_OFFERED = Judgement(decide(Offer(offered=False)))
_TLS13 = Judgement(decide(Offer(offered=None, is_tls13=True)))


@cache
def _not_applicable(reason: RuleReason | KindReason) -> Judgement:
    return Judgement(Decision("not_applicable", None, reason))


def judged(observed: Observed, step: Callable[[bytes, bytes], Step | None], *, is_refused: bool) -> Judgement:
    """The decision table on one connection. ``step``: the identity rule on two certificates by digest. ``is_refused``:
    Java cannot parse a certificate of the server's chain.
    """
    if observed.kind is None:
        return _not_applicable(observed.reason)
    if observed.is_tls13:
        return _TLS13
    entry = observed.entry
    session = entry.session
    answer = observed.answer
    if answer is None:
        return _not_applicable(KindReason.NO_SERVER_HELLO)
    if is_refused or observed.shows_no_certificate:
        return _not_applicable(RuleReason.NOT_PARSED)
    if session is None:
        if observed.is_offer_known and not entry.clouded:
            return _NOTHING_OFFERED
        unknown = Offer(
            offered=None,
            resumed=observed.kind != "full",
            extended_master_secret=answer.extended_master_secret,
            gave_up=observed.gave_up,
        )
        return _judgement(unknown)
    cached, leaf = session.leaf, observed.leaf
    identity = step(cached, leaf) if cached is not None and leaf is not None else None
    offer = Offer(
        offered=True,
        resumed=observed.kind != "full",
        extended_master_secret=answer.extended_master_secret,
        issued=entry.known,
        resumed_before=entry.resumed_before,
        equivalent=None if identity is None else identity != "none",
        gave_up=observed.gave_up,
        clouded=entry.clouded,
        unreadable=identity is None and cached is not None and leaf is not None,
    )
    return _judgement(offer, cached, identity)


@lru_cache(maxsize=4096)
def _judgement(offer: Offer, cached: bytes | None = None, identity: Step | None = None) -> Judgement:
    return Judgement(decide(offer), cached, identity)


def goes_on(observed: Observed, judgement: Judgement) -> bool:
    """Whether a Java client completed a handshake which its rule says to abort."""
    return (
        judgement.decision.row == 6
        and observed.outcome == "established"
        and observed.stack.name == "jsse"
        and not observed.health_check
    )
