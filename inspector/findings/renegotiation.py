"""Handshakes inside an established connection: ``renegotiation``, ``renegotiation-aborted``,
``renegotiation-certificate-changed``, ``triple-handshake-exposure``.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.document import Evidence, Finding, Grade, Remedy, Severity
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.giving_up import NOT_JAVA
from inspector.findings.inside import Study, ended, studied
from inspector.findings.remedies import CHANGE_REFERENCES, RFC_5746, RFC_7627, TRIPLE_HANDSHAKE, change_remedies
from inspector.text.times import rfc3339
from inspector.tracking.observed import Observed
from inspector.tracking.renegotiation import Renegotiation
from inspector.tracking.services import short_id

BROKEN_OFF = Rule.RENEGOTIATION_ABORTED
CHANGED = Rule.RENEGOTIATION_CERTIFICATE_CHANGED


def renegotiations(case: Case) -> Iterator[Finding]:
    """Every renegotiation, and what is said of it beside."""
    for observed in case.observed:
        for number, attempt in enumerate(observed.renegotiations):
            study = studied(case, observed, number)
            yield _plain(case, observed, number, attempt, study)
            resumed_without_ems = (
                observed.is_resumed and observed.answer is not None and not observed.answer.extended_master_secret
            )
            if study.certificate == "changed":
                yield _changed(case, observed, number, attempt, study)
            if (
                attempt.broken_off_by == "client"
                and observed.stack.name not in NOT_JAVA
                and _may_be_the_change(case, observed, study)
            ):
                yield _broken_off(case, observed, number, attempt, study, resumed_without_ems)
            if resumed_without_ems and attempt.state != "declined":
                yield _exposed(case, observed, number, attempt)


def _may_be_the_change(case: Case, observed: Observed, study: Study) -> bool:
    """Whether the certificate's change may be why the client broke it off. A decrypted handshake that Java accepts says
    no, and so does an alert of another kind.
    """
    if study.basis == "decrypted" and study.jsse.verdict == "accepts":
        return False
    alert = observed.fatal_alert
    return alert is None or not alert.from_client or alert.code == 42


def _finding(
    case: Case,
    member: Observed,
    number: int,
    rule: Rule,
    severity: Severity,
    title: str,
    text: str,
    references: list[str],
    remedies: list[Remedy],
    evidence: list[Evidence],
    *,
    is_confirmed: bool = True,
    grade: Grade = "observed",
) -> Finding:
    at = rfc3339(member.renegotiations[number].ns)
    return Finding(
        id=short_id(rule, member.id, number),
        rule=rule,
        severity=severity,
        verdict="confirmed" if is_confirmed else "possible",
        grade=grade,
        title=title,
        explanation=text,
        remedies=remedies,
        references=references,
        service=case.services[member.service].id,
        backends=[case.backends[member.backend].id] if member.backend >= 0 else [],
        clients=[case.clients[member.client].id],
        connections=[member.id],
        first=at,
        last=at,
        count=1,
        evidence=evidence,
    )


def _evidence(observed: Observed, attempt: Renegotiation, text: str) -> Evidence:
    return Evidence(
        "renegotiated", observed.id, frames(*(record.frame for record in attempt.records), attempt.ended), text
    )


def _plain(case: Case, observed: Observed, number: int, attempt: Renegotiation, study: Study) -> Finding:
    secure = (
        observed.offer is not None
        and observed.answer is not None
        and observed.offer.secure_renegotiation
        and observed.answer.secure_renegotiation
    )
    indication = (
        "secure renegotiation (RFC 5746) was negotiated"
        if secure
        else "secure renegotiation (RFC 5746) was not negotiated"
    )
    readable = "Decrypted: " if attempt.handshake_index >= 0 else "Encrypted; by the lengths of its records: "
    text = f"A handshake behind the first Finished, {ended(attempt)}; {indication}. {readable}{study.text}."
    return _finding(
        case=case,
        member=observed,
        number=number,
        rule=Rule.RENEGOTIATION,
        severity="info",
        title="A renegotiation inside an established connection",
        text=text,
        references=[RFC_5746],
        remedies=[],
        evidence=[_evidence(observed, attempt, ended(attempt))],
    )


def _changed(case: Case, member: Observed, number: int, attempt: Renegotiation, study: Study) -> Finding:
    service = case.services[member.service]
    is_read = study.basis == "decrypted"
    text = f"The connection began with one certificate and was renegotiated with another ({ended(attempt)}). "
    text += (
        f"Decrypted: {study.text}." if is_read else f"The messages are encrypted; their lengths prove it: {study.text}."
    )
    if study.jsse.verdict == "aborts":
        text += f" A Java client must give up here: {study.jsse.reason}."
    elif study.jsse.verdict == "accepts":
        text += f" A Java client goes on: {study.jsse.reason}."
    elif not member.is_resumed:
        text += " A Java client goes on: the connection did not begin with a resumed session."
    evidence = [_evidence(member, attempt, f"{study.text}; {ended(attempt)}")]
    title = "A renegotiation brought another certificate or chain"
    return _finding(
        case=case,
        member=member,
        number=number,
        rule=CHANGED,
        severity="high",
        title=title,
        text=text,
        references=CHANGE_REFERENCES,
        remedies=change_remedies(service.name, service.port)[:2],
        evidence=evidence,
        grade="observed" if is_read else "inferred",
    )


def _broken_off(
    case: Case, member: Observed, number: int, attempt: Renegotiation, study: Study, is_severe: bool
) -> Finding:
    service = case.services[member.service]
    logged = case.logged.certain(member.index, "certificate_change")
    is_confirmed = logged is not None or (study.basis == "decrypted" and study.jsse.verdict == "aborts")
    text = "The client ended the connection after the server's flight of a renegotiation. "
    evidence = [_evidence(member, attempt, ended(attempt))]
    if logged is not None:
        text += "Its own log says why: the server's certificate changed. "
        evidence.append(
            Evidence("log", member.id, [], f"{case.log_place(logged.log, logged.failure.line)}: {logged.failure.text}")
        )
    if study.basis == "decrypted":
        text += f"Decrypted: {study.text}; {study.jsse.reason}."
    elif study.certificate == "changed":
        text += (
            f"The flight is encrypted; its lengths prove that certificate or chain changed: {study.text}. The"
            " connection "
        )
        text += (
            "began with a session resumed without EMS, where Java checks for it."
            if is_severe
            else "did not begin in the way that makes Java check for it."
        )
    else:
        text += (
            f"A changed certificate is one possible cause; the flight is encrypted ({study.text}), and the connection "
        )
        text += (
            "began with a session resumed without EMS, where Java checks for it."
            if is_severe
            else "did not begin in the way that makes Java check for it."
        )
    return _finding(
        case=case,
        member=member,
        number=number,
        rule=BROKEN_OFF,
        severity="high" if is_severe else "medium",
        title="The client broke a renegotiation off",
        text=text,
        references=CHANGE_REFERENCES,
        remedies=change_remedies(service.name, service.port)[:2],
        evidence=evidence,
        is_confirmed=is_confirmed,
        grade="observed" if is_confirmed else "inferred",
    )


def _exposed(case: Case, observed: Observed, number: int, attempt: Renegotiation) -> Finding:
    text = (
        "The connection began with a session resumed without extended master secret (EMS) and was then renegotiated:"
        " the precondition of the triple handshake attack."
    )
    evidence = [_evidence(observed, attempt, ended(attempt))]
    return _finding(
        case=case,
        member=observed,
        number=number,
        rule=Rule.TRIPLE_HANDSHAKE_EXPOSURE,
        severity="medium",
        title="Renegotiated on a session resumed without EMS",
        text=text,
        references=[RFC_7627, TRIPLE_HANDSHAKE],
        remedies=[],
        evidence=evidence,
    )
