"""The assessment of a service: one sentence, why, and what would break it. Five states, each claimed only as far as the
capture reaches.

``ROWS`` is the table: the first row that holds decides, so that each may rely on what those before it rule out. What
it says then passes the gate (``gate``): a row names the parts of the connections that its verdict rests on, and what
hides any of these makes the verdict one "as things stand", or takes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from inspector.document import Assessment, ServiceState, Unseen
from inspector.findings import headline, protected
from inspector.findings.case import Case
from inspector.findings.causes import UNCLEAR
from inspector.findings.gate import CERTIFICATE_CHANGE, gated, missing, unknown
from inspector.findings.headline import troubles
from inspector.findings.machine import USE_EMS
from inspector.findings.prediction import Extended
from inspector.findings.programs import Hit, hits
from inspector.findings.reasons import doubt
from inspector.findings.renegotiation import CHANGED, why_broken_off
from inspector.findings.scene import NOTHING, Occurrences, Scene, connections
from inspector.findings.unseen import ALL, Aspect, is_for_want_of_frames, look
from inspector.text.times import span
from inspector.tls.types import TLS13
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import ServiceGroup
from inspector.tracking.shape import ConnectionShape

NAMED = 5
"""Clients that are named at most."""


def assess(
    case: Case,
    service: ServiceGroup,
    occurrences: Occurrences,
    hidden_everywhere: Sequence[tuple[Unseen, Aspect]],
    ems: Extended,
) -> Assessment:
    """The state of one service. ``occurrences``: its own. ``hidden_everywhere``: as ``unseen.of_captures`` says.
    ``ems``: who does it.
    """
    members = case.members(service)
    scene = Scene(case, service, occurrences, members, look(case, service, members, hidden_everywhere), ems)
    return _gated(scene, decided(scene))


def assess_rule(
    case: Case,
    service: ServiceGroup,
    members: ObservedSelection,
    hidden_everywhere: Sequence[tuple[Unseen, Aspect]],
    ems: Extended,
) -> tuple[str, Assessment]:
    """What Java's rule alone says of some connections of a service, as ``assess`` of all, and the name of the row."""
    scene = Scene(case, service, NOTHING, members, look(case, service, members, hidden_everywhere), ems)
    row = decided(scene)
    return row.name, _gated(scene, row)


def _gated(scene: Scene, row: VerdictRow) -> Assessment:
    assessment = protected.as_far_as_met(scene, row.words(scene))
    return gated(assessment, scene.sight, row.rests_on, lambda: scene.again, lambda: row.failed(scene))


def decided(scene: Scene) -> VerdictRow:
    """The first row that holds; the last one always does."""
    for row in ROWS:
        if row.holds(scene):
            break
    return row


def _confirmed(scene: Scene) -> Assessment:
    aborted = sorted((raised.on[-1] for raised in scene.confirmed), key=lambda observed: observed.index)
    struck = sorted(hits(scene.members, aborted).values(), key=lambda hit: -hit.aborted)
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
    at_lacking = sum(observed.backend in scene.ems.lacking for observed in aborted) if lacking else 0
    if at_lacking:
        alone = "the only one" if len(scene.ems.lacking) == 1 else "the only ones"
        share = f"{at_lacking} of the" if at_lacking < len(aborted) else "all" if at_lacking > 2 else "the"
        because.insert(
            0,
            f"{share} {len(aborted)} aborts happened at {lacking}, {alone} without extended master secret (EMS)"
            if len(aborted) > 1
            else f"it happened at {lacking}, {alone} without extended master secret (EMS)",
        )
    return Assessment(
        "confirmed", sentence, because, ["nothing needs to change for it to happen again"], "observed", scene.remedy
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
    tallies = scene.tallies
    leaves = {tally.shape.leaf for tally in tallies if tally.shape.leaf}
    versions = [tally.shape.answer.version for tally in tallies if tally.shape.answer is not None]
    declined = sum(tally.count for tally in tallies if tally.declined)
    resumed = sum(tally.count for tally in tallies if tally.shape.traits.is_resumed)
    offered = f"{declined} offered session{' was' if declined == 1 else 's were'} declined"
    because = [f"{offered}, {resumed} {'was' if resumed == 1 else 'were'} resumed"]
    if len(leaves) > 1:
        because.append(f"{len(leaves)} certificates, not all of which Java counts as one server")
    if versions and max(versions) < TLS13:
        because.append("no connection used TLS 1.3")
    ems = scene.ems
    if ems.doing and ems.lacking:
        if not any(raised.on[-1].backend in ems.lacking for raised in scene.confirmed):
            because.append(
                f"of the back ends that were offered extended master secret (EMS), {scene.labels(ems.lacking)}"
                f" lack{'s' * (len(ems.lacking) == 1)} it"
            )
    elif ems.silent and len(ems.silent) == len(scene.case.service_clients[scene.service.index]):
        because.append("no client offers extended master secret (EMS)")
    machine = next(filter(None, scene.case.machines_of(scene.members)), None)
    if machine is not None and machine.has_ems_off:
        because.append(f"the client's JVM (process {machine.process}) runs with -D{USE_EMS}=false")
    return because


def _is_resumed(shape: ConnectionShape) -> bool:
    return shape.traits.is_resumed


def _possible(scene: Scene) -> Assessment:
    is_lacking = any(is_for_want_of_frames(scene.case, raised.on[-1]) for raised in scene.possible)
    return unknown(
        f"{len(scene.possible)} of {scene.total} ended as Java ends them when the certificate changed, but"
        f" {doubt(scene.possible[0].matter)}",
        "inferred",
        scene.again if is_lacking else scene.log,
    )


def _aborted_inside(scene: Scene) -> Assessment:
    broken_off = [raised for raised in scene.broken_off if raised.is_confirmed]
    sentence = (
        f"The client aborted {len(broken_off)} of {scene.total} inside established connections: a renegotiation brought"
        " another certificate."
    )
    because = [
        "each began with a resumed session without extended master secret (EMS)",
        why_broken_off(broken_off[0].matter).rstrip("."),
    ]
    return Assessment(
        "confirmed",
        sentence,
        because,
        ["the server renegotiates with another certificate again"],
        "observed",
        scene.one_name,
    )


def _broken_off_inside(scene: Scene) -> Assessment:
    count = len(scene.broken_off)
    text = (
        f"the client broke off {count} renegotiation{'s' if count > 1 else ''} after the server's flight, as Java does"
        " when the certificate changed"
    )
    changed = [raised for raised in scene.occurrences.renegotiations if raised.finding.rule == CHANGED]
    proven = {raised.matter.observed.index for raised in scene.broken_off} & {
        raised.matter.observed.index for raised in changed
    }
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


def _is_nothing_completed(scene: Scene) -> bool:
    return not scene.members or not (scene.failures or any(s.is_completed for s in scene.members))


def _nothing_completed(scene: Scene) -> Assessment:
    only_checks = bool(scene.service.connections) and not scene.members
    return unknown(
        "only health checks were captured" if only_checks else "no completed handshake was captured",
        "not_visible",
        scene.again,
    )


def _suspect(scene: Scene) -> Assessment:
    """Connections that may have been aborted for this very reason, of which too little was seen."""
    suspects = scene.sight.suspects
    count = sum(u.count for u in suspects)
    text = f"{count} of {scene.total} ended as they do when the server's certificate changed, but {missing(suspects)}"
    return unknown(text, "not_visible", scene.again)


def _is_unclear(scene: Scene) -> bool:
    """Whether all that failed is so. Failures as one JVM hide nothing of what a probe met as another."""
    if scene.exposure is not None and scene.exposure.client.is_probe:
        return False
    return bool(scene.failures) and all(raised.matter.key == UNCLEAR for raised in scene.failures)


def _unclear(scene: Scene) -> Assessment:
    return unknown(scene.failures[0].matter.text, "not_visible", scene.again)


def _is_not_this(scene: Scene) -> bool:
    """Whether something else failed, at a Java client or where none is in danger."""
    has_java_failed = any(s.stack.name == "jsse" and s.outcome == "aborted" for s in scene.members)
    return bool(troubles(scene.occurrences)) and (has_java_failed or scene.exposure is None)


def _failed_otherwise(scene: Scene) -> str:
    return headline.sentence(scene.case, troubles(scene.occurrences), scene.total)


def _not_this(scene: Scene) -> Assessment:
    """What is wrong leads; what Java's rule says stands below."""
    listed = troubles(scene.occurrences)
    remedies = listed[0].finding.remedies
    remedy = remedies[0].text if remedies else "Look at the failed connections."
    return Assessment(
        "not_this",
        _failed_otherwise(scene),
        [*(trouble.finding.title for trouble in listed[1:]), _java_rule(scene)],
        [],
        listed[0].finding.grade,
        headline.in_a_line(remedy),
    )


def _java_rule(scene: Scene) -> str:
    """What Java's rule says of a service where something else failed."""
    row = next(row for row in ROWS if row.name not in ("unclear", "not_this") and row.holds(scene))
    return headline.java_rule(row.words(scene))


def _exposed(scene: Scene) -> Assessment:
    exposure = scene.exposure
    assert exposure is not None
    first, last = min(s.first_ns for s in scene.members), max(s.first_ns for s in scene.members)
    conditions = [
        f"{exposure.resumed} session{' was' if exposure.resumed == 1 else 's were'} resumed in {span(last - first)}",
        "TLS 1.2 or older without extended master secret (EMS)" + " on some back ends" * exposure.has_ems_beside,
        f"{exposure.leaves} certificates that Java does not count as one server",
        f"the client is a probe, which asks as {exposure.client.stands_for or 'Java'} does"
        if exposure.client.is_probe
        else "the client is Java",
    ]
    return Assessment(
        "exposed",
        f"Exposed to {CERTIFICATE_CHANGE}: no abort yet, but nothing prevents it.",
        conditions,
        ["a session that was resumed once is declined by a back end with another certificate"],
        "inferred",
        scene.remedy,
    )


class VerdictRow(NamedTuple):
    """A row of the table. ``words``: what is said where it holds. ``rests_on``: the parts of connections that this is
    drawn from. ``failed``: what failed, where something else did.
    """

    name: str
    state: ServiceState
    holds: Callable[[Scene], bool]
    words: Callable[[Scene], Assessment]
    rests_on: Aspect = ALL
    failed: Callable[[Scene], str] = lambda scene: ""


HELLOS, CERTIFICATES, ENDS = Aspect.HELLOS, Aspect.CERTIFICATES, Aspect.ENDS
ROWS: tuple[VerdictRow, ...] = (
    VerdictRow("confirmed", "confirmed", lambda scene: bool(scene.confirmed), _confirmed),
    VerdictRow("possible", "unknown", lambda scene: bool(scene.possible), _possible),
    VerdictRow(
        "aborted_inside", "confirmed", lambda scene: any(r.is_confirmed for r in scene.broken_off), _aborted_inside
    ),
    VerdictRow("broken_off_inside", "unknown", lambda scene: bool(scene.broken_off), _broken_off_inside),
    VerdictRow("nothing_completed", "unknown", _is_nothing_completed, _nothing_completed),
    VerdictRow("suspect", "unknown", lambda scene: bool(scene.sight.suspects), _suspect),
    VerdictRow("unclear", "unknown", _is_unclear, _unclear),
    VerdictRow("not_this", "not_this", _is_not_this, _not_this, HELLOS | ENDS, _failed_otherwise),
    VerdictRow("exposed", "exposed", lambda scene: scene.exposure is not None, _exposed),
    VerdictRow(
        "no_server_hello", "unknown", lambda scene: not (scene.old or scene.tls13), protected.no_server_hello, HELLOS
    ),
    VerdictRow("tls13", "protected", lambda scene: not scene.old, protected.tls13, HELLOS),
    VerdictRow("no_certificate", "unknown", lambda scene: not scene.leaves, protected.no_certificate),
    VerdictRow(
        "one_certificate",
        "protected",
        lambda scene: len(scene.leaves) == 1,
        protected.one_certificate,
        HELLOS | CERTIFICATES,
    ),
    VerdictRow(
        "equivalent", "protected", lambda scene: bool(scene.shared), protected.equivalent, HELLOS | CERTIFICATES
    ),
    VerdictRow("not_java", "protected", protected.is_not_java, protected.not_java, HELLOS),
    VerdictRow("ems", "protected", protected.is_ems_everywhere, protected.ems, HELLOS),
    VerdictRow("property", "protected", protected.is_check_off, protected.unsafe_property, HELLOS),
    VerdictRow("tolerated", "protected", lambda scene: bool(scene.went_on), protected.tolerated),
    VerdictRow("never_resumed", "protected", lambda scene: not scene.old.where(_is_resumed), protected.never_resumed),
    VerdictRow("otherwise", "protected", lambda scene: True, protected.otherwise),
)
