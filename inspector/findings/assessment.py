"""The assessment of a service: one sentence, why, and what would break it. Five states, each claimed only as far as the
capture reaches.

``ROWS`` is the table: what is tried, in this order; the first row that has something to say decides. What it says then
passes the gate (``gate``): a row names the parts of the connections that its verdict rests on, and what hides any of
these makes the verdict one "as things stand", or takes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, product
from typing import NamedTuple

from inspector.document import Assessment, Finding, Unseen
from inspector.findings import protected
from inspector.findings.case import Case
from inspector.findings.change import ABORT
from inspector.findings.failures import RULE as FAILED, unclear_id
from inspector.findings.gate import gated, missing, unknown
from inspector.findings.machine import USE_EMS
from inspector.findings.prediction import Extended
from inspector.findings.programs import Hit, hits
from inspector.findings.renegotiation import BROKEN_OFF, CHANGED
from inspector.findings.scene import Scene, connections
from inspector.findings.unseen import ALL, Aspect, is_for_want_of_frames, look
from inspector.text.times import span
from inspector.tls.types import TLS13
from inspector.tracking.services import ServiceGroup

MOST_PAIRS = 10_000
"""Certificates of very large pools that are held against each other; one pair that differs is enough."""

NAMED = 5
"""Clients that are named at most."""


def assess(
    case: Case,
    service: ServiceGroup,
    findings: list[Finding],
    hidden_everywhere: Sequence[tuple[Unseen, Aspect]],
    ems: Extended,
) -> Assessment:
    """The state of one service. ``findings``: those that name it. ``hidden_everywhere``: as ``unseen.of_captures``
    says. ``ems``: who does it.
    """
    members = case.members(service)
    scene = Scene(case, service, findings, members, look(case, service, hidden_everywhere), ems)
    row, assessment = decided(scene)
    return gated(assessment, scene.sight, row.rests_on, scene.again)


def decided(scene: Scene) -> tuple[VerdictRow, Assessment]:
    """The first row that has something to say, and what it says; the last one always has."""
    return next((row, assessment) for row in ROWS if (assessment := row.says(scene)) is not None)


def _confirmed(scene: Scene) -> Assessment | None:
    confirmed = scene.of(ABORT, "confirmed")
    if not confirmed:
        return None
    ids = {f.connections[-1] for f in confirmed}
    struck = sorted(
        hits(scene.members, (s for s in scene.members if s.id in ids)).values(), key=lambda hit: -hit.aborted
    )
    sentence = f"{_who(scene, struck)} because the server's certificate changed."
    because = _why_confirmed(scene)
    if len(struck) > 1:
        because.insert(
            0,
            "; ".join(
                f"client {scene.case.clients[hit.client].ip}: {hit.aborted} of {hit.total}" for hit in struck[:NAMED]
            )
            + ("; …" if len(struck) > NAMED else ""),
        )
    lacking = scene.lacking
    do = (
        f"switch extended master secret (EMS) on at {lacking}, which alone lacks it; or {scene.one_name}"
        if lacking
        else scene.one_name
    )
    return Assessment(
        "confirmed", sentence, because, ["nothing needs to change for it to happen again"], "observed", do
    )


def _who(scene: Scene, struck: Sequence[Hit]) -> str:
    """``The client aborted 23 of 177 connections``; only of its own where others use the service too."""
    aborted, total = sum(hit.aborted for hit in struck), sum(hit.total for hit in struck)
    if len(struck) > 1:
        return f"{len(struck)} clients aborted {aborted} of their {connections(total)}"
    if total == len(scene.members):
        return f"The client aborted {aborted} of {connections(total)}"
    return f"The Java client {scene.case.clients[struck[0].client].ip} aborted {aborted} of its {connections(total)}"


def _why_confirmed(scene: Scene) -> list[str]:
    members = scene.members
    leaves = {s.leaf for s in members if s.leaf}
    versions = [s.answer.version for s in members if s.answer is not None]
    declined, resumed = sum(s.declined for s in members), sum(s.is_resumed for s in members)
    offered = f"{declined} offered session{' was' if declined == 1 else 's were'} declined"
    because = [f"{offered}, {resumed} {'was' if resumed == 1 else 'were'} resumed"]
    if len(leaves) > 1:
        because.append(f"{len(leaves)} certificates, not all of which Java counts as one server")
    if versions and max(versions) < TLS13:
        because.append("no connection used TLS 1.3")
    ems = scene.ems
    if ems.doing and ems.lacking:
        because.append(
            f"of the back ends that were offered extended master secret (EMS), {scene.labels(ems.lacking)}"
            f" lack{'s' * (len(ems.lacking) == 1)} it"
        )
    elif ems.silent and len(ems.silent) == len(scene.case.service_clients[scene.service.index]):
        because.append("no client offers extended master secret (EMS)")
    machine = next((jvm for s in members if (jvm := scene.case.machine_of(s)) is not None), None)
    if machine is not None and machine.has_ems_off:
        because.append(f"the client's JVM (process {machine.process}) runs with -D{USE_EMS}=false")
    return because


def _possible(scene: Scene) -> Assessment | None:
    possible = scene.of(ABORT, "possible")
    if not possible:
        return None
    struck = {f.connections[-1] for f in possible}
    is_lacking = any(is_for_want_of_frames(scene.case, observed) for observed in scene.members if observed.id in struck)
    doubt = possible[0].explanation.rsplit("Not certain: ", 1)[-1].rstrip(".")
    return unknown(
        f"{len(possible)} of {scene.total} ended as Java ends them when the certificate changed, but {doubt}",
        "inferred",
        scene.again if is_lacking else scene.log,
    )


def _aborted_inside(scene: Scene) -> Assessment | None:
    broken_off = scene.of(BROKEN_OFF, "confirmed")
    if not broken_off:
        return None
    sentence = (
        f"The client aborted {len(broken_off)} of {scene.total} inside established connections: a renegotiation brought"
        " another certificate."
    )
    because = [
        "each began with a resumed session without extended master secret (EMS)",
        *dict.fromkeys(f.explanation.split(". ", 1)[-1].rstrip(".") for f in broken_off[:1]),
    ]
    return Assessment(
        "confirmed",
        sentence,
        because,
        ["the server renegotiates with another certificate again"],
        "observed",
        scene.one_name,
    )


def _broken_off_inside(scene: Scene) -> Assessment | None:
    broken_off = scene.of(BROKEN_OFF)
    if not broken_off:
        return None
    text = (
        f"the client broke off {len(broken_off)} renegotiation{'s' if len(broken_off) > 1 else ''} after the server's"
        " flight, as Java does when the certificate changed"
    )
    proven = {c for f in scene.of(CHANGED) for c in f.connections} & {c for f in broken_off for c in f.connections}
    hidden = (
        f"the flight is encrypted; in {len(proven)} of them its length proves that certificate or chain changed"
        if proven
        else "the flight is encrypted"
    )
    return unknown(
        f"{text}; {hidden}",
        "inferred",
        "compare the certificates that the server was given at the times of these connections, and look into the"
        " client's log",
    )


def _nothing_completed(scene: Scene) -> Assessment | None:
    if scene.members and (scene.of(FAILED) or any(s.outcome == "established" for s in scene.members)):
        return None
    only_checks = bool(scene.service.connections) and not scene.members
    return unknown(
        "only health checks were captured" if only_checks else "no completed handshake was captured",
        "not_visible",
        scene.again,
    )


def _suspect(scene: Scene) -> Assessment | None:
    """Connections that may have been aborted for this very reason, of which too little was seen."""
    suspects = scene.sight.suspects
    if not suspects:
        return None
    count = sum(u.count for u in suspects)
    text = f"{count} of {scene.total} ended as they do when the server's certificate changed, but {missing(suspects)}"
    return unknown(text, "not_visible", scene.again)


def _unclear(scene: Scene) -> Assessment | None:
    failed = scene.of(FAILED)
    if not failed or not all(f.id == unclear_id(scene.service, f) for f in failed):
        return None
    return unknown(failed[0].title.split(": ", 1)[-1], "not_visible", scene.again)


def _not_this(scene: Scene) -> Assessment | None:
    failed = scene.of(FAILED)
    java_failed = any(s.stack.name == "jsse" and s.outcome == "aborted" for s in scene.members)
    if not failed or (not java_failed and _exposure(scene)):
        return None
    worst = max(failed, key=lambda f: f.count)
    sentence = (
        f"Not this: {sum(f.count for f in failed)} of {scene.total} failed for another reason:"
        f" {worst.title.split(': ', 1)[-1]}."
    )
    remedy = worst.remedies[0].text if worst.remedies else "look at the failed connections"
    return Assessment(
        "not_this", sentence, [f.title for f in failed], [], worst.grade, remedy[0].lower() + remedy[1:].rstrip(".")
    )


def _exposed(scene: Scene) -> Assessment | None:
    conditions = _exposure(scene)
    if conditions is None:
        return None
    sentence = "Exposed: no abort yet, but nothing stands in its way."
    return Assessment(
        "exposed",
        sentence,
        conditions,
        ["a session that was resumed once is declined by a back end with another certificate"],
        "inferred",
        scene.one_name,
    )


def _exposure(scene: Scene) -> list[str] | None:
    """The conditions of the abort, where all of them are met for a Java client; None otherwise."""
    case = scene.case
    java = [s for s in scene.old if s.stack.name == "jsse"]
    resumed = [s for s in java if s.is_resumed]
    if not resumed or any(case.judgements[s.index].decision.row == 6 and s.outcome == "established" for s in java):
        return None
    issuing: dict[bool, set[bytes]] = {True: set(), False: set()}
    offers: set[bool] = set()
    for observed in java:
        if observed.kind == "full" and observed.leaf is not None and observed.answer is not None:
            issuing[observed.answer.extended_master_secret].add(observed.leaf)
            offers.add(observed.offer is not None and observed.offer.extended_master_secret)
    plain = issuing[False]
    kept = issuing[True] | (plain if False in offers else set())
    pairs = [(a, b) for a, b in islice(product(kept, plain), MOST_PAIRS) if case.step(a, b) == "none"]
    if not pairs:
        return None
    first, last = min(s.first_ns for s in scene.members), max(s.first_ns for s in scene.members)
    return [
        f"{len(resumed)} session{' was' if len(resumed) == 1 else 's were'} resumed in {span(last - first)}",
        "TLS 1.2 or older without extended master secret (EMS)" + (" on some back ends" if issuing[True] else ""),
        f"{len({leaf for pair in pairs for leaf in pair})} certificates that Java does not count as one server",
        "the client is Java",
    ]


class VerdictRow(NamedTuple):
    """``says`` gives None where the row does not hold. ``rests_on``: the parts of connections that what it says is
    drawn from.
    """

    name: str
    says: Callable[[Scene], Assessment | None]
    rests_on: Aspect = ALL


ROWS: tuple[VerdictRow, ...] = (
    VerdictRow("confirmed", _confirmed),
    VerdictRow("possible", _possible),
    VerdictRow("aborted_inside", _aborted_inside),
    VerdictRow("broken_off_inside", _broken_off_inside),
    VerdictRow("nothing_completed", _nothing_completed),
    VerdictRow("suspect", _suspect),
    VerdictRow("unclear", _unclear),
    VerdictRow("not_this", _not_this, Aspect.HELLOS | Aspect.ENDS),
    VerdictRow("exposed", _exposed),
    VerdictRow("tls13", protected.all_tls13, Aspect.HELLOS),
    VerdictRow("no_certificate", protected.no_certificate),
    VerdictRow("one_certificate", protected.one_certificate, Aspect.HELLOS | Aspect.CERTIFICATES),
    VerdictRow("equivalent", protected.equivalent, Aspect.HELLOS | Aspect.CERTIFICATES),
    VerdictRow("not_java", protected.not_java, Aspect.HELLOS),
    VerdictRow("ems", protected.ems, Aspect.HELLOS),
    VerdictRow("property", protected.unsafe_property, Aspect.HELLOS),
    VerdictRow("tolerated", protected.tolerated),
    VerdictRow("never_resumed", protected.never_resumed),
    VerdictRow("otherwise", protected.otherwise),
)
