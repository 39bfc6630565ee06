"""What a handshake needs so that it is completed, held against one that failed: condition by condition in the order of
the protocol, each with whether it was met and how sure that is. Values; whoever shows them has the words.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from inspector.document import Finding, Grade
from inspector.facts import C_CHANGE, C_KEY_EXCHANGE, S_CERTIFICATE
from inspector.findings.case import Case
from inspector.findings.causes import CertificateNames
from inspector.findings.counterpart import WORKS
from inspector.tls.types import AlertDescription
from inspector.tracking.certificates import ParsedCertificate
from inspector.tracking.closing import CERTIFICATE_ALERTS, first_close, is_consequence, is_refused, is_rejected
from inspector.tracking.observed import Observed

VERSION_ALERTS = (AlertDescription.PROTOCOL_VERSION,)
PARAMETER_ALERTS = (AlertDescription.HANDSHAKE_FAILURE, AlertDescription.INSUFFICIENT_SECURITY)
ALPN_ALERTS = (AlertDescription.NO_APPLICATION_PROTOCOL,)
NAME_ALERTS = (AlertDescription.UNRECOGNIZED_NAME,)


class ConditionKind(StrEnum):
    """What must be, in the order of a handshake."""

    ANSWER = "answer"
    VERSION = "version"
    PARAMETERS = "parameters"
    PROTOCOL = "protocol"
    SERVER_NAME = "server_name"
    CERTIFICATE = "certificate"
    VALIDITY = "validity"
    NAME = "name"
    CHAIN = "chain"
    TRUST = "trust"
    CLIENT_CERTIFICATE = "client_certificate"


class Condition(NamedTuple):
    """``holds``: None where the capture does not show it. ``frames``: references of the frames that do."""

    kind: ConditionKind
    holds: bool | None
    grade: Grade
    frames: tuple[int, ...] = ()


class Failed(NamedTuple):
    """The first connection of a failure, beside one of an equal ClientHello that was completed elsewhere.
    ``went_well``: the last connection to the same member that was completed before.
    """

    observed: Observed
    works: Observed | None
    went_well: Observed | None

    @property
    def code(self) -> int | None:
        """The fatal alert that ended it; None where there is none, or it only says that the other side was gone."""
        alert = self.observed.fatal_alert
        return None if alert is None or is_consequence(self.observed.client_leg, alert) else alert.code

    @property
    def client_code(self) -> int | None:
        """The same where the client sent it."""
        return self.code if self.code is not None and self._is_clients else None

    @property
    def server_code(self) -> int | None:
        """The same where the server sent it."""
        return self.code if self.code is not None and not self._is_clients else None

    @property
    def _is_clients(self) -> bool:
        alert = self.observed.fatal_alert
        return alert is not None and alert.from_client


def failed_of(case: Case, finding: Finding) -> Failed:
    """What a finding of failed handshakes is told by. Raises KeyError where it is of another analysis."""
    first = finding.connections[0]
    elsewhere = next((e.connection for e in finding.evidence if e.role == WORKS), None)
    observed = case.by_id(first)
    return Failed(observed, case.by_id(elsewhere) if elsewhere else None, _went_well(case, observed))


def _went_well(case: Case, observed: Observed) -> Observed | None:
    if observed.backend < 0:
        return None
    before = [i for i in case.backends[observed.backend].connections if i < observed.index]
    return next((case.observed[i] for i in reversed(before) if case.observed[i].outcome == "established"), None)


def conditions(case: Case, failed: Failed) -> list[Condition]:
    """Those that the handshake came to, and the one at which it ended."""
    return [*_hello(failed), *_certificate(case, failed), *_client_certificate(failed)]


def _hello(failed: Failed) -> Iterator[Condition]:
    """What client and server must agree on."""
    handshake = failed.observed.client_leg.handshake
    code, answer = failed.code, handshake.answer
    refused = _alert_frame(failed)
    if answer is None and failed.server_code is None:
        yield Condition(ConditionKind.ANSWER, False, "observed", (handshake.hello_frame,))
        return
    at = (handshake.answer_frame,)
    if code in VERSION_ALERTS:
        yield Condition(ConditionKind.VERSION, False, "observed", refused)
    elif answer is not None:
        yield Condition(ConditionKind.VERSION, True, "observed", at)
    if code in PARAMETER_ALERTS and not handshake.messages & S_CERTIFICATE:
        yield Condition(ConditionKind.PARAMETERS, False, "inferred", refused)
    elif answer is not None and code not in VERSION_ALERTS:
        yield Condition(ConditionKind.PARAMETERS, True, "observed", at)
    if code in ALPN_ALERTS:
        yield Condition(ConditionKind.PROTOCOL, False, "observed", refused)
    if code in NAME_ALERTS:
        yield Condition(ConditionKind.SERVER_NAME, False, "observed", refused)


def _alert_frame(failed: Failed) -> tuple[int, ...]:
    alert = failed.observed.fatal_alert
    return (alert.frame,) if alert is not None and failed.code is not None else ()


def _certificate(case: Case, failed: Failed) -> Iterator[Condition]:
    """What a client asks of the server's certificate (RFC 5280, section 6; RFC 9525)."""
    observed = failed.observed
    handshake = observed.client_leg.handshake
    if handshake.answer is None:
        return
    certificate = case.certificates.get(observed.leaf or b"")
    at = (handshake.certificate_frame,)
    if certificate is None:
        if observed.shows_no_certificate:
            yield Condition(ConditionKind.CERTIFICATE, False, "observed", at)
        elif observed.is_tls13 or handshake.messages & S_CERTIFICATE:
            yield Condition(ConditionKind.CERTIFICATE, None, "not_visible")
            if failed.client_code == AlertDescription.CERTIFICATE_EXPIRED:
                yield Condition(ConditionKind.VALIDITY, False, "inferred", _alert_frame(failed))
            if failed.client_code == AlertDescription.UNKNOWN_CA:
                yield Condition(ConditionKind.TRUST, False, "inferred", _alert_frame(failed))
        return
    yield Condition(ConditionKind.CERTIFICATE, True, "observed", at)
    if is_about_client(failed) or failed.code in (*VERSION_ALERTS, *PARAMETER_ALERTS):
        return
    if failed.client_code is None and handshake.messages & (C_KEY_EXCHANGE | C_CHANGE):
        yield Condition(ConditionKind.TRUST, True, "inferred", (handshake.key_exchange_frame,))
        return
    is_valid = certificate.is_valid_at(observed.hello_ns)
    if is_valid is not None:
        yield Condition(ConditionKind.VALIDITY, is_valid, "observed", at)
    names = CertificateNames(case)
    lacking = names.lacks(observed)
    if lacking is not None:
        is_asked = names.are_checked(observed, lacking) is not False
        yield Condition(ConditionKind.NAME, False if is_asked else None, "observed", at)
    elif names.has(observed):
        yield Condition(ConditionKind.NAME, True, "observed", at)
    yield from _path(failed, certificate, at, is_valid is True and lacking is None)


def _path(failed: Failed, certificate: ParsedCertificate, at: tuple[int, ...], is_named: bool) -> Iterator[Condition]:
    """From the certificate to a CA that the client trusts. ``is_named``: nothing else that is visible is wrong with
    it.
    """
    works = failed.works
    says_so = failed.client_code == AlertDescription.UNKNOWN_CA or (
        failed.client_code == AlertDescription.CERTIFICATE_UNKNOWN and is_named
    )
    untrusted = Condition(ConditionKind.TRUST, False, "inferred", _alert_frame(failed))
    unknown = Condition(ConditionKind.TRUST, None, "not_visible")
    if certificate.self_issued:
        yield untrusted if says_so else unknown
        return
    is_alone = not failed.observed.shown.behind
    others = works.shown.behind if works is not None and works.leaf is not None else ()
    if not is_alone:
        yield Condition(ConditionKind.CHAIN, True, "observed", at)
    elif works is not None and others:
        yield Condition(ConditionKind.CHAIN, False, "observed", (*at, works.client_leg.handshake.certificate_frame))
        return
    else:
        yield Condition(ConditionKind.CHAIN, None, "observed", at)
    yield untrusted if says_so else unknown


def is_about_client(failed: Failed) -> bool:
    """Whether the server refused the client, so that its own certificate is not what failed."""
    return failed.server_code is not None or is_refused(failed.observed.client_leg)


def _client_certificate(failed: Failed) -> Iterator[Condition]:
    """What the server asks of the client's certificate."""
    observed = failed.observed
    client_leg = observed.client_leg
    if is_refused(client_leg):
        tail = client_leg.from_server.tail
        yield Condition(ConditionKind.CLIENT_CERTIFICATE, False, "inferred", (tail.frame,) if tail is not None else ())
    elif failed.server_code is not None and (
        failed.server_code in CERTIFICATE_ALERTS
        or (client_leg.handshake.client_chain and failed.server_code == AlertDescription.ACCESS_DENIED)
        or (observed.shown.authorities is not None and failed.server_code in PARAMETER_ALERTS)
    ):
        yield Condition(ConditionKind.CLIENT_CERTIFICATE, False, "observed", _alert_frame(failed))


class HandshakeEnd(NamedTuple):
    """How it ended. ``by_client``: None where nobody closed it. ``how``: ``alert``, ``fin``, ``rst``, or a lone
    encrypted ``record`` that is taken for an alert by its length. ``after_ns``: since the answer of the other side, or
    the hello; None where that was not seen.
    """

    by_client: bool | None
    how: str
    code: int | None
    frame: int
    after_ns: int | None


def ending(failed: Failed) -> HandshakeEnd:
    """Who ended it, and with what."""
    observed = failed.observed
    client_leg = observed.client_leg
    handshake = client_leg.handshake
    alert, tail = observed.fatal_alert, client_leg.from_server.tail
    if alert is not None and failed.code is not None:
        since = handshake.answer_ns if alert.from_client and handshake.answer_ns else handshake.hello_ns
        return HandshakeEnd(alert.from_client, "alert", alert.code, alert.frame, alert.ns - since if since else None)
    if tail is not None and is_refused(client_leg):
        return HandshakeEnd(
            False, "record", None, tail.frame, tail.ns - handshake.hello_ns if handshake.hello_ns else None
        )
    if (record := client_leg.from_client.tail) is not None and is_rejected(client_leg):
        return HandshakeEnd(
            True, "record", None, record.frame, record.ns - handshake.answer_ns if handshake.answer_ns else None
        )
    if observed.closed_by is None:
        return HandshakeEnd(None, "", None, 0, None)
    by_client = observed.closed_by == "client"
    close = first_close(client_leg.from_client if by_client else client_leg.from_server)
    if close is None:
        return HandshakeEnd(by_client, observed.closed_how or "", None, 0, None)
    since = handshake.answer_ns if by_client and handshake.answer_ns else handshake.hello_ns
    return HandshakeEnd(by_client, close[1], None, close[0].frame, close[0].ns - since if since else None)
