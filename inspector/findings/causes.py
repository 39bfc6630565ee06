"""Why a handshake failed that Java's rule does not explain: a table of named causes, told apart by who sent what. The
first one that holds counts.

What follows from an end of file is no cause of its own: a client's alert behind the server's FIN, or one that came when
nothing was answered, only says that the server was gone or silent (``tracking/closing.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector import facts
from inspector.document import Grade
from inspector.findings.case import Case, Program
from inspector.findings.giving_up import client_code, is_clear, slow_close
from inspector.findings.unreadable import refusal
from inspector.tls.registry import alert_name
from inspector.tls.types import AlertDescription
from inspector.tracking.certificate_names import covers
from inspector.tracking.closing import (
    CERTIFICATE_ALERTS,
    first_close,
    is_refused,
    is_rejected,
    is_unanswered,
    server_was_gone,
)
from inspector.tracking.observed import BAD_CERTIFICATE, Observed
from inspector.tracking.services import server_name

ACCEPTED = 1_000
"""Certificates that one program accepted, up to which it is asked whether all of them have a name."""

UNCLEAR = "unclear"


class Cause(NamedTuple):
    """``key`` groups; ``text`` completes "handshakes failed: …" and names nothing that differs from one connection to
    the next. ``remedy``: its name in
    ``failure_remedies``. ``is_about_certificate``: the server's; ``is_about_client``: the client's.
    ``lasted_ns``: how long the client waited, where that matters.
    """

    key: str
    text: str
    grade: Grade
    remedy: str = ""
    is_about_certificate: bool = False
    is_about_client: bool = False
    lasted_ns: int | None = None


CLIENT_ALERTS: dict[int, str] = {
    AlertDescription.BAD_CERTIFICATE: "the client rejected the certificate (not yet valid, or a bad signature)",
    AlertDescription.CERTIFICATE_EXPIRED: "the server's certificate has expired, says the client",
    AlertDescription.CERTIFICATE_UNKNOWN: "the chain does not lead to a CA that the client trusts,"
    " or the host name does not match",
    AlertDescription.CERTIFICATE_REVOKED: "the client takes the server's certificate for revoked",
    AlertDescription.UNSUPPORTED_CERTIFICATE: "the client does not support the server's certificate",
    AlertDescription.UNKNOWN_CA: "the client does not trust the CA of the server's certificate",
    AlertDescription.PROTOCOL_VERSION: "the client allows no version that the server chose,"
    " or the server resumed with another version",
    AlertDescription.HANDSHAKE_FAILURE: "the client could not agree on parameters",
}
SERVER_ALERTS: dict[int, str] = {
    AlertDescription.PROTOCOL_VERSION: "the server supports no version that the client offers",
    AlertDescription.HANDSHAKE_FAILURE: "the server found no common cipher suite,"
    " or requires something that the client did not send",
    AlertDescription.UNRECOGNIZED_NAME: "the server does not know the requested name",
    AlertDescription.INTERNAL_ERROR: "the server had an internal error",
}
FOR_WANT_OF_CERTIFICATE = frozenset(
    (
        AlertDescription.HANDSHAKE_FAILURE,
        AlertDescription.BAD_CERTIFICATE,
        AlertDescription.NO_CERTIFICATE,
        AlertDescription.CERTIFICATE_REQUIRED,
        AlertDescription.CERTIFICATE_UNKNOWN,
    )
)
"""What servers answer to a client that shows no certificate, though they require one."""
NO_CERTIFICATE_SHOWN = "the server requires a certificate of the client, which showed none"
WAITED = "the client waited after the server's certificate and closed without an alert: a time-out or a watchdog"
SILENT = "the client closed without an alert after the server's certificate; the reason stands in its own log only"
NO_AUTHORITY = "the chain does not lead to a CA that the client trusts"
EARLY = "the server's certificate is not valid yet"
ALONE = "the client rejects this certificate, though it accepts others of the same CA"
NO_NAME = "the client rejected a certificate that lacks the name it asked for"


Issued = tuple[Program, str, tuple[bytes, ...]]
"""A program, with the issuer of a certificate and the digests of what stood behind it."""


class CertificateNames:
    """Whether programs look at the names in certificates, and whom they trust, told from the certificates that they
    accepted.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._accepted: dict[Program, list[bytes]] = {}
        for (program, leaf), signs in case.signs.items():
            if signs.accepted:
                self._accepted.setdefault(program, []).append(leaf)
        self._known: dict[tuple[Program, str], bool | None] = {}
        self._trusted: set[Issued] | None = None
        """Programs, with the issuer and the chain of certificates that they accepted."""

    def lacks(self, observed: Observed) -> str | None:
        """The name that was asked for, where the certificate lacks it."""
        wanted, certificate = server_name(observed.offer), self._case.certificates.get(observed.leaf or b"")
        return wanted if wanted and certificate is not None and not covers(certificate, wanted) else None

    def has(self, observed: Observed) -> bool:
        """Whether the certificate has the name that was asked for."""
        wanted, certificate = server_name(observed.offer), self._case.certificates.get(observed.leaf or b"")
        return wanted is not None and certificate is not None and covers(certificate, wanted)

    def is_early(self, observed: Observed) -> bool:
        """Whether the certificate becomes valid later only."""
        certificate = self._case.certificates.get(observed.leaf or b"")
        return certificate is not None and (certificate.not_before or 0) > observed.hello_ns

    def are_trusted(self, observed: Observed) -> bool:
        """Whether the program accepted another certificate of the same issuer, with the same chain behind it."""
        if self._trusted is None:
            self._trusted = {
                key
                for accepted in self._case.observed
                if accepted.outcome == "established" and (key := self._issued(accepted)) is not None
            }
        return self._issued(observed) in self._trusted

    def _issued(self, observed: Observed) -> Issued | None:
        certificate = self._case.certificates.get(observed.leaf or b"")
        if certificate is None or observed.kind != "full":
            return None
        return self._case.program_of(observed), certificate.identity.issuer, observed.shown.behind

    def are_checked(self, observed: Observed, wanted: str) -> bool | None:
        """True where the program accepted only certificates that have the name, False where it accepted one without,
        None where it accepted none, or more than are looked at.
        """
        key = (self._case.program_of(observed), wanted)
        if key not in self._known:
            self._known[key] = self._all_have(self._accepted.get(key[0], ()), wanted)
        return self._known[key]

    def _all_have(self, leaves: Sequence[bytes], wanted: str) -> bool | None:
        """Whether all of some certificates have a name, as in ``are_checked``. There may be as many names to ask for as
        there are certificates.
        """
        is_any_read = False
        for leaf in leaves[:ACCEPTED]:
            certificate = self._case.certificates.get(leaf)
            if certificate is not None and not covers(certificate, wanted):
                return False
            is_any_read = is_any_read or certificate is not None
        return True if is_any_read and len(leaves) <= ACCEPTED else None


def cause(case: Case, observed: Observed, names: CertificateNames) -> Cause:
    """Why this handshake failed, as far as the wire shows."""
    return (
        _unparsable(case, observed)
        or _nothing_answered(observed)
        or _unclear(observed)
        or _alerted(observed, names)
        or _refused(observed)
        or _rejected(observed)
        or _closed(observed)
    )


def _unparsable(case: Case, observed: Observed) -> Cause | None:
    """A certificate itself that Java cannot parse, or none at all."""
    reason = refusal(case, observed)
    return Cause(reason.key, reason.text, "inferred", reason.remedy) if reason is not None else None


def _nothing_answered(member: Observed) -> Cause | None:
    """No ServerHello, or one that came too late."""
    client_leg = member.client_leg
    alert, handshake = member.fatal_alert, client_leg.handshake
    if handshake.answer is None and _answered_in_clear(member):
        return Cause("plain", "the server answered with something that is not TLS", "observed", "plain_text")
    if alert is not None and not alert.from_client:
        return None
    gone = alert is not None and alert.code not in CERTIFICATE_ALERTS and server_was_gone(client_leg, alert)
    if handshake.answer is None and (gone or (alert is None and member.closed_by == "server")):
        return Cause("unanswered-server", "the server closed the connection before a ServerHello", "observed", "closed")
    if gone:
        return Cause("early-server", "the server closed the connection during the handshake", "observed", "closed")
    if handshake.offer is None:
        return None
    ended = None
    if alert is not None and alert.code not in CERTIFICATE_ALERTS and is_unanswered(client_leg, alert):
        ended = alert.ns
    elif alert is None and handshake.answer is None and member.closed_by == "client":
        close = first_close(client_leg.from_client)
        ended = close[0].ns if close is not None else None
    if ended is None:
        return None
    return Cause(
        "unanswered-client",
        "the client gave up without an answer",
        "observed",
        "time_out",
        lasted_ns=max(0, ended - handshake.hello_ns),
    )


def _unclear(observed: Observed) -> Cause | None:
    """The client gave up as Java does, and what it gave up was not captured whole."""
    alert = observed.fatal_alert
    code = alert.code if alert is not None and alert.from_client else None
    if observed.is_tls13 or (code != BAD_CERTIFICATE and not (observed.gave_up and alert is None)):
        return None
    if is_clear(observed) and observed.client_leg.handshake.messages & facts.S_CERTIFICATE:
        return None
    what = (
        "rejected the server's certificate"
        if code is not None
        else "closed without an alert after the server's certificate"
    )
    return Cause(
        UNCLEAR,
        f"the client {what}, but the handshake was not captured whole: a changed certificate cannot be ruled out",
        "inferred",
    )


def _alerted(member: Observed, names: CertificateNames) -> Cause | None:
    """A fatal alert in clear."""
    alert = member.fatal_alert
    if alert is None or alert.code is None:
        return None
    name = alert_name(alert.code)
    key = f"{'client' if alert.from_client else 'server'}-{alert.code}"
    remedy, is_about_client = name, False
    if alert.from_client:
        text = CLIENT_ALERTS.get(alert.code, "the client ended the handshake")
        may_be_name = alert.code in (BAD_CERTIFICATE, AlertDescription.CERTIFICATE_UNKNOWN)
        wanted = names.lacks(member) if may_be_name else None
        if wanted is not None and names.are_checked(member, wanted):
            key, text, remedy = f"{key}-name", NO_NAME, "no_name"
        elif alert.code in CERTIFICATE_ALERTS and names.is_early(member):
            key, text, remedy = f"{key}-early", EARLY, "not_yet_valid"
        elif may_be_name and names.has(member) and names.are_trusted(member):
            key, text, remedy = f"{key}-alone", ALONE, "bad_certificate"
        elif alert.code == AlertDescription.CERTIFICATE_UNKNOWN and names.has(member):
            text, remedy = NO_AUTHORITY, "unknown_ca"
    elif alert.code in FOR_WANT_OF_CERTIFICATE and _showed_none(member):
        text, is_about_client = NO_CERTIFICATE_SHOWN, True
        remedy = "certificate_required"
    elif alert.code in CERTIFICATE_ALERTS and member.client_leg.handshake.messages & facts.C_CERTIFICATE:
        text = "the server rejected the client's certificate"
        is_about_client = True
    else:
        text = SERVER_ALERTS.get(alert.code, "the server ended the handshake")
    who = "client" if alert.from_client else "server"
    is_about_certificate = alert.from_client and alert.code in CERTIFICATE_ALERTS
    return Cause(
        key,
        f"{text}: alert {name} ({alert.code}) from the {who}",
        "observed",
        remedy,
        is_about_certificate,
        is_about_client,
    )


def _showed_none(observed: Observed) -> bool:
    """Whether the client answered the server's request with an empty Certificate (RFC 5246, section 7.4.6)."""
    handshake = observed.client_leg.handshake
    return bool(handshake.messages & facts.C_CERTIFICATE) and not handshake.client_chain and not handshake.is_tls13


def _refused(observed: Observed) -> Cause | None:
    if not is_refused(observed.client_leg):
        return None
    text = (
        "the server refused the client after its flight: a lone encrypted record of an alert's size, and no answer (TLS"
        " 1.3)"
    )
    return Cause("refused", text, "inferred", "refused")


def _rejected(observed: Observed) -> Cause | None:
    if not is_rejected(observed.client_leg):
        return None
    text = (
        "the client rejected the server's flight, most likely its certificate: its only encrypted record is too short"
        " for anything but an alert (TLS 1.3)"
    )
    return Cause("rejected", text, "inferred", "rejected")


def _closed(member: Observed) -> Cause:
    """Nobody said why."""
    slow = slow_close(member)
    if slow is not None:
        return Cause("silent-late", WAITED, "inferred", "time_out", lasted_ns=slow)
    if member.gave_up and client_code(member) is None:
        return Cause("silent", SILENT, "inferred", "silent", is_about_certificate=True)
    by = {"client": "the client", "server": "the server", None: "nobody"}[member.closed_by]
    remedy = "silent" if member.closed_by == "client" else "closed"
    handshake = member.client_leg.handshake
    if handshake.answer is None:
        return Cause(
            f"unanswered-{member.closed_by}", f"{by} closed the connection before a ServerHello", "observed", remedy
        )
    if handshake.messages & (facts.C_KEY_EXCHANGE | facts.C_CHANGE):
        return Cause(
            f"late-{member.closed_by}",
            f"{by} closed the connection after the client's key exchange",
            "observed",
            remedy,
        )
    return Cause(f"early-{member.closed_by}", f"{by} closed the connection during the handshake", "observed", remedy)


def _answered_in_clear(observed: Observed) -> bool:
    """Whether the server sent bytes that are neither a hello nor an alert."""
    client_leg = observed.client_leg
    if any(a.kind == "no_record" and not a.from_client for a in client_leg.anomalies):
        return True
    return (
        bool(client_leg.from_server.bytes)
        and not observed.lost
        and not any(not a.from_client for a in client_leg.alerts)
    )
