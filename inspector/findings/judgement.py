"""Java's rule held against a connection: what the decision table (``jsse``) needs is taken from what was observed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from inspector import bounds
from inspector.findings.jsse import ROW_OF_ABORTS, Decision, Offer, RuleReason, Step, decide
from inspector.tls.extensions import AnswerShape
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


class JavaRule:
    """The decision table on one connection after the other. What it looks at repeats, so each case is decided once."""

    def __init__(self, step: Callable[[bytes, bytes], Step | None]) -> None:
        """``step``: the identity rule on two certificates by digest."""
        self._step = step
        self._known: dict[tuple[object, ...], Judgement] = {}

    def judged(self, observed: Observed, *, is_refused: bool) -> Judgement:
        """What it says of a connection. ``is_refused``: Java cannot parse a certificate of the server's chain."""
        if observed.kind is None:
            return _not_applicable(observed.reason)
        if observed.is_tls13:
            return _TLS13
        answer = observed.answer
        if answer is None:
            return _not_applicable(KindReason.NO_SERVER_HELLO)
        if is_refused or observed.shows_no_certificate:
            return _not_applicable(RuleReason.NOT_PARSED)
        entry = observed.entry
        session = entry.session
        if session is None and observed.is_offer_known and not entry.clouded:
            return _NOTHING_OFFERED
        case = (
            observed.kind == "full",
            answer.extended_master_secret,
            observed.gave_up,
            entry.known,
            entry.resumed_before,
            entry.clouded,
            session is None,
            session.leaf if session is not None else None,
            observed.leaf,
        )
        known = self._known.get(case)
        if known is None:
            known = self._decided(observed, answer)
            if len(self._known) < bounds.CACHE:
                self._known[case] = known
        return known

    def _decided(self, observed: Observed, answer: AnswerShape) -> Judgement:
        """Up to TLS 1.2, where a session was offered or may have been."""
        entry = observed.entry
        session, leaf = entry.session, observed.leaf
        if session is None:
            unknown = Offer(
                offered=None,
                resumed=observed.kind != "full",
                extended_master_secret=answer.extended_master_secret,
                gave_up=observed.gave_up,
            )
            return Judgement(decide(unknown))
        cached = session.leaf
        identity = self._step(cached, leaf) if cached is not None and leaf is not None else None
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
        return Judgement(decide(offer), cached, identity)


def goes_on(observed: Observed, judgement: Judgement) -> bool:
    """Whether a Java client completed a handshake which its rule says to abort."""
    return (
        judgement.decision.row == ROW_OF_ABORTS
        and observed.outcome == "established"
        and observed.stack.name == "jsse"
        and not observed.health_check
    )
