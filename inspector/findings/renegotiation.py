"""Handshakes inside an established connection: ``renegotiation``, ``renegotiation-aborted``,
``renegotiation-certificate-changed``, ``triple-handshake-exposure``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from inspector.document import Evidence, Finding
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.finding import Raised, finding
from inspector.findings.giving_up import HAS_NO_RULE
from inspector.findings.inside import Study, ended, studied
from inspector.findings.logged import JoinedLine
from inspector.findings.reasons import rule_words
from inspector.findings.shared_remedies import CHANGE_REFERENCES, RFC_5746, RFC_7627, TRIPLE_HANDSHAKE, change_remedies
from inspector.tracking.observed import BAD_CERTIFICATE, Observed
from inspector.tracking.renegotiation import Renegotiation

BROKEN_OFF = Rule.RENEGOTIATION_ABORTED
CHANGED = Rule.RENEGOTIATION_CERTIFICATE_CHANGED


class InnerHandshake(NamedTuple):
    """One renegotiation of a connection. ``logged``: the line in which the client says that the certificate changed.
    ``is_checked``: the connection began with a session resumed without EMS, so that Java checks for the change.
    """

    observed: Observed
    number: int
    attempt: Renegotiation
    study: Study
    logged: JoinedLine | None
    is_checked: bool

    @property
    def is_decrypted(self) -> bool:
        """Whether what is known of its certificate was read, not told by lengths."""
        return self.study.basis == "decrypted"

    @property
    def may_be_the_change(self) -> bool:
        """Whether the client broke it off and the certificate's change may be why. A decrypted handshake that Java
        accepts says no, and so does an alert of another kind.
        """
        if self.attempt.broken_off_by != "client" or self.observed.stack.name in HAS_NO_RULE:
            return False
        if self.is_decrypted and self.study.judgement.decision.verdict == "accepts":
            return False
        alert = self.observed.fatal_alert
        return alert is None or not alert.from_client or alert.code == BAD_CERTIFICATE


def renegotiations(case: Case) -> Iterator[Raised[InnerHandshake]]:
    """Every renegotiation, and what is said of it beside."""
    for observed in map(case.observed.__getitem__, sorted(case.columns.renegotiating)):
        is_checked = observed.is_resumed and observed.answer is not None and not observed.answer.extended_master_secret
        for number, attempt in enumerate(observed.renegotiations):
            inner = InnerHandshake(
                observed,
                number,
                attempt,
                studied(case, observed, number),
                case.logged.certain(observed.index, "certificate_change"),
                is_checked,
            )
            yield from (Raised(raised, (observed,), inner) for raised in _findings(case, inner))


def _findings(case: Case, inner: InnerHandshake) -> Iterator[Finding]:
    yield _plain(case, inner)
    if inner.study.certificate == "changed":
        yield _changed(case, inner)
    if inner.may_be_the_change:
        yield _broken_off(case, inner)
    if inner.is_checked and inner.attempt.state != "declined":
        yield _exposed(case, inner)


def why_broken_off(inner: InnerHandshake) -> str:
    """What is known of why the client broke a renegotiation off, in sentences."""
    study = inner.study
    logged = "Its own log says why: the server's certificate changed. " if inner.logged is not None else ""
    if inner.is_decrypted:
        return f"{logged}Decrypted: {study.text}; {_rule(study)}."
    began = (
        "began with a session resumed without EMS, where Java checks for it."
        if inner.is_checked
        else "did not begin in the way that makes Java check for it."
    )
    if study.certificate == "changed":
        return (
            f"{logged}The flight is encrypted; its lengths prove that certificate or chain changed: {study.text}. The"
            f" connection {began}"
        )
    return (
        f"{logged}A changed certificate is one possible cause; the flight is encrypted ({study.text}), and the"
        f" connection {began}"
    )


def _rule(study: Study) -> str:
    """What decides in Java's table."""
    return rule_words(study.judgement.decision.reason, is_inside=True)


def _evidence(inner: InnerHandshake, text: str) -> Evidence:
    attempt = inner.attempt
    references = frames(*(record.frame for record in attempt.records), attempt.ended)
    return Evidence("renegotiated", inner.observed.id, references, text)


def _plain(case: Case, inner: InnerHandshake) -> Finding:
    offer, answer, attempt = inner.observed.offer, inner.observed.answer, inner.attempt
    is_secure = offer is not None and answer is not None and offer.secure_renegotiation and answer.secure_renegotiation
    indication = f"secure renegotiation (RFC 5746) was {'' if is_secure else 'not '}negotiated"
    readable = "Decrypted: " if attempt.handshake_index >= 0 else "Encrypted; by the lengths of its records: "
    return finding(
        case,
        Rule.RENEGOTIATION,
        inner.observed.id,
        inner.number,
        on=[inner.observed],
        times=(attempt.ns, attempt.ns),
        title="A renegotiation inside an established connection",
        explanation=(
            f"A handshake behind the first Finished, {ended(attempt)}; {indication}. {readable}{inner.study.text}."
        ),
        references=[RFC_5746],
        evidence=[_evidence(inner, ended(attempt))],
    )


def _changed(case: Case, inner: InnerHandshake) -> Finding:
    observed, attempt, study = inner.observed, inner.attempt, inner.study
    service = case.services[observed.service]
    verdict = study.judgement.decision.verdict
    text = f"The connection began with one certificate and was renegotiated with another ({ended(attempt)}). "
    text += (
        f"Decrypted: {study.text}."
        if inner.is_decrypted
        else f"The messages are encrypted; their lengths prove it: {study.text}."
    )
    if verdict == "aborts":
        text += f" A Java client must give up here: {_rule(study)}."
    elif verdict == "accepts":
        text += f" A Java client goes on: {_rule(study)}."
    elif not observed.is_resumed:
        text += " A Java client goes on: the connection did not begin with a resumed session."
    return finding(
        case,
        CHANGED,
        observed.id,
        inner.number,
        on=[observed],
        times=(attempt.ns, attempt.ns),
        grade="observed" if inner.is_decrypted else "inferred",
        title="A renegotiation brought another certificate or chain",
        explanation=text,
        references=CHANGE_REFERENCES,
        remedies=change_remedies(service.name, service.port)[:2],
        evidence=[_evidence(inner, f"{study.text}; {ended(attempt)}")],
    )


def _broken_off(case: Case, inner: InnerHandshake) -> Finding:
    observed, attempt, logged = inner.observed, inner.attempt, inner.logged
    service = case.services[observed.service]
    is_confirmed = logged is not None or (inner.is_decrypted and inner.study.judgement.decision.verdict == "aborts")
    evidence = [_evidence(inner, ended(attempt))]
    if logged is not None:
        line = f"{case.log_place(logged.log, logged.failure.line)}: {logged.failure.text}"
        evidence.append(Evidence("log", observed.id, [], line))
    return finding(
        case,
        BROKEN_OFF,
        observed.id,
        inner.number,
        on=[observed],
        times=(attempt.ns, attempt.ns),
        severity="high" if inner.is_checked else "medium",
        verdict="confirmed" if is_confirmed else "possible",
        grade="observed" if is_confirmed else "inferred",
        title="The client broke a renegotiation off",
        explanation=(
            f"The client ended the connection after the server's flight of a renegotiation. {why_broken_off(inner)}"
        ),
        references=CHANGE_REFERENCES,
        remedies=change_remedies(service.name, service.port)[:2],
        evidence=evidence,
    )


def _exposed(case: Case, inner: InnerHandshake) -> Finding:
    return finding(
        case,
        Rule.TRIPLE_HANDSHAKE_EXPOSURE,
        inner.observed.id,
        inner.number,
        on=[inner.observed],
        times=(inner.attempt.ns, inner.attempt.ns),
        title="Renegotiated on a session resumed without EMS",
        explanation=(
            "The connection began with a session resumed without extended master secret (EMS) and was then"
            " renegotiated: the precondition of the triple handshake attack."
        ),
        references=[RFC_7627, TRIPLE_HANDSHAKE],
        evidence=[_evidence(inner, ended(inner.attempt))],
    )
