"""When a Java client gives up because the server's certificate changed: the decision table as a pure function.

Read in the sources of JDK 7u to 25 (``ClientHello``, ``ServerHello.T12ServerHelloConsumer``,
``CertificateMessage.T12CertificateConsumer``,
``CertificateMessage.isIdentityEquivalent``) and confirmed on the wire with JDK 11, 17, 21 and 25. The message speaks of
a renegotiation; commonly it is the first handshake of a new connection that offered a cached session.

| row | ServerHello | id offered | echoed | EMS | resumed before | new leaf and cached leaf | outcome |
|---|---|---|---|---|---|---|---|
| 1 | TLS 1.3 | any | | | | encrypted | accepts |
| 2 | ≤ 1.2 | yes | yes | | from now on | no Certificate sent | resumed |
| 3 | ≤ 1.2 | yes | no | yes | any | any | accepts |
| 4 | ≤ 1.2 | yes | no | no | no | any | accepts |
| 5 | ≤ 1.2 | yes | no | no | yes | equivalent | accepts |
| 6 | ≤ 1.2 | yes | no | no | yes | not equivalent | **aborts** |
| 7 | ≤ 1.2 | empty, or issued by nobody | | | | any | accepts |

Where the ClientHello was not read to its end, or an earlier connection of the same client was not, rows 4 and 7 are not
told from row 6.

Not visible, and never assumed: an endpoint identification algorithm on the socket and
``jdk.tls.allowUnsafeServerCertChange`` skip the check.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal, NamedTuple

from msgspec import Struct

from inspector.tracking.certificates import Identity
from inspector.tracking.kinds import KindReason

Generation = Literal["first", "current"]
Verdict = Literal["accepts", "aborts", "possible", "not_applicable"]
Step = Literal["same_der", "shared_ip", "shared_dns", "same_subject_and_issuer", "none"]


class RuleReason(Enum):
    """What decides in the table, or why it does not apply."""

    TLS13 = auto()
    NO_SESSION_OFFERED = auto()
    RESUMED = auto()
    EMS = auto()
    OFFER_NOT_CAPTURED = auto()
    ISSUER_NOT_CAPTURED = auto()
    """The session was issued before the capture, or by nobody."""
    ISSUED_BY_NOBODY = auto()
    NOT_RESUMED_BEFORE = auto()
    EQUIVALENT = auto()
    UNREADABLE = auto()
    CERTIFICATE_NOT_CAPTURED = auto()
    CLOUDED = auto()
    RACE = auto()
    """The first resumption and the next ClientHello are too close together."""
    OTHER_CERTIFICATE = auto()
    NOT_PARSED = auto()
    """Java gives up on a certificate, or on an empty list, before it compares."""
    ENCRYPTED = auto()


ROW_OF_ABORTS = 6
"""Of the table: where Java gives up."""


class Decision(NamedTuple):
    """``row`` of the table, or None where it does not apply: for want of a ServerHello, or for a ``KindReason``."""

    verdict: Verdict
    row: int | None
    reason: RuleReason | KindReason


class Offer(Struct, frozen=True, gc=False, kw_only=True):
    """What the table needs. ``offered``: None where that was not read. ``resumed_before``: None where the capture
    cannot tell. ``equivalent``: None where a leaf is not known, ``unreadable`` where that is because it cannot be read.
    ``clouded``: who may have resumed the session, or been issued it, was not seen whole.
    """

    offered: bool | None
    is_tls13: bool = False
    resumed: bool = False
    extended_master_secret: bool = False
    issued: bool = False
    resumed_before: bool | None = None
    equivalent: bool | None = None
    gave_up: bool = False
    clouded: bool = False
    unreadable: bool = False


def decide(offer: Offer) -> Decision:
    """What a Java client without endpoint identification does with this answer."""
    if offer.is_tls13:
        return Decision("accepts", 1, RuleReason.TLS13)
    if offer.offered is False:
        return Decision("accepts", 7, RuleReason.NO_SESSION_OFFERED)
    if offer.resumed:
        return Decision("accepts", 2, RuleReason.RESUMED)
    if offer.extended_master_secret:
        return Decision("accepts", 3, RuleReason.EMS)
    if offer.offered is None:
        return Decision("possible" if offer.gave_up else "not_applicable", None, RuleReason.OFFER_NOT_CAPTURED)
    if not offer.issued and offer.resumed_before is not True:
        if offer.gave_up:
            return Decision("possible", None, RuleReason.ISSUER_NOT_CAPTURED)
        return Decision("accepts", 7, RuleReason.ISSUED_BY_NOBODY)
    if offer.resumed_before is False:
        return Decision("accepts", 4, RuleReason.NOT_RESUMED_BEFORE)
    if offer.equivalent:
        return Decision("accepts", 5, RuleReason.EQUIVALENT)
    if offer.equivalent is None:
        return Decision(
            "possible", None, RuleReason.UNREADABLE if offer.unreadable else RuleReason.CERTIFICATE_NOT_CAPTURED
        )
    if offer.resumed_before is None:
        return Decision("possible", None, RuleReason.CLOUDED if offer.clouded else RuleReason.RACE)
    return Decision("aborts", ROW_OF_ABORTS, RuleReason.OTHER_CERTIFICATE)


def equivalence(old: Identity, new: Identity, generation: Generation = "current") -> Step | None:
    """The step by which two leaf certificates count as one server, or ``none``. None where one of them has no identity
    that is known.

    ``current``: since about 8u60, any shared iPAddress, any shared dNSName (case-insensitive, literal), else subject
    and issuer. ``first``: before 8u60 and 7u85, only the first iPAddress and the first dNSName of each are compared,
    case-sensitively, and where both have one it decides.
    """
    if old.sha256 == new.sha256:
        return "same_der"
    if not (old.is_known and new.is_known):
        return None
    if generation == "first":
        if old.ip_addresses and new.ip_addresses:
            return "shared_ip" if old.ip_addresses[0] == new.ip_addresses[0] else "none"
        if old.dns_names and new.dns_names:
            return "shared_dns" if old.dns_names[0] == new.dns_names[0] else "none"
    else:
        if set(old.ip_addresses) & set(new.ip_addresses):
            return "shared_ip"
        if {n.lower() for n in old.dns_names} & {n.lower() for n in new.dns_names}:
            return "shared_dns"
    if old.subject and new.subject and old.subject == new.subject and old.issuer == new.issuer:
        return "same_subject_and_issuer"
    return "none"
