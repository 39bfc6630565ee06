"""The rows of the verdict that protect: which condition of the abort cannot be met, or was not, and what exactly would
bring it back.

Each is worded where it holds: the table in ``assessment`` tries them in order, and a later one relies on what the
earlier ones rule out.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.document import Assessment, Grade
from inspector.document.service import NOTHING_TO_DO
from inspector.findings.gate import CERTIFICATE_CHANGE, unknown
from inspector.findings.giving_up import AS_JAVA, NOT_JAVA
from inspector.findings.machine import ALLOW_UNSAFE, USE_EMS
from inspector.findings.prediction import Common, repeats
from inspector.findings.scene import Scene, connections
from inspector.pool.placement import DOUBT, chance_missed

NAMED = 5
"""Ties between certificates that are named at most."""


def _safe(because: str, *breaks_if: str, grade: Grade = "observed", do: str = NOTHING_TO_DO) -> Assessment:
    """Protected by a condition that cannot be met; where that is inferred, the sentence claims no more than that."""
    sentence = (
        f"Protected: {CERTIFICATE_CHANGE} cannot happen here."
        if grade == "observed"
        else f"Protected as things stand: no way to {CERTIFICATE_CHANGE} was seen."
    )
    return Assessment("protected", sentence, [because], list(breaks_if), grade, do)


def as_far_as_met(scene: Scene, assessment: Assessment) -> Assessment:
    """What a probe says: of members that it is likely to have missed nothing follows from those that it met."""
    tallies = scene.tallies
    answered = {tally.backend for tally in tallies if tally.backend >= 0}
    count = sum(tally.count for tally in tallies if tally.shape.answer is not None)
    if (
        assessment.state != "protected"
        or assessment.grade != "observed"
        or not all(tally.shape.traits.stack.is_probe for tally in tallies)
        or chance_missed(max(len(answered), 1), count) <= DOUBT
    ):
        return assessment
    few = f"a member that {connections(count)} of the probe did not meet is otherwise: ask more often"
    return _safe(assessment.because[0], few, *assessment.breaks_if, grade="inferred", do=assessment.do)


def no_server_hello(scene: Scene) -> Assessment:
    """Nothing that a server chose was captured."""
    return unknown("no ServerHello was captured", "not_visible", scene.again)


def tls13(scene: Scene) -> Assessment:
    """TLS 1.3 everywhere."""
    count = scene.tls13
    because = f"all {connections(count)} use TLS 1.3" if count > 1 else "the only connection uses TLS 1.3"
    return _safe(because, "a back end or the JVM falls back to TLS 1.2 without extended master secret (EMS)")


def no_certificate(scene: Scene) -> Assessment:
    """Nothing to compare: the full handshakes lie before the capture."""
    return unknown(
        "no server certificate was captured, only resumed sessions",
        "not_visible",
        "capture for longer, or from before the JVM starts",
    )


def one_certificate(scene: Scene) -> Assessment:
    """One certificate everywhere. A probe is one client, which a balancer may keep at one back end of many."""
    is_one_client = all(s.stack.is_probe for s in scene.members)
    return _safe(
        "every full handshake in clear showed the same certificate; more back ends may hide behind it",
        "a back end with another certificate joins",
        *(
            ["the balancer keeps the probe at one back end, and others show other certificates"]
            if is_one_client
            else []
        ),
        "the certificate is replaced by one with other names",
        *_inside_breaks(scene),
        grade="inferred" if is_one_client else _inside_grade(scene),
    )


def equivalent(scene: Scene) -> Assessment:
    """All certificates count as one server."""
    tie = _tied(scene.shared)
    return _safe(
        f"all {len(scene.leaves)} certificates count as one server: they share {tie}",
        f"a certificate without {tie} joins the pool, or replaces one"
        if scene.shared[0].is_of_all
        else "one of the certificates is replaced by one without what it shares",
        *_inside_breaks(scene),
        grade=_inside_grade(scene),
    )


TIES = {"dns": "the name", "ip": "the address", "subject": "the subject"}


def _tied(shared: Sequence[Common]) -> str:
    """What makes certificates one server: ``the name puppetdb.example.com``."""
    ties = [f"{TIES[tie.tie]} {tie.value}" for tie in shared[:NAMED]]
    return (" or " if shared and shared[0].is_of_all else ", two by two ").join(ties) or "what Java compares"


def _inside_grade(scene: Scene) -> Grade:
    return "inferred" if scene.hidden_renegotiations else "observed"


def _inside_breaks(scene: Scene) -> tuple[str, ...]:
    hidden = scene.hidden_renegotiations
    return (f"a renegotiation shows a certificate of other names: what {hidden} showed is encrypted",) if hidden else ()


def is_not_java(scene: Scene) -> bool:
    """Whether no client is Java, or may be."""
    return not any(shape.traits.stack.name in (*AS_JAVA, "unknown") for shape in scene.old.shapes())


def not_java(scene: Scene) -> Assessment:
    """Other stacks have no such rule."""
    stacks = sorted({shape.traits.stack.name for shape in scene.old.shapes()})
    return _safe(
        f"the rule is Java's; the clients here are not Java ({', '.join(stacks)})",
        "a Java client uses the service",
        grade="inferred",
    )


def is_ems_everywhere(scene: Scene) -> bool:
    """Whether extended master secret was in every handshake of clients that may be Java, full ones among them."""
    java = [shape for shape in scene.old.shapes() if shape.traits.stack.name not in NOT_JAVA]
    return any(shape.traits.kind == "full" for shape in java) and all(
        shape.answer is not None and shape.answer.extended_master_secret for shape in java
    )


def ems(scene: Scene) -> Assessment:
    """Extended master secret in every full handshake."""
    breaks_if = f"a back end without EMS joins, or EMS is switched off on one, or in the JVM (-D{USE_EMS}=false)"
    return _safe(
        "every handshake of these clients used extended master secret (EMS)",
        breaks_if,
        do="nothing; keep EMS on every back end",
    )


def is_check_off(scene: Scene) -> bool:
    """Whether the JVM of every client is told to skip the check."""
    machines = scene.case.machines_of(scene.old)
    return all(machine is not None and machine.allows_change for machine in machines)


def unsafe_property(scene: Scene) -> Assessment:
    """The JVM is told to skip the check."""
    return _safe(
        f"the client's JVM runs with -D{ALLOW_UNSAFE}=true, which skips the check",
        "the property is taken away",
        do="give the certificates one name in common: the property re-opens the triple handshake attack",
    )


def tolerated(scene: Scene) -> Assessment:
    """Clients that went on where the rule says abort."""
    because = (
        f"{len(scene.went_on)} times the client went on where Java's rule says abort: endpoint identification or"
        " jdk.tls.allowUnsafeServerCertChange is set"
    )
    return _safe(because, "the client's setting changes", grade="inferred")


def never_resumed(scene: Scene) -> Assessment:
    """Only a session that was resumed before is in danger, and none was."""
    because = (
        f"no session was resumed in {connections(len(scene.old))}, and only a session that was resumed before can lead"
        " to the abort"
    )
    again = repeats(scene.case, scene.service)
    if _offers_no_session(scene):
        because += (
            "; the client offers extended master secret (EMS), no back end has it, and then Java offers no session"
        )
        breaks_if = "a back end gets EMS before the others do"
    elif again:
        because += (
            f"; Java came to the same back end twice in a row {'once' if again == 1 else f'{again} times'}, and was not"
            " resumed there either"
        )
        breaks_if = "the back ends begin to resume sessions, by a session cache or by tickets"
    else:
        breaks_if = (
            "the balancer sends a client to the same back end twice in a row, as it does when other clients share the"
            " service"
        )
    return _safe(
        because, breaks_if, grade="inferred", do="watch for longer, or give the certificates one name in common"
    )


def _offers_no_session(scene: Scene) -> bool:
    """Whether Java, which does EMS, met no back end that does: it never offers a session that was issued without."""
    java = scene.java
    return (
        bool(java)
        and not scene.ems.doing
        and all(s.offer is not None and s.offer.extended_master_secret and not s.session for s in java)
    )


def otherwise(scene: Scene) -> Assessment:
    """Some condition was not met, though nothing rules it out."""
    because = "no Java client met both a resumed session and a certificate that differs without EMS"
    breaks_if = "a Java client resumes a session and is then sent to a back end with another certificate"
    if scene.ems.lacking and not scene.ems.doing:
        breaks_if = (
            "a back end gets extended master secret (EMS) before the others do: sessions that it issues are offered to"
            " those without"
        )
    return _safe(because, breaks_if, grade="inferred", do="watch for longer")
