"""What could not be seen: limits of the capture and of the program, and the finding ``capture-incomplete`` that weighs
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from inspector import bounds
from inspector.document import Evidence, Finding, Limit, Remedy
from inspector.document.rules import Rule
from inspector.errors.bounds import Bound, PacketsLeft
from inspector.errors.captures import InputProblem, NotExtracted
from inspector.errors.internal import InternalError
from inspector.findings import unreadable, vantages
from inspector.findings.case import Case
from inspector.findings.shared_remedies import again, outside, read_on
from inspector.findings.unopened import clipped, not_opened
from inspector.findings.wording import worded
from inspector.tracking.columns import ConnectionColumns
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection, ShapeAnswers, grouped
from inspector.tracking.services import short_id
from inspector.tracking.shape import ConnectionShape

CAPTURES = (
    "unreadable",
    "not_extracted",
    "truncated",
    "damaged",
    "drops",
    "undecoded",
    "clipped",
    "packets_left",
    "bounded",
    "internal_errors",
    "preamble",
    "sequence_jump",
)
"""Limits of whole captures that lack something."""
STRICT = frozenset(
    (
        *("unreadable", "not_extracted", "truncated", "damaged", "packets_left", "drops", "undecoded", "clipped"),
        *("gaps", "one_sided"),
    )
)
"""Limits by which input is incomplete for ``--strict``. A connection that began before the capture is none: there the
capture begins, and lacks nothing.
"""

KINDS: Mapping[type[Bound], str] = {InternalError: "internal_errors", PacketsLeft: "packets_left"}
"""Of what is lost elsewhere than at a bound of the program."""

NAMED = 20
"""Connections that a limit names at most."""


class Lacking(NamedTuple):
    """A limit of connections: what of each ``holds``, and what is said of all of them together."""

    kind: str
    holds: Callable[[Observed], bool]
    words: str | Callable[[Case, Sequence[Observed]], str]


def _gaps(case: Case, members: Sequence[Observed]) -> str:
    missing = sum(member.gap_bytes for member in members)
    return f"{missing:,} byte{'s' if missing > 1 else ''} in the midst of what was sent were not captured"


def _encrypted(case: Case, members: Sequence[Observed]) -> str:
    keys = sum(case.ticket_keys.values())
    return "TLS 1.3 encrypts the certificate: the back end is not visible without secrets or the balancer's log" + (
        f"; the identities that were accepted were sealed with {keys} ticket key{'s' if keys > 1 else ''}"
        if keys
        else ""
    )


def _began_before(observed: Observed) -> bool:
    return not observed.is_tls13 and observed.offers_session and observed.issuer is None


IN_FLOWS: tuple[Lacking, ...] = (
    Lacking(
        "conflicting_segments",
        lambda o: o.contradicted,
        "bytes came in two versions, and which one the receiver took cannot be told",
    ),
    Lacking("lost_bytes", lambda o: o.lost and not o.contradicted, "bytes of the handshake were not captured"),
    Lacking("gaps", lambda o: o.gap_bytes > 0, _gaps),
    Lacking("one_sided", lambda o: o.one_sided, "only one direction was captured"),
    Lacking("mid_stream", lambda o: o.offer is None and not o.one_sided, "the ClientHello was not captured"),
    Lacking(
        "preamble",
        lambda o: o.long_preamble,
        "what begins a direction is no TLS, and a hello was looked for in its first"
        f" {bounds.SEARCH_BYTES >> 10} KiB and where flights begin, in vain",
    ),
    Lacking(
        "sequence_jump",
        lambda o: o.sequence_jump,
        "sequence numbers jump further than any window reaches: other connections may have used these ports",
    ),
)
"""What was not captured, or not looked through."""
IN_HANDSHAKES: tuple[Lacking, ...] = (
    Lacking("before_capture", _began_before, "the offered session was issued before the capture, or by nobody"),
    Lacking("encrypted", lambda o: o.is_tls13 and o.backend < 0 and o.secrets != "", _encrypted),
)
"""What the handshakes do not show."""


def limits(case: Case, extra: list[Limit]) -> list[Limit]:
    """All limits, those of whole captures first."""
    facts = case.facts
    doubtful = ObservedSelection(case.observed, may_lack(case.columns))
    return [
        *(Limit(_of_problem(problem), worded(problem), None, []) for problem in facts.problems),
        *_of_captures(case),
        *vantages.limits(case),
        *(Limit(_kind(bound), worded(bound), None, []) for bound in facts.bounded),
        *_of_connections(case, doubtful, IN_FLOWS),
        *unreadable.limits(case),
        *_of_connections(case, doubtful, IN_HANDSHAKES),
        *(Limit("secrets", worded(problem), None, []) for problem in facts.secrets),
        *_not_decrypted(case),
        *_of_pools(case),
        *extra,
    ]


def mistakes(case: Case) -> list[Limit]:
    """What this program stumbled over while it judged, as far as is known now."""
    return [Limit(_kind(notice), worded(notice), None, []) for notice in case.border.notices()]


def _of_problem(problem: InputProblem) -> str:
    return "not_extracted" if isinstance(problem, NotExtracted) else "unreadable"


def _kind(bound: Bound) -> str:
    return KINDS.get(type(bound), "bounded")


def _of_captures(case: Case) -> Iterator[Limit]:
    is_missed = any(shape.traits.lost for shape in case.columns.shapes)
    for index, capture in enumerate(case.facts.captures):
        lacking = (
            ("truncated" if capture.truncated else "damaged", worded(capture.damage)),
            ("drops", f"{capture.drops} packets were dropped while capturing" if capture.drops else ""),
            ("undecoded", not_opened(capture)),
            ("clipped", clipped(capture, is_missed=is_missed)),
        )
        for kind, words in lacking:
            if words:
                yield Limit(kind, f"{capture.path}: {words}", index, [])


def may_lack(columns: ConnectionColumns) -> Iterator[int]:
    """The connections for which any row may hold: a quick look, for most lack nothing."""
    lacking = ShapeAnswers(_may_lack, columns.shapes)
    shapes, gap_bytes, issuers, offered = columns.shape, columns.gap_bytes, columns.issuer, columns.offered
    for index in range(len(columns)):
        if lacking[shapes[index]] or gap_bytes[index] > 0 or issuers[index] < 0 <= offered[index]:
            yield index


def _may_lack(shape: ConnectionShape) -> bool:
    traits = shape.traits
    return (
        traits.lost
        or traits.one_sided
        or shape.offer is None
        or traits.long_preamble
        or traits.sequence_jump
        or traits.is_tls13
    )


def _of_connections(case: Case, doubtful: Sequence[Observed], rows: Sequence[Lacking]) -> Iterator[Limit]:
    """``doubtful``: the connections for which any row may hold."""
    for row in rows:
        members = ObservedSelection.of(case.observed, filter(row.holds, doubtful))
        if members:
            yield _limit(row.kind, members, row.words if isinstance(row.words, str) else row.words(case, members))


def _not_decrypted(case: Case) -> Iterator[Limit]:
    some = case.everybody.where(lambda shape: bool(shape.traits.secrets))
    by_reason = grouped(case.observed, some, lambda observed: worded(observed.secrets) if observed.secrets else "")
    for reason, members in sorted(by_reason.items()):
        yield _limit("not_decrypted", members, f"not decrypted, or not all of it: {reason}")


def _of_pools(case: Case) -> Iterator[Limit]:
    for service in case.services:
        members = case.pools[service.index]
        if len(members) == 1 and "certificate" in members[0].basis and "log" not in members[0].basis:
            words = "shows one certificate everywhere; more back ends may hide behind it"
            yield Limit("one_certificate", f"{service.name}:{service.port} {words}", None, [])


def _limit(kind: str, members: Sequence[Observed], words: str) -> Limit:
    count = len(members)
    return Limit(kind, f"{count} connection{'s' if count > 1 else ''}: {words}", None, [o.id for o in members[:NAMED]])


LOST = frozenset(("truncated", "damaged", "drops", "clipped", "lost_bytes", "one_sided", "mid_stream", "sequence_jump"))
"""Limits by what was lost while capturing."""


def _mends(case: Case, kinds: set[str]) -> Iterator[Remedy]:
    """Only what would help: what the program cannot read, and what a server shows, another capture holds as well."""
    if "packets_left" in kinds:
        yield read_on()
        return
    is_cut = "clipped" in kinds or any(
        unopened.why == "cut" for capture in case.facts.captures for unopened in capture.unopened
    )
    if is_cut or kinds & LOST:
        yield again(is_cut)
    if any(unopened.why != "cut" for capture in case.facts.captures for unopened in capture.unopened):
        yield outside()


def incomplete(case: Case, limits: Sequence[Limit]) -> Iterator[Finding]:
    """One finding for what the captures lack, where it weakens an answer."""
    kinds = (*CAPTURES, "lost_bytes", "one_sided", "mid_stream", unreadable.KIND)
    lacking = [limit for limit in limits if limit.kind in kinds]
    if not lacking:
        return
    connections = list(dict.fromkeys(c for limit in lacking for c in limit.connections))
    yield Finding(
        id=short_id(Rule.CAPTURE_INCOMPLETE, *sorted(limit.kind for limit in lacking)),
        rule=Rule.CAPTURE_INCOMPLETE,
        severity="info",
        verdict="confirmed",
        grade="observed",
        title="The capture is not complete",
        explanation="; ".join(limit.text for limit in lacking)
        + ". What these connections did, and which sessions were issued or resumed in the missing part, cannot be"
        " said.",
        remedies=list(_mends(case, {limit.kind for limit in lacking})),
        references=[],
        service=None,
        backends=[],
        clients=[],
        connections=connections,
        first=None,
        last=None,
        count=len(lacking),
        evidence=[Evidence(limit.kind, None, [], limit.text) for limit in lacking],
        what="The capture is not complete",
    )
