"""Handshakes inside an established connection: ``renegotiation``, ``renegotiation-aborted``,
``renegotiation-certificate-changed``, ``triple-handshake-exposure``.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.document import Evidence, Finding
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.finding import finding
from inspector.findings.giving_up import NOT_JAVA
from inspector.findings.inside import Study, ended, studied
from inspector.findings.reasons import rule_words
from inspector.findings.remedies import CHANGE_REFERENCES, RFC_5746, RFC_7627, TRIPLE_HANDSHAKE, change_remedies
from inspector.tracking.observed import Observed
from inspector.tracking.renegotiation import Renegotiation

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
    if study.basis == "decrypted" and study.judgement.decision.verdict == "accepts":
        return False
    alert = observed.fatal_alert
    return alert is None or not alert.from_client or alert.code == 42


def _rule(study: Study) -> str:
    """What decides in Java's table."""
    return rule_words(study.judgement.decision.reason, is_inside=True)


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
    return finding(
        case,
        Rule.RENEGOTIATION,
        observed.id,
        number,
        on=[observed],
        times=(attempt.ns, attempt.ns),
        title="A renegotiation inside an established connection",
        explanation=text,
        references=[RFC_5746],
        evidence=[_evidence(observed, attempt, ended(attempt))],
    )


def _changed(case: Case, member: Observed, number: int, attempt: Renegotiation, study: Study) -> Finding:
    service = case.services[member.service]
    is_read = study.basis == "decrypted"
    text = f"The connection began with one certificate and was renegotiated with another ({ended(attempt)}). "
    text += (
        f"Decrypted: {study.text}." if is_read else f"The messages are encrypted; their lengths prove it: {study.text}."
    )
    if study.judgement.decision.verdict == "aborts":
        text += f" A Java client must give up here: {_rule(study)}."
    elif study.judgement.decision.verdict == "accepts":
        text += f" A Java client goes on: {_rule(study)}."
    elif not member.is_resumed:
        text += " A Java client goes on: the connection did not begin with a resumed session."
    evidence = [_evidence(member, attempt, f"{study.text}; {ended(attempt)}")]
    title = "A renegotiation brought another certificate or chain"
    return finding(
        case,
        CHANGED,
        member.id,
        number,
        on=[member],
        times=(attempt.ns, attempt.ns),
        title=title,
        explanation=text,
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
    is_confirmed = logged is not None or (study.basis == "decrypted" and study.judgement.decision.verdict == "aborts")
    text = "The client ended the connection after the server's flight of a renegotiation. "
    evidence = [_evidence(member, attempt, ended(attempt))]
    if logged is not None:
        text += "Its own log says why: the server's certificate changed. "
        evidence.append(
            Evidence("log", member.id, [], f"{case.log_place(logged.log, logged.failure.line)}: {logged.failure.text}")
        )
    if study.basis == "decrypted":
        text += f"Decrypted: {study.text}; {_rule(study)}."
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
    return finding(
        case,
        BROKEN_OFF,
        member.id,
        number,
        on=[member],
        times=(attempt.ns, attempt.ns),
        severity="high" if is_severe else "medium",
        title="The client broke a renegotiation off",
        explanation=text,
        references=CHANGE_REFERENCES,
        remedies=change_remedies(service.name, service.port)[:2],
        evidence=evidence,
        verdict="confirmed" if is_confirmed else "possible",
        grade="observed" if is_confirmed else "inferred",
    )


def _exposed(case: Case, observed: Observed, number: int, attempt: Renegotiation) -> Finding:
    text = (
        "The connection began with a session resumed without extended master secret (EMS) and was then renegotiated:"
        " the precondition of the triple handshake attack."
    )
    evidence = [_evidence(observed, attempt, ended(attempt))]
    return finding(
        case,
        Rule.TRIPLE_HANDSHAKE_EXPOSURE,
        observed.id,
        number,
        on=[observed],
        times=(attempt.ns, attempt.ns),
        title="Renegotiated on a session resumed without EMS",
        explanation=text,
        references=[RFC_7627, TRIPLE_HANDSHAKE],
        evidence=evidence,
    )
