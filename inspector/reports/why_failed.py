"""Why a handshake failed, in words: condition by condition with what was observed, inferred or not visible, how it
ended by the rule of the standard, where the same works, and since when; the certificate beside one that was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inspector.document import Finding
from inspector.findings.case import Case
from inspector.findings.conditions import Condition, ConditionKind, Failed, conditions, ending, failed_of
from inspector.findings.judge import Analysis
from inspector.findings.requested_authorities import requested
from inspector.reports.alert_meanings import meaning
from inspector.reports.why import ReasonRow, ReasonStep, frame_text, rows_of, until
from inspector.text.safe import safe_text
from inspector.text.times import span, utc_day
from inspector.text.zones import TimeZone
from inspector.tls.registry import alert_name, cipher_name, version_name
from inspector.tls.types import AlertDescription
from inspector.tracking.certificate_names import authority
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.observed import Observed
from inspector.tracking.services import server_name

NAMED = 4
"""Names that a step lists at most."""

ABOUT_THE_SERVERS = frozenset(
    (ConditionKind.VALIDITY, ConditionKind.NAME, ConditionKind.CHAIN, ConditionKind.TRUST, ConditionKind.CERTIFICATE)
)


def steps(analysis: Analysis, finding: Finding, zone: TimeZone) -> list[ReasonStep]:
    """Of the first connection that a finding of failed handshakes names."""
    case = analysis.case
    failed = failed_of(case, finding)
    listed = [
        ReasonStep(
            condition.holds,
            WORDS[condition.kind](case, failed, condition),
            frame_text(analysis, *condition.frames),
            condition.grade,
            condition.frames,
        )
        for condition in conditions(case, failed)
    ]
    return [
        _who(analysis, failed),
        *listed,
        _end(analysis, failed),
        _elsewhere(analysis, failed),
        _since(analysis, failed, zone),
    ]


def certificates(analysis: Analysis, finding: Finding) -> tuple[list[ReasonRow], str, str]:
    """The certificate that was accepted elsewhere and the one that was not, field by field, and whose they are; no
    rows where it is not about them, or one of them was not seen.
    """
    case = analysis.case
    failed = failed_of(case, finding)
    observed, works = failed.observed, failed.works
    old = case.certificates.get(works.leaf or b"") if works is not None else None
    new = case.certificates.get(observed.leaf or b"")
    kinds = {condition.kind for condition in conditions(case, failed)}
    if (
        works is None
        or old is None
        or new is None
        or old == new
        or not kinds & ABOUT_THE_SERVERS - {ConditionKind.CERTIFICATE}
    ):
        return [], "", ""
    chain = _chain(case, works), _chain(case, observed)
    begin = utc_day(old.not_before), utc_day(new.not_before)
    rows = [
        *rows_of(old, new),
        ReasonRow("valid from", begin[0], begin[1], begin[0] == begin[1]),
        ReasonRow("sent with it", chain[0], chain[1], chain[0] == chain[1]),
    ]
    return rows, f"works at {case.label(works)}", f"fails at {case.label(observed)}"


def _chain(case: Case, observed: Observed) -> str:
    behind = observed.shown.behind
    names = [case.certificate_name(digest) for digest in behind[:NAMED]]
    return safe_text(", ".join(names)) or "nothing"


def _issuer(certificate: ParsedCertificate) -> str:
    return safe_text(authority(certificate)) or "a CA without a name"


def _called(certificate: ParsedCertificate) -> str:
    """``db2.example.com (serial 1a2b, issued by Intermediate)``."""
    name = safe_text(certificate.known_as)
    return f"{name} (serial {certificate.serial or '?'}, issued by {_issuer(certificate)})"


def _member(case: Case, observed: Observed) -> str:
    """``back end B (db2.example.com)``."""
    if observed.backend < 0:
        return "a back end that is not visible"
    backend = case.backends[observed.backend]
    certificate = case.certificates.get(observed.leaf or backend.leaf or b"")
    name = backend.server or (certificate.common_name if certificate is not None else "")
    return f"back end {backend.label} ({safe_text(name)})" if name else f"back end {backend.label}"


def _who(analysis: Analysis, failed: Failed) -> ReasonStep:
    """Who answered the ClientHello."""
    observed = failed.observed
    handshake = observed.client_leg.handshake
    member = _member(analysis.case, observed)
    if handshake.answer is None and not observed.client_leg.from_server.bytes:
        text = f"nobody answered; the connection went to {member}"
    else:
        text = f"{member} answered"
    if observed.backend >= 0:
        references = (handshake.hello_frame, handshake.answer_frame)
        return ReasonStep(True, text, frame_text(analysis, *references), "observed", references)
    return ReasonStep(None, text, frame_text(analysis, handshake.hello_frame), "not_visible", (handshake.hello_frame,))


def _answer(case: Case, failed: Failed, condition: Condition) -> str:
    opening = failed.observed.client_leg.from_server.opening
    if opening:
        return f'an answer in TLS: what came begins with "{safe_text(opening.decode("ascii", "backslashreplace"))}"'
    return "an answer in TLS: none came"


def _version(case: Case, failed: Failed, condition: Condition) -> str:
    offer, answer = failed.observed.offer, failed.observed.answer
    if condition.holds and answer is not None:
        return f"a version that both allow: {version_name(answer.version) or 'an unknown one'}"
    offered = [version_name(v) for v in offer.versions or (offer.legacy_version,)] if offer is not None else []
    names = ", ".join(name for name in offered if name) or "not known"
    chosen = _elsewhere_answered(failed, lambda works: version_name(works.answer.version) if works.answer else None)
    return f"a version that both allow (the client offers {names}{chosen})"


def _parameters(case: Case, failed: Failed, condition: Condition) -> str:
    offer, answer = failed.observed.offer, failed.observed.answer
    if condition.holds and answer is not None:
        return f"a cipher suite that both allow: {cipher_name(answer.cipher_suite)}"
    count = f"{len(offer.cipher_suites)} offered" if offer is not None else "offer not read"
    chosen = _elsewhere_answered(failed, lambda works: cipher_name(works.answer.cipher_suite) if works.answer else None)
    return f"a cipher suite, group and signature that both allow ({count}{chosen}; the alert does not say which)"


def _elsewhere_answered(failed: Failed, chosen: Callable[[Observed], str | None]) -> str:
    """What another member chose for an equal hello."""
    value = chosen(failed.works) if failed.works is not None else None
    return f"; elsewhere {value} was chosen" if value else ""


def _protocol(case: Case, failed: Failed, condition: Condition) -> str:
    offer = failed.observed.offer
    names = [safe_text(p.decode("ascii", "backslashreplace")) for p in (offer.alpn if offer is not None else ())]
    return f"an application protocol (ALPN) that both speak (the client offers {', '.join(names[:NAMED]) or 'none'})"


def _server_name(case: Case, failed: Failed, condition: Condition) -> str:
    wanted = server_name(failed.observed.offer)
    return f"a server of the name asked for: {safe_text(wanted) if wanted else 'none was asked for'}"


def _certificate(case: Case, failed: Failed, condition: Condition) -> str:
    observed = failed.observed
    certificate = case.certificates.get(observed.leaf or b"")
    if certificate is not None:
        return f"the server showed its certificate {_called(certificate)}"
    if condition.holds is False:
        return "the server showed a certificate: its list is empty"
    if observed.is_tls13:
        return "which certificate the server showed: TLS 1.3 encrypts it, and no secrets were given"
    return "which certificate the server showed: it was not captured whole"


def _validity(case: Case, failed: Failed, condition: Condition) -> str:
    observed = failed.observed
    certificate = case.certificates.get(observed.leaf or b"")
    if certificate is None:
        return "the certificate was valid at that time: the client says that it was not"
    return (
        f"the certificate was valid at that time (from {utc_day(certificate.not_before)} until"
        f" {until(certificate)}; shown on {utc_day(observed.hello_ns)})"
    )


def _name(case: Case, failed: Failed, condition: Condition) -> str:
    observed = failed.observed
    wanted, certificate = safe_text(server_name(observed.offer) or ""), case.certificates.get(observed.leaf or b"")
    if condition.holds or certificate is None:
        return f"the certificate has the name asked for, {wanted}"
    listed = certificate.identity.dns_names + certificate.identity.ip_addresses or (certificate.common_name,)
    names = safe_text(", ".join(listed[:NAMED])) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")
    unasked = "" if condition.holds is False else "; this client does not look at names"
    return f"the certificate has the name asked for, {wanted} (it has only {names}{unasked})"


def _path(case: Case, failed: Failed, condition: Condition) -> str:
    certificate = case.certificates.get(failed.observed.leaf or b"")
    issuer = _issuer(certificate) if certificate is not None else "?"
    if condition.holds:
        return f"the issuer's certificates came with it: {_chain(case, failed.observed)}"
    if condition.holds is None:
        return f"the certificate of its issuer, {issuer}, came with it: it did not; a client that holds it needs it not"
    works = failed.works
    others = f"; {_member(case, works)} sends {_chain(case, works)}" if works is not None else ""
    return f"the certificate of its issuer, {issuer}, came with it (it was sent alone{others})"


def _trust(case: Case, failed: Failed, condition: Condition) -> str:
    certificate = case.certificates.get(failed.observed.leaf or b"")
    what = f"the CA {_issuer(certificate)}" if certificate is not None else "the CA of the certificate"
    if condition.holds is None:
        return f"whether the client trusts {what}: its trust anchors do not travel"
    if condition.holds:
        return f"the client trusts {what}: it went on to its key exchange"
    if failed.client_code == AlertDescription.UNKNOWN_CA:
        return f"the client trusts {what}, or finds a way from there to one that it trusts: it says that it does not"
    return f"the client trusts {what}: nothing else that is visible is wrong with the certificate that it rejects"


def _client_certificate(case: Case, failed: Failed, condition: Condition) -> str:
    observed = failed.observed
    handshake = observed.client_leg.handshake
    shown = [case.certificates[digest] for digest in handshake.client_chain[:1] if digest in case.certificates]
    if shown:
        text = f"the server accepts the client's certificate {_called(shown[0])}"
    elif observed.is_tls13 and not handshake.client_chain:
        text = "the server accepts the client's certificate, which TLS 1.3 encrypts"
    else:
        text = "the server accepts what the client showed: no certificate"
    if observed.shown.authorities is None:
        return text
    names = [safe_text(name) for name in requested(case, handshake).accepted.names]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{text}; it asks for one of {', '.join(names[:NAMED])}{more}" if names else text


Words = Callable[[Case, Failed, Condition], str]
WORDS: Mapping[ConditionKind, Words] = {
    ConditionKind.ANSWER: _answer,
    ConditionKind.VERSION: _version,
    ConditionKind.PARAMETERS: _parameters,
    ConditionKind.PROTOCOL: _protocol,
    ConditionKind.SERVER_NAME: _server_name,
    ConditionKind.CERTIFICATE: _certificate,
    ConditionKind.VALIDITY: _validity,
    ConditionKind.NAME: _name,
    ConditionKind.CHAIN: _path,
    ConditionKind.TRUST: _trust,
    ConditionKind.CLIENT_CERTIFICATE: _client_certificate,
}
HOW = {"fin": "a FIN", "rst": "a RST"}


def _end(analysis: Analysis, failed: Failed) -> ReasonStep:
    """Who ended it with what, how long after what, and what that means."""
    end = ending(failed)
    if end.by_client is None:
        return ReasonStep(None, "who ended it: no alert and no close was captured", "", "not_visible")
    who = "the client" if end.by_client else "the server"
    behind = "the server's answer" if end.by_client and failed.observed.answer is not None else "the ClientHello"
    late = f", {span(end.after_ns)} behind {behind}" if end.after_ns is not None and end.after_ns >= 0 else ""
    where, references = frame_text(analysis, end.frame), (end.frame,)
    if end.code is not None:
        stands = meaning(end.code, failed.observed.is_tls13)
        text = f"{who} ended it with alert {alert_name(end.code)} ({end.code}){late}{f': {stands}' if stands else ''}"
        return ReasonStep(False, text, where, "observed", references)
    if end.how == "record":
        text = f"{who} ended it with one encrypted record, an alert by its length{late}, and nothing else"
        return ReasonStep(False, text, where, "inferred", references)
    return ReasonStep(False, f"{who} closed it with {HOW.get(end.how, 'a close')}{late}", where, "observed", references)


def _elsewhere(analysis: Analysis, failed: Failed) -> ReasonStep:
    """Where the same works."""
    works = failed.works
    if works is None:
        return ReasonStep(
            None, "nobody with an equal ClientHello succeeded: nothing to compare it with", "", "observed"
        )
    handshake = works.client_leg.handshake
    references = (handshake.hello_frame, handshake.answer_frame, handshake.certificate_frame)
    who = "the same client" if works.client == failed.observed.client else "another client"
    distance = works.hello_ns - failed.observed.hello_ns
    when = f"{span(abs(distance))} {'later' if distance > 0 else 'before'}"
    at = f" at {_member(analysis.case, works)}" if works.backend >= 0 else ""
    text = f"{who}, with an equal ClientHello, succeeded{at} {when}"
    return ReasonStep(True, text, frame_text(analysis, *references), "observed", references)


def _since(analysis: Analysis, failed: Failed, zone: TimeZone) -> ReasonStep:
    """Since when, as far as the capture reaches back."""
    observed, before = failed.observed, failed.went_well
    began = zone.clock(observed.first_ns)
    if observed.backend < 0:
        return ReasonStep(
            None, f"since when: first seen at {began}; at which back end is not visible", "", "not_visible"
        )
    member = _member(analysis.case, observed)
    if before is None:
        text = f"since when: first seen at {began}; none to {member} was completed before in this capture"
        return ReasonStep(None, text, "", "observed")
    references = (before.client_leg.handshake.hello_frame,)
    text = f"since {began}: the last one to {member} that was completed before began at {zone.clock(before.first_ns)}"
    return ReasonStep(True, text, frame_text(analysis, *references), "observed", references)
