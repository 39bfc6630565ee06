"""The assessment of a service: one sentence, why, and what would break it. Five states, each claimed only as far as the capture reaches.

``ROWS`` is the table: what is tried, in this order; the first row that has something to say decides. What it says then passes the gate (``gate``): a row names the
parts of the connections that its verdict rests on, and what hides any of these makes the verdict one "as things stand", or takes it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from inspector.document import Assessment, Finding, Grade, Limit
from inspector.findings.case import NOT_JAVA, Case
from inspector.findings.change import ABORT
from inspector.findings.failures import RULE as FAILED
from inspector.findings.failures import unclear_id
from inspector.findings.gate import gated, missing, unknown
from inspector.findings.machine import ALLOW_UNSAFE, USE_EMS
from inspector.findings.prediction import Common, Extended, common, extended, repeats
from inspector.findings.programs import Hit, hits
from inspector.findings.remedies import capture_remedy
from inspector.findings.renegotiation import BROKEN_OFF, CHANGED
from inspector.findings.unseen import ALL, Part, Sight, look
from inspector.times import span
from inspector.tracking.observed import Observed
from inspector.tracking.services import Service

NAMED = 5
"""Clients, and ties between certificates, that are named at most."""


@dataclass
class Scene:
    """What the rows look at: a service, the findings that name it, its connections without health checks, and how far they were seen."""

    case: Case
    service: Service
    findings: list[Finding]
    members: list[Observed]
    sight: Sight

    def of(self, rule: str, verdict: str | None = None) -> list[Finding]:
        """Its findings of a rule."""
        return [f for f in self.findings if f.rule == rule and verdict in (None, f.verdict)]

    @cached_property
    def total(self) -> str:
        """``177 connections``."""
        return connections(len(self.members))

    @property
    def again(self) -> str:
        """How to capture what is missing."""
        return f"capture again: {capture_remedy(self.service.name, self.service.port, self.service.addresses, self.case.is_cut).check}"

    @property
    def one_name(self) -> str:
        """The cheapest remedy."""
        return f"put one name, e.g. DNS {self.service.name}, into all certificates of the pool"

    @cached_property
    def old(self) -> list[Observed]:
        """Connections up to TLS 1.2 whose handshake is known."""
        return [s for s in self.members if s.answer is not None and s.kind is not None and not s.modern]

    @cached_property
    def full(self) -> list[Observed]:
        """Of these the full handshakes."""
        return [s for s in self.old if s.kind == "full"]

    @cached_property
    def leaves(self) -> list[bytes]:
        """The certificates that up to TLS 1.2 were shown, or that sessions in use were issued with."""
        inside = {h.chain[0] for s in self.old if s.renegotiations for h in s.main.inside if h.chain}
        return sorted(inside | {s.leaf for s in self.full if s.leaf is not None} | {s.entry.session.leaf for s in self.old if s.entry.session and s.entry.session.leaf})

    @cached_property
    def ems(self) -> Extended:
        """Who of back ends and clients does extended master secret."""
        return extended(self.case, self.case.pools[self.service.index])

    @property
    def lacking(self) -> str:
        """The back ends that alone lack EMS; "" where none does, or all do."""
        return self.labels(self.ems.lacking) if self.ems.doing else ""

    def labels(self, backends: Sequence[int]) -> str:
        """``back end B``, ``back ends B, C``."""
        return f"back end{'s' * (len(backends) > 1)} {', '.join(self.case.backends[i].label for i in backends)}"

    @cached_property
    def hidden_renegotiations(self) -> int:
        """Connections in which Java's rule would look at a certificate that is encrypted."""
        return sum(_hides_a_certificate(s) for s in self.old)


def assess(case: Case, service: Service, findings: list[Finding], limits: Sequence[Limit]) -> Assessment:
    """The state of one service. ``findings``: those that name it. ``limits``: of the captures."""
    members = case.members(service)
    scene = Scene(case, service, findings, members, look(case, members, limits))
    row, said = decided(scene)
    return gated(said, scene.sight, row.rests_on, scene.again)


def decided(scene: Scene) -> tuple[Row, Assessment]:
    """The first row that has something to say, and what it says; the last one always has."""
    return next((row, said) for row in ROWS if (said := row.says(scene)) is not None)


def connections(count: int) -> str:
    """``1 connection``, ``177 connections``."""
    return f"{count} connection{'' if count == 1 else 's'}"


def _safe(because: str, *breaks_if: str, grade: Grade = "observed", do: str = "nothing") -> Assessment:
    """Protected by a condition that cannot be met; where that is inferred, the sentence claims no more than that."""
    sentence = "Protected: this error cannot happen here." if grade == "observed" else "Protected as things stand: what this error needs was not seen here."
    return Assessment("protected", sentence, [because], list(breaks_if), grade, do)


def _confirmed(scene: Scene) -> Assessment | None:
    confirmed = scene.of(ABORT, "confirmed")
    if not confirmed:
        return None
    ids = {f.connections[-1] for f in confirmed}
    struck = sorted(hits(scene.case, (s for s in scene.members if s.id in ids)).values(), key=lambda hit: -hit.aborted)
    sentence = f"{_who(scene, struck)} because the server's certificate changed."
    because = _why_confirmed(scene)
    if len(struck) > 1:
        because.insert(0, "; ".join(f"client {scene.case.clients[hit.client].ip}: {hit.aborted} of {hit.total}" for hit in struck[:NAMED]) + ("; …" if len(struck) > NAMED else ""))
    lacking = scene.lacking
    do = f"switch extended master secret (EMS) on at {lacking}, which alone lacks it; or {scene.one_name}" if lacking else scene.one_name
    return Assessment("confirmed", sentence, because, ["nothing needs to change for it to happen again"], "observed", do)


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
    because = [f"{declined} offered session{' was' if declined == 1 else 's were'} declined, {resumed} {'was' if resumed == 1 else 'were'} resumed"]
    if len(leaves) > 1:
        because.append(f"{len(leaves)} certificates, not all of which Java counts as one server")
    if versions and max(versions) < 0x0304:
        because.append("no connection used TLS 1.3")
    ems = scene.ems
    if ems.doing and ems.lacking:
        because.append(f"of the back ends that were offered extended master secret (EMS), {scene.labels(ems.lacking)} lack{'s' * (len(ems.lacking) == 1)} it")
    elif ems.silent and len(ems.silent) == len(scene.case.service_clients[scene.service.index]):
        because.append("no client offers extended master secret (EMS)")
    machine = next((found for s in members if (found := scene.case.machine_of(s)) is not None), None)
    if machine is not None and machine.has_ems_off:
        because.append(f"the client's JVM (process {machine.process}) runs with -D{USE_EMS}=false")
    return because


def _possible(scene: Scene) -> Assessment | None:
    possible = scene.of(ABORT, "possible")
    if not possible:
        return None
    doubt = possible[0].explanation.rsplit("Not certain: ", 1)[-1].rstrip(".")
    return unknown(f"{len(possible)} of {scene.total} ended as Java ends them when the certificate changed, but {doubt}", "inferred", scene.again)


def _aborted_inside(scene: Scene) -> Assessment | None:
    told = scene.of(BROKEN_OFF, "confirmed")
    if not told:
        return None
    sentence = f"The client aborted {len(told)} of {scene.total} inside established connections: a renegotiation brought another certificate."
    because = ["each began with a resumed session without extended master secret (EMS)", *dict.fromkeys(f.explanation.split(". ", 1)[-1].rstrip(".") for f in told[:1])]
    return Assessment("confirmed", sentence, because, ["the server renegotiates with another certificate again"], "observed", scene.one_name)


def _broken_off_inside(scene: Scene) -> Assessment | None:
    broken_off = scene.of(BROKEN_OFF)
    if not broken_off:
        return None
    text = f"the client broke off {len(broken_off)} renegotiation{'s' if len(broken_off) > 1 else ''} after the server's flight, as Java does when the certificate changed"
    proven = {c for f in scene.of(CHANGED) for c in f.connections} & {c for f in broken_off for c in f.connections}
    hidden = f"the flight is encrypted; in {len(proven)} of them its length proves that certificate or chain changed" if proven else "the flight is encrypted"
    return unknown(f"{text}; {hidden}", "inferred", "compare the certificates that the server was given at the times of these connections, and look into the client's log")


def _nothing_completed(scene: Scene) -> Assessment | None:
    if scene.members and (scene.of(FAILED) or any(s.outcome == "established" for s in scene.members)):
        return None
    only_checks = bool(scene.service.connections) and not scene.members
    return unknown("only health checks were captured" if only_checks else "no completed handshake was captured", "not_visible", scene.again)


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
    sentence = f"Not this: {sum(f.count for f in failed)} of {scene.total} failed for another reason: {worst.title.split(': ', 1)[-1]}."
    remedy = worst.remedies[0].text if worst.remedies else "look at the failed connections"
    return Assessment("not_this", sentence, [f.title for f in failed], [], worst.grade, remedy[0].lower() + remedy[1:].rstrip("."))


def _exposed(scene: Scene) -> Assessment | None:
    conditions = _exposure(scene)
    if conditions is None:
        return None
    sentence = "Exposed: no abort yet, but nothing stands in its way."
    return Assessment("exposed", sentence, conditions, ["a session that was resumed once is declined by a back end with another certificate"], "inferred", scene.one_name)


def _exposure(scene: Scene) -> list[str] | None:
    """The conditions of the abort, where all of them are met for a Java client; None otherwise."""
    case = scene.case
    java = [s for s in scene.old if s.stack.name == "jsse"]
    resumed = [s for s in java if s.is_resumed]
    if not resumed or any(case.judgements[s.index].decision.row == 6 and s.outcome == "established" for s in java):
        return None
    issuing: dict[bool, set[bytes]] = {True: set(), False: set()}
    offers: set[bool] = set()
    for seen in java:
        if seen.kind == "full" and seen.leaf is not None and seen.answer is not None:
            issuing[seen.answer.extended_master_secret].add(seen.leaf)
            offers.add(seen.offer is not None and seen.offer.extended_master_secret)
    plain = issuing[False]
    kept = issuing[True] | (plain if False in offers else set())
    pairs = [(a, b) for a in kept for b in plain if case.step(a, b) == "none"]
    if not pairs:
        return None
    first, last = min(s.first_ns for s in scene.members), max(s.first_ns for s in scene.members)
    return [
        f"{len(resumed)} session{' was' if len(resumed) == 1 else 's were'} resumed in {span(last - first)}",
        "TLS 1.2 or older without extended master secret (EMS)" + (" on some back ends" if issuing[True] else ""),
        f"{len({leaf for pair in pairs for leaf in pair})} certificates that Java does not count as one server",
        "the client is Java",
    ]


def _all_tls13(scene: Scene) -> Assessment | None:
    if scene.old:
        return None
    count = sum(s.modern and s.kind is not None for s in scene.members)
    if not count:
        return unknown("no ServerHello was captured", "not_visible", scene.again)
    return _safe(f"all {connections(count)} use TLS 1.3", "a back end or the JVM falls back to TLS 1.2 without extended master secret (EMS)")


def _no_certificate(scene: Scene) -> Assessment | None:
    if scene.leaves:
        return None
    return unknown("no server certificate was captured, only resumed sessions", "not_visible", "capture for longer, or from before the JVM starts")


def _one_certificate(scene: Scene) -> Assessment | None:
    if len(scene.leaves) > 1:
        return None
    breaks = ("a back end with another certificate joins", "the certificate is replaced by one with other names", *_inside_breaks(scene))
    return _safe("every full handshake in clear showed the same certificate; more back ends may hide behind it", *breaks, grade=_inside_grade(scene))


def _equivalent(scene: Scene) -> Assessment | None:
    case, leaves = scene.case, scene.leaves
    if not all(case.step(a, b) not in ("none", None) for a, b in combinations(leaves, 2)):
        return None
    shared = common([case.certificates[leaf] for leaf in leaves], case.options.generation)
    because = f"all {len(leaves)} certificates count as one server: they share {_tied(shared)}"
    breaks_if = (
        f"a certificate without {_tied(shared)} joins the pool, or replaces one"
        if shared and shared[0].is_of_all
        else "one of the certificates is replaced by one without what it shares"
    )
    return _safe(because, breaks_if, *_inside_breaks(scene), grade=_inside_grade(scene))


TIES = {"dns": "the name", "ip": "the address", "subject": "the subject"}


def _tied(shared: Sequence[Common]) -> str:
    """What makes certificates one server: ``the name puppetdb.example.com``."""
    ties = [f"{TIES[found.tie]} {found.value}" for found in shared[:NAMED]]
    return (" or " if shared and shared[0].is_of_all else ", two by two ").join(ties) or "what Java compares"


def _inside_grade(scene: Scene) -> Grade:
    return "inferred" if scene.hidden_renegotiations else "observed"


def _inside_breaks(scene: Scene) -> tuple[str, ...]:
    hidden = scene.hidden_renegotiations
    return (f"a renegotiation shows a certificate of other names: what {hidden} showed is encrypted",) if hidden else ()


def _hides_a_certificate(seen: Observed) -> bool:
    """Whether Java's rule would look at a certificate that is encrypted: in a renegotiation of what began with a session resumed without EMS."""
    answer = seen.answer
    if not seen.is_resumed or answer is None or answer.extended_master_secret:
        return False
    return any(attempt.inside < 0 and attempt.state != "declined" and attempt.shape != "abbreviated" for attempt in seen.renegotiations)


def _not_java(scene: Scene) -> Assessment | None:
    stacks = Counter(s.stack.name for s in scene.old)
    if stacks["jsse"] + stacks["unknown"]:
        return None
    return _safe(f"the rule is Java's; the clients here are not Java ({', '.join(sorted(stacks))})", "a Java client uses the service", grade="inferred")


def _ems(scene: Scene) -> Assessment | None:
    if not all(s.answer is not None and s.answer.extended_master_secret for s in scene.full if s.stack.name not in NOT_JAVA):
        return None
    breaks_if = f"a back end without EMS joins, or EMS is switched off on one, or in the JVM (-D{USE_EMS}=false)"
    return _safe("every full handshake used extended master secret (EMS)", breaks_if, do="nothing; keep EMS on every back end")


def _property(scene: Scene) -> Assessment | None:
    machines = [scene.case.machine_of(s) for s in scene.old]
    if not all(machine is not None and machine.allows_change for machine in machines):
        return None
    because = f"the client's JVM runs with -D{ALLOW_UNSAFE}=true, which skips the check"
    return _safe(because, "the property is taken away", do="give the certificates one name in common: the property re-opens the triple handshake attack")


def _tolerated(scene: Scene) -> Assessment | None:
    tolerated = [s for s in scene.old if scene.case.judgements[s.index].decision.row == 6 and s.outcome == "established" and s.stack.name == "jsse"]
    if not tolerated:
        return None
    because = f"{len(tolerated)} times the client went on where Java's rule says abort: endpoint identification or jdk.tls.allowUnsafeServerCertChange is set"
    return _safe(because, "the client's setting changes", grade="inferred")


def _never_resumed(scene: Scene) -> Assessment | None:
    if any(s.is_resumed for s in scene.old):
        return None
    because = f"no session was resumed in {connections(len(scene.old))}, and only a session that was resumed before can lead to the abort"
    again = repeats(scene.case, scene.service)
    if _offers_no_session(scene):
        because += "; the client offers extended master secret (EMS), no back end does it, and then Java offers no session"
        breaks_if = "a back end gets EMS before the others do"
    elif again:
        because += f"; Java came to the same back end twice in a row {'once' if again == 1 else f'{again} times'}, and was not resumed there either"
        breaks_if = "the back ends begin to resume sessions, by a session cache or by tickets"
    else:
        breaks_if = "the balancer sends a client to the same back end twice in a row, as it does when other clients share the service"
    return _safe(because, breaks_if, grade="inferred", do="watch for longer, or give the certificates one name in common")


def _offers_no_session(scene: Scene) -> bool:
    """Whether Java, which does EMS, met no back end that does: it never offers a session that was issued without."""
    java = [s for s in scene.old if s.stack.name == "jsse"]
    return bool(java) and not scene.ems.doing and all(s.offer is not None and s.offer.extended_master_secret and not s.entry.session for s in java)


def _otherwise(scene: Scene) -> Assessment | None:
    because = "no Java client met both a resumed session and a certificate that differs without EMS"
    breaks_if = "a Java client resumes a session and is then sent to a back end with another certificate"
    if scene.ems.lacking and not scene.ems.doing:
        breaks_if = "a back end gets extended master secret (EMS) before the others do: sessions that it issues are offered to those without"
    return _safe(because, breaks_if, grade="inferred", do="watch for longer")


class Row(NamedTuple):
    """``says`` gives None where the row does not hold. ``rests_on``: the parts of connections that what it says is drawn from."""

    name: str
    says: Callable[[Scene], Assessment | None]
    rests_on: Part = ALL


ROWS: tuple[Row, ...] = (
    Row("confirmed", _confirmed),
    Row("possible", _possible),
    Row("aborted_inside", _aborted_inside),
    Row("broken_off_inside", _broken_off_inside),
    Row("nothing_completed", _nothing_completed),
    Row("suspect", _suspect),
    Row("unclear", _unclear),
    Row("not_this", _not_this, Part.HELLOS | Part.ENDS),
    Row("exposed", _exposed),
    Row("tls13", _all_tls13, Part.HELLOS),
    Row("no_certificate", _no_certificate),
    Row("one_certificate", _one_certificate, Part.HELLOS | Part.CERTIFICATES),
    Row("equivalent", _equivalent, Part.HELLOS | Part.CERTIFICATES),
    Row("not_java", _not_java, Part.HELLOS),
    Row("ems", _ems, Part.HELLOS),
    Row("property", _property, Part.HELLOS),
    Row("tolerated", _tolerated),
    Row("never_resumed", _never_resumed),
    Row("otherwise", _otherwise),
)
