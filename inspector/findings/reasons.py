"""Why, in words: a row for each reason, so that a word is changed once. The reasons themselves are values; nobody reads
them out of these words.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.facts import HandshakeFacts
from inspector.findings.jsse import RuleReason
from inspector.findings.logged import Unpaired
from inspector.findings.problems import certificate_name, problem_text
from inspector.findings.signs import Sign, Weighed
from inspector.text.times import span
from inspector.tls.registry import cipher_name
from inspector.tracking.balancer_log import Reason
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.flights import FlightComparison, FlightReason
from inspector.tracking.kinds import KindReason

KINDS: Mapping[KindReason, str] = {
    KindReason.NO_SERVER_HELLO: "no ServerHello was captured",
    KindReason.SERVER_HELLO_CUT: "the ServerHello was not captured whole",
    KindReason.ONLY_RETRY_REQUEST: "only a HelloRetryRequest was captured",
    KindReason.CLIENT_HELLO_CUT: "the ClientHello was not captured whole",
    KindReason.FLIGHT_CUT: "bytes behind the ServerHello were not captured",
    KindReason.NO_FLIGHT: "nothing behind the ServerHello was captured",
    KindReason.PSK_ACCEPTED: "the server accepted pre-shared key {psk}",
    KindReason.NO_PSK_OFFERED: "no pre-shared key was offered",
    KindReason.NO_PSK_ACCEPTED: "the server accepted no pre-shared key",
    KindReason.ID_ECHOED: "the server echoed the offered session id",
    KindReason.NO_CERTIFICATE_SENT: "the server went on to ChangeCipherSpec without a certificate",
    KindReason.CERTIFICATE_SENT: "the server sent a certificate",
    KindReason.NO_SESSION_OFFERED: "no session was offered",
    KindReason.OTHER_ID: "the server answered with a session id of its own",
    KindReason.EMPTY_ID: "the server answered with an empty session id",
}
"""Why a handshake is of its kind, or why that cannot be told."""

RULE: Mapping[RuleReason, str] = {
    RuleReason.TLS13: "TLS 1.3 has no such check",
    RuleReason.NO_SESSION_OFFERED: "no session was offered",
    RuleReason.RESUMED: "the session was resumed; no certificate is sent",
    RuleReason.EMS: "the full handshake uses extended master secret (EMS)",
    RuleReason.OFFER_NOT_CAPTURED: "what session was offered, if any, was not captured",
    RuleReason.ISSUER_NOT_CAPTURED: "the offered session was issued before the capture, or by nobody",
    RuleReason.ISSUED_BY_NOBODY: ("the offered session was issued by no server in the capture, and the client went on"),
    RuleReason.NOT_RESUMED_BEFORE: "the offered session had not been resumed before",
    RuleReason.EQUIVALENT: "the new certificate is identity-equivalent to the cached one",
    RuleReason.UNREADABLE: "one of the two certificates cannot be read, so that they cannot be compared",
    RuleReason.CERTIFICATE_NOT_CAPTURED: "the certificate of the offered session was not captured",
    RuleReason.CLOUDED: (
        "an earlier connection of this client, which may have resumed the session, was not captured whole"
    ),
    RuleReason.RACE: (
        "the session's first resumption came too shortly before this ClientHello for the capture to tell which was"
        " first"
    ),
    RuleReason.OTHER_CERTIFICATE: (
        "the offered session had been resumed before, there is no extended master secret, and the certificate is"
        " another"
    ),
    RuleReason.NOT_PARSED: (
        "Java cannot parse a certificate that the server sent, or got none, and gives up before it compares"
    ),
    RuleReason.ENCRYPTED: "the handshake is encrypted",
}
"""What decides in Java's table of a connection's first handshake."""

RULE_INSIDE: Mapping[RuleReason, str] = {
    RuleReason.EMS: "the renegotiation uses extended master secret (EMS)",
    RuleReason.NOT_RESUMED_BEFORE: "the connection did not begin with a resumed session",
    RuleReason.OTHER_CERTIFICATE: (
        "the connection began with a resumed session, the renegotiation has no extended master secret, and the"
        " certificate is another"
    ),
}
"""The same of a renegotiation, where "resumed before" is whether the connection began with a resumed session."""

DOUBTS: Mapping[Sign, str] = {
    Sign.SLOW_AND_PATIENT: ("{late}; the same client went on {went_on} times although the certificate changed"),
    Sign.SLOW_EVERYWHERE: "{late}; the same client also does so where Java's rule cannot have spoken",
    Sign.CONTRADICTED: (
        "bytes that this rests on came in two versions, and which one the receiver took cannot be told"
    ),
    Sign.CLOUDED: "{cloud}",
    Sign.JUMP: (
        "its SYN was not captured, and a jump of sequence numbers alone tells it from another connection of these ports"
    ),
    Sign.ORIGIN: "the session's origin lies before the capture",
    Sign.ISSUER: "the offered session was issued by no server in the capture",
    Sign.CERTIFICATES: "the certificates are equivalent or not both readable",
    Sign.ITSELF: "{itself}",
    Sign.STACK: "the client's TLS stack is not known to be Java's",
    Sign.SLOW: "{late}",
    Sign.ONE_CACHE: "the same session cache went on before although the certificate changed",
    Sign.NEVER_ACCEPTED: ("this client never accepts this certificate, so the certificate itself may be the cause"),
    Sign.UNCLEAR_ELSEWHERE: (
        "this client never accepts this certificate, and gave up {unclear} where too little was captured to say on what"
    ),
    Sign.GAVE_UP_ELSEWHERE: "this client also gave up on this certificate where Java's rule cannot have spoken",
}
"""Why it is not certain that the certificate change was the cause."""

UNPAIRED: Mapping[Unpaired, str] = {
    Unpaired.NONE_FAILED: "no connection of the capture failed",
    Unpaired.BEFORE: "it lies before the first failure in the capture",
    Unpaired.BEHIND: "it lies behind the last failure in the capture",
    Unpaired.CLOCK_UNKNOWN: "the log's clock cannot be told",
    Unpaired.ELSEWHERE: (
        "no connection of the capture failed in this way at that time: of another host, or not captured"
    ),
    Unpaired.LOST: (
        "no connection of the capture failed in this way at that time: of another host, or among what the capture lost"
    ),
}
"""Why a logged failure has no connection."""

UNJOINED: Mapping[Reason, str] = {
    "ambiguous": "they could belong to several of one client port, and nothing tells which",
    "no_connection": "no connection of that client port began at that time",
    "outside": "they lie outside of the capture",
    "clock_unknown": "how far the log's clock is from the capture's cannot be told",
    "other_client": "the capture holds no connection of their client's address and port",
    "unreadable_time": "their time cannot be read",
}
"""Why lines of a balancer's log have no connection."""


FLIGHTS: Mapping[FlightReason, str] = {
    FlightReason.NO_FIRST_FLIGHT: "the first flight is not in the capture: there is nothing to compare it with",
    FlightReason.LENGTHS_HIDDEN: "{cipher_suite} hides lengths",
    FlightReason.LENGTHS_ODD: (
        "its Finished, ChangeCipherSpec and alerts are not as long as they must be (compressed, or bytes are missing)"
    ),
    FlightReason.NO_FLIGHT: "the server sent no flight",
    FlightReason.ODD_RECORD: "a record is not as long as its suite makes records",
    FlightReason.ABBREVIATED: "abbreviated: no certificate is sent",
    FlightReason.INCOMPLETE: "the flight is not all there",
    FlightReason.OWN_EQUAL: "{apart}: equal lengths prove nothing",
    FlightReason.OWN_FRAGMENT: "a record of {now} bytes may be a part of a Certificate message of {first:,}",
    FlightReason.OWN_OTHER: "{apart}",
    FlightReason.SHARED_FITS: "{together}: that fits, and proves nothing",
    FlightReason.SHARED_CUT: "{together}; the client went away before it was all there",
    FlightReason.SHARED_MORE: "{together}: a CertificateRequest or CertificateStatus may have been added",
    FlightReason.SHARED_OTHER: "{together}",
}
"""What the lengths of a renegotiation's flight say of its certificate."""

APART = "each message has a record of its own; the Certificate message is {now} bytes, {first:,} in clear"
TOGETHER = "messages share records; the flight is {now} bytes, with the same certificate it would be {low:,} {high}"


def flight_words(comparison: FlightComparison, cipher_suite: int) -> str:
    """What the lengths of a renegotiation's flight say, with the numbers. ``cipher_suite``: of the connection."""
    words = FLIGHTS[comparison.reason]
    if not comparison.parts:
        return words.format(cipher_suite=cipher_name(cipher_suite))
    part = comparison.parts[1 if len(comparison.parts) > 1 else 0]
    expected = part.expected
    low, high = (expected.low, expected.high) if expected is not None else (0, 0)
    numbers = {
        "now": part.now,
        "first": part.first,
        "low": low,
        "high": "or more" if comparison.may_have_more else f"to {high:,}",
    }
    return words.format(apart=APART.format(**numbers), together=TOGETHER.format(**numbers), **numbers)


def kind_words(reason: KindReason, handshake: HandshakeFacts) -> str:
    """Why a handshake is of its kind."""
    answer = handshake.answer
    return KINDS[reason].format(psk=answer.accepted_psk if answer is not None else None)


def rule_words(reason: RuleReason | KindReason, *, is_inside: bool = False) -> str:
    """What decides in Java's table, or why it does not apply. ``is_inside``: of a renegotiation."""
    if isinstance(reason, KindReason):
        return KINDS[reason]
    return RULE_INSIDE.get(reason, RULE[reason]) if is_inside else RULE[reason]


def doubt(weighed: Weighed) -> str:
    """Why a certificate change is not certain; empty where it is."""
    abort = weighed.abort
    return DOUBTS.get(weighed.row, "").format(
        late=f"the client closed {span(abort.slow_ns or 0)} after the server's flight, and Java's check takes some"
        " 10 ms",
        went_on=weighed.went_on,
        cloud=rule_words(abort.cloud) if abort.cloud is not None else "",
        itself=_itself(abort.itself) if abort.itself is not None else "",
        unclear="once" if abort.unclear == 1 else f"{abort.unclear} times",
    )


def _itself(certificate: ParsedCertificate) -> str:
    why = problem_text(certificate.problem) if certificate.problem is not None else ""
    return f"the certificate {certificate_name(certificate)} itself may be the cause: {why}"
