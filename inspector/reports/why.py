"""Why a client aborted: Java's rule step by step with what was observed, inferred or not visible, and both certificates
side by side.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.document import Finding, Grade, Incident
from inspector.facts import FRAME_BITS
from inspector.findings.jsse import Step as JavaStep, equivalence
from inspector.findings.judge import Analysis
from inspector.findings.judgement import Judgement
from inspector.findings.machine import ALLOW_UNSAFE, USE_EMS
from inspector.reports.lines import Cell, Kind
from inspector.text.safe import safe_text
from inspector.text.times import utc_day
from inspector.tls.registry import version_name
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed

STEPS: dict[JavaStep | None, str] = {
    "same_der": "one certificate",
    "shared_ip": "a shared IP address",
    "shared_dns": "a shared DNS name",
    "same_subject_and_issuer": "equal subject and issuer",
    "none": "no shared name, and subject or issuer differ",
    None: "not known: one of them cannot be read",
}
MARKS = {True: "✔", False: "✖", None: "?"}
"""Whether a condition holds."""

MARK_KINDS: dict[bool | None, Kind] = {True: "good", False: "bad", None: ""}


class ReasonStep(NamedTuple):
    """One condition. ``holds``: None where the capture does not show it. ``frames``: as people count. ``references``:
    the same frames.
    """

    holds: bool | None
    text: str
    frames: str
    grade: Grade
    references: tuple[int, ...] = ()


class ReasonRow(NamedTuple):
    """One field of both certificates."""

    name: str
    old: str
    new: str
    same: bool


def finding_of(analysis: Analysis, incident: Incident) -> Finding:
    """The finding that an incident tells. Raises StopIteration where the incident is of another analysis."""
    return next(f for f in analysis.document.findings if f.id == incident.findings[0])


def frame_text(analysis: Analysis, *references: int) -> str:
    """``frame 470`` or ``frames 367, 472``; with the capture's index where there are several captures."""
    several = len(analysis.document.captures) > 1
    names = [
        f"{r >> FRAME_BITS}:{r & (1 << FRAME_BITS) - 1}" if several else str(r & (1 << FRAME_BITS) - 1)
        for r in dict.fromkeys(references)
        if r
    ]
    return f"frame{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""


def aborted_of(analysis: Analysis, incident: Incident) -> Observed:
    """The connection that was aborted: the last one of the story."""
    return analysis.case.by_id(incident.connections[-1])


def steps(analysis: Analysis, incident: Incident) -> list[ReasonStep]:
    """The conditions of row 6 of Java's table, in its order."""
    observed = aborted_of(analysis, incident)
    case, entry, handshake = analysis.case, observed.entry, observed.client_leg.handshake
    judgement: Judgement = case.judgements[observed.index]
    resumed = case.observed[entry.resumed_by].client_leg.handshake if entry.resumed_by is not None else None
    origin = (
        case.observed[entry.session.issuer].client_leg.handshake
        if entry.session is not None and entry.session.issuer is not None
        else None
    )
    version = version_name(observed.answer.version) if observed.answer is not None else "?"
    before: ReasonStep
    if resumed is not None and entry.resumed_before is not False:
        before = ReasonStep(
            True,
            "the offered session was resumed before",
            frame_text(analysis, resumed.answer_frame),
            "observed",
            (resumed.answer_frame,),
        )
    else:
        before = ReasonStep(None, "whether the offered session was resumed before", "", "not_visible")
    listed = [
        before,
        ReasonStep(
            True,
            f"a full handshake in {version}",
            frame_text(analysis, handshake.answer_frame),
            "observed",
            (handshake.answer_frame,),
        ),
        ReasonStep(
            True,
            "no extended master secret (EMS) in the answer",
            frame_text(analysis, handshake.answer_frame),
            "observed",
            (handshake.answer_frame,),
        ),
    ]
    if judgement.identity is not None and origin is not None:
        references = (origin.certificate_frame, handshake.certificate_frame)
        listed.append(
            ReasonStep(
                judgement.identity == "none",
                "the certificates are not equivalent",
                frame_text(analysis, *references),
                "observed",
                references,
            )
        )
    else:
        hidden = (
            "one of them cannot be read"
            if judgement.cached_leaf is not None and observed.leaf is not None
            else "that of the session was not captured"
        )
        listed.append(ReasonStep(None, f"whether the certificates are equivalent: {hidden}", "", "not_visible"))
    confirmed = finding_of(analysis, incident).verdict == "confirmed"
    machine = case.machine_of(observed)
    if machine is not None:
        jvm = (
            "the client's JVM (process"
            f" {machine.process}{f', JDK {safe_text(machine.jdk, 40)}' if machine.jdk else ''})"
        )
        if machine.has_ems_off:
            listed.append(ReasonStep(True, f"-D{USE_EMS}=false is set in {jvm}", "", "observed"))
        listed.append(
            ReasonStep(
                not machine.allows_change,
                f"{ALLOW_UNSAFE} is {'' if machine.allows_change else 'not '}set in {jvm}",
                "",
                "observed",
            )
        )
        listed.append(
            ReasonStep(
                None,
                "endpoint identification" + (": the abort shows that it is not set" if confirmed else ""),
                "",
                "not_visible",
            )
        )
        return listed
    guard = "endpoint identification and the JVM property" + (
        ": the abort shows that neither is set" if confirmed else ""
    )
    listed.append(ReasonStep(None, guard, "", "not_visible"))
    return listed


def certificates(analysis: Analysis, incident: Incident) -> tuple[list[ReasonRow], str]:
    """Both certificates field by field, and the deciding step in words; no rows where the old one was not captured."""
    observed = aborted_of(analysis, incident)
    judgement = analysis.case.judgements[observed.index]
    old = analysis.case.certificates.get(judgement.cached_leaf or b"")
    new = analysis.case.certificates.get(observed.leaf or b"")
    if old is None or new is None:
        return [], "the certificate of the offered session was not captured"
    return rows_of(old, new), STEPS[judgement.identity]


def rows_of(old: ParsedCertificate, new: ParsedCertificate) -> list[ReasonRow]:
    """Two certificates field by field; subjects and issuers are compared as Java does."""
    rows = [
        ReasonRow(name, safe_text(a), safe_text(b), a == b)
        for name, a, b in zip(FIELDS, _fields(old), _fields(new), strict=True)
    ]
    rows[0] = rows[0]._replace(same=old.identity.subject == new.identity.subject)
    rows[1] = rows[1]._replace(same=old.identity.issuer == new.identity.issuer)
    return rows


def sameness(row: ReasonRow) -> Cell:
    """The mark behind a row."""
    return "=" if row.same else [("≠", "warn")]


def identity(old: ParsedCertificate, new: ParsedCertificate) -> list[tuple[str, bool | None, str]]:
    """For each generation of Java's rule: its name, whether the two are equivalent (None: not known), and the deciding
    step in words.
    """
    rows: list[tuple[str, bool | None, str]] = []
    for generation, name in (("current", "since 8u60 and 7u85"), ("first", "before")):
        step = equivalence(old.identity, new.identity, "first" if generation == "first" else "current")
        rows.append((name, None if step is None else step != "none", STEPS[step]))
    return rows


def until(c: ParsedCertificate) -> str:
    """``2031-11-22 UTC``: the last day on which it is valid; ``?`` where that cannot be read."""
    return utc_day(c.not_after)


FIELDS = ("subject", "issuer", "DNS names", "IP addresses", "serial", "valid until", "SHA-256")


def _fields(c: ParsedCertificate) -> tuple[str, ...]:
    names, addresses = ", ".join(c.identity.dns_names) or "none", ", ".join(c.identity.ip_addresses) or "none"
    return c.subject, c.issuer, names, addresses, c.serial, until(c), c.sha256.hex()[:16]
