"""What was not seen of a service and may hold the contrary of what was: the gate before every verdict that acquits.

An abort shows itself. That there was none, or that a failure is of another kind, is known only where every connection
was seen whole: both directions, both hellos, the certificate that Java compares, the end, in an order that is known.
``WAYS`` are the ways in which one connection is not whole, the first that holds counts; ``LIMITS`` are those of whole
captures. Each hides some parts, and a verdict that rests on none of them is not weakened: a session from before the
capture hides a certificate, but not that TLS 1.3 was chosen.

What was not seen acquits nobody, and accuses nobody either: a connection that is not whole and ended as an abort ends
is a *suspect*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import Flag, auto
from typing import NamedTuple

from inspector.document import Limit, Unseen
from inspector.findings.case import Case
from inspector.findings.giving_up import is_unfinished_inside, may_be_abort
from inspector.findings.signs import MENDED
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, ShapeAnswers
from inspector.tracking.services import ServiceGroup
from inspector.tracking.shape import ConnectionShape


class Aspect(Flag):
    """What a verdict may rest on."""

    HELLOS = auto()
    CERTIFICATES = auto()
    ENDS = auto()
    ORDER = auto()


ALL = Aspect.HELLOS | Aspect.CERTIFICATES | Aspect.ENDS | Aspect.ORDER


class Way(NamedTuple):
    """``holds`` for a connection that is not whole in this way; ``hides``: what is not known of it then. ``is_inside``:
    its own handshake was seen whole all the same.
    """

    kind: str
    holds: Callable[[Case, Observed], bool]
    hides: Aspect
    is_inside: bool = False


def _lacks_certificate(case: Case, observed: Observed) -> bool:
    """Whether the certificate of a full handshake up to TLS 1.2 was not read, though the handshake went on to the point
    where one is needed.
    """
    return observed.kind == "full" and not observed.is_tls13 and observed.leaf is None


def _cannot_be_compared(case: Case, observed: Observed) -> bool:
    """Whether the server showed a certificate whose identity Java would not know, or that Java cannot parse."""
    certificate = case.certificates.get(observed.leaf) if observed.leaf is not None else None
    return certificate is not None and not certificate.identity.is_known


def _began_before(case: Case, observed: Observed) -> bool:
    """Whether a session was resumed whose certificate was not captured."""
    if not observed.is_resumed:
        return False
    session = observed.session
    return session is None or session.leaf is None


def _hides_a_renegotiation(case: Case, observed: Observed) -> bool:
    """Whether encrypted records are missing in which a renegotiation may hide, up to TLS 1.2 without EMS. Each side
    sends some of it, so that it shows unless records of both are missing.
    """
    answer = observed.answer
    if not observed.lost_both_ways or observed.is_tls13 or answer is None:
        return False
    return not answer.extended_master_secret


WAYS: tuple[Way, ...] = (
    Way("one_sided", lambda case, observed: observed.one_sided, ALL),
    Way("mid_stream", lambda case, observed: observed.offer is None, ALL),
    Way("conflicting_segments", lambda case, observed: observed.contradicted, ALL),
    Way("lost_bytes", lambda case, observed: observed.lost, ALL),
    Way("unfinished", lambda case, observed: observed.outcome == "incomplete" or is_unfinished_inside(observed), ALL),
    Way("not_told", lambda case, observed: observed.kind is None and observed.answer is not None, ALL),
    Way("certificate_not_read", _lacks_certificate, Aspect.CERTIFICATES),
    Way("unreadable_certificate", _cannot_be_compared, Aspect.CERTIFICATES),
    Way("lost_records", _hides_a_renegotiation, Aspect.CERTIFICATES | Aspect.ENDS, is_inside=True),
    Way("before_capture", _began_before, Aspect.CERTIFICATES | Aspect.ORDER),
)
"""In the order in which they are looked for."""

LOST_FLOWS = "lost_flows"
"""Flows to the service that show no TLS, and bytes of which were not captured."""

LOST_NAMES = "lost_names"
"""Connections that may be to the service: what server name they asked for was not captured."""

HIDDEN_PARTS = {known.kind: known.hides for known in WAYS} | {LOST_FLOWS: ALL, LOST_NAMES: ALL}
"""What is hidden in each way."""

LIMITS: dict[str, Aspect] = {
    "unreadable": ALL,
    "not_extracted": ALL,
    "truncated": ALL,
    "damaged": ALL,
    "packets_left": ALL,
    "drops": ALL,
    "clipped": ALL,
    "bounded": ALL,
    "internal_errors": ALL,
    "preamble": ALL,
    "sequence_jump": ALL,
    "reading": ALL,
    "forgotten": ALL,
    "time_backwards": Aspect.ORDER,
    "coarse_times": Aspect.ORDER,
}
"""Limits of captures as a whole that may hide connections, or parts of them, whatever the service."""

UNDECODED = "undecoded"
"""Captures with frames that were not opened and may carry connections to the service (``unopened.may_carry``)."""


UNMENDED = frozenset(
    (
        *("unreadable", "not_extracted", "bounded", "internal_errors", "preamble", "unreadable_certificate", "reading"),
        "forgotten",
    )
)
"""What another capture would hide as well."""


class Sight(NamedTuple):
    """How far a service was seen. ``whole``: indexes of connections whose handshake was. ``suspects``: connections that
    were not and may have been aborted because the certificate changed, by kind. ``hidden``: what else was not seen, and
    which parts that hides.
    """

    whole: frozenset[int]
    suspects: list[Unseen]
    hidden: list[tuple[Unseen, Aspect]]

    def hides(self, rests_on: Aspect) -> list[Unseen]:
        """What hides something of the parts that a verdict rests on."""
        return [unseen for unseen, part in self.hidden if part & rests_on]


def is_plainly_whole(case: Case, shape: ConnectionShape) -> bool:
    """Whether a full handshake was seen whole, but for renegotiations inside: a quick look at what most connections
    are.
    """
    leaf, traits = shape.leaf, shape.traits
    if (
        leaf is None
        or traits.one_sided
        or traits.lost
        or traits.lost_both_ways
        or traits.is_resumed
        or shape.offer is None
        or traits.kind is None
        or traits.outcome == "incomplete"
    ):
        return False
    certificate = case.certificates.get(leaf)
    return certificate is None or certificate.identity.is_known


def way(case: Case, observed: Observed) -> Way | None:
    """In which way a connection was not seen whole; None where it was."""
    if not observed.renegotiations and is_plainly_whole(case, observed.shape):
        return None
    for known in WAYS:
        if known.holds(case, observed):
            return known
    return None


def is_mended(kind: str) -> bool:
    """Whether capturing again would show what is hidden in this way."""
    return kind not in UNMENDED


def is_for_want_of_frames(case: Case, observed: Observed) -> bool:
    """Whether what is doubtful about a possible abort is so because something was not captured."""
    hidden = way(case, observed)
    return case.weighed(observed).row in MENDED or (hidden is not None and is_mended(hidden.kind))


def of_captures(limits: Sequence[Limit]) -> list[tuple[Unseen, Aspect]]:
    """What limits of whole captures hide, of every service."""
    kinds = Counter(limit.kind for limit in limits if limit.kind in LIMITS)
    return [(Unseen(kind, "captures", count), LIMITS[kind]) for kind, count in kinds.items()]


def look(
    case: Case,
    service: ServiceGroup,
    members: ObservedSelection,
    hidden_everywhere: Sequence[tuple[Unseen, Aspect]],
) -> Sight:
    """How far connections of one service were seen. ``members``: which ones. ``hidden_everywhere``: as ``of_captures``
    says.
    """
    whole: list[int] = []
    suspects: dict[str, int] = {}
    hidden: dict[str, int] = {}
    columns, renegotiating = case.columns, case.columns.renegotiating
    plainly = ShapeAnswers(lambda shape: is_plainly_whole(case, shape), columns.shapes)
    for index in members.indices:
        if plainly[columns.shape[index]] and index not in renegotiating:
            whole.append(index)
            continue
        observed = case.observed[index]
        not_whole = way(case, observed)
        if not_whole is None or not_whole.is_inside:
            whole.append(observed.index)
        if not_whole is None:
            continue
        kind = not_whole.kind
        hidden[kind] = hidden.get(kind, 0) + 1
        if not_whole.hides & Aspect.ENDS and may_be_abort(observed):
            suspects[kind] = suspects.get(kind, 0) + 1
    if service.unseen:
        hidden[LOST_FLOWS] = service.unseen
    if service.index in case.unnamed:
        hidden[LOST_NAMES] = case.unnamed[service.index]
    everything = list(hidden_everywhere)
    if closed := sum([carrier.may_carry(service.addresses) for carrier in case.carriers]):
        everything.append((Unseen(UNDECODED, "captures", closed), ALL))
    everything += [(Unseen(kind, "connections", count), HIDDEN_PARTS[kind]) for kind, count in hidden.items()]
    return Sight(frozenset(whole), [Unseen(kind, "connections", count) for kind, count in suspects.items()], everything)
