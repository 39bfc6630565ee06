"""What could not be seen: limits of the capture and of the program, and the finding ``capture-incomplete`` that weighs
them.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector import bounds
from inspector.document import Evidence, Finding, Limit, Remedy
from inspector.document.rules import Rule
from inspector.findings import unreadable, vantages
from inspector.findings.case import Case
from inspector.findings.remedies import again, outside
from inspector.findings.unopened import clipped, not_opened
from inspector.findings.wording import worded
from inspector.tracking.observed import Observed
from inspector.tracking.services import short_id

CAPTURES = (
    "unreadable",
    "truncated",
    "damaged",
    "drops",
    "undecoded",
    "clipped",
    "bounded",
    "preamble",
    "sequence_jump",
)
"""Limits of whole captures that lack something."""
STRICT = frozenset(("unreadable", "truncated", "damaged", "drops", "undecoded", "clipped", "gaps", "one_sided"))
"""Limits by which input is incomplete for ``--strict``. A connection that began before the capture is none: there the
capture begins, and lacks nothing.
"""

NAMED = 20
"""Connections that a limit names at most."""


def limits(case: Case, extra: list[Limit]) -> list[Limit]:
    """All limits, those of whole captures first."""
    found: list[Limit] = []
    found += [Limit("unreadable", worded(problem), None, []) for problem in case.facts.problems]
    is_missed = any(seen.lost for seen in case.observed)
    for index, capture in enumerate(case.facts.captures):
        if capture.damage:
            kind = "truncated" if capture.truncated else "damaged"
            found.append(Limit(kind, f"{capture.path}: {worded(capture.damage)}", index, []))
        if capture.drops:
            found.append(
                Limit("drops", f"{capture.path}: {capture.drops} packets were dropped while capturing", index, [])
            )
        for kind, lacking in (("undecoded", not_opened(capture)), ("clipped", clipped(capture, is_missed=is_missed))):
            if lacking:
                found.append(Limit(kind, f"{capture.path}: {lacking}", index, []))
    found += vantages.limits(case)
    found += [Limit("bounded", worded(bound), None, []) for bound in case.facts.bounded]
    lost, one_sided, mid_stream = [], [], []
    for seen in case.observed:
        if seen.lost:
            lost.append(seen)
        if seen.one_sided:
            one_sided.append(seen)
        elif seen.offer is None:
            mid_stream.append(seen)
    _add(found, "lost_bytes", lost, "bytes of the handshake were not captured")
    torn = [s for s in case.observed if s.gap_bytes]
    missing = sum(s.gap_bytes for s in torn)
    _add(
        found,
        "gaps",
        torn,
        f"{missing:,} byte{'s' if missing > 1 else ''} in the midst of what was sent were not captured",
    )
    _add(found, "one_sided", one_sided, "only one direction was captured")
    _add(found, "mid_stream", mid_stream, "the ClientHello was not captured")
    looked = (
        f"what begins a direction is no TLS, and a hello was looked for in its first {bounds.SEARCH_BYTES >> 10} KiB"
        " and where flights begin, in vain"
    )
    _add(found, "preamble", [s for s in case.observed if s.unread], looked)
    _add(
        found,
        "sequence_jump",
        [s for s in case.observed if s.jumped],
        "sequence numbers jump further than any window reaches: other connections may have used these ports",
    )
    found += unreadable.limits(case)
    before = [
        s for s in case.observed if s.entry.session is not None and s.entry.session.issuer is None and not s.is_tls13
    ]
    _add(found, "before_capture", before, "the offered session was issued before the capture, or by nobody")
    is_tls13 = [s for s in case.observed if s.is_tls13 and s.backend < 0 and s.secrets != ""]
    accepted = [
        name
        for name, sessions in case.ticket_keys.items()
        if any(session.resumed_by is not None for session in sessions)
    ]
    keys = (
        f"; the identities that were accepted were sealed with {len(accepted)} ticket"
        f" key{'s' if len(accepted) > 1 else ''}"
        if accepted
        else ""
    )
    _add(
        found,
        "encrypted",
        is_tls13,
        f"TLS 1.3 encrypts the certificate: the back end is not visible without secrets or the balancer's log{keys}",
    )
    found += [Limit("secrets", worded(problem), None, []) for problem in case.facts.secrets]
    unopened: dict[str, list[Observed]] = {}
    for seen in case.observed:
        if seen.secrets:
            unopened.setdefault(worded(seen.secrets), []).append(seen)
    for reason, members_of in sorted(unopened.items()):
        _add(found, "not_decrypted", members_of, f"not decrypted, or not all of it: {reason}")
    for service in case.services:
        members = case.pools[service.index]
        if len(members) == 1 and "certificate" in members[0].basis and "log" not in members[0].basis:
            found.append(
                Limit(
                    "one_certificate",
                    f"{service.name}:{service.port} shows one certificate everywhere; more back ends may hide"
                    " behind it",
                    None,
                    [],
                )
            )
    return found + extra


def _add(found: list[Limit], kind: str, members: list[Observed], text: str) -> None:
    if members:
        count = len(members)
        found.append(
            Limit(kind, f"{count} connection{'s' if count > 1 else ''}: {text}", None, [s.id for s in members[:NAMED]])
        )


LOST = frozenset(("truncated", "damaged", "drops", "clipped", "lost_bytes", "one_sided", "mid_stream", "sequence_jump"))
"""Limits by what was lost while capturing."""


def _mends(case: Case, kinds: set[str]) -> Iterator[Remedy]:
    """Only what would help: what the program cannot read, and what a server shows, another capture holds as well."""
    is_cut = "clipped" in kinds or any(
        found.why == "cut" for capture in case.facts.captures for found in capture.unopened
    )
    if is_cut or kinds & LOST:
        yield again(is_cut)
    if any(found.why != "cut" for capture in case.facts.captures for found in capture.unopened):
        yield outside()


def incomplete(case: Case, found: list[Limit]) -> Iterator[Finding]:
    """One finding for what the captures lack, where it weakens an answer."""
    kinds = (*CAPTURES, "lost_bytes", "one_sided", "mid_stream", unreadable.KIND)
    lacking = [limit for limit in found if limit.kind in kinds]
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
    )
